#include "worklist/cost.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "worklist/impl/sql_text.hpp"

namespace headroom::worklist {

namespace {

using base::fail;
using impl::SqlText;
using sql::Dialect;

// Rounded, of ten million documents in memory: a statement's way there and back with its planning, the tables
// that a joined one makes, a document that an index leads to, one that is only grouped, and one of a table
// that is read as a whole.
constexpr double kStatementMs = 0.4;
constexpr double kJoinMs = 8;
constexpr double kFoundMs = 0.0004;
constexpr double kGroupedMs = 0.0003;
constexpr double kScannedMs = 0.0001;
/// A class that belongs to a list, within the joined statement.
constexpr double kMemberMs = 0.002;
/// A cell that comes over the connection and is added up here, and one that is joined there.
constexpr double kCellMs = 0.002;
constexpr double kJoinedCellMs = 0.0015;
/// A test of a nested condition, for one document: half of them are asked until one holds.
constexpr double kTestMs = 0.00001;
/// Of a column of which nothing is known: how many values, and which part has none.
constexpr double kUsualValues = 200;
constexpr double kUsualNulls = 0.1;
/// The part of the documents that a range or a prefix lets through, as PostgreSQL guesses it.
constexpr double kRange = 1.0 / 3;

std::optional<double> number(const std::optional<std::string>& text) {
  double value = 0;
  if (!text) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{}) return std::nullopt;
  return value;
}

/// Columns of the catalog's own table that are this one of the database.
std::vector<std::size_t> columns_named(const Catalog& catalog, const std::optional<std::string>& name) {
  std::vector<std::size_t> columns;
  for (std::size_t i = 0; name && i < catalog.columns.size(); ++i) {
    if (!catalog.columns[i].look_up && catalog.columns[i].column == *name) columns.push_back(i);
  }
  return columns;
}

// What databases know
// ---------------------------------------------------------------------------------------------------------

/// Of a partitioned table, whose own row says nothing, that of all parts. -1: one was never analyzed.
constexpr const char* kPostgresDocuments = R"(
SELECT CASE WHEN bool_and(c.reltuples >= 0) THEN sum(c.reltuples) END
FROM pg_catalog.pg_class AS c WHERE c.oid = $1::regclass AND c.relkind IN ('r', 'm', 'f')
OR c.oid IN (SELECT p.relid FROM pg_catalog.pg_partition_tree($1::regclass) AS p WHERE p.isleaf))";
/// Those of a table with its parts come last, and stay.
constexpr const char* kPostgresValues = R"(
SELECT s.attname, s.n_distinct, s.null_frac
FROM pg_catalog.pg_stats AS s JOIN pg_catalog.pg_namespace AS n ON n.nspname = s.schemaname
JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = s.tablename
WHERE c.oid = $1::regclass ORDER BY s.inherited)";
constexpr const char* kPostgresParts = R"(
SELECT s.attname, m.value, m.part
FROM pg_catalog.pg_stats AS s JOIN pg_catalog.pg_namespace AS n ON n.nspname = s.schemaname
JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = s.tablename,
unnest(s.most_common_vals::text::text[], s.most_common_freqs) WITH ORDINALITY AS m(value, part, place)
WHERE c.oid = $1::regclass AND m.place <= 100 ORDER BY s.inherited)";
constexpr const char* kPostgresIndexes = R"(
SELECT i.indexrelid, a.attname
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
JOIN pg_catalog.pg_am AS m ON m.oid = x.relam AND m.amname = 'btree',
unnest(i.indkey) WITH ORDINALITY AS k(number, place)
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = $1::regclass AND a.attnum = k.number
WHERE i.indrelid = $1::regclass AND i.indpred IS NULL AND i.indisvalid AND k.place <= i.indnkeyatts
ORDER BY 1, k.place)";

constexpr const char* kSqliteAnalyzed = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'";
/// Of an index "documents, documents for each value of its first column, ...".
constexpr const char* kSqliteValues =
    "SELECT i.name, s.stat FROM sqlite_stat1 AS s LEFT JOIN pragma_index_info(s.idx) AS i ON i.seqno = 0 "
    "WHERE s.tbl = ?1";
constexpr const char* kSqliteIndexes =
    "SELECT l.name, i.name, i.seqno FROM pragma_index_list(?1) AS l, pragma_index_info(l.name) AS i WHERE "
    "l.partial = 0 UNION ALL SELECT '', name, 0 FROM pragma_table_info(?1) WHERE pk = 1 ORDER BY 1, 3";

/// ?1 is a database, or empty for the one that is connected to.
constexpr const char* kMariaDbDocuments =
    "SELECT table_rows FROM information_schema.tables WHERE table_schema = COALESCE(NULLIF(?1, ''), "
    "DATABASE()) "
    "AND table_name = ?2 AND table_type = 'BASE TABLE'";
constexpr const char* kMariaDbValues =
    "SELECT column_name, max(cardinality) FROM information_schema.statistics WHERE table_schema = "
    "COALESCE(NULLIF(?1, ''), DATABASE()) AND table_name = ?2 AND seq_in_index = 1 AND sub_part IS NULL "
    "GROUP BY "
    "column_name";
/// An index of the beginnings of texts leads to too much.
constexpr const char* kMariaDbIndexes =
    "SELECT index_name, CASE WHEN sub_part IS NULL THEN column_name END FROM information_schema.statistics "
    "WHERE "
    "table_schema = COALESCE(NULLIF(?1, ''), DATABASE()) AND table_name = ?2 AND index_type = 'BTREE' ORDER "
    "BY "
    "index_name, seq_in_index";

class SizeReader final {
 public:
  SizeReader(sql::Reader& reader, const Catalog& catalog) : reader_(reader), catalog_(catalog) {
    size_.columns.resize(catalog.columns.size());
  }

  Result<CatalogSize> read() {
    if (catalog_.table.empty()) return size_;
    auto done = read_known();
    if (!done) return fail(std::move(done.error()).within(fmt::format("catalog '{}'", catalog_.name)));
    return size_;
  }

 private:
  Result<void> read_known() {
    if (reader_.dialect() == Dialect::kPostgres) return read_postgres();
    return reader_.dialect() == Dialect::kMariaDb ? read_mariadb() : read_sqlite();
  }

  Result<void> read_postgres() {
    const std::vector<sql::Parameter> table{SqlText::quoted_table(catalog_.table)};
    auto documents = reader_.query(kPostgresDocuments, table);
    if (!documents) return fail(std::move(documents.error()));
    if (!documents->empty()) size_.documents = number(documents->front().front());
    auto values = reader_.query(kPostgresValues, table);
    if (!values) return fail(std::move(values.error()));
    for (const auto& row : *values) note_values(row[0], number(row[1]), number(row[2]));
    auto parts = reader_.query(kPostgresParts, table);
    if (!parts) return fail(std::move(parts.error()));
    for (const auto& row : *parts) note_part(row[0], row[1], number(row[2]));
    return read_indexes(kPostgresIndexes, table);
  }

  /// Less than 0: a part of the documents.
  void note_values(const std::optional<std::string>& column, std::optional<double> values,
                   std::optional<double> nulls) {
    if (values && *values < 0) values = -*values * size_.documents.value_or(0);
    for (const std::size_t i : columns_named(catalog_, column)) {
      size_.columns[i].values = values;
      size_.columns[i].nulls = nulls;
    }
  }

  void note_part(const std::optional<std::string>& column, const std::optional<std::string>& value,
                 std::optional<double> part) {
    for (const std::size_t i : columns_named(catalog_, column)) {
      if (!value || !part) continue;
      const bool flag = catalog_.columns[i].type == Type::kBoolean;
      size_.columns[i].parts[flag ? (*value == "t" ? "true" : "false") : *value] = *part;
    }
  }

  /// Rows are an index and a column of it, in their order; no column is an expression.
  Result<void> read_indexes(const char* statement, const std::vector<sql::Parameter>& table) {
    auto rows = reader_.query(statement, table);
    if (!rows) return fail(std::move(rows.error()));
    std::optional<std::string> index;
    bool open = false;
    for (const auto& row : *rows) {
      if (size_.indexes.empty() || row[0] != index) {
        index = row[0];
        open = true;
        size_.indexes.emplace_back();
      }
      const auto columns = columns_named(catalog_, row[1]);
      open = open && !columns.empty();
      if (open) size_.indexes.back().push_back(columns.front());
    }
    return {};
  }

  Result<void> read_sqlite() {
    const std::string table = catalog_.table.substr(catalog_.table.find_last_of('.') + 1);
    auto analyzed = reader_.query(kSqliteAnalyzed, {});
    if (!analyzed) return fail(std::move(analyzed.error()));
    if (!analyzed->empty()) {
      auto rows = reader_.query(kSqliteValues, {table});
      if (!rows) return fail(std::move(rows.error()));
      for (const auto& row : *rows) note_stat(row[0], row[1].value_or(""));
    }
    return read_indexes(kSqliteIndexes, {table});
  }

  Result<void> read_mariadb() {
    const auto [database, name] = impl::parts_of_table(catalog_.table);
    const std::vector<sql::Parameter> table{std::string(database), std::string(name)};
    auto documents = reader_.query(kMariaDbDocuments, table);
    if (!documents) return fail(std::move(documents.error()));
    if (!documents->empty()) size_.documents = number(documents->front().front());
    auto values = reader_.query(kMariaDbValues, table);
    if (!values) return fail(std::move(values.error()));
    for (const auto& row : *values) note_values(row[0], number(row[1]), {});
    return read_indexes(kMariaDbIndexes, table);
  }

  void note_stat(const std::optional<std::string>& column, const std::string& stat) {
    const auto documents = number(stat);
    if (!documents) return;
    // An index of a part of the table knows only that part.
    size_.documents = std::max(*documents, size_.documents.value_or(0));
    const std::size_t space = stat.find(' ');
    const auto of_each = space == std::string::npos ? std::nullopt : number(stat.substr(space + 1));
    if (of_each && *of_each > 0) note_values(column, std::max(1.0, *documents / *of_each), {});
  }

  sql::Reader& reader_;
  const Catalog& catalog_;
  CatalogSize size_;
};

// Estimates
// ---------------------------------------------------------------------------------------------------------

double nulls_of(const ColumnSize& size) {
  return size.nulls.value_or(kUsualNulls);
}

/// The part of the documents that have one of the values.
double part_of_values(const ColumnSize& size, Type type, const std::vector<Value>& values) {
  double rest = 1 - size.nulls.value_or(0);
  for (const auto& [value, part] : size.parts) rest -= part;
  const double others =
      std::max(1.0, size.values.value_or(kUsualValues) - static_cast<double>(size.parts.size()));
  double sum = 0;
  for (const Value& value : values) {
    const auto known = size.parts.find(to_text(type, value));
    sum += known != size.parts.end() ? known->second : std::max(0.0, rest) / others;
  }
  return std::min(1.0, sum);
}

double part_of(const ColumnSize& size, Type type, const Test& test) {
  switch (test.operation) {
    case Operator::kIn:
      return part_of_values(size, type, test.values);
    case Operator::kNotIn:
      return std::max(0.0, 1 - nulls_of(size) - part_of_values(size, type, test.values));
    case Operator::kNull:
      return nulls_of(size);
    case Operator::kNotNull:
      return 1 - nulls_of(size);
    default:
      return kRange;
  }
}

/// The part of the documents that meet a criterion.
double part_of(const Catalog& catalog, const CatalogSize& size, const ColumnTest& test) {
  const ColumnSize& column = size.columns[test.column];
  double part = 1;
  for (const Test& one : test.tests) part *= part_of(column, catalog.columns[test.column].type, one);
  return test.or_null ? std::min(1.0, part + nulls_of(column)) : part;
}

double part_of(const Catalog& catalog, const CatalogSize& size, const Grant& grant) {
  const std::size_t column = catalog.security[grant.security].column;
  return part_of_values(size.columns[column], catalog.columns[column].type, grant.values);
}

bool begins_index(const CatalogSize& size, std::size_t column) {
  return std::any_of(size.indexes.begin(), size.indexes.end(),
                     [column](const auto& index) { return !index.empty() && index.front() == column; });
}

/// The part of the documents that a scope shows, and whether indexes lead to all of them.
struct Seen {
  double part = 0;
  bool indexed = true;
};

Seen seen_by(const Catalog& catalog, const CatalogSize& size, const Scope& scope) {
  if (scope.everything) return {1, false};
  Seen seen;
  for (const Grant& grant : scope.grants) {
    seen.part += part_of(catalog, size, grant);
    seen.indexed = seen.indexed && begins_index(size, catalog.security[grant.security].column);
  }
  seen.part = std::min(1.0, seen.part);
  return seen;
}

/// What a column lets through for a list; nothing: the list does not ask about it.
std::optional<double> let_through(const Catalog& catalog, const CatalogSize& size, const PlannedList& list,
                                  std::size_t column) {
  for (const ColumnTest& test : list.tests) {
    if (test.column == column) return part_of(catalog, size, test);
  }
  const auto& grants = list.scope.grants;
  if (grants.size() == 1 && catalog.security[grants.front().security].column == column)
    return part_of(catalog, size, grants.front());
  return std::nullopt;
}

/// The part of the documents to which the best index leads; 1: none helps. `through` says what a column lets
/// through, if it is asked about.
template <typename Through>
double best_index(const CatalogSize& size, const Through& through) {
  double best = 1;
  for (const auto& index : size.indexes) {
    double part = 1;
    for (const std::size_t column : index) {
      const auto let = through(column);
      if (!let) break;
      part *= *let;
    }
    best = std::min(best, part);
  }
  return best;
}

/// Reads by an index, or the whole table where that is cheaper. How many documents are read.
double add_reading(double documents, double part, WayCost& cost) {
  const double found = documents * part;
  const bool scans = found * kFoundMs >= documents * kScannedMs;
  cost.documents += scans ? documents : found;
  cost.milliseconds += scans ? documents * kScannedMs : found * kFoundMs;
  return scans ? documents : found;
}

const Catalog& catalog_at(const Question& question, std::size_t catalog) {
  return question.definitions.catalogs[catalog];
}

WayCost cost_of_each(const Question& question, const Plan& plan, const std::vector<CatalogSize>& sizes) {
  WayCost cost{Way::kEach, true, plan.statements.size(), 0, 0};
  for (const PlannedList& list : plan.lists) {
    if (list.fate != Fate::kCounted) continue;
    const std::size_t place = question.definitions.lists[list.list].catalog;
    const Catalog& catalog = catalog_at(question, place);
    const Seen seen = seen_by(catalog, sizes[place], list.scope);
    cost.milliseconds += kStatementMs;
    const double best = best_index(
        sizes[place], [&](std::size_t column) { return let_through(catalog, sizes[place], list, column); });
    add_reading(sizes[place].documents.value_or(0), std::min(seen.indexed ? seen.part : 1, best), cost);
  }
  return cost;
}

/// Of a grouping at most: as many as its values or classes combine to.
double cells_of(const Group& group, const CatalogSize& size, double visible) {
  double cells = 1;
  for (const Key& key : group.keys) {
    const double values = size.columns[key.column].values.value_or(kUsualValues);
    cells = std::min(visible, cells * (key.as_it_is ? values : static_cast<double>(key.classes.classes)));
  }
  return cells;
}

double joining(const Group& group, double cells) {
  std::size_t members = 0;
  for (const Shape& shape : group.shapes) {
    for (const auto& of_key : shape.members) members += of_key.size();
  }
  return kJoinMs + cells * kJoinedCellMs + static_cast<double>(members) * kMemberMs;
}

/// How often a statement groups what the user sees: MariaDB does so wherever the joined one names the result.
std::size_t groupings(const Question& question, const Group& group) {
  const bool each = question.dialect == Dialect::kMariaDb && question.way == Way::kJoin;
  return each ? group.shapes.size() : 1;
}

WayCost cost_of_groups(const Question& question, const Plan& plan, const std::vector<CatalogSize>& sizes) {
  WayCost cost{question.way, true, plan.statements.size(), 0, 0};
  for (const Group& group : plan.groups) {
    const CatalogSize& size = sizes[group.catalog];
    const Seen seen = seen_by(catalog_at(question, group.catalog), size, group.scope);
    const double visible = seen.part * size.documents.value_or(0);
    const double cells = cells_of(group, size, visible);
    cost.milliseconds += kStatementMs;
    for (std::size_t i = 0; i < groupings(question, group); ++i) {
      add_reading(size.documents.value_or(0), seen.indexed ? seen.part : 1, cost);
      cost.milliseconds += visible * kGroupedMs;
    }
    cost.milliseconds += question.way == Way::kCells ? cells * kCellMs : joining(group, cells);
  }
  return cost;
}

std::size_t tests_of(const std::vector<Branch>& branches) {
  std::size_t tests = 0;
  for (const Branch& branch : branches) tests += branch.any.size() + tests_of(branch.then);
  return tests;
}

using PartTests = decltype(Part::tests);

/// What parts of lists let through: shared tests are estimated once.
class PartEstimates final {
 public:
  PartEstimates(const Catalog& catalog, const CatalogSize& size) : catalog_(catalog), size_(size) {}

  double of(const ColumnTest& test) {
    const auto [known, added] = known_.try_emplace(&test, 0);
    if (added) known->second = part_of(catalog_, size_, test);
    return known->second;
  }

  double best_index(const PartTests& tests) {
    return worklist::best_index(size_, [&](std::size_t column) -> std::optional<double> {
      for (const auto& test : tests) {
        if (test->column == column) return of(*test);
      }
      return std::nullopt;
    });
  }

 private:
  const Catalog& catalog_;
  const CatalogSize& size_;
  std::map<const ColumnTest*, double> known_;
};

/// What all parts of a group ask, which stands before what differs.
PartTests common_tests(const Plan& plan, const Group& group) {
  PartTests common;
  for (const auto& test : plan.parts[group.parts.front()].tests) {
    const auto is_key = [&test](const Key& key) { return key.column == test->column; };
    if (std::none_of(group.keys.begin(), group.keys.end(), is_key)) common.push_back(test);
  }
  return common;
}

/// By what is common, or part by part, whichever leads to fewer documents.
void add_merged(const Plan& plan, const Group& group, const Catalog& catalog, const CatalogSize& size,
                WayCost& cost) {
  PartEstimates estimates(catalog, size);
  const PartTests common = common_tests(plan, group);
  double apart = 0;
  for (const std::size_t part : group.parts) apart += estimates.best_index(plan.parts[part].tests);
  const double documents = size.documents.value_or(0);
  double asked = add_reading(documents, std::min(apart, estimates.best_index(common)), cost);
  double seen = documents;
  for (const auto& test : common) seen *= estimates.of(*test);
  asked = std::min(asked, seen);
  cost.milliseconds += kStatementMs + asked * static_cast<double>(tests_of(group.condition)) * kTestMs;
  cost.milliseconds += cells_of(group, size, asked) * kCellMs;
}

WayCost cost_of_merged(const Question& question, const Plan& plan, const std::vector<CatalogSize>& sizes) {
  WayCost cost{Way::kMerged, true, plan.statements.size(), 0, 0};
  for (const Group& group : plan.groups)
    add_merged(plan, group, catalog_at(question, group.catalog), sizes[group.catalog], cost);
  return cost;
}

Result<WayCost> cost_of(const Question& question, const std::vector<CatalogSize>& sizes) {
  const auto plan = make_plan(question);
  if (!plan) return fail(plan.error());
  if (question.way == Way::kEach) return cost_of_each(question, *plan, sizes);
  return question.way == Way::kMerged ? cost_of_merged(question, *plan, sizes)
                                      : cost_of_groups(question, *plan, sizes);
}

// The choice
// ---------------------------------------------------------------------------------------------------------

/// Catalogs whose lists are counted and of which nothing is known: "sale, invoice".
Result<std::string> unknown(const Question& question, const std::vector<CatalogSize>& sizes) {
  const auto plan = make_plan(question, first_passes());
  if (!plan) return fail(plan.error());
  std::set<std::string> names;
  for (const PlannedList& list : plan->lists) {
    const std::size_t catalog = question.definitions.lists[list.list].catalog;
    if (list.fate == Fate::kCounted && !sizes[catalog].documents)
      names.insert(catalog_at(question, catalog).name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

/// In the order in which they are taken where nothing is known.
constexpr std::array<Way, 4> kWays{Way::kJoin, Way::kCells, Way::kMerged, Way::kEach};

/// Joining groups more than once in MariaDB.
Choice without_sizes(const Question& question, const std::set<Way>& allowed, std::string why) {
  if (question.dialect == Dialect::kMariaDb && allowed.contains(Way::kCells))
    return {Way::kCells, {}, std::move(why)};
  const auto* way = std::find_if(kWays.begin(), kWays.end(), [&](Way one) { return allowed.contains(one); });
  return {*way, {}, std::move(why)};
}

Choice cheapest(std::vector<WayCost> costs, const std::set<Way>& allowed) {
  Choice choice{*allowed.begin(), std::move(costs), "the cheapest"};
  double least = 0;
  bool found = false;
  for (WayCost& cost : choice.costs) {
    cost.allowed = allowed.contains(cost.way);
    if (!cost.allowed || (found && cost.milliseconds >= least)) continue;
    found = true;
    least = cost.milliseconds;
    choice.way = cost.way;
  }
  if (allowed.size() == 1) choice.why = "the site allows no other";
  return choice;
}

}  // namespace

Result<std::vector<CatalogSize>> read_sizes(sql::Reader& reader, const Definitions& definitions) {
  std::vector<CatalogSize> sizes;
  for (const Catalog& catalog : definitions.catalogs) {
    auto size = SizeReader(reader, catalog).read();
    if (!size) return fail(size.error());
    sizes.push_back(std::move(*size));
  }
  return sizes;
}

Result<Choice> choose_way(const Question& question, const std::vector<CatalogSize>& sizes,
                          const std::set<Way>& allowed) {
  if (allowed.empty()) return fail(ErrorCode::kInvalidArgument, "no way to count is allowed");
  if (sizes.empty())
    return without_sizes(question, allowed, "no database was asked for the sizes of its tables");
  auto catalogs = unknown(question, sizes);
  if (!catalogs) return fail(catalogs.error());
  if (!catalogs->empty())
    return without_sizes(question, allowed,
                         fmt::format("nothing is known of the size of {}; ANALYZE tells it", *catalogs));
  std::vector<WayCost> costs;
  for (const Way way : kWays) {
    auto cost = cost_of({question.definitions, question.user, question.now, question.dialect, way}, sizes);
    if (!cost) return fail(cost.error());
    costs.push_back(*cost);
  }
  return cheapest(std::move(costs), allowed);
}

Result<Choice> choose_way(sql::Reader& reader, const Question& question, const std::set<Way>& allowed) {
  const auto sizes = read_sizes(reader, question.definitions);
  if (!sizes) return fail(sizes.error());
  return choose_way(question, *sizes, allowed);
}

std::string to_text(const Choice& choice) {
  std::string text;
  for (const WayCost& cost : choice.costs) {
    text += fmt::format("{}: about {:.1f} ms, {} statements that read {:.0f} documents{}\n", name(cost.way),
                        cost.milliseconds, cost.statements, cost.documents,
                        cost.allowed ? "" : "; the site does not allow it");
  }
  return text + fmt::format("chosen: {}, {}\n", name(choice.way), choice.why);
}

std::string to_text(const Definitions& definitions, const std::vector<CatalogSize>& sizes) {
  std::string text;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const Catalog& catalog = definitions.catalogs[i];
    if (sizes[i].documents) {
      text += fmt::format("{}: about {:.0f} documents\n", catalog.name, *sizes[i].documents);
      continue;
    }
    text += fmt::format("{}: its size is not known{}\n", catalog.name,
                        catalog.table.empty() ? ", it is a query" : "; ANALYZE tells it");
  }
  return text;
}

}  // namespace headroom::worklist
