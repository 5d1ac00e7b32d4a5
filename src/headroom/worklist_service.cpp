#include "headroom/worklist_service.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "headroom/text_file.hpp"
#include "worklist/cost.hpp"
#include "worklist/count.hpp"
#include "worklist/user_source.hpp"

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;
using worklist::Definitions;
using worklist::LiveCounts;
using worklist::User;

namespace {

constexpr std::chrono::seconds kStopPatience{2};
/// Counts of before that are older, while all is counted anew, are told to nobody who takes others.
constexpr std::chrono::seconds kOldest{30};

Result<Definitions> load(const std::string& file) {
  auto text = read_text_file(file);
  if (!text) return fail(std::move(text.error()).within("[worklist] file"));
  auto definitions = worklist::read_definitions(*text, file, base::utc_now());
  if (!definitions) return fail(std::move(definitions.error()).within("[worklist] file"));
  return definitions;
}

bool is_postgres(std::string_view url) {
  return url.starts_with("postgres");
}

bool is_too_old(const worklist::LiveStatus& status) {
  return status.state == worklist::LiveState::kRebuilding && status.behind && *status.behind > kOldest;
}

/// By all lists: this one, or all.
std::vector<bool> wanted_of(const Definitions& definitions, const std::optional<std::size_t>& list) {
  std::vector<bool> wanted(definitions.lists.size(), !list);
  if (list) wanted[*list] = true;
  return wanted;
}

}  // namespace

// Making
// ---------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<WorklistService>> WorklistService::create(const WorklistSection& section) {
  auto definitions = load(section.file);
  if (!definitions) return fail(std::move(definitions.error()));
  std::unique_ptr<WorklistService> service(new WorklistService(section, std::move(*definitions)));
  if (auto opened = service->open_live(); !opened) return fail(std::move(opened.error()));
  return service;
}

WorklistService::WorklistService(const WorklistSection& section, Definitions definitions)
    : section_(section),
      definitions_(std::move(definitions)),
      lists_(worklist::live_lists(definitions_)),
      pool_(kThreads, kMostQueued) {}

WorklistService::~WorklistService() {
  stop();
}

Result<void> WorklistService::open_live() {
  worklist::LiveSourceOptions options;
  options.url = section_.live_url.empty() ? section_.url : section_.live_url;
  options.publication = section_.publication;
  // A few at once, so that who asks is answered in between.
  options.most_changes = 2'000;
  if (!is_postgres(options.url)) lists_ = worklist::no_live_lists(definitions_);
  if (lists_.live.lists.empty()) return {};
  auto live = worklist::LiveService::make(lists_.live.definitions, std::move(options));
  if (!live) return fail(std::move(live.error()).within("[worklist] live_url"));
  live_ = std::move(*live);
  return {};
}

void WorklistService::start(net::Server& server) {
  {
    const std::lock_guard lock(server_mutex_);
    server_ = &server;
  }
  for (auto& [period, work] : std::exchange(repeated_, {})) server.repeat(period, std::move(work));
  if (live_) live_->start();
}

void WorklistService::stop() {
  if (live_) live_->stop();
  (void)pool_.stop(kStopPatience);
  const std::lock_guard lock(server_mutex_);
  server_ = nullptr;
}

void WorklistService::post(std::function<void()> work) {
  const std::lock_guard lock(server_mutex_);
  if (server_ != nullptr) server_->post(std::move(work));
}

void WorklistService::repeat(std::chrono::milliseconds period, std::function<void()> work) {
  repeated_.emplace_back(period, std::move(work));
}

// Asking the database
// ---------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<sql::Reader>> WorklistService::open(const std::string& url) const {
  return sql::open_reader(url, {std::chrono::duration_cast<std::chrono::milliseconds>(section_.timeout)});
}

template <typename T>
void WorklistService::ask(std::function<Result<T>(sql::Reader& documents, sql::Reader& users)> question,
                          Done<T> done) {
  const auto work = [this, question = std::move(question), done] {
    const auto run = [&]() -> Result<T> {
      auto documents = open(section_.url);
      if (!documents) return fail(std::move(documents.error()));
      if (section_.users_url.empty()) return question(**documents, **documents);
      auto users = open(section_.users_url);
      if (!users) return fail(std::move(users.error()));
      return question(**documents, **users);
    };
    post([done, answer = run()] { done(answer); });
  };
  if (!pool_.submit(work))
    done(fail(ErrorCode::kOverloaded, "too many questions wait for the database; ask again later"));
}

// Users
// ---------------------------------------------------------------------------------------------------------

void WorklistService::find_user(const std::string& id, Done<UserPointer> done) {
  Known& known = entry(id);
  const bool is_recent = std::chrono::steady_clock::now() - known.read_at < section_.rights_age;
  if (known.user != nullptr && (known.is_told || is_recent)) return done(known.user);
  known.waiting.push_back(std::move(done));
  if (known.waiting.size() > 1) return;
  ask<UserPointer>(
      [this, id](sql::Reader& /*documents*/, sql::Reader& users) -> Result<UserPointer> {
        auto user = worklist::load_user(users, definitions_, id);
        if (!user) return fail(std::move(user.error()));
        return std::make_shared<const User>(std::move(*user));
      },
      [this, id](Result<UserPointer> user) { found(id, std::move(user)); });
}

void WorklistService::found(const std::string& id, Result<UserPointer> user) {
  const auto known = users_.find(id);
  if (known == users_.end()) return;
  const auto waiting = std::exchange(known->second.waiting, {});
  if (user) {
    known->second.user = *user;
    known->second.read_at = std::chrono::steady_clock::now();
  } else {
    order_.erase(known->second.order);
    users_.erase(known);
  }
  for (const auto& done : waiting) done(user);
}

void WorklistService::keep_user(User user, Done<UserPointer> done) {
  ask<UserPointer>(
      [this, user = std::move(user)](sql::Reader& /*documents*/, sql::Reader& users) -> Result<UserPointer> {
        auto whole = std::make_shared<User>(user);
        if (auto loaded = worklist::load_conditions(users, definitions_, *whole); !loaded)
          return fail(std::move(loaded.error()));
        return UserPointer(std::move(whole));
      },
      [this, done = std::move(done)](Result<UserPointer> kept) {
        if (kept) {
          Known& known = entry((*kept)->id);
          known.user = *kept;
          known.is_told = true;
        }
        done(std::move(kept));
      });
}

/// The one that was used last.
WorklistService::Known& WorklistService::entry(const std::string& id) {
  const auto [place, is_new] = users_.try_emplace(id);
  Known& known = place->second;
  if (is_new) {
    known.order = order_.insert(order_.end(), id);
    if (users_.size() > kMostUsers) forget_oldest();
  } else {
    order_.splice(order_.end(), order_, known.order);
  }
  return known;
}

/// Never one for whom somebody waits, and so never the newest.
void WorklistService::forget_oldest() {
  for (auto id = order_.begin(); id != std::prev(order_.end()); ++id) {
    const auto known = users_.find(*id);
    if (!known->second.waiting.empty()) continue;
    users_.erase(known);
    order_.erase(id);
    return;
  }
}

// Counting
// ---------------------------------------------------------------------------------------------------------

void WorklistService::count(const UserPointer& user, const WorklistWish& wish, Done<WorklistNumbers> done) {
  const bool is_other = wish.list && !lists_.why[*wish.list].empty();
  if (wish.only_live && is_other) return done(fail(ErrorCode::kConflict, lists_.why[*wish.list]));
  if (wish.only_live && live_ == nullptr)
    return done(
        fail(ErrorCode::kConflict, "no list can be counted live; `headroom worklist check` says why"));
  if (is_other || live_ == nullptr)
    return count_by_sql(user, wanted_of(definitions_, wish.list), {}, std::move(done));
  worklist::LiveQuestion question{user, wish.after, std::chrono::steady_clock::now() + wish.wait};
  live_->ask(std::move(question), [this, user, wish, done = std::move(done)](Result<LiveCounts> counted) {
    post([this, user, wish, done, counted = std::move(counted)] { take_live(user, wish, counted, done); });
  });
}

void WorklistService::take_live(const UserPointer& user, const WorklistWish& wish,
                                const Result<LiveCounts>& counted, Done<WorklistNumbers> done) {
  std::vector<bool> wanted = wanted_of(definitions_, wish.list);
  if (!counted && wish.only_live) return done(fail(counted.error()));
  WorklistNumbers numbers;
  if (counted && (wish.only_live || !is_too_old(counted->status))) {
    numbers.freshness = counted->status;
    for (std::size_t i = 0; i < lists_.live.lists.size(); ++i) {
      const std::size_t list = lists_.live.lists[i];
      if (wanted[list]) numbers.lists.push_back({list, (*counted->counts)[i], true});
      wanted[list] = false;
    }
  }
  const bool is_whole = std::none_of(wanted.begin(), wanted.end(), [](bool one) { return one; });
  if (wish.only_live || is_whole) return done(std::move(numbers));
  count_by_sql(user, wanted, std::move(numbers), std::move(done));
}

void WorklistService::count_by_sql(const UserPointer& user, const std::vector<bool>& wanted,
                                   WorklistNumbers numbers, Done<WorklistNumbers> done) {
  using Counts = std::vector<worklist::Count>;
  const auto part = std::make_shared<const worklist::ListPart>(worklist::part_of(definitions_, wanted));
  ask<Counts>(
      [this, user, part](sql::Reader& documents, sql::Reader& /*users*/) -> Result<Counts> {
        worklist::Question question{part->definitions, *user, base::utc_now(), documents.dialect()};
        const auto choice = worklist::choose_way(documents, question, section_.ways);
        if (!choice) return fail(choice.error());
        question.way = choice->way;
        return worklist::count(documents, question);
      },
      [part, numbers = std::move(numbers), done = std::move(done)](const Result<Counts>& counts) {
        if (!counts) return done(fail(counts.error()));
        WorklistNumbers all = numbers;
        for (std::size_t i = 0; i < counts->size(); ++i)
          all.lists.push_back({part->lists[i], (*counts)[i], false});
        std::sort(all.lists.begin(), all.lists.end(),
                  [](const WorklistNumber& a, const WorklistNumber& b) { return a.list < b.list; });
        done(std::move(all));
      });
}

void WorklistService::documents(const UserPointer& user, std::size_t list, const worklist::Page& page,
                                Done<std::vector<std::string>> done) {
  ask<std::vector<std::string>>(
      [this, user, list, page](sql::Reader& documents, sql::Reader& /*users*/) {
        return worklist::documents(documents, {definitions_, *user, base::utc_now(), documents.dialect()},
                                   list, page);
      },
      std::move(done));
}

void WorklistService::plan(const UserPointer& user, const WorklistPlanWish& wish, Done<nlohmann::json> done) {
  ask<nlohmann::json>(
      [this, user, wish](sql::Reader& documents, sql::Reader& /*users*/) {
        return plan_worklists(documents, definitions_, lists_.why, *user, section_.ways, wish);
      },
      std::move(done));
}

void WorklistService::find_users(const std::string& beginning, std::size_t most,
                                 Done<std::vector<std::string>> done) {
  ask<std::vector<std::string>>(
      [this, beginning, most](sql::Reader& /*documents*/, sql::Reader& users) {
        return worklist::find_users(users, definitions_, beginning, most);
      },
      std::move(done));
}

}  // namespace headroom::cli
