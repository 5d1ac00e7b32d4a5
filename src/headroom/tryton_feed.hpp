#pragma once

// The connections to Tryton's databases, all waited for by one thread: what they notify, and what they are
// asked. It decides nothing.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "headroom/tryton_door.hpp"
#include "headroom/tryton_section.hpp"
#include "sql/listener.hpp"
#include "sql/rows.hpp"

namespace headroom::cli {

/// Hears of what comes, on the feed's thread: it must not block.
class TrytonAudience {
 public:
  virtual ~TrytonAudience() = default;
  virtual void notified(const std::string& database, std::vector<std::string> payloads) = 0;
  virtual void answered(const std::string& database, base::Result<sql::PostgresRows> answer) = 0;
  /// It listens (then `problem` is empty) or does not; called when that changes. `losses` are its connections
  /// that broke.
  virtual void changed(const std::string& database, const std::string& problem, std::uint64_t losses) = 0;
  /// The names of the databases that the site's server has.
  virtual void listed(base::Result<std::vector<std::string>> names) = 0;
  /// Every `TrytonFeed::kTick`.
  virtual void ticked() = 0;
};

/// Guarantees: one connection for each database, however many wait for it; a question is answered or fails
/// within seconds. Threads: every method but `stop` from any thread. Lifetime: the audience outlives `stop`.
class TrytonFeed final : public TrytonSource {
 public:
  static constexpr std::chrono::milliseconds kTick{100};
  static constexpr std::chrono::seconds kPatience{2};  ///< of a question for a connection

  explicit TrytonFeed(TrytonAudience& audience);
  ~TrytonFeed() override;
  TrytonFeed(const TrytonFeed&) = delete;
  TrytonFeed& operator=(const TrytonFeed&) = delete;

  void start();
  void stop();
  void open(const TrytonDatabase& database) override;
  void close(const std::string& database) override;
  void ask(const std::string& database, std::string statement, std::vector<std::string> parameters) override;
  void list(const std::string& uri) override;

 private:
  struct Wake;
  struct Line;
  using Command = std::function<void(TrytonFeed&)>;
  using Time = sql::PostgresListener::Time;

  void post(Command command);
  void run();
  void wait(Time until);
  void take_commands();
  void go_on(Time now);
  void hear(const std::string& name, Line& line);
  void put_question(Time now, Line& line);
  void finish_question(const std::string& name, Line& line);

  TrytonAudience& audience_;
  std::unique_ptr<Wake> wake_;
  std::mutex mutex_;
  std::vector<Command> commands_;
  bool stopping_ = false;
  std::map<std::string, std::unique_ptr<Line>> lines_;  ///< of the thread; "" is that of `list`
  std::thread thread_;
};

}  // namespace headroom::cli
