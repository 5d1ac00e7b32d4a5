#include "worklist/random_case.hpp"

#include <algorithm>
#include <random>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "worklist/classes.hpp"
#include "worklist/count.hpp"

namespace headroom::worklist {

namespace {

using nlohmann::json;

/// Some are the same for databases that look at no case or at no blank at the end.
const std::vector<std::string> kTexts{"a",   "ab",  "abc", "b",   "B",    "ä",   "äb", "a%b",
                                      "a_b", "x'y", "\\",  "\"q", "null", "a,b", "a "};
constexpr std::int64_t kDay = 86'400'000'000;

/// Chance, from a seed.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}

  std::size_t below(std::size_t end) { return static_cast<std::size_t>(engine_() % end); }
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(below(static_cast<std::size_t>(most - least + 1)));
  }
  bool one_in(std::size_t many) { return below(many) == 0; }
  template <typename Item>
  const Item& of(const std::vector<Item>& items) {
    return items[below(items.size())];
  }

 private:
  std::mt19937_64 engine_;
};

// Making
// ---------------------------------------------------------------------------------------------------------

class Maker {
 public:
  explicit Maker(std::uint64_t seed) : dice_(seed) {
    made_.seed = seed;
    made_.now = base::UtcTime{base::Microseconds{1'790'000'000'000'000 + dice_.between(0, 400) * kDay}};
  }

  RandomCase make() {
    make_columns();
    make_security();
    make_places();
    const std::size_t rows = 20 + dice_.below(80);
    for (std::size_t i = 0; i < rows; ++i) made_.rows.push_back(row(static_cast<std::int64_t>(i) + 1));
    make_lists();
    for (int id = 1; id <= 5; ++id) made_.users.push_back(user(id));
    return std::move(made_);
  }

  /// Goes on with a case.
  Maker(RandomCase made, std::uint64_t seed) : dice_(seed), made_(std::move(made)) {}
  Dice& dice() { return dice_; }
  const std::vector<CaseList>& make_lists() {
    made_.lists.clear();
    const std::size_t lists = 20 + dice_.below(6);
    while (made_.lists.size() < lists) made_.lists.push_back(list());
    return made_.lists;
  }
  std::vector<Value> row(std::int64_t id) {
    std::vector<Value> values;
    for (const Column& column : made_.catalog.columns) {
      if (!column.look_up) values.push_back(value_or_null(column.type));
    }
    values[0] = id;
    for (const std::string_view name : {"owner", "uid", "team"})
      values[place_of(name)] = dice_.one_in(5) ? Value{} : Value{dice_.between(1, 6)};
    for (const std::string_view name : {"place", "home"})
      values[place_of(name)] = dice_.one_in(5) ? Value{} : Value{dice_.between(1, 5)};
    return values;
  }
  std::vector<Value> place(std::int64_t id) {
    return {id, value_or_null(Type::kText), value_or_null(Type::kInteger)};
  }

 private:
  void add_column(const std::string& name, Type type, std::optional<std::size_t> look_up = {}) {
    Column column;
    column.name = name;
    column.column = dice_.one_in(3) ? name + " \"x\"" : name;
    column.type = type;
    column.variety = dice_.one_in(2) ? Variety::kFew : Variety::kMany;
    column.look_up = look_up;
    made_.catalog.columns.push_back(column);
  }

  void make_columns() {
    made_.catalog.name = "document";
    made_.catalog.table = "document";
    add_column("id", Type::kInteger);
    add_column("state", Type::kText);
    const std::vector<Type> types{Type::kInteger, Type::kNumber, Type::kText,
                                  Type::kBoolean, Type::kDate,   Type::kTime};
    const std::size_t more = 2 + dice_.below(4);
    for (std::size_t i = 0; i < more; ++i) add_column(fmt::format("c{}", i), dice_.of(types));
    add_column("owner", Type::kInteger);
    add_column("uid", Type::kInteger);
    add_column("team", Type::kInteger);
    add_column("place", Type::kInteger);
    add_column("home", Type::kInteger);
    if (!dice_.one_in(2)) return;
    made_.catalog.look_ups.push_back({"place", "place", "id", place_of("place")});
    add_column("region", Type::kText, 0);
    add_column("level", Type::kInteger, 0);
    if (!dice_.one_in(2)) return;
    made_.catalog.look_ups.push_back({"home", "place", "id", place_of("home")});
    add_column("home_region", Type::kText, 1);
    made_.catalog.columns.back().column = made_.catalog.columns[place_of("region")].column;
  }

  [[nodiscard]] std::size_t place_of(std::string_view name) const { return made_.catalog.find(name).value(); }

  void make_security() {
    std::vector<SecurityColumn> all{
        {place_of("owner"), "Owner", ""}, {place_of("uid"), "", ""}, {place_of("team"), "", "team"}};
    if (!made_.catalog.look_ups.empty() && dice_.one_in(2)) all[dice_.below(3)].column = place_of("level");
    std::rotate(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(dice_.below(3)), all.end());
    if (dice_.one_in(2)) std::swap(all[0], all[1]);
    all.resize(1 + dice_.below(3));
    made_.catalog.security = all;
    if (dice_.one_in(3))
      made_.catalog.holders.push_back({place_of(dice_.one_in(2) ? "owner" : "place"), "Owner"});
    if (dice_.one_in(6)) made_.catalog.holders.push_back({place_of("team"), "Clerk"});
  }

  void make_places() {
    for (std::int64_t id = 1; id <= 4; ++id) made_.places.push_back(place(id));
  }

  Value value(Type type) {
    const std::int64_t now = made_.now.time_since_epoch().count();
    switch (type) {
      case Type::kInteger:
        return dice_.between(-2, 6);
      case Type::kNumber:
        return static_cast<double>(dice_.between(-4, 8)) / 4;
      case Type::kText:
        return dice_.of(kTexts);
      case Type::kBoolean:
        return dice_.one_in(2);
      case Type::kDate:
        return now / kDay + dice_.between(-5, 5);
      case Type::kTime:
        return now / kDay * kDay + dice_.between(-20, 20) * (kDay / 4) + dice_.between(0, 1) * 500'000;
    }
    return {};
  }

  Value value_or_null(Type type) { return dice_.one_in(6) ? Value{} : value(type); }

  Operand operand(Type type) {
    const bool dated = type == Type::kDate || type == Type::kTime;
    if (!dated || dice_.one_in(2)) return value(type);
    static const std::vector<std::string> kMoments{
        "today",          "now",           "today - 1 day",  "now + 2 days",
        "today - 1 week", "now - 6 hours", "today + 1 month"};
    return parse_operand(type, dice_.of(kMoments)).value();
  }

  Condition set_condition(Type type) {
    Condition condition{dice_.one_in(3) ? Operator::kNotIn : Operator::kIn, {}};
    const std::size_t values = 1 + dice_.below(type == Type::kBoolean ? 1 : 6);
    for (std::size_t i = 0; i < values; ++i) condition.operands.push_back(operand(type));
    return condition;
  }

  void add_range(Type type, Criterion& criterion) {
    if (dice_.one_in(2)) {
      criterion.conditions.push_back({dice_.one_in(2) ? Operator::kFrom : Operator::kAbove, {operand(type)}});
      if (dice_.one_in(2)) return;
    }
    criterion.conditions.push_back({dice_.one_in(2) ? Operator::kTo : Operator::kBelow, {operand(type)}});
  }

  Criterion criterion(std::size_t column) {
    const Type type = made_.catalog.columns[column].type;
    Criterion made;
    made.column = column;
    const std::size_t kind = dice_.below(8);
    if (kind == 0) {
      made.conditions.push_back({dice_.one_in(2) ? Operator::kNull : Operator::kNotNull, {}});
      return made;
    }
    if (kind < 4 && is_ordered(type)) {
      add_range(type, made);
    } else if (kind < 3 && type == Type::kText) {
      static const std::vector<std::string> kPrefixes{"a", "ab", "ä", "a%", "a_", "b", "\\", "\""};
      made.conditions.push_back({Operator::kPrefix, {Value{dice_.of(kPrefixes)}}});
    }
    if (made.conditions.empty() || dice_.one_in(4)) made.conditions.push_back(set_condition(type));
    made.or_null = dice_.one_in(5);
    return made;
  }

  Criterion possible_criterion(std::size_t column) {
    const Type type = made_.catalog.columns[column].type;
    while (true) {
      Criterion made = criterion(column);
      if (is_possible(type, resolve(type, made, made_.now))) return made;
    }
  }

  /// Some lists are another one with a criterion more, or less.
  CaseList list() {
    CaseList made;
    if (!made_.lists.empty() && dice_.one_in(4)) {
      made = dice_.of(made_.lists);
      if (made.criteria.size() > 1 && dice_.one_in(2)) made.criteria.pop_back();
    }
    const std::size_t wanted = made.criteria.size() + (made.criteria.empty() ? 1 : 0) + dice_.below(3);
    const std::size_t criteria = std::min(wanted, made_.catalog.columns.size() - 1);  // one a column
    while (made.criteria.size() < criteria) {
      const std::size_t column = 1 + dice_.below(made_.catalog.columns.size() - 1);
      const bool known = std::any_of(made.criteria.begin(), made.criteria.end(),
                                     [column](const Criterion& one) { return one.column == column; });
      if (!known) made.criteria.push_back(possible_criterion(column));
    }
    made.roles = roles();
    return made;
  }

  /// Where only a user's column is there, a list may ask for its role alone.
  std::set<std::string> roles() {
    if (!dice_.one_in(4)) return {};
    const bool has_uids = std::any_of(made_.catalog.security.begin(), made_.catalog.security.end(),
                                      [](const SecurityColumn& one) { return one.role.empty(); });
    if (!has_uids) return {"Owner"};
    static const std::vector<std::set<std::string>> kRoles{{"Owner"}, {"Clerk"}, {"Clerk", "Owner"}};
    return dice_.of(kRoles);
  }

  User user(int id) {
    User made;
    made.id = std::to_string(id);
    const std::size_t uids = dice_.below(7);
    for (std::size_t i = 0; i < uids; ++i) {
      made.security_uids.insert(
          {dice_.between(1, 6), dice_.one_in(2) ? "Clerk" : "", dice_.one_in(2) ? "team" : ""});
    }
    return made;
  }

  Dice dice_;
  RandomCase made_;
};

// Telling
// ---------------------------------------------------------------------------------------------------------

std::string yaml_text(const std::string& text) {
  return json(text).dump();
}

std::string yaml_list(Type type, const std::vector<Operand>& operands) {
  std::string text;
  for (const Operand& operand : operands)
    text += (text.empty() ? "" : ", ") + yaml_text(to_text(type, operand));
  return "[" + text + "]";
}

std::string yaml_condition(Type type, const Condition& condition) {
  if (condition.operation == Operator::kNull) return "null: true";
  if (condition.operation == Operator::kNotNull) return "null: false";
  const bool is_set = condition.operation == Operator::kIn || condition.operation == Operator::kNotIn;
  const std::string value =
      is_set ? yaml_list(type, condition.operands) : yaml_text(to_text(type, condition.operands.front()));
  return fmt::format("{}: {}", name(condition.operation), value);
}

std::string yaml_criterion(Type type, const Criterion& criterion) {
  std::string text;
  for (const Condition& condition : criterion.conditions)
    text += (text.empty() ? "" : ", ") + yaml_condition(type, condition);
  return "{" + text + (criterion.or_null ? ", or_null: true}" : "}");
}

std::string yaml_roles(const std::set<std::string>& roles) {
  return roles.empty() ? "" : fmt::format("    roles: [{}]\n", fmt::join(roles, ", "));
}

std::string yaml_columns(const Catalog& catalog) {
  std::string text;
  for (const Column& column : catalog.columns) {
    text += fmt::format("      {}: {{type: {}, column: {}, values: {}{}}}\n", column.name, name(column.type),
                        yaml_text(column.column), column.variety == Variety::kFew ? "few" : "many",
                        column.look_up ? ", look_up: " + catalog.look_ups[*column.look_up].name : "");
  }
  return text;
}

std::string yaml_look_ups(const Catalog& catalog) {
  std::string text = catalog.look_ups.empty() ? "" : "    look_ups:\n";
  for (const LookUp& look_up : catalog.look_ups)
    text +=
        fmt::format("      {}: {{table: place, by: {}}}\n", look_up.name, catalog.columns[look_up.by].name);
  return text;
}

std::string yaml_security(const Catalog& catalog) {
  std::string text;
  for (const SecurityColumn& security : catalog.security) {
    text += fmt::format("      - {{column: {}{}{}}}\n", catalog.columns[security.column].name,
                        security.role.empty() ? "" : ", role: " + security.role,
                        security.group.empty() ? "" : ", group: " + security.group);
  }
  return text;
}

std::string yaml_holders(const Catalog& catalog) {
  std::string text = catalog.holders.empty() ? "" : "    holders:\n";
  for (const Holder& holder : catalog.holders) {
    text +=
        fmt::format("      - {{column: {}, role: {}}}\n", catalog.columns[holder.column].name, holder.role);
  }
  return text;
}

std::string quoted_name(const std::string& name) {
  std::string text;
  for (const char sign : name) text += sign == '"' ? std::string("\"\"") : std::string(1, sign);
  return "\"" + text + "\"";
}

std::string literal(Type type, const Value& value, sql::Dialect dialect) {
  if (is_null(value)) return "NULL";
  if (const auto* flag = std::get_if<bool>(&value); flag != nullptr && dialect == sql::Dialect::kSqlite)
    return *flag ? "1" : "0";
  std::string text = to_text(type, value);
  if (type == Type::kTime && text.ends_with(".000000")) text.resize(text.size() - 7);
  std::string quoted;
  for (const char sign : text) quoted += sign == '\'' ? std::string("''") : std::string(1, sign);
  const bool plain = type == Type::kInteger || type == Type::kNumber || type == Type::kBoolean;
  return plain ? text : "'" + quoted + "'";
}

std::string type_in(Type type, sql::Dialect dialect) {
  static const std::vector<std::string> kPostgres{"integer", "numeric", "varchar",
                                                  "boolean", "date",    "timestamp"};
  static const std::vector<std::string> kSqlite{"INTEGER", "NUMERIC", "TEXT COLLATE NOCASE",
                                                "BOOLEAN", "DATE",    "TIMESTAMP"};
  static const std::vector<std::string> kMariaDb{"integer", "decimal(12, 4)", "varchar(40)",
                                                 "boolean", "date",           "datetime(6)"};
  const auto& names = dialect == sql::Dialect::kPostgres ? kPostgres
                      : dialect == sql::Dialect::kSqlite ? kSqlite
                                                         : kMariaDb;
  return names[static_cast<std::size_t>(type)];
}

std::string table_statement(const std::string& table, const std::vector<Column>& columns,
                            sql::Dialect dialect) {
  std::string text;
  for (const Column& column : columns)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", quoted_name(column.column),
                        type_in(column.type, dialect));
  return fmt::format("CREATE TABLE {} ({})", table, text);
}

std::string insert_statement(const std::string& table, const std::vector<Column>& columns,
                             const std::vector<std::vector<Value>>& rows, sql::Dialect dialect) {
  std::string text;
  for (const auto& row : rows) {
    std::string values;
    for (std::size_t i = 0; i < row.size(); ++i)
      values += (i == 0 ? "" : ", ") + literal(columns[i].type, row[i], dialect);
    text += (text.empty() ? "(" : ", (") + values + ")";
  }
  return fmt::format("INSERT INTO {} VALUES {}", table, text);
}

/// With one `=` for each value and no other operators than SQL's oldest.
std::string sql_test(const Test& test, Type type, const std::string& column) {
  const auto first = [&] { return literal(type, test.values.front(), sql::Dialect::kPostgres); };
  std::string any;
  for (const Value& value : test.values)
    any += fmt::format("{}{} = {}", any.empty() ? "" : " OR ", column,
                       literal(type, value, sql::Dialect::kPostgres));
  switch (test.operation) {
    case Operator::kIn:
      return "(" + any + ")";
    case Operator::kNotIn:
      return "NOT (" + any + ")";
    case Operator::kFrom:
      return fmt::format("NOT ({} < {})", column, first());
    case Operator::kAbove:
      return fmt::format("NOT ({} <= {})", column, first());
    case Operator::kTo:
      return fmt::format("NOT ({} > {})", column, first());
    case Operator::kBelow:
      return fmt::format("NOT ({} >= {})", column, first());
    case Operator::kNull:
      return column + " IS NULL";
    case Operator::kNotNull:
      return "NOT " + column + " IS NULL";
    case Operator::kPrefix:
      return fmt::format("left({}, char_length({})) = {}", column, first(), first());
  }
  return {};
}

}  // namespace

std::string RandomCase::yaml() const {
  std::string text =
      fmt::format("catalogs:\n  document:\n    table: document\n    columns:\n{}", yaml_columns(catalog));
  text += yaml_look_ups(catalog);
  text += "    key: id\n    security:\n" + yaml_security(catalog) + yaml_holders(catalog) + "lists:\n";
  for (std::size_t i = 0; i < lists.size(); ++i) {
    text += fmt::format("  - id: list_{:02}\n    workflow: random\n    title: \"List %(count)s\"\n", i);
    text += "    catalog: document\n" + yaml_roles(lists[i].roles) + "    criteria:\n";
    for (const Criterion& criterion : lists[i].criteria) {
      const Column& column = catalog.columns[criterion.column];
      text += fmt::format("      {}: {}\n", column.name, yaml_criterion(column.type, criterion));
    }
  }
  return text;
}

Result<Definitions> RandomCase::definitions() const {
  return read_definitions(yaml(), fmt::format("case {}", seed), now);
}

std::vector<Column> RandomCase::place_columns() const {
  std::vector<Column> columns{{"id", "id", Type::kInteger, Variety::kFew, {}}};
  for (const Column& column : catalog.columns) {
    if (column.look_up == 0) columns.push_back(column);
  }
  return columns;
}

std::vector<Value> RandomCase::looked_up(std::size_t look_up, const std::vector<Value>& place) const {
  const auto columns = place_columns();
  std::vector<Value> values{place.front()};
  for (const Column& column : catalog.columns) {
    if (column.look_up != look_up) continue;
    const auto found = std::find_if(columns.begin(), columns.end(),
                                    [&column](const Column& one) { return one.column == column.column; });
    values.push_back(place[static_cast<std::size_t>(found - columns.begin())]);
  }
  return values;
}

std::vector<Value> RandomCase::document(std::size_t row) const {
  std::vector<Value> document = rows[row];
  for (std::size_t i = 0; i < catalog.look_ups.size(); ++i) {
    const Value by = document[catalog.look_ups[i].by];
    const auto found = std::find_if(places.begin(), places.end(),
                                    [&by](const std::vector<Value>& place) { return place[0] == by; });
    auto values = looked_up(i, found == places.end() ? std::vector<Value>(3) : *found);
    document.insert(document.end(), values.begin() + 1, values.end());
  }
  return document;
}

Documents RandomCase::documents() const {
  Documents documents;
  for (std::size_t i = 0; i < rows.size(); ++i) documents.push_back(document(i));
  return documents;
}

std::vector<std::string> RandomCase::statements(sql::Dialect dialect) const {
  const std::vector<Column> own(catalog.columns.begin(),
                                catalog.columns.begin() + static_cast<std::ptrdiff_t>(catalog.own_columns()));
  std::vector<std::string> made{"DROP TABLE IF EXISTS document", table_statement("document", own, dialect)};
  if (!rows.empty()) made.push_back(insert_statement("document", own, rows, dialect));
  if (catalog.look_ups.empty()) return made;
  made.emplace_back("DROP TABLE IF EXISTS place");
  made.push_back(table_statement("place", place_columns(), dialect));
  if (!places.empty()) made.push_back(insert_statement("place", place_columns(), places, dialect));
  return made;
}

std::string RandomCase::condition(const CaseList& list) const {
  std::string all;
  for (const Criterion& criterion : list.criteria) {
    const Column& column = catalog.columns[criterion.column];
    const std::string table = column.look_up ? catalog.look_ups[*column.look_up].name : "document";
    const std::string text = table + "." + quoted_name(column.column);
    std::string one;
    for (const Test& test : resolve(column.type, criterion, now).tests)
      one += (one.empty() ? "" : " AND ") + sql_test(test, column.type, text);
    if (criterion.or_null) one = fmt::format("({}) OR {} IS NULL", one, text);
    all += fmt::format("{}({})", all.empty() ? "" : " AND ", one);
  }
  return all;
}

struct CaseChanges::Impl {
  Maker maker;
};

CaseChanges::CaseChanges(const RandomCase& random, std::uint64_t seed)
    : impl_(std::make_unique<Impl>(Maker(random, seed))) {}
CaseChanges::~CaseChanges() = default;

std::vector<Value> CaseChanges::row(std::int64_t key) {
  return impl_->maker.row(key);
}

std::vector<Value> CaseChanges::place(std::int64_t key) {
  return impl_->maker.place(key);
}

std::vector<CaseList> CaseChanges::lists() {
  return impl_->maker.make_lists();
}

std::size_t CaseChanges::below(std::size_t end) {
  return impl_->maker.dice().below(end);
}

RandomCase random_case(std::uint64_t seed) {
  return Maker(seed).make();
}

namespace {

/// What one way says, against what is right.
std::optional<std::string> difference_of(const Question& question, sql::Reader& reader,
                                         const std::vector<Pass>& passes,
                                         const std::vector<std::uint64_t>& expected) {
  const auto plan = make_plan(question, passes);
  if (!plan) return plan.error().message();
  const auto counted = count(reader, question, *plan);
  if (!counted) return fmt::format("{}: {}", name(question.way), counted.error().message());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if ((*counted)[i].count == expected[i]) continue;
    return fmt::format("user {}, {}, way {}: {} in place of {}", question.user.id,
                       question.definitions.lists[i].key(), name(question.way), (*counted)[i].count,
                       expected[i]);
  }
  return std::nullopt;
}

/// Of Joined::kSome.
bool is_asked_of_some(const RandomCase& random, std::size_t user, Way way) {
  if (way == Way::kJoin) return user == random.seed % (4 * random.users.size());
  return way != Way::kMerged || user == random.seed % (2 * random.users.size());
}

}  // namespace

void CaseCounts::add(const std::vector<std::uint64_t>& counts) {
  all += counts.size();
  not_zero +=
      counts.size() - static_cast<std::size_t>(std::count(counts.begin(), counts.end(), std::uint64_t{0}));
}

std::optional<std::string> difference(const RandomCase& random, sql::Reader& reader, CaseCounts& counts,
                                      Joined joined, const std::function<std::vector<Pass>(Way)>& passes) {
  const auto definitions = random.definitions();
  if (!definitions) return definitions.error().message();
  const auto expected = count_in_memory(*definitions, {random.documents()}, random.users, random.now);
  if (!expected) return expected.error().message();
  for (std::size_t i = 0; i < random.users.size(); ++i) {
    counts.add((*expected)[i]);
    for (const Way way : kAllWays) {
      if (joined == Joined::kSome && !is_asked_of_some(random, i, way)) continue;
      const Question question{*definitions, random.users[i], random.now, reader.dialect(), way};
      if (auto told = difference_of(question, reader, passes(way), (*expected)[i])) return told;
    }
  }
  return std::nullopt;
}

namespace {

/// Takes items away, many at a time, then one by one, as long as the case goes on to differ.
template <typename Items>
bool shrink_items(RandomCase& failing, const Comparison& compare,
                  const std::function<Items&(RandomCase&)>& of, std::size_t least) {
  bool smaller = false;
  for (std::size_t step = std::max<std::size_t>(of(failing).size() / 2, 1); step > 0; step /= 2) {
    for (std::size_t at = 0; at + step <= of(failing).size() && of(failing).size() - step >= least;) {
      RandomCase tried = failing;
      Items& items = of(tried);
      const auto first = items.begin() + static_cast<std::ptrdiff_t>(at);
      items.erase(first, first + static_cast<std::ptrdiff_t>(step));
      if (compare(tried)) {
        failing = std::move(tried);
        smaller = true;
      } else {
        at += step;
      }
    }
  }
  return smaller;
}

}  // namespace

RandomCase shrink(RandomCase failing, const Comparison& compare) {
  bool smaller = true;
  while (smaller) {
    smaller = shrink_items<std::vector<CaseList>>(
        failing, compare, [](RandomCase& one) -> auto& { return one.lists; }, 1);
    smaller |= shrink_items<std::vector<User>>(
        failing, compare, [](RandomCase& one) -> auto& { return one.users; }, 1);
    smaller |= shrink_items<std::vector<std::vector<Value>>>(
        failing, compare, [](RandomCase& one) -> auto& { return one.rows; }, 0);
    for (std::size_t i = 0; i < failing.lists.size(); ++i) {
      smaller |= shrink_items<std::vector<Criterion>>(
          failing, compare, [i](RandomCase& one) -> auto& { return one.lists[i].criteria; }, 1);
    }
  }
  return failing;
}

std::string told(const RandomCase& random, const std::string& difference) {
  std::string text = fmt::format("seed {}: {}\n{}", random.seed, difference, random.yaml());
  for (const std::string& statement : random.statements(sql::Dialect::kPostgres)) text += statement + ";\n";
  for (const User& user : random.users) {
    text += fmt::format("user {}:", user.id);
    for (const SecurityUid& one : user.security_uids)
      text += fmt::format(" {} '{}' '{}'", one.uid, one.role, one.group);
    text += '\n';
  }
  return text;
}

}  // namespace headroom::worklist
