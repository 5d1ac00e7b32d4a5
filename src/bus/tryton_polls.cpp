#include "bus/tryton_polls.hpp"

#include <algorithm>

namespace headroom::bus {

namespace {

bool has_owner(std::string_view channel) {
  return channel.starts_with("client:");
}

}  // namespace

// Polls
// ---------------------------------------------------------------------------------------------------------

std::optional<TrytonPollId> TrytonPolls::open(Time now, const TrytonSession& session, TrytonPoll poll,
                                              TrytonWish wish) {
  if (polls_.size() >= limits_.polls) {
    ++counts_.refused;
    return std::nullopt;
  }
  ++counts_.polls;
  const TrytonPollId id = ++last_id_;
  poll.channels.push_back("user:" + std::to_string(session.user));
  const auto& taken =
      polls_.emplace(id, Poll{session, std::move(poll.channels), std::move(poll.last_message), wish, now})
          .first->second;
  const auto [known, is_new] = sessions_.try_emplace(session);
  if (is_new) turns_.emplace(Time::min(), session);
  known->second.polls.insert(id);
  if (is_fresh(known->second, now)) {
    begin(now, id, taken);
  } else {
    unverified_.insert(id);
  }
  return id;
}

void TrytonPolls::close(TrytonPollId id) {
  if (polls_.contains(id)) end(id);
}

bool TrytonPolls::is_fresh(const Session& session, Time now) const {
  return session.asked && now - *session.asked < limits_.fresh;
}

/// The session holds.
void TrytonPolls::begin(Time now, TrytonPollId id, const Poll& poll) {
  if (poll.wish == TrytonWish::kAuthorization) return answer(id, TrytonOutcome::kAuthorized);
  for (const std::string& channel : poll.channels) {
    if (!may_read(now, poll.session, channel)) ++counts_.foreign;
  }
  wait_for(id, poll);
  look(now, id, poll);
}

void TrytonPolls::wait_for(TrytonPollId id, const Poll& poll) {
  for (const std::string& channel : poll.channels) waiting_for_[channel].insert(id);
}

void TrytonPolls::look(Time now, TrytonPollId id, const Poll& poll) {
  std::vector<std::string> readable;
  for (const std::string& channel : poll.channels) {
    if (may_read(now, poll.session, channel)) readable.push_back(channel);
  }
  auto message = history_.next(readable, poll.last);
  if (message != nullptr) answer(id, TrytonOutcome::kMessage, std::move(message));
}

void TrytonPolls::publish(Time now, const TrytonHistory::Message& message) {
  ++counts_.messages;
  history_.expire(now);
  history_.append(now, message);
  const auto waiting = waiting_for_.find(message->channel);
  if (waiting == waiting_for_.end()) return;
  const std::vector<TrytonPollId> ids(waiting->second.begin(), waiting->second.end());
  for (const TrytonPollId id : ids) {
    const Poll& poll = polls_.at(id);
    Session& session = sessions_.at(poll.session);
    if (!is_fresh(session, now)) {
      session.kept_back = true;
    } else if (may_read(now, poll.session, message->channel)) {
      look(now, id, poll);
    }
  }
}

void TrytonPolls::answer(TrytonPollId id, TrytonOutcome outcome, TrytonHistory::Message message) {
  counts_.delivered += outcome == TrytonOutcome::kMessage ? 1 : 0;
  counts_.unauthorized += outcome == TrytonOutcome::kUnauthorized ? 1 : 0;
  counts_.unavailable += outcome == TrytonOutcome::kUnavailable ? 1 : 0;
  answers_.push_back({id, outcome, std::move(message)});
  end(id);
}

void TrytonPolls::end(TrytonPollId id) {
  const auto poll = polls_.find(id);
  for (const std::string& channel : poll->second.channels) {
    const auto waiting = waiting_for_.find(channel);
    if (waiting == waiting_for_.end()) continue;
    waiting->second.erase(id);
    if (waiting->second.empty()) waiting_for_.erase(waiting);
  }
  unverified_.erase(id);
  const auto session = sessions_.find(poll->second.session);
  polls_.erase(poll);
  if (session == sessions_.end()) return;
  session->second.polls.erase(id);
  forget_if_unused(session);
}

/// One that was never looked up; the others stay for the next poll, until it is their turn.
void TrytonPolls::forget_if_unused(Sessions::iterator session) {
  if (is_in_use(session->second) || session->second.asked || session->second.under_way) return;
  turns_.erase({Time::min(), session->first});
  sessions_.erase(session);
}

std::vector<TrytonAnswer> TrytonPolls::take_answers() {
  return std::exchange(answers_, {});
}

void TrytonPolls::tick(Time now) {
  while (!polls_.empty() && now - polls_.begin()->second.opened >= limits_.wait)
    answer(polls_.begin()->first, unverified_.contains(polls_.begin()->first) ? TrytonOutcome::kUnavailable
                                                                              : TrytonOutcome::kNothing);
  while (!unverified_.empty() && now - polls_.at(*unverified_.begin()).opened >= limits_.check_within)
    answer(*unverified_.begin(), TrytonOutcome::kUnavailable);
  history_.expire(now);
  expire_claims(now);
}

// Sessions
// ---------------------------------------------------------------------------------------------------------

std::vector<TrytonSession> TrytonPolls::next_check(Time now) {
  if (!asked_.empty() || (asked_at_ != Time::min() && now - asked_at_ < limits_.pause)) return {};
  while (!turns_.empty() && asked_.size() < limits_.sessions_per_check) {
    const auto [asked, name] = *turns_.begin();
    if (asked != Time::min() && now - asked < limits_.check_every) break;
    turns_.erase(turns_.begin());
    const auto session = sessions_.find(name);
    if (!is_in_use(session->second)) {
      sessions_.erase(session);
      continue;
    }
    session->second.under_way = true;
    asked_.push_back(name);
  }
  if (asked_.empty()) return {};
  asked_at_ = now;
  ++counts_.checks;
  return asked_;
}

void TrytonPolls::checked(Time now, const std::set<TrytonSession>& valid) {
  for (const TrytonSession& session : std::exchange(asked_, {})) {
    if (valid.contains(session)) {
      confirm(now, session);
    } else {
      revoke(session);
    }
  }
}

void TrytonPolls::confirm(Time now, const TrytonSession& name) {
  Session& session = sessions_.at(name);
  session.under_way = false;
  if (session.holders > 0) {
    held_seen_.erase(held_seen_.find(*session.asked));
    held_seen_.insert(asked_at_);
  }
  session.asked = asked_at_;
  turns_.emplace(asked_at_, name);
  const bool kept_back = std::exchange(session.kept_back, false);
  const std::vector<TrytonPollId> ids(session.polls.begin(), session.polls.end());
  for (const TrytonPollId id : ids) {
    const Poll& poll = polls_.at(id);
    if (unverified_.erase(id) > 0) {
      begin(now, id, poll);
    } else if (kept_back) {
      look(now, id, poll);
    }
  }
}

/// What its user's client may have read is not for the next user of that client.
void TrytonPolls::revoke(const TrytonSession& name) {
  const auto session = sessions_.find(name);
  const std::vector<TrytonPollId> ids(session->second.polls.begin(), session->second.polls.end());
  if (session->second.holders > 0) {
    held_seen_.erase(held_seen_.find(*session->second.asked));
    ended_.push_back(name);
  }
  sessions_.erase(session);
  for (const TrytonPollId id : ids) {
    for (const std::string& channel : polls_.at(id).channels) {
      const auto claim = claims_.find(channel);
      if (claim != claims_.end() && claim->second.owner == name && !claim->second.is_held) forget(channel);
    }
    answer(id, TrytonOutcome::kUnauthorized);
  }
}

void TrytonPolls::check_failed() {
  for (const TrytonSession& name : std::exchange(asked_, {})) {
    const auto session = sessions_.find(name);
    session->second.under_way = false;
    turns_.emplace(session->second.asked.value_or(Time::min()), name);
    forget_if_unused(session);
  }
}

// Connections that stay
// ---------------------------------------------------------------------------------------------------------

bool TrytonPolls::is_in_use(const Session& session) {
  return !session.polls.empty() || session.holders > 0;
}

bool TrytonPolls::is_held(const TrytonSession& session) const {
  const auto found = sessions_.find(session);
  return found != sessions_.end() && found->second.holders > 0;
}

bool TrytonPolls::hold(const TrytonSession& session) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end() || !found->second.asked) return false;
  if (++found->second.holders == 1) held_seen_.insert(*found->second.asked);
  return true;
}

void TrytonPolls::release(const TrytonSession& session) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end() || found->second.holders == 0) return;
  if (--found->second.holders == 0) held_seen_.erase(held_seen_.find(*found->second.asked));
}

std::vector<TrytonSession> TrytonPolls::take_ended() {
  return std::exchange(ended_, {});
}

std::vector<TrytonSession> TrytonPolls::held() const {
  std::vector<TrytonSession> found;
  for (const auto& [name, session] : sessions_) {
    if (session.holders > 0) found.push_back(name);
  }
  return found;
}

bool TrytonPolls::are_held_fresh(Time now) const {
  return held_seen_.empty() || now - *held_seen_.begin() < limits_.fresh;
}

bool TrytonPolls::may_hold(Time now, const TrytonSession& session, const std::string& channel) {
  if (channel.starts_with("user:")) return channel == "user:" + std::to_string(session.user);
  if (!may_read(now, session, channel)) {
    ++counts_.foreign;
    return false;
  }
  if (has_owner(channel)) claims_.at(channel).is_held = true;
  return true;
}

// Owners of client channels
// ---------------------------------------------------------------------------------------------------------

bool TrytonPolls::may_read(Time now, const TrytonSession& session, const std::string& channel) {
  if (!has_owner(channel)) return true;
  const auto [claim, is_new] = claims_.try_emplace(channel);
  if (is_new) {
    claim->second.order = claim_order_.insert(claim_order_.end(), channel);
  } else if (claim->second.owner.user != session.user) {
    return false;
  } else {
    claim_order_.splice(claim_order_.end(), claim_order_, claim->second.order);
  }
  claim->second.owner = session;
  claim->second.used = now;
  if (claims_.size() > limits_.claims) forget(std::string(claim_order_.front()));
  return true;
}

/// Its messages go too: they were for the one who owned it.
void TrytonPolls::forget(const std::string& channel) {
  const auto claim = claims_.find(channel);
  claim_order_.erase(claim->second.order);
  claims_.erase(claim);
  history_.forget(channel);
}

/// By then no poll of its owner waits and no message of that time is left. A claim that is held is looked at
/// once in `unused`, so its session may have ended that long after it was seen in use.
void TrytonPolls::expire_claims(Time now) {
  const auto unused = std::max(limits_.wait + limits_.retention.age, limits_.kept_elsewhere);
  while (!claim_order_.empty()) {
    Claim& oldest = claims_.at(claim_order_.front());
    if (now - oldest.used <= unused) return;
    if (oldest.is_held && is_held(oldest.owner)) {
      oldest.used = now;
      claim_order_.splice(claim_order_.end(), claim_order_, oldest.order);
      continue;
    }
    if (oldest.is_held && now - oldest.used <= 2 * unused) return;
    forget(std::string(claim_order_.front()));
  }
}

}  // namespace headroom::bus
