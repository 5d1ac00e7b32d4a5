#include "bus/exchange.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace headroom::bus {

namespace {

constexpr std::size_t kMostKeyBytes = 4'096;

char letter(PresenceState state) {
  switch (state) {
    case PresenceState::kOnline:
      return 'n';
    case PresenceState::kAway:
      return 'a';
    case PresenceState::kOffline:
      return 'f';
  }
  return 'f';
}

std::optional<PresenceState> state_of(char letter) {
  if (letter == 'n') return PresenceState::kOnline;
  if (letter == 'a') return PresenceState::kAway;
  if (letter == 'f') return PresenceState::kOffline;
  return std::nullopt;
}

}  // namespace

std::string presence_text(const std::vector<NodePresence>& users) {
  std::string text;
  for (const NodePresence& user : users) text += fmt::format("{}{}\n", letter(user.state), user.user);
  return text;
}

std::vector<NodePresence> read_presence_text(std::string_view text) {
  std::vector<NodePresence> users;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto state = line.empty() ? std::nullopt : state_of(line.front());
    if (state && line.size() > 1) users.push_back({std::string(line.substr(1)), *state});
  }
  return users;
}

// Presence
// ---------------------------------------------------------------------------------------------------------

bool PresenceWords::start_anew() {
  if (std::exchange(wants_all_, true)) return false;
  words_.clear();
  return true;
}

bool PresenceWords::add(const PresenceWord& word) {
  if (word.whole) {
    wants_all_ = false;
    words_.clear();
  }
  if (wants_all_ || words_.size() >= kMost) return false;
  words_.push_back(word);
  return true;
}

std::deque<PresenceWord> PresenceWords::take() {
  return std::exchange(words_, {});
}

// Revocations
// ---------------------------------------------------------------------------------------------------------

bool is_revocation_key(std::string_view key) {
  return key.size() > 1 && key.size() <= kMostKeyBytes && (key.front() == 'u' || key.front() == 's');
}

void RevocationWords::start_anew() {
  kept_.clear();
  has_told_all_ = false;
}

void RevocationWords::heard(const Revocation& revocation) {
  // Forgetting some only means that they are told again.
  if (kept_.size() > 2 * kMost) kept_.clear();
  std::int64_t& before = kept_[revocation.key];
  before = std::max(before, revocation.before_unix_s);
}

void RevocationWords::add(const Revocation& revocation) {
  if (words_.size() >= kMost) {
    has_dropped_ = true;
    return;
  }
  words_.push_back(revocation);
}

bool RevocationWords::is_kept(const Revocation& revocation) const {
  const auto found = kept_.find(revocation.key);
  return found != kept_.end() && found->second >= revocation.before_unix_s;
}

std::optional<Revocation> RevocationWords::next() {
  while (!words_.empty() && is_kept(words_.front())) words_.pop_front();
  if (!words_.empty()) return words_.front();
  if (std::exchange(has_dropped_, false)) has_told_all_ = false;
  return std::nullopt;
}

bool RevocationWords::takes_all() {
  return !std::exchange(has_told_all_, true);
}

}  // namespace headroom::bus
