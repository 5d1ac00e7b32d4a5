// The parse tree comes as JSON because that is what libpg_query makes fastest (9 us a statement, 32 us as
// protobuf), and of its two thousand fields six matter here. So this is no JSON library but one pass that
// keeps a stack of open objects and looks at the strings under the names that it knows:
//
//   RangeVar          {"schemaname": s, "relname": t, "location": n}     a table, a view or a CTE
//   CommonTableExpr   {"ctename": c, "ctequery": {...}}                  a name that is no table
//   withClause        {"ctes": [...], "recursive": true}
//   FuncCall          {"funcname": [{"String": {"sval": f}}], "args": ...}   only nextval and its kin matter
//
// Scope of CTE names: a name hides a table everywhere in the statement, except inside its own query when the
// WITH is not recursive, where it still means the table (WITH sale AS (SELECT * FROM sale) ...). SQL's scopes
// are finer; the difference needs one name used for both in one statement.
//
// Order: the target of INSERT, UPDATE, DELETE or MERGE first; then what the outermost query reads; then what
// stands in expressions' sub-selects and in CTEs. Within each, in the order of the text.

#include "sql/impl/parse_tree.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <tuple>
#include <utility>

namespace headroom::sql::impl {
namespace {

struct Object {
  std::string_view key;  ///< under which it stands; "" in a list
  std::string schema;
  std::string relation;
  std::size_t location = 0;
  std::size_t depth = 0;  ///< sub-selects and CTEs around it
  std::size_t cte = 0;    ///< 1 + index into ctes_, 0 for none
  std::size_t first_cte = 0;
  bool is_list = false;
  bool is_function = false;
  bool wants_sequence = false;
};

struct Table {
  std::string name;
  bool qualified = false;
  bool written = false;
  std::size_t depth = 0;
  std::size_t location = 0;
  std::vector<std::size_t> within;  ///< CTEs that enclose it
};

struct Cte {
  std::string name;
  bool recursive = false;
};

constexpr std::pair<std::string_view, StatementKind> kKinds[] = {
    {"SelectStmt", StatementKind::kSelect},
    {"InsertStmt", StatementKind::kInsert},
    {"UpdateStmt", StatementKind::kUpdate},
    {"DeleteStmt", StatementKind::kDelete},
    {"MergeStmt", StatementKind::kUpdate},
    {"TruncateStmt", StatementKind::kDelete},
    {"DeclareCursorStmt", StatementKind::kSelect},
    {"VariableSetStmt", StatementKind::kSet},
    {"VariableShowStmt", StatementKind::kSet},
    {"ConstraintsSetStmt", StatementKind::kSet},
    {"TransactionStmt", StatementKind::kTransaction},
    {"LockStmt", StatementKind::kTransaction},
    {"IndexStmt", StatementKind::kSchema},
    {"ViewStmt", StatementKind::kSchema},
    {"CommentStmt", StatementKind::kSchema},
    {"DropStmt", StatementKind::kSchema},
    {"RenameStmt", StatementKind::kSchema},
    {"RuleStmt", StatementKind::kSchema},
    {"GrantStmt", StatementKind::kSchema},
    {"ReindexStmt", StatementKind::kSchema},
    {"RefreshMatViewStmt", StatementKind::kSchema}};

StatementKind kind_of(std::string_view node) {
  for (const auto& [name, kind] : kKinds) {
    if (name == node) return kind;
  }
  const bool schema = node.starts_with("Create") || node.starts_with("Alter") || node.starts_with("Drop");
  return schema ? StatementKind::kSchema : StatementKind::kOther;
}

class Reader {
 public:
  explicit Reader(std::string_view json) : json_(json) {}

  Meaning read() {
    while (position_ < json_.size()) step();
    return {kind(), names()};
  }

 private:
  void step() {
    const char c = json_[position_];
    if (c == '{' || c == '[') {
      ++position_;
      open(c == '[');
    } else if (c == '}' || c == ']') {
      ++position_;
      close();
    } else if (c == '"') {
      on_string(raw_string());
    } else if (c == ',' || c == ':') {
      if (c == ',') key_ = {};
      ++position_;
    } else {
      on_scalar();
    }
  }

  /// Leaves the escapes as they are; `position_` goes behind the closing quote.
  std::string_view raw_string() {
    const std::size_t begin = ++position_;
    while (position_ < json_.size() && json_[position_] != '"') position_ += json_[position_] == '\\' ? 2 : 1;
    const std::size_t end = std::min(position_, json_.size());
    position_ = end + 1;
    return json_.substr(begin, end - begin);
  }

  void open(bool is_list) {
    Object object;
    object.key = std::exchange(key_, {});
    object.is_list = is_list;
    if (!open_.empty()) {
      object.depth = open_.back().depth;
      object.wants_sequence = open_.back().wants_sequence;
      const std::string_view outer = open_.back().key;
      if (kind_node_.empty() && outer == "stmt") kind_node_ = object.key;
    }
    if (object.key == "SubLink" || object.key == "CommonTableExpr") ++object.depth;
    if (object.key == "funcname") object.is_function = true;
    object.first_cte = ctes_.size();
    open_.push_back(std::move(object));
  }

  void close() {
    if (open_.empty()) return;
    const Object object = std::move(open_.back());
    open_.pop_back();
    if (!object.relation.empty()) add_table(object);
    key_ = {};
  }

  void add_table(const Object& object) {
    Table table;
    table.qualified = !object.schema.empty() && object.schema != "public";
    table.name = table.qualified ? object.schema + '.' + object.relation : object.relation;
    const bool statement_target = object.key == "relation" && open_.size() == kTargetDepth;
    table.written = statement_target && kind_node_ != "SelectStmt";
    table.depth = object.depth;
    table.location = object.location;
    for (const Object& outer : open_) {
      if (outer.cte > 0) table.within.push_back(outer.cte - 1);
    }
    tables_.push_back(std::move(table));
  }

  void on_string(std::string_view raw) {
    if (open_.empty()) return;
    if (position_ < json_.size() && json_[position_] == ':') {
      key_ = raw;
      return;
    }
    Object& object = open_.back();
    if (key_ == "relname") object.relation = unescaped(raw);
    if (key_ == "schemaname") object.schema = unescaped(raw);
    if (key_ == "ctename") {
      ctes_.push_back({unescaped(raw), false});
      object.cte = ctes_.size();
    }
    if (key_ == "sval") on_text(raw);
    key_ = {};
  }

  /// A name of a function, or a text constant somewhere in the arguments of nextval.
  void on_text(std::string_view raw) {
    const bool in_name = open_.size() >= 3 && open_[open_.size() - 3].is_function;
    if (in_name && (raw == "nextval" || raw == "currval" || raw == "setval")) {
      sequence_call_ = true;
      // The arguments stand beside the name, within the object of the call.
      if (open_.size() >= 4) open_[open_.size() - 4].wants_sequence = true;
    } else if (!in_name && open_.back().wants_sequence && sequence_.empty()) {
      sequence_ = unescaped(raw);
    }
  }

  void on_scalar() {
    const std::size_t end = std::min(json_.find_first_of(",}]", position_), json_.size());
    const std::string_view value = json_.substr(position_, end - position_);
    position_ = std::max(end, position_ + 1);
    if (open_.empty()) return;
    if (key_ == "location") std::from_chars(value.data(), value.data() + value.size(), open_.back().location);
    if (key_ == "recursive" && value == "true") {
      for (std::size_t i = open_.back().first_cte; i < ctes_.size(); ++i) ctes_[i].recursive = true;
    }
  }

  static std::string unescaped(std::string_view raw) {
    std::string text;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      if (raw[i] == '\\' && i + 1 < raw.size()) ++i;
      text += raw[i];
    }
    return text;
  }

  [[nodiscard]] StatementKind kind() const {
    const StatementKind kind = kind_of(kind_node_);
    const bool reads_last_value = tables_.size() == 1 && tables_[0].name.ends_with("_id_seq");
    const bool sequence = (sequence_call_ && tables_.empty()) || reads_last_value;
    if (kind == StatementKind::kSelect && sequence) return StatementKind::kSequence;
    return kind_node_ == "CopyStmt" ? copy_kind() : kind;
  }

  [[nodiscard]] StatementKind copy_kind() const {
    return json_.find("\"is_from\":true") == std::string_view::npos ? StatementKind::kSelect
                                                                    : StatementKind::kInsert;
  }

  [[nodiscard]] bool is_cte(const Table& table) const {
    if (table.qualified) return false;
    for (std::size_t i = 0; i < ctes_.size(); ++i) {
      if (ctes_[i].name != table.name) continue;
      const bool inside = std::find(table.within.begin(), table.within.end(), i) != table.within.end();
      if (ctes_[i].recursive || !inside) return true;
    }
    return false;
  }

  [[nodiscard]] std::vector<std::string> names() {
    std::stable_sort(tables_.begin(), tables_.end(), [](const Table& a, const Table& b) {
      return std::tuple(!a.written, a.depth, a.location) < std::tuple(!b.written, b.depth, b.location);
    });
    std::vector<std::string> names;
    for (const Table& table : tables_) {
      if (is_cte(table) && !table.written) continue;
      const std::string name = kind() == StatementKind::kSequence ? sequence_table(table.name) : table.name;
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
    if (kind() == StatementKind::kSequence && names.empty()) {
      std::string name = sequence_table(sequence_);
      // A '%' is a pattern for format(), whose result only the server knows.
      if (!name.empty() && name.find('%') == std::string::npos) names.push_back(std::move(name));
    }
    return names;
  }

  /// {"stmts": [{"stmt": {"InsertStmt": {"relation": ...: objects open around the target of a statement.
  static constexpr std::size_t kTargetDepth = 5;

  std::string_view json_;
  std::size_t position_ = 0;
  std::string_view key_;
  std::string_view kind_node_;
  std::vector<Object> open_;
  std::vector<Table> tables_;
  std::vector<Cte> ctes_;
  bool sequence_call_ = false;
  std::string sequence_;
};

}  // namespace

Meaning read_parse_tree(std::string_view json) {
  return Reader{json}.read();
}

std::string sequence_table(std::string_view sequence) {
  std::string name;
  std::copy_if(sequence.begin(), sequence.end(), std::back_inserter(name), [](char c) { return c != '"'; });
  if (name.starts_with("public.")) name.erase(0, std::string_view{"public."}.size());
  constexpr std::string_view kSuffix = "_id_seq";
  if (name.size() > kSuffix.size() && name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
  return name;
}

}  // namespace headroom::sql::impl
