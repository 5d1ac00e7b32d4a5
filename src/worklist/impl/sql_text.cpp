#include "worklist/impl/sql_text.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace headroom::worklist::impl {

namespace {

using nlohmann::json;
using sql::Dialect;

/// By Type: as PostgreSQL calls it. Comparisons of a column with these use its index, whatever width or
/// precision the column itself has.
constexpr std::array<std::string_view, 6> kPostgresTypes{"bigint",  "numeric", "text",
                                                         "boolean", "date",    "timestamptz"};

std::string_view postgres_type(Type type) {
  return kPostgresTypes[static_cast<std::size_t>(type)];
}

/// As it is bound to PostgreSQL, which reads texts.
std::string postgres_text(Type type, const Value& value) {
  std::string text = to_text(type, value);
  return type == Type::kTime ? text + "+00" : text;
}

/// As Python and SQLite's own functions write it.
std::string sqlite_text(Type type, const Value& value) {
  std::string text = to_text(type, value);
  constexpr std::string_view kWhole = ".000000";
  if (type == Type::kTime && text.ends_with(kWhole)) text.resize(text.size() - kWhole.size());
  return text;
}

sql::Parameter sqlite_parameter(Type type, const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return std::int64_t{*flag ? 1 : 0};
  if (const auto* number = std::get_if<double>(&value)) return *number;
  const auto* whole = std::get_if<std::int64_t>(&value);
  if (whole != nullptr && type == Type::kInteger) return *whole;
  return sqlite_text(type, value);
}

/// As literals that compare exactly with columns of the type, whatever width they have.
sql::Parameter mariadb_parameter(Type type, const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return std::int64_t{*flag ? 1 : 0};
  if (const auto* number = std::get_if<double>(&value)) return *number;
  const auto* whole = std::get_if<std::int64_t>(&value);
  if (whole != nullptr && type == Type::kInteger) return *whole;
  return to_text(type, value);
}

json sqlite_json(Type type, const Value& value) {
  return std::visit([](const auto& plain) { return json(plain); }, sqlite_parameter(type, value));
}

/// `{"a","b"}`: an array of PostgreSQL.
template <typename Items, typename ToText>
std::string array_text(const Items& items, ToText to_text_of) {
  std::string text = "{";
  for (const auto& item : items) {
    text += text.size() == 1 ? "\"" : ",\"";
    for (const char sign : to_text_of(item)) {
      if (sign == '"' || sign == '\\') text += '\\';
      text += sign;
    }
    text += '"';
  }
  return text + "}";
}

std::string like_pattern(std::string_view prefix) {
  std::string pattern;
  for (const char sign : prefix) {
    if (sign == '%' || sign == '_' || sign == '\\') pattern += '\\';
    pattern += sign;
  }
  return pattern + '%';
}

std::int64_t characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; });
}

std::string_view sign_of(Operator operation) {
  switch (operation) {
    case Operator::kIn:
      return "=";
    case Operator::kNotIn:
      return "<>";
    case Operator::kFrom:
      return ">=";
    case Operator::kAbove:
      return ">";
    case Operator::kTo:
      return "<=";
    default:
      return "<";
  }
}

}  // namespace

std::pair<std::string_view, std::string_view> parts_of_table(std::string_view name) {
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) return {{}, name};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

std::string SqlText::quoted(std::string_view name) {
  std::string text = "\"";
  for (const char sign : name) text += sign == '"' ? std::string("\"\"") : std::string(1, sign);
  return text + '"';
}

std::string SqlText::quoted_text(std::string_view text) {
  std::string quoted = "'";
  for (const char character : text) quoted.append(character == '\'' ? 2 : 1, character);
  return quoted + '\'';
}

std::string SqlText::quoted_table(std::string_view name) {
  const auto [schema, table] = parts_of_table(name);
  return schema.empty() ? quoted(table) : quoted(schema) + "." + quoted(table);
}

std::string SqlText::name(std::size_t column) const {
  const Column& meant = catalog_.columns[column];
  const std::string table = meant.look_up ? fmt::format("l{}", *meant.look_up) : "t";
  return quoted(table) + "." + quoted(meant.column);
}

/// Texts are equal when their bytes are, whatever collation the table declares; in MariaDB, which has whole
/// numbers for booleans, every number but 0 is true.
std::string SqlText::exact(Type type, const std::string& name) const {
  if (type == Type::kText && dialect_ == Dialect::kSqlite) return "(" + name + " COLLATE BINARY)";
  if (type == Type::kText && dialect_ == Dialect::kMariaDb)
    return fmt::format("(CONVERT({} USING utf8mb4) COLLATE utf8mb4_nopad_bin)", name);
  if (type == Type::kBoolean && dialect_ == Dialect::kMariaDb) return "(" + name + " <> 0)";
  return name;
}

std::string SqlText::column(std::size_t column) {
  const Column& meant = catalog_.columns[column];
  if (meant.look_up) used_look_ups_[*meant.look_up] = true;
  return exact(meant.type, name(column));
}

std::string SqlText::source() const {
  std::string text = catalog_.query.empty() ? quoted_table(catalog_.table) : "(" + catalog_.query + "\n)";
  text += " AS \"t\"";
  for (std::size_t i = 0; i < catalog_.look_ups.size(); ++i) {
    if (!used_look_ups_[i]) continue;
    const LookUp& look_up = catalog_.look_ups[i];
    const std::string key = fmt::format("\"l{}\".{}", i, quoted(look_up.key));
    text += fmt::format(" LEFT JOIN {} AS \"l{}\" ON {} = {}", quoted_table(look_up.table), i, key,
                        name(look_up.by));
    const Type type = catalog_.columns[look_up.by].type;
    if (type == Type::kText && dialect_ == Dialect::kMariaDb)
      text += fmt::format(" AND {} = {}", exact(type, key), exact(type, name(look_up.by)));
  }
  return text;
}

std::string SqlText::bind(sql::Parameter parameter) {
  parameters_.push_back(std::move(parameter));
  return fmt::format("{}{}", dialect_ == Dialect::kPostgres ? '$' : '?', parameters_.size());
}

std::string SqlText::value(Type type, const Value& value) {
  if (dialect_ == Dialect::kSqlite) return bind(sqlite_parameter(type, value));
  if (dialect_ == Dialect::kMariaDb) {
    const std::string bound = bind(mariadb_parameter(type, value));
    if (type == Type::kDate) return fmt::format("CAST({} AS DATE)", bound);
    return type == Type::kTime ? fmt::format("CAST({} AS DATETIME(6))", bound) : bound;
  }
  return fmt::format("{}::{}", bind(postgres_text(type, value)), postgres_type(type));
}

std::string SqlText::any_of(Type type, const std::string& expression, std::span<const Value> values) {
  if (values.size() == 1) return fmt::format("{} = {}", expression, value(type, values.front()));
  if (dialect_ == Dialect::kPostgres) {
    const std::string array =
        array_text(values, [type](const Value& one) { return postgres_text(type, one); });
    return fmt::format("{} = ANY({}::{}[])", expression, bind(array), postgres_type(type));
  }
  if (dialect_ == Dialect::kMariaDb) {
    std::vector<std::string> list;
    for (const Value& one : values) list.push_back(value(type, one));
    return fmt::format("{} IN ({})", expression, fmt::join(list, ", "));
  }
  json list = json::array();
  for (const Value& one : values) list.push_back(sqlite_json(type, one));
  return fmt::format("{} IN (SELECT \"value\" FROM json_each({}))", expression, bind(list.dump()));
}

std::string SqlText::begins_with(const std::string& expression, const std::string& prefix) {
  if (dialect_ == Dialect::kPostgres)
    return fmt::format("{} LIKE {}::text", expression, bind(like_pattern(prefix)));
  const std::string length = bind(characters(prefix));
  return fmt::format("substr({}, 1, {}) = {}", expression, length, bind(prefix));
}

/// For MariaDB, 0000-00-00 IS NULL where a column declares NOT NULL, but is not NULL.
std::string SqlText::absent(Type type, const std::string& expression) const {
  const bool dated = type == Type::kDate || type == Type::kTime;
  return expression + (dated && dialect_ == Dialect::kMariaDb ? " <=> NULL" : " IS NULL");
}

/// The values that a column is to have one of. In MariaDB an index of texts has their collation, which finds
/// all that is equal and more.
std::string SqlText::among(std::size_t column, std::span<const Value> values) {
  const Type type = catalog_.columns[column].type;
  std::string text = any_of(type, this->column(column), values);
  if (type != Type::kText || dialect_ != Dialect::kMariaDb) return text;
  return fmt::format("({} AND {})", any_of(type, name(column), values), text);
}

std::string SqlText::test(const Test& test, std::size_t column) {
  const Type type = catalog_.columns[column].type;
  const std::string expression = this->column(column);
  switch (test.operation) {
    case Operator::kNull:
      return absent(type, expression);
    case Operator::kNotNull:
      return expression + " IS NOT NULL";
    case Operator::kPrefix:
      return begins_with(expression, std::get<std::string>(test.values.front()));
    case Operator::kIn:
      return among(column, test.values);
    case Operator::kNotIn:
      if (test.values.size() > 1) return fmt::format("NOT ({})", any_of(type, expression, test.values));
      break;
    default:
      break;
  }
  return fmt::format("{} {} {}", expression, sign_of(test.operation), value(type, test.values.front()));
}

std::string SqlText::criterion(const ColumnTest& wanted) {
  std::string text;
  for (const Test& one : wanted.tests) text += (text.empty() ? "" : " AND ") + test(one, wanted.column);
  if (!wanted.or_null) return text;
  const std::string null = absent(catalog_.columns[wanted.column].type, column(wanted.column));
  return fmt::format("(({}) OR {})", text, null);
}

std::string SqlText::grant(const Grant& grant) {
  const std::size_t security = catalog_.security[grant.security].column;
  std::string seen = among(security, grant.values);
  if (!grant.held) return seen;
  const std::size_t holder = catalog_.holders[grant.held->holder].column;
  return fmt::format("({} AND {} = {})", seen, column(holder),
                     value(catalog_.columns[holder].type, grant.held->user));
}

std::string SqlText::visible(const Scope& scope) {
  std::string text;
  for (const Grant& one : scope.grants) text += (text.empty() ? "" : " OR ") + grant(one);
  return text;
}

std::string_view SqlText::as_table() const {
  return dialect_ == Dialect::kMariaDb ? "AS" : "AS MATERIALIZED";
}

/// Of a JSON array of arrays of two.
std::string SqlText::pairs_of_json(Type first, std::string list) {
  const std::string bound = bind(std::move(list));
  if (dialect_ == Dialect::kSqlite) {
    return fmt::format(
        "SELECT json_extract(\"value\", '$[0]'), json_extract(\"value\", '$[1]') FROM json_each({})", bound);
  }
  return fmt::format(
      "SELECT {}, \"b\" FROM JSON_TABLE({}, '$[*]' COLUMNS (\"a\" {} PATH '$[0]', \"b\" INT PATH '$[1]')) AS "
      "\"j\"",
      exact(first, "\"a\""), bound, first == Type::kText ? "LONGTEXT CHARACTER SET utf8mb4" : "INT");
}

std::string SqlText::pairs(std::span<const std::pair<std::string, std::size_t>> pairs) {
  if (dialect_ != Dialect::kPostgres)
    return pairs_of_json(Type::kText, json(std::vector(pairs.begin(), pairs.end())).dump());
  const std::string texts = bind(array_text(pairs, [](const auto& pair) { return pair.first; }));
  const std::string numbers =
      bind(array_text(pairs, [](const auto& pair) { return std::to_string(pair.second); }));
  return fmt::format("SELECT * FROM unnest({}::text[], {}::integer[])", texts, numbers);
}

std::string SqlText::pairs(std::span<const std::pair<std::size_t, std::size_t>> pairs) {
  if (dialect_ != Dialect::kPostgres)
    return pairs_of_json(Type::kInteger, json(std::vector(pairs.begin(), pairs.end())).dump());
  const std::string first =
      bind(array_text(pairs, [](const auto& pair) { return std::to_string(pair.first); }));
  const std::string second =
      bind(array_text(pairs, [](const auto& pair) { return std::to_string(pair.second); }));
  return fmt::format("SELECT * FROM unnest({}::integer[], {}::integer[])", first, second);
}

std::string SqlText::limit(std::uint64_t rows) {
  const std::string bound = dialect_ == Dialect::kPostgres ? bind(std::to_string(rows)) + "::bigint"
                                                           : bind(static_cast<std::int64_t>(rows));
  return " LIMIT " + bound;
}

}  // namespace headroom::worklist::impl
