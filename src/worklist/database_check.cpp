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
const std::array<TypeNames, 6>& accepted_types() {
  static const std::array<TypeNames, 6> kTypes{
      {{Type::kInteger, {"smallint", "integer", "bigint"}},
       {Type::kNumber, {"numeric", "double precision", "smallint", "integer", "bigint"}},
       {Type::kText, {"text", "character varying"}},
       {Type::kBoolean, {"boolean"}},
       {Type::kDate, {"date"}},
       {Type::kTime, {"timestamp without time zone", "timestamp with time zone"}}}};
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
  /// Rows, or nothing where the database refused, which is noted.
  Result<std::optional<sql::PostgresRows>> ask(const std::string& subject, const std::string& statement,
                                               const std::vector<sql::Parameter>& parameters) {
    if (auto set = reader_.query("SAVEPOINT headroom", {}); !set) return fail(std::move(set.error()));
    auto rows = reader_.query(statement, parameters);
    if (rows) return std::optional(std::move(*rows));
    const bool refused = rows.error().code() == ErrorCode::kInvalidArgument;
    if (!refused) return fail(std::move(rows.error()).within(subject));
    auto undone = reader_.query("ROLLBACK TO SAVEPOINT headroom", {});
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
    for (const LookUp& look_up : catalog.look_ups) {
      if (auto checked = check_look_up(subject, look_up); !checked) return checked;
    }
    for (std::size_t i = 0; i < catalog.columns.size(); ++i) {
      if (auto checked = check_column(subject, catalog, i); !checked) return checked;
    }
    return {};
  }

  Result<void> check_look_up(const std::string& catalog, const LookUp& look_up) {
    const std::string subject = fmt::format("{}: look-up '{}'", catalog, look_up.name);
    const bool postgres = reader_.dialect() == Dialect::kPostgres;
    const std::string table = postgres ? SqlText::quoted_table(look_up.table) : look_up.table;
    auto unique = ask(subject, postgres ? kPostgresUnique : kSqliteUnique, {table, look_up.key});
    if (!unique) return fail(unique.error());
    if (*unique && (*unique)->empty()) {
      problems_.push_back({subject, fmt::format("no unique index of {} has '{}' alone, so documents might be "
                                                "counted more than once",
                                                look_up.table, look_up.key)});
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
    if (*rows && postgres && !(*rows)->empty()) check_type(subject, column.type, (*rows)->front().front());
    return {};
  }

  void check_type(const std::string& subject, Type type, const std::optional<std::string>& found) {
    const auto& names = accepted_types()[static_cast<std::size_t>(type)].names;
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
