#pragma once

// For tests: databases that random cases are loaded into and counted in.

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "sql/mariadb.hpp"
#include "sql/postgres.hpp"
#include "worklist/count.hpp"
#include "worklist/random_case.hpp"

struct sqlite3;

namespace headroom::worklist {

/// A file that is written here and read by readers; it goes with its owner. In memory where the machine has a
/// file system for that. Errors: std::runtime_error.
class SqliteCaseFile final {
 public:
  SqliteCaseFile();
  ~SqliteCaseFile();
  SqliteCaseFile(const SqliteCaseFile&) = delete;
  SqliteCaseFile& operator=(const SqliteCaseFile&) = delete;

  void run(const std::string& statement);
  void load(const RandomCase& random);
  [[nodiscard]] std::string url() const { return "sqlite://" + path_.string(); }
  [[nodiscard]] std::unique_ptr<sql::Reader> reader() const;

  /// Loads the case, and compares every way with counting in memory.
  [[nodiscard]] std::optional<std::string> difference(
      const RandomCase& random, CaseCounts& counts, Joined joined = Joined::kEveryUser,
      const std::function<std::vector<Pass>(Way)>& passes = passes_of);

 private:
  std::filesystem::path path_;
  sqlite3* database_ = nullptr;
};

/// The owner of the tables in a PostgreSQL server. Errors: std::runtime_error.
class PostgresCases final {
 public:
  /// Makes the role that reads under policies.
  explicit PostgresCases(std::string url);

  sql::PostgresRows run(const std::string& statement);
  void load(const RandomCase& random);
  [[nodiscard]] std::unique_ptr<sql::Reader> reader() const;

  /// Loads the case, and compares every way with counting in memory.
  [[nodiscard]] std::optional<std::string> difference(const RandomCase& random, CaseCounts& counts);
  /// Loads the case, and compares the joined way, for one user the merged one too, with what PostgreSQL's
  /// row-level security shows each user.
  [[nodiscard]] std::optional<std::string> difference_to_policy(const RandomCase& random, CaseCounts& counts);

 private:
  [[nodiscard]] std::optional<std::string> difference_to_policy_of(const RandomCase& random, const User& user,
                                                                   const std::vector<Count>& counted);

  std::string url_;
  sql::PostgresConnection connection_;
};

/// The owner of the tables in a database of MariaDB. Errors: std::runtime_error.
class MariaDbCases final {
 public:
  explicit MariaDbCases(std::string url);

  sql::PostgresRows run(const std::string& statement);
  void load(const RandomCase& random);
  [[nodiscard]] std::unique_ptr<sql::Reader> reader() const;

  /// Loads the case, and compares every way with counting in memory.
  [[nodiscard]] std::optional<std::string> difference(const RandomCase& random, CaseCounts& counts,
                                                      Joined joined = Joined::kEveryUser);

 private:
  std::string url_;
  sql::MariaDbConnection connection_;
};

}  // namespace headroom::worklist
