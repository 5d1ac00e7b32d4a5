#pragma once

// YAML as a tree with bounds: what a file may cost is known before it is read.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "worklist/value.hpp"

namespace headroom::worklist::impl {

inline constexpr std::size_t kLargestYaml = 8U << 20U;
inline constexpr std::size_t kMostNodes = 200'000;
inline constexpr std::size_t kDeepestYaml = 32;

struct YamlNode {
  enum class Kind : std::uint8_t { kNull, kScalar, kSequence, kMapping };
  Kind kind = Kind::kNull;
  bool plain = false;  ///< a scalar without quotes
  int line = 0;        ///< from 1
  std::string scalar;
  std::vector<YamlNode> keys;   ///< of a mapping: scalars, each once
  std::vector<YamlNode> items;  ///< of a sequence, and of a mapping the values in the order of its keys

  [[nodiscard]] bool is(Kind what) const { return kind == what; }
  /// The value under a key; nullptr when there is none.
  [[nodiscard]] const YamlNode* find(std::string_view key) const;
};

/// Control characters as blanks: what a file says may stand in a message.
[[nodiscard]] std::string one_line(std::string text);

/// Reads one document. An alias counts as many nodes as it stands for.
/// Errors: too_large, invalid_argument, with "file:line: ".
[[nodiscard]] Result<YamlNode> read_yaml(std::string_view text, std::string_view file);

}  // namespace headroom::worklist::impl
