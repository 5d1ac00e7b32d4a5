#pragma once

// A Redis server of one's own for a test: in a temporary folder, on a free port of 127.0.0.1 and a unix
// socket.

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace headroom::testing {

/// Starts in the constructor, stops and removes its folder in the destructor. Errors: std::runtime_error.
class RedisServer final {
 public:
  /// `options` as on redis-server's command line, for example {"--requirepass", "secret"}.
  explicit RedisServer(std::vector<std::string> options = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] std::string socket() const { return (folder_ / "redis.sock").string(); }
  /// "redis://127.0.0.1:port/0"
  [[nodiscard]] std::string url() const;

  /// Like kill -9, or SIGSTOP and SIGCONT.
  void kill();
  void pause();
  void resume();
  /// After `kill`: on the same port, with what was saved (nothing, unless the options say otherwise).
  void start();

 private:
  void wait_until_ready();

  std::filesystem::path folder_;
  std::vector<std::string> options_;
  std::uint16_t port_ = 0;
  pid_t process_ = -1;
};

/// A folder that is removed with everything in it.
class TemporaryFolder final {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// A port of 127.0.0.1 that nobody listens on now.
[[nodiscard]] std::uint16_t free_port();

}  // namespace headroom::testing
