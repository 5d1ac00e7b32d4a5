#pragma once

// Does a trytond.conf load Headroom, and does its [perf] section say what its writer means?

#include <string>
#include <string_view>
#include <vector>

#include "headroom/ini.hpp"

namespace headroom::cli {

enum class Severity { kError, kWarning };

struct Finding {
  Severity severity = Severity::kError;
  std::size_t line = 0;  ///< 0: nowhere in particular
  std::string text;      ///< what is wrong or missing
  std::string remedy;    ///< the line to write; may be empty
};

/// Errors: the file cannot be read by trytond, Headroom is not loaded, or a value of [perf] is not
/// understood. Warnings: it works, but probably not as meant. Ordered by line. Threads: pure.
[[nodiscard]] std::vector<Finding> check_trytond_configuration(std::string_view text);

/// `[perf] broker`; empty when it is not there or the file is no INI file.
[[nodiscard]] std::string broker_of(std::string_view text);

}  // namespace headroom::cli
