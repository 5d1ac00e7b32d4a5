#include "worklist/live_check.hpp"

#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "worklist/impl/sql_text.hpp"
#include "worklist/live_lists.hpp"
#include "worklist/live_table.hpp"

namespace headroom::worklist {

namespace {

using base::fail;
using impl::SqlText;

constexpr std::string_view kServer =
    "SELECT current_setting('wal_level'), current_user, r.rolreplication OR r.rolsuper,"
    " (SELECT count(*) FROM pg_catalog.pg_replication_slots) <"
    " current_setting('max_replication_slots')::int, pg_catalog.pg_is_in_recovery(),"
    " EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = $1)"
    " FROM pg_catalog.pg_roles r WHERE r.rolname = current_user";
constexpr std::string_view kTable =
    "SELECT pg_catalog.has_table_privilege(c.oid, 'SELECT'), pg_catalog.pg_get_userbyid(c.relowner)"
    " FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1)";

struct Server {
  std::string login;
  bool is_published = false;
};

Result<Server> check_server(sql::Reader& reader, const Definitions& definitions, std::string_view publication,
                            std::vector<DatabaseProblem>& problems) {
  auto rows = reader.query(std::string(kServer), {std::string(publication)});
  if (!rows) return fail(std::move(rows.error()).within("while asking for what live counting needs"));
  constexpr std::size_t kColumns = 6;
  if (rows->size() != 1 || rows->front().size() != kColumns)
    return fail(ErrorCode::kProtocol, "the database's answer is no row of settings");
  const auto& row = rows->front();
  const std::string login = row[1].value_or("");
  if (row[0] != "logical") {
    problems.push_back(
        {"the server", fmt::format("wal_level is {}; run: ALTER SYSTEM SET wal_level = logical, "
                                   "and restart PostgreSQL",
                                   row[0].value_or("unknown"))});
  }
  if (row[2] != "t") {
    problems.push_back(
        {"the login " + login,
         fmt::format("it may not read the log; run: ALTER ROLE {} REPLICATION", SqlText::quoted(login))});
  }
  if (row[3] != "t") {
    problems.push_back({"the server",
                        "all replication slots are taken; run: ALTER SYSTEM SET max_replication_slots = ..., "
                        "and restart PostgreSQL"});
  }
  if (row[4] == "t")
    problems.push_back({"the server", "it is a standby, whose log can't be read before PostgreSQL 16"});
  if (row[5] != "t") {
    problems.push_back({fmt::format("the publication {}", publication),
                        fmt::format("there is none; run, as the owner of the tables: {}",
                                    publication_statement(definitions, publication))});
  }
  return Server{login, row[5] == "t"};
}

/// Why a table can't be followed; empty when it can.
Result<std::string> check_table(sql::Reader& reader, LiveTable& table, const Server& server,
                                std::string_view publication) {
  auto rows = reader.query(table.check_statement(publication), {});
  if (!rows) return fail(std::move(rows.error()).within(table.what()));
  if (server.is_published || rows->empty()) {
    if (const auto checked = table.checked(*rows, publication); !checked) return checked.error().message();
  }
  auto rights = reader.query(std::string(kTable), {table.table()});
  if (!rights) return fail(std::move(rights.error()).within(table.what()));
  if (rights->size() == 1 && rights->front().size() == 2 && rights->front()[0] != "t") {
    return fmt::format("{}: {} may not read it; run, as {}: GRANT SELECT ON {} TO {}", table.what(),
                       server.login, rights->front()[1].value_or("its owner"), table.table(),
                       SqlText::quoted(server.login));
  }
  return std::string();
}

/// Why one of a catalog's tables can't be followed; empty when all can.
Result<std::string> check_tables(sql::Reader& reader, const Catalog& catalog, const Server& server,
                                 std::string_view publication) {
  for (LiveTable& table : live_tables(catalog)) {
    auto why = check_table(reader, table, server, publication);
    if (!why || !why->empty()) return why;
  }
  return std::string();
}

}  // namespace

Result<LiveCheck> check_live_database(sql::Reader& reader, const Definitions& definitions,
                                      std::string_view publication) {
  if (reader.dialect() != sql::Dialect::kPostgres)
    return fail(ErrorCode::kUnsupported, std::string(kPostgresAlone));
  LiveCheck check;
  const auto server = check_server(reader, definitions, publication, check.problems);
  if (!server) return fail(server.error());
  std::vector<std::string> catalogs;
  for (const Catalog& catalog : definitions.catalogs) {
    const auto live = check_live(catalog);
    auto why = live ? check_tables(reader, catalog, *server, publication)
                    : Result<std::string>(live.error().message());
    if (!why) return fail(std::move(why.error()));
    catalogs.push_back(std::move(*why));
  }
  for (const WorkList& list : definitions.lists) check.why.push_back(catalogs[list.catalog]);
  return check;
}

}  // namespace headroom::worklist
