#include "worklist/definition.hpp"

#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>

#include "sql/token.hpp"
#include "worklist/classes.hpp"
#include "worklist/impl/sections.hpp"
#include "worklist/impl/yaml_tree.hpp"
#include "worklist/template_text.hpp"

namespace headroom::worklist {

namespace {

using base::fail;
using impl::checked_name;
using impl::Section;
using impl::YamlNode;
using Kind = YamlNode::Kind;

constexpr std::size_t kMostLists = 10'000;
constexpr std::size_t kMostColumns = 200;
constexpr std::size_t kMostCriteria = 32;
constexpr std::size_t kMostLookUps = 16;
constexpr std::size_t kMostSecurityColumns = 8;

/// Refuses what a function of the module says is wrong.
template <typename Item>
Item accepted(const Section& section, const YamlNode& node, Result<Item> result) {
  if (!result) section.refuse(node, result.error().message());
  return std::move(*result);
}

std::string known_columns(const Catalog& catalog) {
  std::string names;
  for (const Column& column : catalog.columns) names += (names.empty() ? "" : ", ") + column.name;
  return names;
}

std::size_t column_named(const Section& section, const YamlNode& node, const Catalog& catalog) {
  if (const auto found = catalog.find(node.scalar)) return *found;
  section.refuse(node, fmt::format("catalog '{}' has no column '{:.60}'; it has {}", catalog.name,
                                   node.scalar, known_columns(catalog)));
}

// Catalogs
// ---------------------------------------------------------------------------------------------------------

void check_statement(const YamlNode& node, const std::string& sql,
                     const std::set<std::string>& placeholders) {
  impl::check_fragment(node, sql, placeholders);
  const auto tokens = sql::tokenize(sql);
  if (!tokens.front().is_word("select") && !tokens.front().is_word("with"))
    impl::refuse(node, "expected a statement that begins with SELECT or WITH");
}

Variety read_variety(const Section& section) {
  const std::string text = section.text("values", "few");
  if (text != "few" && text != "many")
    section.refuse(section.require("values"), fmt::format("values '{:.60}'; accepted: few, many", text));
  return text == "few" ? Variety::kFew : Variety::kMany;
}

std::size_t look_up_named(const Section& section, const YamlNode& node, const Catalog& catalog) {
  for (std::size_t i = 0; i < catalog.look_ups.size(); ++i) {
    if (catalog.look_ups[i].name == node.scalar) return i;
  }
  section.refuse(node, fmt::format("catalog '{}' has no look-up '{:.60}'", catalog.name, node.scalar));
}

/// `state: text`, or with more keys.
Column read_column(const Section& parent, const std::string& name, const YamlNode& node,
                   const Catalog& catalog) {
  Column column;
  column.name = name;
  column.column = name;
  if (node.is(Kind::kScalar)) {
    column.type = accepted(parent, node, parse_type(node.scalar));
    return column;
  }
  const Section section(node, fmt::format("{}: column '{}'", parent.what(), name),
                        {"type", "column", "values", "look_up"});
  column.type = accepted(section, node, parse_type(section.required_text("type")));
  column.column = checked_name(node, section.text("column", name));
  column.variety = read_variety(section);
  if (const YamlNode* look_up = section.find("look_up"))
    column.look_up = look_up_named(section, *look_up, catalog);
  return column;
}

/// Columns of look-ups come after those of the table, so that look-ups may name their column in between.
void read_columns(const Section& section, const YamlNode& node, Catalog& catalog) {
  if (!node.is(Kind::kMapping) || node.keys.empty())
    section.refuse(node, "columns have to be names with their types");
  if (node.keys.size() > kMostColumns)
    section.refuse(node, fmt::format("more than {} columns", kMostColumns));
  for (const bool looked_up : {false, true}) {
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
      const bool through = node.items[i].find("look_up") != nullptr;
      if (through != looked_up) continue;
      const std::string name = checked_name(node.keys[i], node.keys[i].scalar);
      if (name == "count")
        section.refuse(node.keys[i], "'count' is what lists count; name the column otherwise");
      catalog.columns.push_back(read_column(section, name, node.items[i], catalog));
    }
  }
}

LookUp read_look_up(const Section& parent, const std::string& name, const YamlNode& node,
                    const YamlNode& columns) {
  const Section section(node, fmt::format("{}: look-up '{}'", parent.what(), name), {"table", "key", "by"});
  LookUp look_up;
  look_up.name = name;
  look_up.table = checked_name(node, section.required_text("table"));
  look_up.key = checked_name(node, section.text("key", "id"));
  const std::string by = section.required_text("by");
  const YamlNode* column = columns.find(by);
  if (column == nullptr || column->find("look_up") != nullptr)
    section.refuse(section.require("by"), fmt::format("by '{:.60}' is no column of the catalog's table", by));
  return look_up;
}

void read_look_ups(const Section& section, const YamlNode& columns, Catalog& catalog) {
  const YamlNode* node = section.find("look_ups");
  if (node == nullptr) return;
  if (!node->is(Kind::kMapping) || node->keys.size() > kMostLookUps)
    section.refuse(*node, fmt::format("look_ups have to be at most {} names with keys", kMostLookUps));
  for (std::size_t i = 0; i < node->keys.size(); ++i) {
    const std::string name = checked_name(node->keys[i], node->keys[i].scalar);
    catalog.look_ups.push_back(read_look_up(section, name, node->items[i], columns));
  }
}

/// Their columns are known now.
void join_look_ups(const Section& section, Catalog& catalog) {
  const YamlNode* node = section.find("look_ups");
  for (std::size_t i = 0; i < catalog.look_ups.size(); ++i)
    catalog.look_ups[i].by = catalog.find(node->items[i].find("by")->scalar).value();
}

SecurityColumn read_security_column(const Section& parent, const YamlNode& node, const Catalog& catalog) {
  const Section section(node, fmt::format("{}: security", parent.what()), {"column", "role", "group"});
  const YamlNode& named = section.require("column");
  SecurityColumn column;
  column.column = column_named(section, named, catalog);
  column.role = section.text("role");
  column.group = section.text("group");
  const Type type = catalog.columns[column.column].type;
  if (!column.role.empty() && !column.group.empty())
    section.refuse(node, "a column holds either a user (role) or a security uid (group)");
  if (column.role.empty() && type != Type::kInteger)
    section.refuse(named,
                   fmt::format("column '{}' holds security uids, so it has to be an integer", named.scalar));
  if (type != Type::kInteger && type != Type::kText)
    section.refuse(
        named, fmt::format("column '{}' holds users, so it has to be an integer or a text", named.scalar));
  return column;
}

void read_security(const Section& section, Catalog& catalog) {
  const YamlNode* node = section.find("security");
  if (node == nullptr)
    section.refuse(section.node(), "security is missing; [] says that everybody sees every document");
  if (!node->is(Kind::kSequence) || node->items.size() > kMostSecurityColumns) {
    section.refuse(*node,
                   fmt::format("security has to be a list of at most {} columns", kMostSecurityColumns));
  }
  for (const YamlNode& item : node->items) {
    const SecurityColumn column = read_security_column(section, item, catalog);
    for (const SecurityColumn& other : catalog.security) {
      if (other.column == column.column) section.refuse(item, "security names a column twice");
    }
    catalog.security.push_back(column);
  }
}

Holder read_holder(const Section& parent, const YamlNode& node, const Catalog& catalog) {
  const Section section(node, fmt::format("{}: holders", parent.what()), {"column", "role"});
  const YamlNode& named = section.require("column");
  Holder holder{column_named(section, named, catalog), section.required_text("role")};
  const Type type = catalog.columns[holder.column].type;
  if (type != Type::kInteger && type != Type::kText) {
    section.refuse(
        named, fmt::format("column '{}' holds users, so it has to be an integer or a text", named.scalar));
  }
  return holder;
}

void read_holders(const Section& section, Catalog& catalog) {
  const YamlNode* node = section.find("holders");
  if (node == nullptr) return;
  if (!node->is(Kind::kSequence) || node->items.size() > kMostSecurityColumns)
    section.refuse(*node,
                   fmt::format("holders have to be a list of at most {} columns", kMostSecurityColumns));
  if (catalog.security.empty() && !node->items.empty())
    section.refuse(*node, "holders are of those who may see a document, so security needs a column");
  for (const YamlNode& item : node->items) {
    const Holder holder = read_holder(section, item, catalog);
    for (const Holder& other : catalog.holders) {
      if (other.role == holder.role)
        section.refuse(item, fmt::format("holders name the role '{:.60}' twice", holder.role));
    }
    catalog.holders.push_back(holder);
  }
}

void read_source(const Section& section, std::string& table, std::string& query) {
  table = section.text("table");
  query = section.text("query");
  if (!table.empty() && !query.empty()) section.refuse(section.node(), "either table or query, not both");
  if (!table.empty()) (void)checked_name(section.require("table"), table);
  if (!query.empty()) check_statement(section.require("query"), query, {});
}

Catalog read_catalog(const std::string& name, const YamlNode& node) {
  const Section section(node, fmt::format("catalog '{}'", name),
                        {"table", "query", "key", "columns", "look_ups", "security", "holders"});
  Catalog catalog;
  catalog.name = name;
  read_source(section, catalog.table, catalog.query);
  if (catalog.table.empty() && catalog.query.empty()) section.refuse(node, "table or query is missing");
  const YamlNode& columns = section.require("columns");
  read_look_ups(section, columns, catalog);
  read_columns(section, columns, catalog);
  join_look_ups(section, catalog);
  const std::string key = section.text("key", "id");
  const auto found = catalog.find(key);
  if (!found || catalog.columns[*found].look_up) {
    section.refuse(
        node, fmt::format("the key '{:.60}' is no column of its table; columns names it with its type", key));
  }
  catalog.key = *found;
  read_security(section, catalog);
  read_holders(section, catalog);
  return catalog;
}

// Criteria
// ---------------------------------------------------------------------------------------------------------

struct CriterionKey {
  std::string_view name;
  Operator operation;
};
constexpr std::array<CriterionKey, 7> kCriterionKeys{{{"in", Operator::kIn},
                                                      {"not_in", Operator::kNotIn},
                                                      {"from", Operator::kFrom},
                                                      {"above", Operator::kAbove},
                                                      {"to", Operator::kTo},
                                                      {"below", Operator::kBelow},
                                                      {"prefix", Operator::kPrefix}}};

class CriterionReader final {
 public:
  CriterionReader(const Section& list, const Column& column)
      : column_(column), what_(fmt::format("{}: criterion '{}'", list.what(), column.name)) {}

  /// `state: draft`, `state: [draft, sent]`, or with keys.
  Criterion read(const YamlNode& node) {
    Criterion criterion;
    criterion.line = node.line;
    if (node.is(Kind::kMapping)) {
      read_keys(node, criterion);
    } else {
      criterion.conditions.push_back(read_values(node, Operator::kIn));
    }
    return criterion;
  }

 private:
  [[noreturn]] void refuse(const YamlNode& node, std::string_view message) const {
    impl::refuse(node, fmt::format("{}: {}", what_, message));
  }

  void read_keys(const YamlNode& node, Criterion& criterion) {
    const Section section(node, what_,
                          {"in", "not_in", "from", "above", "to", "below", "prefix", "null", "or_null"});
    for (const auto& [key, operation] : kCriterionKeys) {
      if (const YamlNode* found = section.find(key))
        criterion.conditions.push_back(read_values(*found, operation));
    }
    if (const YamlNode* null = section.find("null"))
      criterion.conditions.push_back({read_flag(*null) ? Operator::kNull : Operator::kNotNull, {}});
    if (const YamlNode* or_null = section.find("or_null")) criterion.or_null = read_flag(*or_null);
    if (criterion.conditions.empty()) refuse(node, "it asks for nothing");
  }

  bool read_flag(const YamlNode& node) {
    if (node.is(Kind::kScalar) && node.scalar == "true") return true;
    if (!node.is(Kind::kScalar) || node.scalar != "false") refuse(node, "expected true or false");
    return false;
  }

  Condition read_values(const YamlNode& node, Operator operation) {
    Condition condition{operation, {}};
    const bool takes_list = operation == Operator::kIn || operation == Operator::kNotIn;
    if (node.is(Kind::kSequence) && takes_list) {
      if (node.items.empty())
        refuse(node, "the list of values is empty, so that no document could match; name at least one");
      for (const YamlNode& item : node.items) condition.operands.push_back(read_operand(item));
    } else {
      condition.operands.push_back(read_operand(node));
    }
    check_type(node, condition);
    return condition;
  }

  Operand read_operand(const YamlNode& node) {
    if (node.is(Kind::kNull))
      refuse(node, "null compares with nothing; {null: true} asks for it, or_null: true adds it");
    if (!node.is(Kind::kScalar)) refuse(node, "expected a value");
    auto operand = parse_operand(column_.type, node.scalar);
    if (!operand) refuse(node, operand.error().message());
    return std::move(*operand);
  }

  void check_type(const YamlNode& node, const Condition& condition) {
    const bool is_range = condition.operation >= Operator::kFrom && condition.operation <= Operator::kBelow;
    if (is_range && !is_ordered(column_.type)) {
      refuse(node, fmt::format("{} needs a column of type integer, number, date or time, not {}",
                               name(condition.operation), name(column_.type)));
    }
    if (condition.operation != Operator::kPrefix) return;
    if (column_.type != Type::kText)
      refuse(node, fmt::format("prefix needs a column of type text, not {}", name(column_.type)));
    if (std::get<std::string>(std::get<Value>(condition.operands.front())).empty())
      refuse(node, "the prefix is empty; {null: false} asks for any text");
  }

  const Column& column_;
  std::string what_;
};

// Lists
// ---------------------------------------------------------------------------------------------------------

void read_criteria(const Section& section, const Catalog& catalog, base::UtcTime now, WorkList& list) {
  const YamlNode& node = section.require("criteria");
  if (!node.is(Kind::kMapping) || node.keys.empty())
    section.refuse(node, "criteria have to be columns with what they shall be, one at least");
  if (node.keys.size() > kMostCriteria)
    section.refuse(node, fmt::format("more than {} criteria", kMostCriteria));
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const std::size_t column = column_named(section, node.keys[i], catalog);
    const Column& meant = catalog.columns[column];
    Criterion criterion = CriterionReader(section, meant).read(node.items[i]);
    criterion.column = column;
    if (!is_possible(meant.type, resolve(meant.type, criterion, now))) {
      section.refuse(node.items[i],
                     fmt::format("criterion '{}': no value can meet all that is asked", meant.name));
    }
    list.criteria.push_back(std::move(criterion));
  }
}

/// A place is `count`, or a column of which the list names the values.
void check_places(const Section& section, std::string_view key, const std::string& text,
                  const Catalog& catalog, const WorkList& list) {
  if (text.empty()) return;
  const YamlNode& node = section.require(key);
  std::set<std::string> known{"count"};
  for (const Criterion& criterion : list.criteria) {
    if (criterion.conditions.front().operation == Operator::kIn)
      known.insert(catalog.columns[criterion.column].name);
  }
  for (const std::string& place : accepted(section, node, places_of(text))) {
    if (known.contains(place)) continue;
    section.refuse(node, fmt::format("{} has a place '{:.60}' without values; known here: {}", key, place,
                                     fmt::join(known, ", ")));
  }
}

void check_security_roles(const Section& section, const Catalog& catalog, const WorkList& list) {
  const bool has_uids = std::any_of(catalog.security.begin(), catalog.security.end(),
                                    [](const SecurityColumn& one) { return one.role.empty(); });
  if (has_uids) return;
  for (const std::string& role : list.roles) {
    const auto has_role = [&role](const auto& one) { return one.role == role; };
    if (std::any_of(catalog.security.begin(), catalog.security.end(), has_role)) continue;
    if (std::any_of(catalog.holders.begin(), catalog.holders.end(), has_role)) continue;
    section.refuse(section.require("roles"),
                   fmt::format("nothing in catalog '{}' says who has the role '{:.60}'", catalog.name, role));
  }
}

Guard read_guard(const Section& parent, const UserSource& users) {
  const YamlNode* node = parent.find("guard");
  if (node == nullptr) return {};
  const Section section(*node, fmt::format("{}: guard", parent.what()),
                        {"roles", "groups", "permissions", "condition"});
  Guard guard{section.texts("roles"), section.texts("groups"), section.texts("permissions"),
              section.text("condition")};
  if (guard.condition.empty()) return guard;
  impl::check_fragment(section.require("condition"), guard.condition, {});
  if (!users.has_rows())
    section.refuse(*node, "a condition speaks of the user's row, so users needs a table or a query");
  return guard;
}

std::string name_of_list(const YamlNode& node) {
  const YamlNode* workflow = node.find("workflow");
  const YamlNode* id = node.find("id");
  return fmt::format("list '{:.60}/{:.60}'", workflow == nullptr ? "" : workflow->scalar,
                     id == nullptr ? "" : id->scalar);
}

std::string read_id(const Section& section, std::string_view key) {
  const YamlNode& node = section.require(key);
  std::string id = checked_name(node, section.required_text(key));
  if (id.find('/') != std::string::npos) section.refuse(node, fmt::format("{} must not have a /", key));
  return id;
}

WorkList read_list(const YamlNode& node, const Definitions& definitions, base::UtcTime now) {
  const Section section(
      node, name_of_list(node),
      {"id", "workflow", "title", "url", "category", "catalog", "criteria", "roles", "guard"});
  WorkList list;
  list.line = node.line;
  list.id = read_id(section, "id");
  list.workflow = read_id(section, "workflow");
  list.title = section.required_text("title");
  list.url = section.text("url");
  list.category = section.text("category", "global");
  list.roles = section.texts("roles");
  const std::string named = section.required_text("catalog");
  const auto found = std::find_if(definitions.catalogs.begin(), definitions.catalogs.end(),
                                  [&named](const Catalog& one) { return one.name == named; });
  if (found == definitions.catalogs.end())
    section.refuse(section.require("catalog"), fmt::format("there is no catalog '{:.60}'", named));
  list.catalog = static_cast<std::size_t>(found - definitions.catalogs.begin());
  read_criteria(section, *found, now, list);
  check_places(section, "title", list.title, *found, list);
  check_places(section, "url", list.url, *found, list);
  check_security_roles(section, *found, list);
  list.guard = read_guard(section, definitions.users);
  return list;
}

void read_lists(const YamlNode& node, base::UtcTime now, Definitions& definitions) {
  if (!node.is(Kind::kSequence) || node.items.empty())
    impl::refuse(node, "lists have to be a list of work lists, one at least");
  if (node.items.size() > kMostLists) impl::refuse(node, fmt::format("more than {} lists", kMostLists));
  std::map<std::string, int> lines;
  for (const YamlNode& item : node.items) {
    WorkList list = read_list(item, definitions, now);
    const auto [known, added] = lines.emplace(list.key(), list.line);
    if (!added) {
      impl::refuse(item,
                   fmt::format("list '{}': line {} has the same workflow and id", list.key(), known->second));
    }
    definitions.lists.push_back(std::move(list));
  }
  std::sort(definitions.lists.begin(), definitions.lists.end(),
            [](const WorkList& left, const WorkList& right) { return left.key() < right.key(); });
}

// Users, and the whole
// ---------------------------------------------------------------------------------------------------------

std::string read_user_statement(const Section& section, std::string_view key) {
  std::string statement = section.text(key);
  if (!statement.empty()) check_statement(section.require(key), statement, {":user"});
  return statement;
}

UserSource read_users(const YamlNode& node) {
  const Section section(node, "users",
                        {"table", "query", "key", "roles", "groups", "permissions", "security_uids"});
  UserSource users;
  read_source(section, users.table, users.query);
  users.key = checked_name(node, section.text("key", "id"));
  users.roles = read_user_statement(section, "roles");
  users.groups = read_user_statement(section, "groups");
  users.permissions = read_user_statement(section, "permissions");
  users.security_uids = read_user_statement(section, "security_uids");
  return users;
}

void read_catalogs(const YamlNode& node, Definitions& definitions) {
  if (!node.is(Kind::kMapping) || node.keys.empty())
    impl::refuse(node, "catalogs have to be names with their keys, one at least");
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const std::string name = checked_name(node.keys[i], node.keys[i].scalar);
    definitions.catalogs.push_back(read_catalog(name, node.items[i]));
  }
}

Definitions read(const YamlNode& root, base::UtcTime now) {
  const Section section(root, "", {"catalogs", "users", "lists"});
  Definitions definitions;
  if (const YamlNode* users = section.find("users")) definitions.users = read_users(*users);
  read_catalogs(section.require("catalogs"), definitions);
  read_lists(section.require("lists"), now, definitions);
  return definitions;
}

}  // namespace

std::optional<std::size_t> Catalog::find(std::string_view column) const {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].name == column) return i;
  }
  return std::nullopt;
}

std::size_t Catalog::own_columns() const {
  const auto is_looked_up = [](const Column& column) { return column.look_up.has_value(); };
  return static_cast<std::size_t>(std::find_if(columns.begin(), columns.end(), is_looked_up) -
                                  columns.begin());
}

Result<std::size_t> Definitions::find_list(std::string_view text) const {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < lists.size(); ++i) {
    if (lists[i].key() == text) return i;
    if (lists[i].id != text) continue;
    if (found) {
      return fail(ErrorCode::kConflict, fmt::format("several workflows have a list '{}': '{}' and '{}'", text,
                                                    lists[*found].key(), lists[i].key()));
    }
    found = i;
  }
  if (found) return *found;
  return fail(ErrorCode::kNotFound, fmt::format("{} has no list '{:.60}'", file, text));
}

Result<Definitions> read_definitions(std::string_view text, std::string file, base::UtcTime now) {
  const auto root = impl::read_yaml(text, file);
  if (!root) return fail(root.error());
  try {
    Definitions definitions = read(*root, now);
    definitions.file = std::move(file);
    return definitions;
  } catch (const impl::Wrong& wrong) {
    return fail(ErrorCode::kInvalidArgument,
                impl::one_line(fmt::format("{}:{}: {}", file, wrong.line, wrong.message)));
  }
}

}  // namespace headroom::worklist
