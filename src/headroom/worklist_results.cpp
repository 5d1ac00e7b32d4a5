#include "headroom/worklist_results.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace headroom::cli {

using base::fail;
using base::Result;

namespace {

using Clock = std::chrono::steady_clock;

bool has_same_rights(const worklist::User& one, const worklist::User& other) {
  return one.id == other.id && one.roles == other.roles && one.groups == other.groups &&
         one.permissions == other.permissions && one.security_uids == other.security_uids &&
         one.conditions == other.conditions;
}

}  // namespace

void WorklistResults::count(const UserPointer& user, const WorklistWish& wish, std::chrono::milliseconds age,
                            Done<WorklistResult> done) {
  const bool is_whole = !wish.list && !wish.only_live && !wish.after;
  if (!is_whole || age <= std::chrono::milliseconds{0}) {
    return service_.count(user, wish, [done = std::move(done)](const Result<WorklistNumbers>& numbers) {
      if (!numbers) return done(fail(numbers.error()));
      done(WorklistResult{*numbers, std::nullopt});
    });
  }
  const auto found = kept_.find(user->id);
  const Time now = Clock::now();
  const bool is_there =
      found != kept_.end() && now - found->second.at <= age && has_same_rights(*found->second.user, *user);
  if (!is_there) return count_anew(user, wish, std::move(done));
  order_.splice(order_.end(), order_, found->second.order);
  const Kept kept = found->second;
  const auto take = [this, user, wish, kept, now, done](const Result<WorklistNumbers>& live) {
    auto numbers = live ? joined(*live, kept) : std::nullopt;
    if (!numbers) return count_anew(user, wish, done);
    const auto old = std::chrono::duration_cast<std::chrono::milliseconds>(now - kept.at);
    done(WorklistResult{std::move(*numbers), old});
  };
  if (service_.live() == nullptr) return take(WorklistNumbers{});
  WorklistWish live = wish;
  live.only_live = true;
  service_.count(user, live, take);
}

void WorklistResults::count_anew(const UserPointer& user, const WorklistWish& wish,
                                 Done<WorklistResult> done) {
  service_.count(
      user, wish,
      [this, user, at = Clock::now(), done = std::move(done)](const Result<WorklistNumbers>& numbers) {
        if (!numbers) return done(fail(numbers.error()));
        keep(user, *numbers, at);
        done(WorklistResult{*numbers, std::nullopt});
      });
}

/// As of before they were counted.
void WorklistResults::keep(const UserPointer& user, const WorklistNumbers& numbers, Time at) {
  forget(user->id);
  Kept kept{user, at, {}, {}};
  const worklist::Definitions& definitions = service_.definitions();
  for (const WorklistNumber& one : numbers.lists) {
    if (!one.is_live && one.list < definitions.lists.size())
      kept.counts.emplace(definitions.lists[one.list].key(), one.count);
  }
  if (kept.counts.empty()) return;
  kept.order = order_.insert(order_.end(), user->id);
  numbers_ += kept.counts.size();
  kept_.emplace(user->id, std::move(kept));
  while (numbers_ > kMostNumbers && kept_.size() > 1) forget(std::string(order_.front()));
}

void WorklistResults::forget(const std::string& id) {
  const auto found = kept_.find(id);
  if (found == kept_.end()) return;
  numbers_ -= found->second.counts.size();
  order_.erase(found->second.order);
  kept_.erase(found);
}

std::optional<WorklistNumbers> WorklistResults::joined(WorklistNumbers live, const Kept& kept) const {
  const worklist::Definitions& definitions = service_.definitions();
  std::vector<bool> is_there(definitions.lists.size(), false);
  for (const WorklistNumber& one : live.lists) {
    if (one.list < is_there.size()) is_there[one.list] = true;
  }
  for (std::size_t i = 0; i < definitions.lists.size(); ++i) {
    if (is_there[i]) continue;
    const auto found = kept.counts.find(definitions.lists[i].key());
    if (found == kept.counts.end()) return std::nullopt;
    live.lists.push_back({i, found->second, false});
  }
  std::sort(live.lists.begin(), live.lists.end(),
            [](const WorklistNumber& a, const WorklistNumber& b) { return a.list < b.list; });
  return live;
}

}  // namespace headroom::cli
