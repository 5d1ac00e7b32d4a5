#pragma once

// A process asks another one what a running call executes, and gets it within two seconds, also while the
// call holds the interpreter's lock: a thread of the recorder answers, which never needs that lock.
//
// Beside its scoreboard a process has a named pipe that takes requests, and a file with places for answers.
// The pipe wakes the thread, which costs nothing while nobody asks, and tells at once when nobody listens any
// more; a write of one request is atomic. An answer is found by the random number of its request, and
// believed when its check sum is right, so nobody waits for anybody. Nothing is mapped: a file that somebody
// cuts would end the application server by SIGBUS. (Rejected: slots in a mapped file with a futex, for that
// reason; looking into a file several times a second, for the wake-ups; ptrace, for the privilege, and since
// it stops the process.)
//
// Who may write the folder may ask, and may write garbage: the thread takes what is a request out of any
// bytes, and does so few things a second that a flood costs the process nothing to speak of. Requests that
// are too old are passed over. A flood makes others wait, and fail with a message.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "perf/call_stack.hpp"
#include "perf/scoreboard.hpp"

namespace headroom::perf {

/// So much a second, and as much at once after a pause. Threads: none.
class Allowance {
 public:
  explicit Allowance(std::int64_t per_second) : step_ns_(1'000'000'000 / per_second), most_(per_second) {}

  /// Takes one and returns 0; or takes none, and tells in how many nanoseconds there will be one.
  [[nodiscard]] std::int64_t take(std::int64_t now_ns);

 private:
  std::int64_t step_ns_;
  std::int64_t most_;
  std::int64_t spent_until_ns_ = 0;
};

struct StackRequest {
  std::uint64_t number = 0;      ///< random: the answer bears it
  std::int64_t deadline_ns = 0;  ///< on the monotonic clock
  std::string call;              ///< its id, at most 62 bytes

  [[nodiscard]] bool operator==(const StackRequest&) const = default;
};

/// Less than PIPE_BUF bytes, always as many.
[[nodiscard]] std::string encode_request(const StackRequest& request);
/// Takes every whole request out of `bytes`, which may hold anything, and leaves what may be the beginning of
/// another one. Threads: pure.
[[nodiscard]] std::vector<StackRequest> take_requests(std::string& bytes);

/// Where a call runs, as its slot shows it.
struct StackTarget {
  std::size_t slot = 0;
  std::uint64_t thread = 0;
};
/// Reads the stack of a call, from a thread that holds no lock of the application.
using TakeStack = std::function<StackAnswer(const StackTarget&)>;

/// Answers for the calls of one process.
class StackAnswers {
 public:
  /// A request costs two, a read of garbage one.
  static constexpr std::int64_t kPerSecond = 40;

  /// Makes the pipe and the file beside the scoreboard, mode 0660, and starts the thread. Errors: io, denied,
  /// unavailable. Lifetime: the scoreboard outlives it.
  [[nodiscard]] static base::Result<std::unique_ptr<StackAnswers>> start(Scoreboard& scoreboard,
                                                                         TakeStack take_stack);
  /// Stops as `stop` does.
  ~StackAnswers();
  StackAnswers(const StackAnswers&) = delete;
  StackAnswers& operator=(const StackAnswers&) = delete;

  /// Ends the thread, which waits for nobody, and deletes the files.
  void stop();
  /// In the child of a fork, where the thread is not and the object is to be leaked: closes the parent's
  /// files.
  void abandon();

 private:
  struct Files;
  StackAnswers(Scoreboard& scoreboard, TakeStack take_stack, std::unique_ptr<Files> files);

  void run();
  [[nodiscard]] bool pause_for(std::int64_t duration_ns) const;
  [[nodiscard]] bool spend(Allowance& allowance) const;
  [[nodiscard]] bool answer(const std::vector<StackRequest>& requests, Allowance& allowance);
  [[nodiscard]] StackAnswer stack_of(const std::string& call) const;
  void write(std::uint64_t number, const StackAnswer& answer);

  Scoreboard& scoreboard_;
  TakeStack take_stack_;
  std::unique_ptr<Files> files_;
  std::size_t next_place_ = 0;
  std::thread thread_;
};

inline constexpr base::Microseconds kStackPatience = std::chrono::seconds{2};

/// The stack of a call that `running_calls` showed.
/// Errors: not_found when the call has ended; unavailable when its process has; unsupported when it can tell
/// no stacks; denied without the right to write beside its scoreboard; overloaded when too many ask;
/// timed_out when it did not answer; protocol for foreign files. Threads: any; SIGPIPE is to be ignored.
[[nodiscard]] StackAnswer ask_for_stack(const RunningCall& call,
                                        base::Microseconds patience = kStackPatience);

/// Deletes what a process that is gone has left beside its scoreboard.
void remove_stack_files(const std::string& scoreboard);

}  // namespace headroom::perf
