#include "net/sessions.hpp"

#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace headroom::net {

std::string random_secret() {
  std::array<unsigned char, 32> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
    throw std::runtime_error("the system gives no random numbers");
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  unsigned pending = 0;
  int bits = 0;
  for (const unsigned char byte : bytes) {
    pending = pending << 8U | byte;
    for (bits += 8; bits >= 6; bits -= 6) text.push_back(kAlphabet[pending >> (bits - 6) & 63U]);
    pending &= 0xffU;
  }
  text.push_back(kAlphabet[pending << (6 - bits) & 63U]);
  return text;
}

SessionTable::Key SessionTable::key_of(std::string_view id) {
  Key key{};
  SHA256(reinterpret_cast<const unsigned char*>(id.data()), id.size(), key.data());
  return key;
}

bool SessionTable::is_over(const Entry& entry, std::int64_t now_ns) const {
  return now_ns - entry.used_ns >= base::Nanoseconds(limits_.idle).count() ||
         now_ns - entry.opened_ns >= base::Nanoseconds(limits_.age).count();
}

void SessionTable::end_old_ones(std::int64_t now_ns) {
  std::erase_if(entries_, [&](const auto& one) { return is_over(one.second, now_ns); });
}

void SessionTable::end_least_used(const std::string* user) {
  auto oldest = entries_.end();
  for (auto one = entries_.begin(); one != entries_.end(); ++one) {
    if (user != nullptr && one->second.session.user != *user) continue;
    if (oldest == entries_.end() || one->second.used_ns < oldest->second.used_ns) oldest = one;
  }
  if (oldest != entries_.end()) entries_.erase(oldest);
}

SessionTable::Opened SessionTable::open(std::string user, Role role, std::int64_t now_ns) {
  end_old_ones(now_ns);
  const auto of_user =
      std::ranges::count_if(entries_, [&](const auto& one) { return one.second.session.user == user; });
  if (static_cast<std::size_t>(of_user) >= limits_.per_user) end_least_used(&user);
  if (entries_.size() >= limits_.most) end_least_used(nullptr);
  Opened opened{random_secret(), {std::move(user), role, random_secret()}};
  entries_[key_of(opened.id)] = {opened.session, now_ns, now_ns};
  return opened;
}

const Session* SessionTable::find(std::string_view id, std::int64_t now_ns) {
  const auto found = entries_.find(key_of(id));
  if (found == entries_.end()) return nullptr;
  if (is_over(found->second, now_ns)) {
    entries_.erase(found);
    return nullptr;
  }
  found->second.used_ns = now_ns;
  return &found->second.session;
}

bool SessionTable::goes_on(std::string_view id, std::int64_t now_ns) const {
  const auto found = entries_.find(key_of(id));
  return found != entries_.end() && !is_over(found->second, now_ns);
}

void SessionTable::close(std::string_view id) {
  entries_.erase(key_of(id));
}

void SessionTable::keep(const std::function<bool(const Session&)>& stays) {
  std::erase_if(entries_, [&](const auto& one) { return !stays(one.second.session); });
}

}  // namespace headroom::net
