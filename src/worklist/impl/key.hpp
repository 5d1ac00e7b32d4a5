#pragma once

#include <span>

#include "worklist/plan.hpp"

namespace headroom::worklist::impl {

/// A column as a key for lists that ask these tests about it; tests that are the same are classified once.
[[nodiscard]] Key key_of(std::size_t column, const Column& meant, std::span<const ColumnTest* const> tests);

}  // namespace headroom::worklist::impl
