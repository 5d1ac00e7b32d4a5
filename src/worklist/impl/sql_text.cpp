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
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) return quoted(name);
  return quoted(name.substr(0, dot)) + "." + quoted(name.substr(dot + 1));
}

std::string SqlText::column(std::size_t column) {
  const Column& meant = catalog_.columns[column];
  if (meant.look_up) used_look_ups_[*meant.look_up] = true;
  const std::string table = meant.look_up ? fmt::format("l{}", *meant.look_up) : "t";
  std::string text = quoted(table) + "." + quoted(meant.column);
  // Texts are equal when their bytes are, whatever collation the table declares.
  const bool collated = dialect_ == Dialect::kSqlite && meant.type == Type::kText;
  return collated ? "(" + text + " COLLATE BINARY)" : text;
}

std::string SqlText::source() const {
  std::string text = catalog_.query.empty() ? quoted_table(catalog_.table) : "(" + catalog_.query + "\n)";
  text += " AS \"t\"";
  for (std::size_t i = 0; i < catalog_.look_ups.size(); ++i) {
    if (!used_look_ups_[i]) continue;
    const LookUp& look_up = catalog_.look_ups[i];
    text += fmt::format(" LEFT JOIN {} AS \"l{}\" ON \"l{}\".{} = \"t\".{}", quoted_table(look_up.table), i,
                        i, quoted(look_up.key), quoted(catalog_.columns[look_up.by].column));
  }
  return text;
}

std::string SqlText::bind(sql::Parameter parameter) {
  parameters_.push_back(std::move(parameter));
  return fmt::format("{}{}", dialect_ == Dialect::kPostgres ? '$' : '?', parameters_.size());
}

std::string SqlText::value(Type type, const Value& value) {
  if (dialect_ == Dialect::kSqlite) return bind(sqlite_parameter(type, value));
  return fmt::format("{}::{}", bind(postgres_text(type, value)), postgres_type(type));
}

std::string SqlText::any_of(Type type, const std::string& expression, std::span<const Value> values) {
  if (values.size() == 1) return fmt::format("{} = {}", expression, value(type, values.front()));
  if (dialect_ == Dialect::kPostgres) {
    const std::string array =
        array_text(values, [type](const Value& one) { return postgres_text(type, one); });
    return fmt::format("{} = ANY({}::{}[])", expression, bind(array), postgres_type(type));
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

std::string SqlText::test(const Test& test, Type type, const std::string& expression) {
  switch (test.operation) {
    case Operator::kNull:
      return expression + " IS NULL";
    case Operator::kNotNull:
      return expression + " IS NOT NULL";
    case Operator::kPrefix:
      return begins_with(expression, std::get<std::string>(test.values.front()));
    case Operator::kIn:
      return any_of(type, expression, test.values);
    case Operator::kNotIn:
      if (test.values.size() > 1) return fmt::format("NOT ({})", any_of(type, expression, test.values));
      break;
    default:
      break;
  }
  return fmt::format("{} {} {}", expression, sign_of(test.operation), value(type, test.values.front()));
}

std::string SqlText::criterion(const ColumnTest& wanted) {
  const Type type = catalog_.columns[wanted.column].type;
  const std::string expression = column(wanted.column);
  std::string text;
  for (const Test& one : wanted.tests) text += (text.empty() ? "" : " AND ") + test(one, type, expression);
  return wanted.or_null ? fmt::format("(({}) OR {} IS NULL)", text, expression) : text;
}

std::string SqlText::grant(const Grant& grant) {
  const std::size_t security = catalog_.security[grant.security].column;
  std::string seen = any_of(catalog_.columns[security].type, column(security), grant.values);
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

std::string SqlText::pairs(std::span<const std::pair<std::string, std::size_t>> pairs) {
  if (dialect_ == Dialect::kSqlite) {
    return fmt::format(
        "SELECT json_extract(\"value\", '$[0]'), json_extract(\"value\", '$[1]') FROM json_each({})",
        bind(json(std::vector(pairs.begin(), pairs.end())).dump()));
  }
  const std::string texts = bind(array_text(pairs, [](const auto& pair) { return pair.first; }));
  const std::string numbers =
      bind(array_text(pairs, [](const auto& pair) { return std::to_string(pair.second); }));
  return fmt::format("SELECT * FROM unnest({}::text[], {}::integer[])", texts, numbers);
}

std::string SqlText::pairs(std::span<const std::pair<std::size_t, std::size_t>> pairs) {
  if (dialect_ == Dialect::kSqlite) {
    return fmt::format(
        "SELECT json_extract(\"value\", '$[0]'), json_extract(\"value\", '$[1]') FROM json_each({})",
        bind(json(std::vector(pairs.begin(), pairs.end())).dump()));
  }
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
