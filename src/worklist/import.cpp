// A domain is a list of conditions (field, operator, value) that all have to hold, with '|' and '!' before
// those that are meant otherwise. It becomes criteria when each condition, or each OR of conditions, is about
// one field: then a set of values, or one or more ranges, and whether NULL is among them.

#include "worklist/import.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "worklist/classes.hpp"
#include "worklist/impl/python_literal.hpp"

namespace headroom::worklist {

namespace {

using base::fail;
using impl::PythonLiteral;
using nlohmann::json;
using Kind = PythonLiteral::Kind;

/// Why a filter can't be a list.
struct Unsaid {
  std::string why;
};

[[noreturn]] void refuse(std::string why) {
  throw Unsaid{std::move(why)};
}

/// What is asked of a field: the keys of a criterion in worklists.yaml.
struct Asked {
  std::map<std::string, std::set<std::string>> values;  ///< by key: "in", "not_in", "from", ...
  std::optional<bool> null;                             ///< {null: ...}
  bool or_null = false;
};

// Values
// ---------------------------------------------------------------------------------------------------------

bool take(std::string_view& text, std::string_view begin) {
  if (!text.starts_with(begin)) return false;
  text.remove_prefix(begin.size());
  return true;
}

/// "timedelta(days=7)": "7 days". Empty: it is none.
std::string span_of(std::string_view text) {
  static constexpr std::array<std::string_view, 4> kUnits{"days", "weeks", "months", "years"};
  (void)take(text, "datetime.");
  if (!take(text, "timedelta(") && !take(text, "relativedelta(")) return {};
  for (const std::string_view unit : kUnits) {
    std::string_view rest = text;
    if (!take(rest, unit) || !take(rest, "=")) continue;
    const std::size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
    if (digits > 0 && digits < 6 && rest.substr(digits) == ")")
      return fmt::format("{} {}", rest.substr(0, digits), unit);
  }
  return {};
}

/// "context_today().strftime('%Y-%m-%d')": "today"; empty: it is no moment that a list can say.
std::string moment_of(std::string_view text) {
  static constexpr std::array<std::string_view, 3> kDays{"context_today()", "datetime.date.today()",
                                                         "datetime.datetime.today()"};
  static constexpr std::array<std::string_view, 2> kWritten{".strftime('%Y-%m-%d')",
                                                            ".strftime(\"%Y-%m-%d\")"};
  if (text == "time.strftime('%Y-%m-%d')" || text == "time.strftime(\"%Y-%m-%d\")") return "today";
  for (const std::string_view written : kWritten) {
    if (text.ends_with(written)) text.remove_suffix(written.size());
  }
  const bool in_brackets = text.starts_with('(') && text.ends_with(')');
  if (in_brackets) text = text.substr(1, text.size() - 2);
  if (std::none_of(kDays.begin(), kDays.end(), [&text](auto day) { return take(text, day); })) return {};
  if (text.empty()) return "today";
  const char sign = text.front();
  const std::string span = sign == '-' || sign == '+' ? span_of(text.substr(1)) : "";
  return span.empty() ? "" : fmt::format("today {} {}", sign, span);
}

bool is_empty(const PythonLiteral& value) {
  return value.is(Kind::kNone) || (value.is(Kind::kBoolean) && !value.flag);
}

/// As worklists.yaml writes it; refuses what is not of the column's type.
std::string text_of(const Column& column, const PythonLiteral& value) {
  std::string text = value.text;
  if (value.is(Kind::kBoolean)) text = value.flag ? "true" : "false";
  if (value.is(Kind::kExpression)) text = moment_of(value.text);
  if (value.is(Kind::kList) || (value.is(Kind::kExpression) && text.empty()))
    refuse(fmt::format("{}: no list can say the value {:.80}", column.name, value.text));
  const auto read = parse_operand(column.type, text);
  if (!read) refuse(fmt::format("{}: {}", column.name, read.error().message()));
  return text;
}

// Conditions
// ---------------------------------------------------------------------------------------------------------

Asked set_of(const Column& column, const std::vector<PythonLiteral>& values, bool is_in) {
  const bool flags = column.type == Type::kBoolean;
  Asked asked;
  std::set<std::string> named;
  bool null = false;
  for (const PythonLiteral& value : values) {
    null = null || is_empty(value);
    if (!is_empty(value) || (flags && value.is(Kind::kBoolean))) named.insert(text_of(column, value));
  }
  if (named.empty()) {
    asked.null = is_in;
    return asked;
  }
  asked.values[is_in ? "in" : "not_in"] = std::move(named);
  asked.or_null = null == is_in;
  return asked;
}

/// Of =like, where all that is open is how the text ends.
Asked prefix_of(const Column& column, const PythonLiteral& value) {
  const bool ends = value.is(Kind::kText) && value.text.ends_with('%');
  const std::string prefix = ends ? value.text.substr(0, value.text.size() - 1) : "";
  if (prefix.empty() || prefix.find_first_of("%_\\") != std::string::npos || column.type != Type::kText)
    refuse(fmt::format("{}: of =like a list can say what a text begins with, no more", column.name));
  Asked asked;
  asked.values["prefix"] = {prefix};
  return asked;
}

Asked asked_of(const Column& column, const std::string& operation, const PythonLiteral& value) {
  static const std::map<std::string, std::string> kRanges{
      {"<", "below"}, {"<=", "to"}, {">", "above"}, {">=", "from"}};
  const bool is_in = operation == "=" || operation == "in" || operation == "==";
  if (is_in || operation == "!=" || operation == "<>" || operation == "not in") {
    const bool many = value.is(Kind::kList);
    if (many && value.items.empty()) refuse(fmt::format("{}: an empty list of values", column.name));
    return set_of(column, many ? value.items : std::vector<PythonLiteral>{value}, is_in);
  }
  if (operation == "=like") return prefix_of(column, value);
  const auto range = kRanges.find(operation);
  if (range == kRanges.end())
    refuse(fmt::format("{}: no list can say the operator {:.20}", column.name, operation));
  if (!is_ordered(column.type)) refuse(fmt::format("{}: a list has no ranges of texts", column.name));
  Asked asked;
  asked.values[range->second] = {text_of(column, value)};
  return asked;
}

/// Both hold.
void ask_too(const Column& column, Asked& asked, const Asked& more) {
  const bool takes_null =
      (asked.or_null || asked.null.value_or(false)) && (more.or_null || more.null.value_or(false));
  const bool only_null = asked.null.value_or(false) || more.null.value_or(false);
  if (only_null && !takes_null) refuse(fmt::format("{}: no value can meet all that is asked", column.name));
  if (only_null) {
    asked = {{}, true, false};
    return;
  }
  for (const auto& [key, values] : more.values) {
    auto& known = asked.values[key];
    if (!known.empty() && key != "not_in" && known != values)
      refuse(fmt::format("{}: {} is asked twice", column.name, key));
    known.insert(values.begin(), values.end());
  }
  asked.or_null = takes_null;
  asked.null.reset();
  if (asked.values.empty()) asked.null = false;
}

/// One of both holds.
void ask_instead(const Column& column, Asked& asked, const Asked& more) {
  const auto is_set = [](const Asked& one) { return one.values.size() == 1 && one.values.contains("in"); };
  const bool is_said = asked.null.value_or(true) && more.null.value_or(true) &&
                       (asked.null || more.null || (is_set(asked) && is_set(more)));
  if (!is_said) refuse(fmt::format("{}: no list can say this OR", column.name));
  if (more.null) {
    asked.or_null = !asked.null;
  } else if (asked.null) {
    asked = more;
    asked.or_null = true;
  } else {
    const auto& values = more.values.at("in");
    asked.values["in"].insert(values.begin(), values.end());
    asked.or_null = asked.or_null || more.or_null;
  }
}

// Domains
// ---------------------------------------------------------------------------------------------------------

class DomainReader final {
 public:
  static constexpr std::size_t kMostOperators = 200;

  DomainReader(const Catalog& catalog, const PythonLiteral& domain) : catalog_(catalog), domain_(domain) {}

  /// By column. Refuses.
  const std::map<std::size_t, Asked>& read() {
    if (!domain_.is(Kind::kList)) refuse("its domain is no list");
    while (at_ < domain_.items.size()) read_all();
    return criteria_;
  }
  [[nodiscard]] const std::set<std::string>& roles() const { return roles_; }

 private:
  [[nodiscard]] const PythonLiteral& next() {
    if (at_ == domain_.items.size()) refuse("its domain ends behind an operator");
    return domain_.items[at_++];
  }

  /// One that has to hold, with all that stands behind its operators.
  void read_all() {
    const PythonLiteral& item = next();
    if (is_of_user(item)) return take_role(item);
    if (!item.is(Kind::kText)) return add(condition(item));
    if (item.text == "&") return;
    if (item.text != "|") refuse(fmt::format("no list can say the operator {:.20}", item.text));
    --at_;
    add(any());
  }

  using Condition = std::pair<std::size_t, Asked>;

  Condition any() {
    const PythonLiteral& item = next();
    if (!item.is(Kind::kText)) return condition(item);
    if (item.text != "|") refuse(fmt::format("no list can say the operator {:.20} within OR", item.text));
    if (++operators_ > kMostOperators) refuse(fmt::format("more than {} operators", kMostOperators));
    Condition left = any();
    const Condition right = any();
    if (left.first != right.first) {
      refuse(fmt::format("its OR speaks of {} and of {}", catalog_.columns[left.first].name,
                         catalog_.columns[right.first].name));
    }
    ask_instead(catalog_.columns[left.first], left.second, right.second);
    return left;
  }

  static bool is_condition(const PythonLiteral& item) {
    return item.is(Kind::kList) && item.items.size() == 3 && item.items[0].is(Kind::kText) &&
           item.items[1].is(Kind::kText);
  }

  [[nodiscard]] std::size_t column_of(const PythonLiteral& item) const {
    if (!is_condition(item)) refuse("a condition is no (field, operator, value)");
    const std::string& field = item.items[0].text;
    const auto column = catalog_.find(field);
    if (!column) refuse(fmt::format("catalog '{}' has no column '{:.60}'", catalog_.name, field));
    return *column;
  }

  [[nodiscard]] Condition condition(const PythonLiteral& item) const {
    const std::size_t column = column_of(item);
    return {column, asked_of(catalog_.columns[column], item.items[1].text, item.items[2])};
  }

  /// (field, '=', uid)
  static bool is_of_user(const PythonLiteral& item) {
    return is_condition(item) && item.items[1].text == "=" && item.items[2].is(Kind::kExpression) &&
           item.items[2].text == "uid";
  }

  void take_role(const PythonLiteral& item) {
    const std::size_t column = column_of(item);
    for (const Holder& holder : catalog_.holders) {
      if (holder.column == column) roles_.insert(holder.role);
    }
    for (const SecurityColumn& security : catalog_.security) {
      if (security.column == column && !security.role.empty()) roles_.insert(security.role);
    }
    // A list takes documents of one of its roles, not of all.
    if (roles_.size() != 1)
      refuse(fmt::format("{} = uid: no role, or several, of catalog '{}' is this column",
                         catalog_.columns[column].name, catalog_.name));
  }

  void add(const Condition& one) {
    const auto [known, added] = criteria_.emplace(one);
    if (!added) ask_too(catalog_.columns[one.first], known->second, one.second);
  }

  const Catalog& catalog_;
  const PythonLiteral& domain_;
  std::size_t at_ = 0;
  std::size_t operators_ = 0;
  std::map<std::size_t, Asked> criteria_;
  std::set<std::string> roles_;
};

// Lists
// ---------------------------------------------------------------------------------------------------------

std::string quoted(const std::string& text) {
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string criterion_of(const Asked& asked) {
  if (asked.null) return fmt::format("{{null: {}}}", *asked.null);
  std::string text;
  for (const auto& [key, values] : asked.values) {
    std::string all;
    for (const std::string& value : values) all += (all.empty() ? "" : ", ") + quoted(value);
    const bool many = key == "in" || key == "not_in";
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", key, many ? "[" + all + "]" : all);
  }
  return fmt::format("{{{}{}}}", text, asked.or_null ? ", or_null: true" : "");
}

const Catalog& catalog_of(const Definitions& definitions, const std::string& model) {
  std::string table = model;
  std::replace(table.begin(), table.end(), '.', '_');
  for (const Catalog& catalog : definitions.catalogs) {
    if (!catalog.table.empty() && catalog.table.substr(catalog.table.find_last_of('.') + 1) == table)
      return catalog;
  }
  refuse(fmt::format("no catalog has the table {:.60}", table));
}

/// A percent sign of a title begins a place.
std::string title_of(const std::string& name) {
  std::string title;
  for (const char sign : name) title.append(sign == '%' ? 2 : 1, sign);
  return title + " (%(count)s)";
}

void check_possible(const Catalog& catalog, const std::map<std::size_t, Asked>& criteria) {
  for (const auto& [column, asked] : criteria) {
    const auto named = asked.values.find("in");
    const auto left_out = asked.values.find("not_in");
    if (named == asked.values.end() || left_out == asked.values.end()) continue;
    if (std::includes(left_out->second.begin(), left_out->second.end(), named->second.begin(),
                      named->second.end()))
      refuse(fmt::format("{}: no value can meet all that is asked", catalog.columns[column].name));
  }
}

std::string list_of(const Definitions& definitions, const OdooFilter& filter) {
  const Catalog& catalog = catalog_of(definitions, filter.model);
  const auto domain = impl::parse_python_literal(filter.domain);
  if (!domain) refuse(fmt::format("its domain is {}", domain.error().message()));
  DomainReader reader(catalog, *domain);
  std::map<std::size_t, Asked> criteria = reader.read();
  const auto active = catalog.find("active");
  const bool all = filter.context.find("active_test") != std::string::npos;
  if (active && !all && catalog.columns[*active].type == Type::kBoolean && !criteria.contains(*active))
    criteria[*active].values["in"] = {"true"};
  if (criteria.empty()) refuse("it asks for nothing");
  check_possible(catalog, criteria);
  std::string text =
      fmt::format("  - id: filter_{}\n    workflow: {}\n    title: {}\n    catalog: {}\n", filter.id,
                  quoted(filter.model), quoted(title_of(filter.name)), quoted(catalog.name));
  for (const std::string& role : reader.roles()) text += fmt::format("    roles: [{}]\n", quoted(role));
  text += "    criteria:\n";
  for (const auto& [column, asked] : criteria)
    text += fmt::format("      {}: {}\n", quoted(catalog.columns[column].name), criterion_of(asked));
  return text;
}

/// Translated names are an object of languages.
std::string name_of(const std::string& stored) {
  const json read = json::parse(stored, nullptr, false);
  if (!read.is_object() || read.empty()) return stored;
  const auto english = read.find("en_US");
  const json& name = english != read.end() ? *english : *read.begin();
  return name.is_string() ? name.get<std::string>() : stored;
}

}  // namespace

Result<std::vector<OdooFilter>> read_odoo_filters(sql::Reader& reader) {
  const auto rows = reader.query(
      "SELECT id, name, model_id, domain, context FROM ir_filters WHERE user_id IS NULL AND active ORDER BY "
      "id",
      {});
  if (!rows) return fail(base::Error(rows.error()).within("Odoo's filters"));
  std::vector<OdooFilter> filters;
  for (const auto& row : *rows) {
    filters.push_back({std::stoll(row[0].value_or("0")), name_of(row[1].value_or("")), row[2].value_or(""),
                       row[3].value_or("[]"), row[4].value_or("")});
  }
  return filters;
}

std::vector<ImportedList> import_odoo(const Definitions& definitions, std::span<const OdooFilter> filters) {
  std::vector<ImportedList> imported;
  for (const OdooFilter& filter : filters) {
    ImportedList& one = imported.emplace_back();
    one.filter = fmt::format("{} {}", filter.id, filter.name);
    try {
      one.yaml = list_of(definitions, filter);
    } catch (const Unsaid& unsaid) {
      one.why = unsaid.why;
    }
  }
  return imported;
}

}  // namespace headroom::worklist
