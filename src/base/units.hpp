#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace headroom::base {

/// Reads "2GiB", "500MB", "64 kB", "1.5GiB" or a bare number of bytes; kB, MB, GB, TB are powers of 1000,
/// KiB, MiB, GiB, TiB of 1024, case does not matter. A fraction needs a unit. Errors: invalid_argument.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
/// "2 GiB", "1.5 MiB", "812 B": at most three digits and one unit.
[[nodiscard]] std::string format_size(std::uint64_t bytes);

}  // namespace headroom::base
