#include "worklist/case_database.hpp"

#include <sqlite3.h>
#include <unistd.h>

#include <map>
#include <stdexcept>

#include <fmt/format.h>

namespace headroom::worklist {

namespace {

constexpr std::chrono::minutes kPatience{1};

std::filesystem::path folder_in_memory() {
  std::error_code ignored;
  const std::filesystem::path shared = "/dev/shm";
  return std::filesystem::is_directory(shared, ignored) && ::access(shared.c_str(), W_OK) == 0
             ? shared
             : std::filesystem::temp_directory_path();
}

std::string quoted(const std::string& name) {
  std::string text;
  for (const char sign : name) text += sign == '"' ? std::string("\"\"") : std::string(1, sign);
  return "\"" + text + "\"";
}

/// "column = ANY (what the setting lists)"
std::string is_in_setting(const Catalog& catalog, const Column& column, std::string_view setting) {
  std::string value = quoted(column.column);
  if (column.look_up) {
    const Column& by = catalog.columns[catalog.look_ups[*column.look_up].by];
    value = fmt::format("(SELECT p.{} FROM place p WHERE p.\"id\" = document.{})", value, quoted(by.column));
  }
  return fmt::format("{} = ANY (string_to_array(current_setting('app.{}_{}'), ',')::bigint[])", value,
                     setting, column.name);
}

/// What any of the security columns grants, by the settings of a kind.
std::string seen(const Catalog& catalog, std::string_view setting) {
  std::string grants;
  for (const SecurityColumn& security : catalog.security)
    grants +=
        (grants.empty() ? "" : " OR ") + is_in_setting(catalog, catalog.columns[security.column], setting);
  return grants;
}

/// A policy of the database's own: who sees a row is in settings of the session.
std::string policy(const Catalog& catalog) {
  std::string text = seen(catalog, "role");
  for (const Holder& holder : catalog.holders) {
    text += fmt::format(" OR {} AND ({})", is_in_setting(catalog, catalog.columns[holder.column], "held"),
                        seen(catalog, "any"));
  }
  return fmt::format("CREATE POLICY visible ON document FOR SELECT TO headroom_reader USING ({})", text);
}

/// What the user has, written down by the words of user.hpp and not by the planner's function.
std::string granted(const SecurityColumn& security, const std::set<std::string>& roles, const User& user) {
  if (!security.role.empty()) return roles.empty() || roles.contains(security.role) ? user.id : std::string();
  std::string uids;
  for (const SecurityUid& one : user.security_uids) {
    if (one.group != security.group || (!roles.empty() && !roles.contains(one.role))) continue;
    uids += fmt::format("{}{}", uids.empty() ? "" : ",", one.uid);
  }
  return uids;
}

std::string setting(std::string_view kind, const Column& column, std::string_view value) {
  return fmt::format(", set_config('app.{}_{}', '{}', false)", kind, column.name, value);
}

/// The settings of a user, all at once.
std::string settings_statement(const RandomCase& random, const User& user,
                               const std::set<std::string>& roles) {
  const Catalog& catalog = random.catalog;
  std::set<std::string> of_sight = roles;
  std::string text = "SELECT 1";
  for (const Holder& holder : catalog.holders) {
    text += setting("held", catalog.columns[holder.column], roles.contains(holder.role) ? user.id : "");
    of_sight.erase(holder.role);
  }
  for (const SecurityColumn& security : catalog.security) {
    const Column& column = catalog.columns[security.column];
    const bool by_sight = roles.empty() || !of_sight.empty();
    text += setting("role", column, by_sight ? granted(security, of_sight, user) : "");
    text += setting("any", column, granted(security, {}, user));
  }
  return text;
}

std::string counting_statement(const RandomCase& random, const std::vector<std::size_t>& lists) {
  std::string columns;
  for (const std::size_t list : lists) {
    columns += fmt::format("{}count(*) FILTER (WHERE {})", columns.empty() ? "" : ", ",
                           random.condition(random.lists[list]));
  }
  std::string source = "document";
  for (const LookUp& look_up : random.catalog.look_ups) {
    const Column& by = random.catalog.columns[look_up.by];
    source +=
        fmt::format(" LEFT JOIN place AS {0} ON {0}.\"id\" = document.{1}", look_up.name, quoted(by.column));
  }
  return fmt::format("SELECT {} FROM {}", columns, source);
}

std::map<std::set<std::string>, std::vector<std::size_t>> lists_by_roles(const RandomCase& random) {
  std::map<std::set<std::string>, std::vector<std::size_t>> lists_of;
  for (std::size_t i = 0; i < random.lists.size(); ++i) lists_of[random.lists[i].roles].push_back(i);
  return lists_of;
}

std::vector<std::uint64_t> numbers_of(const std::vector<Count>& counted) {
  std::vector<std::uint64_t> numbers;
  for (const Count& one : counted) numbers.push_back(one.count);
  return numbers;
}

sql::PostgresConnection connect(const std::string& url) {
  auto connection = sql::PostgresConnection::connect(url, sql::PostgresConnection::Clock::now() + kPatience);
  if (!connection) throw std::runtime_error(connection.error().message());
  return std::move(*connection);
}

sql::MariaDbConnection connect_mariadb(const std::string& url) {
  auto connection = sql::MariaDbConnection::connect(url, sql::MariaDbConnection::Clock::now() + kPatience);
  if (!connection) throw std::runtime_error(connection.error().message());
  return std::move(*connection);
}

std::unique_ptr<sql::Reader> open(const std::string& url) {
  auto reader = sql::open_reader(url, {});
  if (!reader) throw std::runtime_error(reader.error().message());
  return std::move(*reader);
}

}  // namespace

// SQLite
// ---------------------------------------------------------------------------------------------------------

SqliteCaseFile::SqliteCaseFile()
    : path_(folder_in_memory() / fmt::format("headroom-worklist-{}.sqlite", ::getpid())) {
  std::filesystem::remove(path_);
  if (sqlite3_open(path_.c_str(), &database_) != SQLITE_OK)
    throw std::runtime_error("no file for SQLite at " + path_.string());
  run("PRAGMA journal_mode = OFF");
  run("PRAGMA synchronous = OFF");
}

SqliteCaseFile::~SqliteCaseFile() {
  sqlite3_close(database_);
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

void SqliteCaseFile::run(const std::string& statement) {
  char* message = nullptr;
  if (sqlite3_exec(database_, statement.c_str(), nullptr, nullptr, &message) != SQLITE_OK)
    throw std::runtime_error(fmt::format("{}: {}", message, statement));
}

void SqliteCaseFile::load(const RandomCase& random) {
  run("BEGIN");
  for (const std::string& statement : random.statements(sql::Dialect::kSqlite)) run(statement);
  run("COMMIT");
}

std::unique_ptr<sql::Reader> SqliteCaseFile::reader() const {
  return open(url());
}

std::optional<std::string> SqliteCaseFile::difference(const RandomCase& random, CaseCounts& counts,
                                                      Joined joined,
                                                      const std::function<std::vector<Pass>(Way)>& passes) {
  load(random);
  return worklist::difference(random, *reader(), counts, joined, passes);
}

// PostgreSQL
// ---------------------------------------------------------------------------------------------------------

PostgresCases::PostgresCases(std::string url) : url_(std::move(url)), connection_(connect(url_)) {
  if (run("SELECT 1 FROM pg_roles WHERE rolname = 'headroom_reader'").empty())
    run("CREATE ROLE headroom_reader");
}

sql::PostgresRows PostgresCases::run(const std::string& statement) {
  auto rows = connection_.query(statement, {}, sql::PostgresConnection::Clock::now() + kPatience);
  if (!rows) throw std::runtime_error(fmt::format("{}: {}", rows.error().message(), statement));
  return std::move(*rows);
}

void PostgresCases::load(const RandomCase& random) {
  run("BEGIN");
  for (const std::string& statement : random.statements(sql::Dialect::kPostgres)) run(statement);
  run("COMMIT");
}

std::unique_ptr<sql::Reader> PostgresCases::reader() const {
  return open(url_);
}

std::optional<std::string> PostgresCases::difference(const RandomCase& random, CaseCounts& counts) {
  load(random);
  return worklist::difference(random, *reader(), counts, Joined::kEveryUser);
}

std::optional<std::string> PostgresCases::difference_to_policy(const RandomCase& random, CaseCounts& counts) {
  load(random);
  run("ALTER TABLE document ENABLE ROW LEVEL SECURITY");
  run(policy(random.catalog));
  run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO headroom_reader");
  const auto definitions = random.definitions();
  if (!definitions) return definitions.error().message();
  const auto joined = reader();
  for (const User& user : random.users) {
    const auto counted =
        count(*joined, {*definitions, user, random.now, sql::Dialect::kPostgres, Way::kJoin});
    if (!counted) return counted.error().message();
    const std::vector<std::uint64_t> numbers = numbers_of(*counted);
    counts.add(numbers);
    if (user.id == random.users[random.seed % random.users.size()].id) {
      const auto merged =
          count(*joined, {*definitions, user, random.now, sql::Dialect::kPostgres, Way::kMerged});
      if (!merged) return merged.error().message();
      if (numbers_of(*merged) != numbers) return fmt::format("user {}: merged and joined differ", user.id);
    }
    run("SET ROLE headroom_reader");
    auto told = difference_to_policy_of(random, user, *counted);
    run("RESET ROLE");
    if (told) return told;
  }
  return std::nullopt;
}

std::optional<std::string> PostgresCases::difference_to_policy_of(const RandomCase& random, const User& user,
                                                                  const std::vector<Count>& counted) {
  for (const auto& [roles, lists] : lists_by_roles(random)) {
    run(settings_statement(random, user, roles));
    const auto shown = run(counting_statement(random, lists));
    for (std::size_t i = 0; i < lists.size(); ++i) {
      const std::uint64_t expected = std::stoull(shown.at(0).at(i).value());
      if (expected == counted[lists[i]].count) continue;
      return fmt::format("user {}, list {}: {} in place of {}", user.id, lists[i], counted[lists[i]].count,
                         expected);
    }
  }
  return std::nullopt;
}

// MariaDB
// ---------------------------------------------------------------------------------------------------------

MariaDbCases::MariaDbCases(std::string url) : url_(std::move(url)), connection_(connect_mariadb(url_)) {
  run("SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES'");
}

sql::PostgresRows MariaDbCases::run(const std::string& statement) {
  auto rows = connection_.query(statement, sql::MariaDbConnection::Clock::now() + kPatience);
  if (!rows) throw std::runtime_error(fmt::format("{}: {}", rows.error().message(), statement));
  return std::move(*rows);
}

void MariaDbCases::load(const RandomCase& random) {
  for (const std::string& statement : random.statements(sql::Dialect::kMariaDb)) run(statement);
}

std::unique_ptr<sql::Reader> MariaDbCases::reader() const {
  return open(url_);
}

std::optional<std::string> MariaDbCases::difference(const RandomCase& random, CaseCounts& counts,
                                                    Joined joined) {
  load(random);
  return worklist::difference(random, *reader(), counts, joined);
}

}  // namespace headroom::worklist
