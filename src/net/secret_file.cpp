#include "net/secret_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace headroom::net {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

Result<void> check_owner_and_mode(int descriptor, const std::string& name) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0)
    return fail(ErrorCode::kIo, fmt::format("{}: {}", name, std::strerror(errno)));
  if (!S_ISREG(status.st_mode))
    return fail(ErrorCode::kDenied, name + ": a secret must stand in a regular file");
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    return fail(ErrorCode::kDenied,
                name + ": a file with a secret must belong to root or to the user that serves");
  }
  if ((status.st_mode & 0027) != 0) {
    return fail(ErrorCode::kDenied, fmt::format("{}: mode {:04o} lets others in; use chmod 0640 or 0600",
                                                name, static_cast<unsigned>(status.st_mode & 07777)));
  }
  return {};
}

Result<std::string> read_at_most(int descriptor, const std::string& name, std::size_t most) {
  std::string bytes(most + 1, '\0');
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got = ::read(descriptor, bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(ErrorCode::kIo, fmt::format("{}: {}", name, std::strerror(errno)));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > most) return fail(ErrorCode::kTooLarge, fmt::format("{}: larger than {} bytes", name, most));
  bytes.resize(size);
  return bytes;
}

}  // namespace

Result<std::string> read_secret_file(const std::filesystem::path& file, std::size_t most) {
  const Descriptor descriptor{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  if (descriptor.number < 0) {
    const ErrorCode code = errno == ENOENT   ? ErrorCode::kNotFound
                           : errno == EACCES ? ErrorCode::kDenied
                                             : ErrorCode::kIo;
    return fail(code, fmt::format("{}: {}", file.string(), std::strerror(errno)));
  }
  if (auto checked = check_owner_and_mode(descriptor.number, file.string()); !checked)
    return fail(std::move(checked.error()));
  return read_at_most(descriptor.number, file.string(), most);
}

}  // namespace headroom::net
