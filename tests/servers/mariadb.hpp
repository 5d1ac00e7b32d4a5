#pragma once

// A MariaDB server of one's own for a test: in a temporary folder, on a free port of 127.0.0.1 and a unix
// socket. Where the tests run as root, it runs as nobody.

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace headroom::testing {

/// Starts in the constructor, stops and removes its folder in the destructor. It is not durable: nothing is
/// written through to the disk. Errors: std::runtime_error.
class MariaDbServer final {
 public:
  MariaDbServer();
  ~MariaDbServer();
  MariaDbServer(const MariaDbServer&) = delete;
  MariaDbServer& operator=(const MariaDbServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string socket() const { return (folder_ / "socket").string(); }
  /// Over TCP as "headroom", whose password is "geheim", and who may do everything; to the database "test".
  [[nodiscard]] std::string url(const std::string& database = "test") const;

 private:
  void initialize();
  void start();
  void wait_until_ready();
  void kill();

  std::filesystem::path folder_;
  std::uint16_t port_ = 0;
  pid_t process_ = -1;
};

}  // namespace headroom::testing
