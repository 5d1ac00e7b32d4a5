#pragma once

// What the executable prints: tables to a terminal, a pipe or a program, one-line errors to stderr.

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "headroom/command.hpp"
#include "perf/report.hpp"

namespace headroom::cli {

/// Prints a report: as JSON with `--json`; on a terminal aligned, coloured and through a pager; else
/// tab-separated. Its note goes to stderr. A reader that goes away early (`| head`) is no error.
[[nodiscard]] Exit print_report(const CommonOptions& options, const perf::Report& report);
/// Whether stdout is a terminal, or `--color always` or `--width` ask for what one would show.
[[nodiscard]] bool prints_for_people(const CommonOptions& options);
/// Prints a text as it is. Errors: kFailed when stdout cannot be written.
[[nodiscard]] Exit print_text(std::string_view text);
/// "headroom: message" on stderr.
void print_error(std::string_view message);
void print_note(std::string_view message);
/// The status that an error ends with: misused for invalid_argument, failed for all others.
[[nodiscard]] Exit exit_of(const base::Error& error);

}  // namespace headroom::cli
