#pragma once

// Reports as text. What a store holds came from outside (a method's name is whatever a client sent): control
// characters and bytes that are no UTF-8 are shown as \x1b, never sent to the terminal.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "perf/report.hpp"

namespace headroom::perf {

enum class Color : std::uint8_t { kOff, kOn };

/// Tab-separated lines with a header; tabs and line ends inside a value are escaped as \t and \n. Ends in a
/// line end.
[[nodiscard]] std::string to_tsv(const Table& table);

/// A report of one row with its parts, for a pipe: "key TAB value" lines; then for each part that has rows a
/// line end, its name, and its table as above.
[[nodiscard]] std::string to_tsv(const Report& report);

/// Aligned columns for a terminal of `width` characters (0: any width). When the lines are too long, columns
/// that need not be shown are left out, then long texts are cut, then other texts, with an ellipsis; numbers
/// never are.
[[nodiscard]] std::string to_aligned(const Table& table, std::size_t width, Color color);

/// A line for each column of each row, its name in front, for rows with too many columns for a terminal. The
/// lines of a text stand below each other.
[[nodiscard]] std::string to_block(const Table& table);

/// One line: control characters and invalid bytes as \n, \t, \xHH, a backslash as \\ only where that would be
/// ambiguous.
[[nodiscard]] std::string escape_line(std::string_view text);
/// The same, but line ends and tabs stay.
[[nodiscard]] std::string escape_block(std::string_view text);

/// Columns that a text takes on a terminal: code points, two for East Asian wide ones, none for combining
/// marks.
[[nodiscard]] std::size_t display_width(std::string_view text);
/// As much of its beginning as fits. Shape: no escape sequences.
[[nodiscard]] std::string cut_to_width(std::string_view text, std::size_t width);

}  // namespace headroom::perf
