#pragma once

// Reading mappings of worklists.yaml whose keys are all known.

#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "worklist/impl/yaml_tree.hpp"

namespace headroom::worklist::impl {

/// Thrown within the module at the first thing that is wrong.
struct Wrong {
  int line;
  std::string message;
};

[[noreturn]] void refuse(const YamlNode& node, std::string message);

/// One mapping. `what` says what it is, for messages: "list 'sale/draft'".
class Section final {
 public:
  /// Refuses what is no mapping, and keys that are not `accepted`.
  Section(const YamlNode& node, std::string what, std::initializer_list<std::string_view> accepted);

  [[nodiscard]] const YamlNode* find(std::string_view key) const { return node_.find(key); }
  [[nodiscard]] const YamlNode& require(std::string_view key) const;
  /// The text under a key, `otherwise` without it.
  [[nodiscard]] std::string text(std::string_view key, std::string otherwise = {}) const;
  [[nodiscard]] std::string required_text(std::string_view key) const;
  /// A text or a list of texts; empty when there is none.
  [[nodiscard]] std::set<std::string> texts(std::string_view key) const;
  [[nodiscard]] const std::string& what() const { return what_; }
  [[nodiscard]] const YamlNode& node() const { return node_; }
  [[noreturn]] void refuse(const YamlNode& at, std::string_view message) const;

 private:
  [[nodiscard]] std::string text_of(const YamlNode& node, std::string_view key) const;

  const YamlNode& node_;
  std::string what_;
};

/// A name that people type and messages quote: 1 to 255 bytes, no control characters. Refuses others.
[[nodiscard]] std::string checked_name(const YamlNode& node, std::string name);

/// A part of a statement that stands in brackets: no `;`, no comment, brackets that close. Refuses others.
/// `placeholders` are those that it may have.
void check_fragment(const YamlNode& node, std::string_view sql, const std::set<std::string>& placeholders);

}  // namespace headroom::worklist::impl
