#pragma once

// A user's lists as a piece of HTML, which applications put into their own pages.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "worklist/action.hpp"

namespace headroom::cli {

/// What lists stand together by.
enum class FragmentGroup : std::uint8_t { kCategory, kWorkflow, kNone };

/// "category", "workflow", "none". Errors: invalid_argument.
[[nodiscard]] base::Result<FragmentGroup> parse_fragment_group(std::string_view text);

/// Whether a link may lead there: an address of http or https, or one that is relative to the page. Others,
/// "javascript:..." above all, would run in the page; browsers pass over control characters in them, so with
/// one of these it is no address either.
[[nodiscard]] bool is_link(std::string_view url);

/// Elements and classes are those that docs/api.md names; every text is escaped, a URL that is no link is
/// left out. The same for the same lists. Groups are in the order of their first lists.
[[nodiscard]] std::string worklist_fragment(const std::vector<worklist::Action>& lists, FragmentGroup group);

}  // namespace headroom::cli
