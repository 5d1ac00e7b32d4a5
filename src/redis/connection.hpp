#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "redis/pipeline.hpp"
#include "redis/reply.hpp"
#include "redis/url.hpp"

namespace headroom::redis {

class Transport;

/// Ends the waits of connections for good, from another thread, so that one that waits for news can be
/// stopped. Threads: `raise` any.
class Interrupt final {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  void raise() const;
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

/// Who makes a connection again that was lost.
enum class Reconnect : std::uint8_t {
  kAtNextUse,
  /// `open` alone; uses fail with unavailable until then. For whoever has to know that it is another one.
  kWhenAsked,
};

struct ConnectionOptions {
  ReplyLimits limits;
  Reconnect reconnect = Reconnect::kAtNextUse;
  /// Between failures to connect.
  std::chrono::milliseconds longest_pause{5'000};
  /// Outlives the connection. When it is raised, every wait ends with unavailable.
  const Interrupt* interrupt = nullptr;
};

/// A connection to one Redis server, made at the first use and again after it was lost.
/// Errors of every operation: unavailable, timed_out, overloaded (retryable); denied, protocol, too_large,
/// unsupported, invalid_argument. After a lost connection or a late answer it is not known whether the
/// commands ran. Guarantees: every operation ends after at most twice the URL's timeout per slice (1 MiB or
/// 1,000 commands): once for connecting, once for the answers. After a failure to connect, uses fail at once
/// until a pause is over that doubles from 100 ms to `longest_pause`, so that a dead server costs little. No
/// SIGPIPE.
/// Threads: one at a time. Lifetime: not to be used on both sides of a fork.
class Connection final {
 public:
  explicit Connection(Url url, ReplyLimits limits = {});
  Connection(Url url, const ConnectionOptions& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Runs one command. An error that the server answers is an error here.
  [[nodiscard]] Result<Reply> run(Arguments command);
  [[nodiscard]] Result<Reply> run(std::initializer_list<std::string_view> command);
  /// Runs all; an error that the server answers stands at its place among the replies (`Reply::is_error`).
  /// Guarantees: commands run in order, except that scripts unknown to the server run again after the others.
  [[nodiscard]] Result<std::vector<Reply>> run(const Pipeline& pipeline);
  [[nodiscard]] Result<Reply> evaluate(const Script& script, Arguments keys, Arguments arguments);
  /// Connects, unless it is connected.
  [[nodiscard]] Result<void> open();
  /// False also when the server closed it while nothing was asked. Never waits.
  [[nodiscard]] bool is_open();
  /// Closes; the next use connects again, with Reconnect::kWhenAsked the next `open`.
  void close();

  [[nodiscard]] const Url& url() const { return url_; }

 private:
  [[nodiscard]] Result<void> ensure_connected();
  [[nodiscard]] Result<void> connect_now();
  [[nodiscard]] Result<void> introduce();
  [[nodiscard]] Result<std::vector<Reply>> exchange(std::string_view bytes, std::size_t replies);
  [[nodiscard]] Result<void> receive_replies(std::size_t wanted, std::vector<Reply>& replies,
                                             std::chrono::steady_clock::time_point deadline);
  [[nodiscard]] Result<void> run_slices(const Pipeline& pipeline, std::vector<Reply>& replies);
  [[nodiscard]] Result<void> send_unknown_scripts(const Pipeline& pipeline, std::vector<Reply>& replies);
  void failed();

  Url url_;
  ConnectionOptions options_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<ReplyReader> reader_;
  bool worked_ = false;  ///< something was answered since the connection was made
  std::chrono::milliseconds pause_{0};
  std::chrono::steady_clock::time_point next_attempt_{};
  std::optional<base::Error> last_error_;
};

}  // namespace headroom::redis
