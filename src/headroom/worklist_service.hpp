#pragma once

// Work lists inside `headroom serve`: counters that follow the database where that is possible, statements
// where it is not, and the users' rights. worklist_api.cpp and worklist_events.cpp are the doors.
//
//   doors (I/O thread) ── rights ──> cache, else pool ─> database
//                      ── counts ──> LiveService, and pool ─> database for lists that it can't count
//
// Whoever asks is answered on the I/O thread. Statements run on few threads with a bounded queue: beyond it
// `overloaded`.

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "headroom/worklist_plan.hpp"
#include "headroom/worklist_section.hpp"
#include "net/server.hpp"
#include "net/worker_pool.hpp"
#include "sql/reader.hpp"
#include "worklist/live_service.hpp"

namespace headroom::cli {

/// How one list was counted.
struct WorklistNumber {
  std::size_t list = 0;  ///< of the definitions
  worklist::Count count;
  bool is_live = false;  ///< from memory; else by SQL
};

struct WorklistNumbers {
  std::vector<WorklistNumber> lists;  ///< in the definitions' order
  /// None: nothing was counted live.
  std::optional<worklist::LiveStatus> freshness;
};

/// What is asked for beside the user.
struct WorklistWish {
  std::optional<std::size_t> list;  ///< this one alone
  std::optional<sql::Lsn> after;    ///< the counters have to hold all that committed before it
  std::chrono::milliseconds wait{1'000};
  bool only_live = false;  ///< an error in place of a statement
};

/// Lifetime: made before the server and outlives it. Threads: the I/O thread, unless something else is said.
class WorklistService {
 public:
  template <typename T>
  using Done = std::function<void(base::Result<T>)>;
  using UserPointer = std::shared_ptr<const worklist::User>;
  using Time = std::chrono::steady_clock::time_point;

  static constexpr std::size_t kMostUsers = 20'000;  ///< whose rights are kept
  static constexpr std::size_t kThreads = 2;         ///< that ask the database
  static constexpr std::size_t kMostQueued = 256;

  /// Errors: those of reading the definitions, and of LiveService::make.
  [[nodiscard]] static base::Result<std::unique_ptr<WorklistService>> create(const WorklistSection& section);
  ~WorklistService();
  WorklistService(const WorklistService&) = delete;
  WorklistService& operator=(const WorklistService&) = delete;

  /// Threads: any but the I/O thread.
  void start(net::Server& server);
  /// Answers what waits. While the server runs. Threads: any but the I/O thread.
  void stop();
  /// Runs it on the I/O thread; dropped before `start` and behind `stop`. Threads: any.
  void post(std::function<void()> work);
  /// Runs it at that pace from `start` on. Before it.
  void repeat(std::chrono::milliseconds period, std::function<void()> work);

  /// The user's rights. Errors: those of worklist::load_user, overloaded.
  void find_user(const std::string& id, Done<UserPointer> done);
  /// Rights that an application tells: they hold in place of those in the database. Errors: overloaded (as
  /// many told theirs), those of worklist::load_conditions.
  void keep_user(worklist::User user, Done<UserPointer> done);
  /// Errors: as WorklistWish::only_live wants, unavailable, timed_out and conflict; those of
  /// worklist::count.
  void count(const UserPointer& user, const WorklistWish& wish, Done<WorklistNumbers> done);
  /// Errors: those of worklist::documents.
  void documents(const UserPointer& user, std::size_t list, const worklist::Page& page,
                 Done<std::vector<std::string>> done);

  /// What counting costs, and how it is done in the database. Errors: those of plan_worklists.
  void plan(const UserPointer& user, const WorklistPlanWish& wish, Done<nlohmann::json> done);
  /// Errors: those of worklist::find_users.
  void find_users(const std::string& beginning, std::size_t most, Done<std::vector<std::string>> done);

  /// None: no list can be counted live.
  [[nodiscard]] worklist::LiveService* live() { return live_.get(); }
  [[nodiscard]] const worklist::LiveLists& lists() const { return lists_; }
  [[nodiscard]] const worklist::Definitions& definitions() const { return definitions_; }
  [[nodiscard]] const WorklistSection& section() const { return section_; }

 private:
  struct Known {
    UserPointer user;  ///< none: nobody knows yet
    Time read_at{};
    bool is_told = false;  ///< by an application
    std::vector<Done<UserPointer>> waiting;
    std::list<std::string>::iterator order;
  };
  WorklistService(const WorklistSection& section, worklist::Definitions definitions);
  [[nodiscard]] base::Result<void> open_live();
  [[nodiscard]] Known& entry(const std::string& id);
  void forget_oldest();
  void found(const std::string& id, base::Result<UserPointer> user);
  template <typename T>
  void ask(std::function<base::Result<T>(sql::Reader& documents, sql::Reader& users)> question, Done<T> done);
  [[nodiscard]] base::Result<std::unique_ptr<sql::Reader>> open(const std::string& url) const;
  void count_by_sql(const UserPointer& user, const std::vector<bool>& wanted, WorklistNumbers numbers,
                    Done<WorklistNumbers> done);
  void take_live(const UserPointer& user, const WorklistWish& wish,
                 const base::Result<worklist::LiveCounts>& counted, Done<WorklistNumbers> done);

  WorklistSection section_;
  worklist::Definitions definitions_;
  worklist::LiveLists lists_;
  std::map<std::string, Known> users_;
  std::list<std::string> order_;  ///< of users: the longest unused first
  std::mutex server_mutex_;
  net::Server* server_ = nullptr;
  std::vector<std::pair<std::chrono::milliseconds, std::function<void()>>> repeated_;
  std::unique_ptr<worklist::LiveService> live_;
  net::WorkerPool pool_;
};

}  // namespace headroom::cli
