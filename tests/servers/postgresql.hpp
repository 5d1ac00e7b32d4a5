#pragma once

// A PostgreSQL server of one's own for a test: in a temporary folder, on a free port of 127.0.0.1 and a unix
// socket. PostgreSQL refuses to run as root: then it runs as the user postgres.

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace headroom::testing {

/// Starts in the constructor, stops and removes its folder in the destructor. Errors: std::runtime_error.
class PostgresServer final {
 public:
  /// `settings` as lines of postgresql.conf. Without any, it is durable (fsync) as PostgreSQL is by default.
  explicit PostgresServer(const std::vector<std::string>& settings = {});
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url(const std::string& database = "postgres",
                                const std::string& user = "postgres") const;

  /// Like kill -9 of the postmaster; its other processes end at once when they see it.
  void kill();
  /// After `kill`: on the same port, with what was durable.
  void start();

 private:
  [[nodiscard]] std::vector<std::string> as_postgres() const;
  void initialize(const std::vector<std::string>& settings);
  void start_once();
  void wait_until_ready();
  void check_alive();

  std::filesystem::path folder_;
  std::uint16_t port_ = 0;
  pid_t process_ = -1;
};

}  // namespace headroom::testing
