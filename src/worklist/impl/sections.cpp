#include "worklist/impl/sections.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "sql/token.hpp"
#include "sql/utf8.hpp"

namespace headroom::worklist::impl {

namespace {

using Kind = YamlNode::Kind;

constexpr std::size_t kLongestName = 255;
constexpr std::size_t kLongestFragment = 16'384;

bool is_control(char sign) {
  return static_cast<unsigned char>(sign) < 0x20 || sign == 0x7f;
}

/// Comments stand in no token: what lies between tokens must be blank.
bool has_comment(std::string_view sql, const std::vector<sql::Token>& tokens) {
  std::size_t end = 0;
  const auto blank = [sql](std::size_t from, std::size_t to) {
    return sql.substr(from, to - from).find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
  };
  for (const sql::Token& token : tokens) {
    const auto start = static_cast<std::size_t>(token.text.data() - sql.data());
    if (!blank(end, start)) return true;
    end = start + token.text.size();
  }
  return !blank(end, sql.size());
}

/// Why the fragment can't stand in brackets; empty when it can.
std::string problem_of(std::string_view sql, const std::set<std::string>& placeholders) {
  if (sql.size() > kLongestFragment) return fmt::format("longer than {} bytes", kLongestFragment);
  const std::vector<sql::Token> tokens = sql::tokenize(sql);
  if (tokens.empty()) return "empty";
  if (has_comment(sql, tokens)) return "comments are not read here";
  int open = 0;
  for (const sql::Token& token : tokens) {
    if (token.is(';')) return "a ; ends a statement; expected one without it";
    open += token.is('(') ? 1 : 0;
    open -= token.is(')') ? 1 : 0;
    if (open < 0) break;
    if (token.kind != sql::TokenKind::kPlaceholder || placeholders.contains(std::string(token.text)))
      continue;
    return fmt::format("the placeholder {} means nothing here; accepted: {}", token.text,
                       placeholders.empty() ? "none" : fmt::format("{}", fmt::join(placeholders, ", ")));
  }
  return open == 0 ? "" : "its brackets do not close";
}

}  // namespace

void refuse(const YamlNode& node, std::string message) {
  throw Wrong{node.line, std::move(message)};
}

Section::Section(const YamlNode& node, std::string what, std::initializer_list<std::string_view> accepted)
    : node_(node), what_(std::move(what)) {
  if (!node.is(Kind::kMapping)) refuse(node, fmt::format("expected keys: {}", fmt::join(accepted, ", ")));
  for (const YamlNode& key : node.keys) {
    if (std::find(accepted.begin(), accepted.end(), key.scalar) != accepted.end()) continue;
    refuse(key, fmt::format("unknown key '{:.60}'; accepted: {}", key.scalar, fmt::join(accepted, ", ")));
  }
}

const YamlNode& Section::require(std::string_view key) const {
  const YamlNode* found = find(key);
  if (found == nullptr) refuse(node_, fmt::format("{} is missing", key));
  return *found;
}

std::string Section::text(std::string_view key, std::string otherwise) const {
  const YamlNode* found = find(key);
  return found == nullptr ? std::move(otherwise) : text_of(*found, key);
}

std::string Section::required_text(std::string_view key) const {
  return text_of(require(key), key);
}

std::set<std::string> Section::texts(std::string_view key) const {
  const YamlNode* found = find(key);
  if (found == nullptr) return {};
  if (!found->is(Kind::kSequence)) return {text_of(*found, key)};
  if (found->items.empty()) refuse(*found, fmt::format("{} is an empty list; leave it out", key));
  std::set<std::string> texts;
  for (const YamlNode& item : found->items) texts.insert(text_of(item, key));
  return texts;
}

void Section::refuse(const YamlNode& at, std::string_view message) const {
  impl::refuse(at, what_.empty() ? std::string(message) : fmt::format("{}: {}", what_, message));
}

std::string Section::text_of(const YamlNode& node, std::string_view key) const {
  if (!node.is(Kind::kScalar) || node.scalar.empty()) refuse(node, fmt::format("{} has to be a text", key));
  return node.scalar;
}

std::string checked_name(const YamlNode& node, std::string name) {
  const bool fine =
      !name.empty() && name.size() <= kLongestName && std::none_of(name.begin(), name.end(), is_control);
  if (!fine) {
    refuse(node, fmt::format("'{}' is no name; expected 1 to {} bytes without control characters",
                             sql::cut_utf8(name, 60), kLongestName));
  }
  return name;
}

void check_fragment(const YamlNode& node, std::string_view sql, const std::set<std::string>& placeholders) {
  if (const std::string problem = problem_of(sql, placeholders); !problem.empty())
    refuse(node, fmt::format("the SQL '{}': {}", sql::cut_utf8(sql, 60), problem));
}

}  // namespace headroom::worklist::impl
