#pragma once

#include <vector>

#include "perf/advice.hpp"

namespace headroom::perf::impl {

/// Looks for one kind of finding and appends those that it makes.
using AdvicePass = void (*)(const AdviceMaterial& material, std::vector<Finding>& findings);

[[nodiscard]] const std::vector<AdvicePass>& advice_passes();

}  // namespace headroom::perf::impl
