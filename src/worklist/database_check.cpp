#include "worklist/database_check.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "worklist/impl/sql_text.hpp"
#include "worklist/user_source.hpp"

namespace headroom::worklist {

namespace {

using base::fail;
using impl::SqlText;
using sql::Dialect;

struct TypeNames {
  Type type;
  std::vector<std::string_view> names;
};

/// What a column of the type may be in PostgreSQL. Others compare in a way of their own: a char is padded, a
/// citext has no case, a timestamp that is declared a date has hours.
const std::array<TypeNames, 6>& types_of_postgres() {
  static const std::array<TypeNames, 6> kTypes{
      {{Type::kInteger, {"smallint", "integer", "bigint"}},
       {Type::kNumber, {"numeric", "double precision", "smallint", "integer", "bigint"}},
       {Type::kText, {"text", "character varying"}},
       {Type::kBoolean, {"boolean"}},
       {Type::kDate, {"date"}},
       {Type::kTime, {"timestamp without time zone", "timestamp with time zone"}}}};
  return kTypes;
}

/// The same in MariaDB, which gives a char without its padding. A float is not the number that was written.
const std::array<TypeNames, 6>& types_of_mariadb() {
  static const std::array<TypeNames, 6> kTypes{
      {{Type::kInteger, {"tinyint", "smallint", "mediumint", "int", "bigint"}},
       {Type::kNumber, {"decimal", "double", "tinyint", "smallint", "mediumint", "int", "bigint"}},
       {Type::kText, {"varchar", "char", "tinytext", "text", "mediumtext", "longtext", "enum"}},
       {Type::kBoolean, {"tinyint", "bit"}},
       {Type::kDate, {"date"}},
       {Type::kTime, {"datetime", "timestamp"}}}};
  return kTypes;
}

/// The look-up's key is unique when an index of it alone says so.
constexpr const char* kPostgresUnique =
    "SELECT 1 FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND "
    "a.attnum = i.indkey[0] WHERE i.indrelid = $1::regclass AND i.indisunique AND i.indnkeyatts = 1 AND "
    "i.indpred IS NULL AND a.attname = $2";
constexpr const char* kSqliteUnique =
    "SELECT 1 FROM pragma_table_info(?1) GROUP BY pk > 0 HAVING min(pk) = 1 AND max(pk) = 1 AND "
    "max(CASE WHEN pk = 1 THEN name END) = ?2 UNION ALL SELECT 1 FROM pragma_index_list(?1) AS l, "
    "pragma_index_info(l.name) AS i WHERE l.\"unique\" = 1 AND l.partial = 0 GROUP BY l.name HAVING count(*) "
    "= 1 AND max(i.name) = ?2";

constexpr const char* kMariaDbUnique =
    "SELECT 1 FROM information_schema.statistics WHERE table_schema = COALESCE(NULLIF(?1, ''), DATABASE()) "
    "AND "
    "table_name = ?2 AND non_unique = 0 GROUP BY index_name HAVING count(*) = 1 AND max(column_name) = ?3 "
    "AND "
    "max(sub_part) IS NULL";
constexpr const char* kMariaDbType =
    "SELECT data_type FROM information_schema.columns WHERE table_schema = COALESCE(NULLIF(?1, ''), "
    "DATABASE()) "
    "AND table_name = ?2 AND column_name = ?3";
/// Of a table whose engine has no transactions.
constexpr const char* kMariaDbEngine =
    "SELECT t.engine FROM information_schema.tables AS t JOIN information_schema.engines AS e ON e.engine = "
    "t.engine WHERE t.table_schema = COALESCE(NULLIF(?1, ''), DATABASE()) AND t.table_name = ?2 AND "
    "e.transactions <> 'YES'";

/// A table as MariaDB's statements above want it, and a column of it.
std::vector<sql::Parameter> named(std::string_view table, const std::string& column = {}) {
  const auto [database, name] = impl::parts_of_table(table);
  std::vector<sql::Parameter> parameters{std::string(database), std::string(name)};
  if (!column.empty()) parameters.emplace_back(column);
  return parameters;
}

class Checker final {
 public:
  Checker(sql::Reader& reader, const Definitions& definitions) : reader_(reader), definitions_(definitions) {}

  Result<void> check_catalogs() {
    for (const Catalog& catalog : definitions_.catalogs) {
      if (auto checked = check_catalog(catalog); !checked) return checked;
    }
    return {};
  }

  Result<void> check_users() {
    const UserSource& users = definitions_.users;
    for (const auto& [part, statement] :
         {std::pair{"roles", &users.roles}, std::pair{"groups", &users.groups},
          std::pair{"permissions", &users.permissions}, std::pair{"security_uids", &users.security_uids}}) {
      if (statement->empty()) continue;
      const std::string text = impl::user_statement(*statement, "NULL");
      if (auto checked = check_user_statement(fmt::format("users: {}", part), text); !checked) return checked;
    }
    if (!users.has_rows()) return {};
    return check_user_statement("users: rows and conditions of guards",
                                impl::conditions_statement(definitions_, "NULL"));
  }

  std::vector<DatabaseProblem> take_problems() { return std::move(problems_); }

 private:
  /// MariaDB goes on behind an error without one, and its engine Aria has none.
  Result<void> savepoint(const std::string& statement) {
    if (reader_.dialect() == Dialect::kMariaDb) return {};
    auto done = reader_.query(statement, {});
    if (!done) return fail(std::move(done.error()));
    return {};
  }

  /// Rows, or nothing where the database refused, which is noted.
  Result<std::optional<sql::PostgresRows>> ask(const std::string& subject, const std::string& statement,
                                               const std::vector<sql::Parameter>& parameters) {
    if (auto set = savepoint("SAVEPOINT headroom"); !set) return fail(std::move(set.error()));
    auto rows = reader_.query(statement, parameters);
    if (rows) return std::optional(std::move(*rows));
    const bool refused = rows.error().code() == ErrorCode::kInvalidArgument;
    if (!refused) return fail(std::move(rows.error()).within(subject));
    auto undone = savepoint("ROLLBACK TO SAVEPOINT headroom");
    if (!undone) return fail(std::move(undone.error()));
    problems_.push_back({subject, rows.error().message()});
    return std::optional<sql::PostgresRows>{};
  }

  Result<void> check_catalog(const Catalog& catalog) {
    const std::string subject = fmt::format("catalog '{}'", catalog.name);
    const std::string source =
        catalog.query.empty() ? SqlText::quoted_table(catalog.table) : "(" + catalog.query + "\n)";
    auto there = ask(subject, fmt::format("SELECT 1 FROM {} AS \"t\" LIMIT 0", source), {});
    if (!there) return fail(there.error());
    if (!*there) return {};
    if (reader_.dialect() == Dialect::kMariaDb && !catalog.table.empty()) {
      if (auto checked = check_engine(subject, catalog.table); !checked) return checked;
    }
    for (const LookUp& look_up : catalog.look_ups) {
      if (auto checked = check_look_up(subject, look_up); !checked) return checked;
    }
    for (std::size_t i = 0; i < catalog.columns.size(); ++i) {
      if (auto checked = check_column(subject, catalog, i); !checked) return checked;
    }
    return {};
  }

  /// The statement that finds a unique index of a look-up's key alone.
  Result<std::optional<sql::PostgresRows>> ask_unique(const std::string& subject, const LookUp& look_up) {
    switch (reader_.dialect()) {
      case Dialect::kPostgres:
        return ask(subject, kPostgresUnique, {SqlText::quoted_table(look_up.table), look_up.key});
      case Dialect::kMariaDb:
        return ask(subject, kMariaDbUnique, named(look_up.table, look_up.key));
      case Dialect::kSqlite:
        break;
    }
    return ask(subject, kSqliteUnique, {look_up.table, look_up.key});
  }

  Result<void> check_look_up(const std::string& catalog, const LookUp& look_up) {
    const std::string subject = fmt::format("{}: look-up '{}'", catalog, look_up.name);
    auto unique = ask_unique(subject, look_up);
    if (!unique) return fail(unique.error());
    if (*unique && (*unique)->empty()) {
      problems_.push_back({subject, fmt::format("no unique index of {} has '{}' alone, so documents might be "
                                                "counted more than once",
                                                look_up.table, look_up.key)});
    }
    if (reader_.dialect() == Dialect::kMariaDb) return check_engine(subject, look_up.table);
    return {};
  }

  /// What MariaDB counts within a snapshot has to keep one.
  Result<void> check_engine(const std::string& subject, const std::string& table) {
    auto engines = ask(subject, kMariaDbEngine, named(table));
    if (!engines) return fail(engines.error());
    if (*engines && !(*engines)->empty()) {
      problems_.push_back(
          {subject,
           fmt::format("its engine {} has no transactions, so counts would not be of one moment; run: "
                       "ALTER TABLE {} ENGINE=InnoDB",
                       (*engines)->front().front().value_or(""), table)});
    }
    return {};
  }

  Result<void> check_column(const std::string& catalog, const Catalog& meant, std::size_t place) {
    const Column& column = meant.columns[place];
    const std::string subject = fmt::format("{}: column '{}'", catalog, column.name);
    SqlText sql(meant, reader_.dialect());
    const std::string value = sql.column(place);
    const bool postgres = reader_.dialect() == Dialect::kPostgres;
    auto rows =
        ask(subject,
            postgres ? fmt::format("SELECT pg_catalog.pg_typeof(c)::text FROM (SELECT) AS one LEFT JOIN "
                                   "(SELECT {} AS c FROM {} LIMIT 0) AS none ON true",
                                   value, sql.source())
                     : fmt::format("SELECT {} FROM {} LIMIT 0", value, sql.source()),
            {});
    if (!rows) return fail(rows.error());
    if (!*rows) return {};
    if (reader_.dialect() == Dialect::kMariaDb) return check_mariadb_type(subject, meant, column);
    if (postgres && !(*rows)->empty())
      check_type(subject, types_of_postgres(), column.type, (*rows)->front().front());
    return {};
  }

  /// Nobody tells the types of a query's columns.
  Result<void> check_mariadb_type(const std::string& subject, const Catalog& catalog, const Column& column) {
    const std::string& table = column.look_up ? catalog.look_ups[*column.look_up].table : catalog.table;
    if (table.empty()) return {};
    auto rows = ask(subject, kMariaDbType, named(table, column.column));
    if (!rows) return fail(rows.error());
    if (*rows && !(*rows)->empty())
      check_type(subject, types_of_mariadb(), column.type, (*rows)->front().front());
    return {};
  }

  void check_type(const std::string& subject, const std::array<TypeNames, 6>& accepted, Type type,
                  const std::optional<std::string>& found) {
    const auto& names = accepted[static_cast<std::size_t>(type)].names;
    if (!found || std::find(names.begin(), names.end(), *found) != names.end()) return;
    problems_.push_back(
        {subject, fmt::format("it is of type {}; {} takes {}", *found, name(type), fmt::join(names, ", "))});
  }

  Result<void> check_user_statement(const std::string& subject, const std::string& statement) {
    auto rows = ask(subject, fmt::format("SELECT * FROM ({}\n) AS q LIMIT 0", statement), {});
    if (!rows) return fail(rows.error());
    return {};
  }

  sql::Reader& reader_;
  const Definitions& definitions_;
  std::vector<DatabaseProblem> problems_;
};

}  // namespace

Result<std::vector<DatabaseProblem>> check_database(sql::Reader& reader, const Definitions& definitions) {
  return check_database(reader, reader, definitions);
}

Result<std::vector<DatabaseProblem>> check_database(sql::Reader& documents, sql::Reader& users,
                                                    const Definitions& definitions) {
  Checker catalogs(documents, definitions);
  if (auto checked = catalogs.check_catalogs(); !checked) return fail(checked.error());
  Checker rights(users, definitions);
  if (auto checked = rights.check_users(); !checked) return fail(checked.error());
  auto problems = catalogs.take_problems();
  for (DatabaseProblem& one : rights.take_problems()) problems.push_back(std::move(one));
  return problems;
}

}  // namespace headroom::worklist
