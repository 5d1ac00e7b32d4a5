#pragma once

// Levels are what may show a document to a user: the catalog's security columns, security uids first, and
// behind them its holders. What a user may see is told level by level.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "worklist/impl/held_column.hpp"
#include "worklist/impl/numbers.hpp"
#include "worklist/user.hpp"

namespace headroom::worklist::impl {

struct Level {
  bool is_holder = false;
  std::size_t number = 0;  ///< of Catalog::security or Catalog::holders
  std::size_t column = 0;  ///< of Catalog::columns
};

/// Uids first: the first level is the one that needs no exclusion, and most documents are seen by their uid.
[[nodiscard]] std::vector<Level> levels_of(const Catalog& catalog);

/// Codes of a level's column.
class GrantedCodes final {
 public:
  explicit GrantedCodes(std::size_t codes) : has_(codes) {}

  void add(Code code) {
    if (code == 0 || has_[code] != 0) return;
    has_[code] = 1;
    codes_.push_back(code);
  }
  [[nodiscard]] bool has(Code code) const { return has_[code] != 0; }
  [[nodiscard]] const std::vector<Code>& codes() const { return codes_; }

 private:
  std::vector<std::uint8_t> has_;  ///< by code
  std::vector<Code> codes_;
};

/// What a scope grants, by level.
struct Grants {
  std::vector<GrantedCodes> plain;   ///< of holders: the user, where the role is asked for
  std::vector<GrantedCodes> behind;  ///< what has to be seen of what a holder holds
};

[[nodiscard]] Grants grants_of(const Scope& scope, const std::vector<Level>& levels,
                               const std::vector<HeldColumn>& columns);

}  // namespace headroom::worklist::impl
