#include "net/password_file.hpp"

#include <argon2.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include "net/secret_file.hpp"
#include "wire/utf8.hpp"

namespace headroom::net {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::size_t kLongestUser = 64;
constexpr std::size_t kShortestPassword = 10;
constexpr std::size_t kLongestPassword = 512;
constexpr std::size_t kLongestHash = 256;
constexpr std::uint32_t kMostMemoryKib = 256 * 1024;
constexpr std::uint32_t kMostPasses = 16;
constexpr std::uint32_t kMostLanes = 8;

/// Takes `prefix` and the number behind it off the front.
std::optional<std::uint32_t> take_number(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  text.remove_prefix(prefix.size());
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

Result<void> check_hash(std::string_view hash) {
  std::string_view rest = hash;
  const auto version = take_number(rest, "$argon2id$v=");
  const auto memory = take_number(rest, "$m=");
  const auto passes = take_number(rest, ",t=");
  const auto lanes = take_number(rest, ",p=");
  const bool whole = version && memory && passes && lanes && rest.starts_with('$') && rest.size() > 16;
  if (!whole || hash.size() > kLongestHash) {
    return fail(ErrorCode::kInvalidArgument,
                "no Argon2id hash; 'headroom serve password add' makes the line");
  }
  if (*memory > kMostMemoryKib || *passes > kMostPasses || *lanes > kMostLanes) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("the hash costs too much: at most m={}, t={}, p={}",
                                                         kMostMemoryKib, kMostPasses, kMostLanes));
  }
  return {};
}

Result<PasswordEntry> parse_line(std::string_view line) {
  const std::size_t first = line.find(':');
  const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
  if (second == std::string_view::npos) return fail(ErrorCode::kInvalidArgument, "expected user:role:hash");
  PasswordEntry entry;
  entry.user = line.substr(0, first);
  entry.hash = line.substr(second + 1);
  if (auto checked = check_user_name(entry.user); !checked) return fail(std::move(checked.error()));
  const auto role = parse_role(line.substr(first + 1, second - first - 1));
  if (!role) return fail(ErrorCode::kInvalidArgument, "the role must be viewer or administrator");
  entry.role = *role;
  if (auto checked = check_hash(entry.hash); !checked) return fail(std::move(checked.error()));
  return entry;
}

std::string_view take_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  while (line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
  return line;
}

tl::unexpected<base::Error> failed(const std::filesystem::path& file) {
  return fail(errno == EACCES ? ErrorCode::kDenied : ErrorCode::kIo,
              fmt::format("{}: {}", file.string(), std::strerror(errno)));
}

/// The temporary file beside the one that it becomes; gone when that did not happen.
class Replacement {
 public:
  explicit Replacement(const std::filesystem::path& file)
      : target_(file), name_(file.string() + ".XXXXXX"), descriptor_(::mkstemp(name_.data())) {}
  ~Replacement() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    if (!done_) ::unlink(name_.c_str());
  }
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  Result<void> fill(std::string_view text) {
    if (descriptor_ < 0) return failed(target_);
    struct stat before {};
    if (::stat(target_.c_str(), &before) == 0) {
      const bool same = ::fchown(descriptor_, before.st_uid, before.st_gid) == 0 &&
                        ::fchmod(descriptor_, before.st_mode & 0777) == 0;
      if (!same) return failed(target_);
    }
    if (::write(descriptor_, text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(descriptor_) != 0) {
      return failed(target_);
    }
    done_ = ::rename(name_.c_str(), target_.c_str()) == 0;
    if (!done_) return failed(target_);
    return {};
  }

 private:
  std::filesystem::path target_;
  std::string name_;
  int descriptor_;
  bool done_ = false;
};

}  // namespace

Result<void> check_user_name(std::string_view user) {
  const bool fits =
      !user.empty() && user.size() <= kLongestUser && user.front() != '#' && wire::is_utf8(user) &&
      std::ranges::none_of(user, [](char c) { return c == ':' || c == '\x7f' || (c >= '\0' && c <= ' '); });
  if (fits) return {};
  return fail(ErrorCode::kInvalidArgument,
              "a user's name has 1 to 64 bytes, no colon, no blanks, and no '#' in front");
}

Result<PasswordFile> PasswordFile::read(const std::filesystem::path& file) {
  const auto text = read_secret_file(file, kMostBytes);
  if (!text) return fail(text.error());
  return parse(*text, file.string());
}

Result<PasswordFile> PasswordFile::parse(std::string_view text, std::string_view name) {
  PasswordFile file;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = take_line(text);
    if (line.empty() || line.front() == '#') continue;
    auto entry = parse_line(line);
    if (!entry) return fail(std::move(entry.error()).within(fmt::format("{}:{}", name, number)));
    if (file.find(entry->user) != nullptr) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}:{}: the user {} stands there twice", name, number, entry->user));
    }
    file.entries_.push_back(std::move(*entry));
  }
  return file;
}

const PasswordEntry* PasswordFile::find(std::string_view user) const {
  const auto found = std::ranges::find(entries_, user, &PasswordEntry::user);
  return found == entries_.end() ? nullptr : &*found;
}

void PasswordFile::set(PasswordEntry entry) {
  const auto found = std::ranges::find(entries_, entry.user, &PasswordEntry::user);
  if (found == entries_.end()) {
    entries_.push_back(std::move(entry));
  } else {
    *found = std::move(entry);
  }
}

bool PasswordFile::remove(std::string_view user) {
  return std::erase_if(entries_, [&](const PasswordEntry& entry) { return entry.user == user; }) > 0;
}

std::string PasswordFile::text() const {
  std::string text = "# user:role:hash, made by 'headroom serve password'\n";
  for (const PasswordEntry& entry : entries_)
    text += fmt::format("{}:{}:{}\n", entry.user, name(entry.role), entry.hash);
  return text;
}

Result<void> PasswordFile::write(const std::filesystem::path& file) const {
  Replacement replacement(file);
  return replacement.fill(text());
}

Result<std::string> hash_password(std::string_view password, const HashCost& cost) {
  if (password.size() < kShortestPassword || password.size() > kLongestPassword) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("a password has {} to {} bytes", kShortestPassword, kLongestPassword));
  }
  constexpr std::uint32_t kSaltBytes = 16;
  constexpr std::uint32_t kHashBytes = 32;
  std::array<unsigned char, kSaltBytes> salt{};
  if (RAND_bytes(salt.data(), static_cast<int>(salt.size())) != 1)
    return fail(ErrorCode::kInternal, "the system gives no random numbers");
  std::string encoded(kLongestHash, '\0');
  const int state =
      argon2id_hash_encoded(cost.passes, cost.memory_kib, 1, password.data(), password.size(), salt.data(),
                            salt.size(), kHashBytes, encoded.data(), encoded.size());
  if (state != ARGON2_OK) return fail(ErrorCode::kInternal, argon2_error_message(state));
  encoded.resize(std::strlen(encoded.c_str()));
  return encoded;
}

bool password_matches(const std::string& hash, std::string_view password) {
  if (password.size() > kLongestPassword) return false;
  return argon2id_verify(hash.c_str(), password.data(), password.size()) == ARGON2_OK;
}

}  // namespace headroom::net
