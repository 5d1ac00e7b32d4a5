#include "perf/report_text.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>

#include <fmt/format.h>

#include "base/units.hpp"

namespace headroom::perf {

namespace {

/// One character of a text: its code point, or nothing where the bytes are no UTF-8, and the bytes that it
/// takes.
struct Character {
  std::optional<char32_t> code;
  std::size_t length = 1;
};

/// Reads the character at the front of a text that is not empty; overlong forms and surrogates are no UTF-8.
Character front_character(std::string_view text) {
  constexpr std::array<char32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80) return {first, 1};
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 0;
  if (length == 0 || first > 0xF4 || text.size() < length) return {};
  char32_t code = first & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xC0U) != 0x80) return {};
    code = (code << 6U) | (next & 0x3FU);
  }
  if (code < kLeast[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {};
  return {code, length};
}

/// Controls (C0, DEL, C1), separators of lines, and marks that change the direction of what follows.
bool is_dangerous(char32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x200E || code == 0x200F ||
         (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

void append_escaped(std::string& result, char32_t code) {
  if (code == '\n') {
    result += "\\n";
  } else if (code == '\t') {
    result += "\\t";
  } else if (code == '\r') {
    result += "\\r";
  } else if (code < 0x100) {
    result += fmt::format("\\x{:02x}", static_cast<unsigned>(code));
  } else {
    result += fmt::format("\\u{:04x}", static_cast<unsigned>(code));
  }
}

enum class LineEnds : std::uint8_t { kEscape, kKeep };

std::string escape(std::string_view text, LineEnds line_ends) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Character character = front_character(text);
    const bool kept = line_ends == LineEnds::kKeep && (text.front() == '\n' || text.front() == '\t');
    if (!character.code) {
      append_escaped(result, static_cast<unsigned char>(text.front()));
    } else if (is_dangerous(*character.code) && !kept) {
      append_escaped(result, *character.code);
    } else if (text.front() == '\\' && line_ends == LineEnds::kEscape) {
      result += "\\\\";
    } else {
      result += text.substr(0, character.length);
    }
    text.remove_prefix(character.length);
  }
  return result;
}

struct Range {
  char32_t first;
  char32_t last;
};

constexpr std::array<Range, 8> kZeroWidth{{{0x0300, 0x036F},
                                           {0x0483, 0x0489},
                                           {0x0591, 0x05BD},
                                           {0x1AB0, 0x1AFF},
                                           {0x1DC0, 0x1DFF},
                                           {0x200B, 0x200D},
                                           {0x20D0, 0x20FF},
                                           {0xFE00, 0xFE0F}}};
constexpr std::array<Range, 9> kDoubleWidth{{{0x1100, 0x115F},
                                             {0x2E80, 0x303E},
                                             {0x3041, 0xA4CF},
                                             {0xAC00, 0xD7A3},
                                             {0xF900, 0xFAFF},
                                             {0xFE30, 0xFE6F},
                                             {0xFF00, 0xFF60},
                                             {0x1F300, 0x1FAFF},
                                             {0x20000, 0x3FFFD}}};

std::size_t width_of(char32_t code) {
  const auto holds = [code](const Range& range) { return code >= range.first && code <= range.last; };
  if (std::any_of(kZeroWidth.begin(), kZeroWidth.end(), holds)) return 0;
  return std::any_of(kDoubleWidth.begin(), kDoubleWidth.end(), holds) ? 2 : 1;
}

/// The text cut to `width` columns, with an ellipsis as its last character when something was cut.
std::string cut(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  return cut_to_width(text, width - std::min<std::size_t>(width, 1)) + "…";
}

/// The same from the other end: of a frame the last part tells more than the folders in front.
std::string cut_front(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  while (!text.empty() && display_width(text) + 1 > width) text.remove_prefix(front_character(text).length);
  return "…" + std::string(text);
}

/// The time as the original printed it: without zone (it is UTC), an @ for the T.
std::string format_time(UtcTime time) {
  std::string text = base::to_iso(time);
  std::replace(text.begin(), text.end(), 'T', '@');
  if (text.ends_with('Z')) text.pop_back();
  return text;
}

/// A frame without the folder that packages are installed in.
std::string_view short_frame(std::string_view frame) {
  frame.remove_prefix(std::min(frame.find_first_not_of(' '), frame.size()));
  constexpr std::string_view kPackages = "-packages/";
  if (const std::size_t at = frame.find(kPackages); at != std::string_view::npos)
    frame.remove_prefix(at + kPackages.size());
  return frame;
}

/// A frame of the application itself: one of Tryton's modules, or code that is not installed as a package.
bool is_of_application(std::string_view frame) {
  for (const std::string_view folder : {"/trytond/modules/", "/trytond/ir/", "/trytond/res/"}) {
    if (frame.find(folder) != std::string_view::npos) return true;
  }
  return frame.find("-packages/") == std::string_view::npos &&
         frame.find("/lib/python3") == std::string_view::npos;
}

/// The line that a person can change: the innermost frame of the application, since below it are mostly the
/// same few frames of the object-relational mapper; the innermost frame when there is none.
std::string_view sending_frame(std::string_view backtrace) {
  std::string_view innermost;
  while (!backtrace.empty()) {
    const std::size_t end = backtrace.rfind('\n');
    const std::size_t begin = end == std::string_view::npos ? 0 : end + 1;
    const std::string_view frame = backtrace.substr(begin);
    backtrace = backtrace.substr(0, begin == 0 ? 0 : end);
    if (frame.empty()) continue;
    if (is_of_application(frame)) return short_frame(frame);
    if (innermost.empty()) innermost = frame;
  }
  return short_frame(innermost);
}

enum class Reader : std::uint8_t { kProgram, kPerson };

std::string format_text(const std::string& text, Format format, Reader reader) {
  if (text.empty()) return "-";
  const bool one_frame = format == Format::kBacktrace && reader == Reader::kPerson;
  return escape_line(one_frame ? sending_frame(text) : text);
}

std::string format_number(double number, Format format, Reader reader) {
  if (reader == Reader::kProgram) return fmt::format("{:.6g}", number);
  return format == Format::kRatio ? fmt::format("{:+.0f} %", number * 100) : fmt::format("{:.1f}", number);
}

std::string format_cell(const Cell& cell, Format format, Reader reader) {
  if (const auto* text = std::get_if<std::string>(&cell)) return format_text(*text, format, reader);
  if (const auto* duration = std::get_if<Microseconds>(&cell)) return base::format_seconds(*duration);
  if (const auto* time = std::get_if<UtcTime>(&cell)) return format_time(*time);
  if (const auto* number = std::get_if<double>(&cell)) return format_number(*number, format, reader);
  if (const auto* number = std::get_if<std::int64_t>(&cell)) {
    const bool size = format == Format::kBytes && reader == Reader::kPerson && *number >= 0;
    return size ? base::format_size(static_cast<std::uint64_t>(*number)) : fmt::format("{}", *number);
  }
  return "-";
}

std::string block_cell(const Cell& cell, Format format) {
  const auto* text = std::get_if<std::string>(&cell);
  return text != nullptr && !text->empty() ? escape(*text, LineEnds::kKeep)
                                           : format_cell(cell, format, Reader::kPerson);
}

bool stands_right(Format format) {
  return format == Format::kCount || format == Format::kSeconds || format == Format::kBytes ||
         format == Format::kNumber || format == Format::kRatio;
}

using Lines = std::vector<std::vector<std::string>>;

std::vector<std::size_t> natural_widths(const Table& table, const Lines& lines) {
  std::vector<std::size_t> widths;
  for (const Column& column : table.columns) widths.push_back(display_width(column.name));
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], display_width(line[i]));
  }
  return widths;
}

/// Takes `excess` columns from the widest of those that `may_shrink`, one after the other, down to `least`
/// each.
void shrink(std::vector<std::size_t>& widths, const std::vector<bool>& may_shrink, std::size_t least,
            std::size_t& excess) {
  while (excess > 0) {
    std::size_t widest = widths.size();
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (may_shrink[i] && widths[i] > least && (widest == widths.size() || widths[i] > widths[widest]))
        widest = i;
    }
    if (widest == widths.size()) return;
    --widths[widest];
    --excess;
  }
}

constexpr std::size_t kLeastLong = 24;
constexpr std::size_t kLeastText = 24;
constexpr std::size_t kWholeFrame = 60;

std::size_t line_width(const std::vector<std::size_t>& widths) {
  return std::accumulate(widths.begin(), widths.end(), std::size_t{0}) + 2 * (widths.size() - 1);
}

bool is_long(const Column& column) {
  return column.format == Format::kLongText || column.format == Format::kBacktrace;
}

/// Leaves out the last column that need not be shown; false when there is none.
bool drop_last_optional(std::vector<Column>& columns, Lines& lines, std::vector<std::size_t>& widths) {
  for (std::size_t i = columns.size(); i-- > 0;) {
    if (columns[i].shown == Shown::kAlways) continue;
    const auto place = static_cast<std::ptrdiff_t>(i);
    columns.erase(columns.begin() + place);
    widths.erase(widths.begin() + place);
    for (auto& line : lines) line.erase(line.begin() + place);
    return true;
  }
  return false;
}

/// The width that the table can be brought to without cutting anything but long texts. A frame is worth more
/// than the columns that need not be shown: its end names line and function.
std::size_t least_width(const std::vector<Column>& columns, std::vector<std::size_t> widths) {
  for (std::size_t i = 0; i < widths.size(); ++i) {
    if (!is_long(columns[i])) continue;
    const bool frame = columns[i].format == Format::kBacktrace;
    widths[i] = std::min(widths[i], frame ? kWholeFrame : kLeastLong);
  }
  return line_width(widths);
}

void fit(std::vector<std::size_t>& widths, const std::vector<Column>& columns, std::size_t width) {
  if (widths.empty() || width == 0 || line_width(widths) <= width) return;
  std::size_t excess = line_width(widths) - width;
  std::vector<bool> long_texts;
  std::vector<bool> texts;
  for (const Column& column : columns) {
    long_texts.push_back(is_long(column));
    texts.push_back(column.format == Format::kText);
  }
  shrink(widths, long_texts, kLeastLong, excess);
  shrink(widths, texts, kLeastText, excess);
}

std::string_view color_of(std::string_view column, std::string_view value) {
  if (value == "-") return "\x1b[2m";
  if (column == "status" && value != "ok") return "\x1b[31m";
  if (column == "verdict" && value == "worse") return "\x1b[31m";
  if (column == "verdict" && value == "better") return "\x1b[32m";
  return {};
}

class AlignedWriter {
 public:
  AlignedWriter(const std::vector<Column>& columns, std::vector<std::size_t> widths, Color color)
      : columns_(columns), widths_(std::move(widths)), color_(color) {}

  void header() {
    for (std::size_t i = 0; i < columns_.size(); ++i) cell(i, columns_[i].name, "\x1b[1m");
    result_ += '\n';
  }

  void line(const std::vector<std::string>& line) {
    for (std::size_t i = 0; i < line.size(); ++i) cell(i, line[i], color_of(columns_[i].name, line[i]));
    result_ += '\n';
  }

  [[nodiscard]] std::string take() { return std::move(result_); }

 private:
  void cell(std::size_t column, std::string_view value, std::string_view color) {
    const bool frame = columns_[column].format == Format::kBacktrace;
    const std::string shown = frame ? cut_front(value, widths_[column]) : cut(value, widths_[column]);
    const std::string blanks(widths_[column] - std::min(widths_[column], display_width(shown)), ' ');
    const bool right = stands_right(columns_[column].format);
    const bool last = column + 1 == columns_.size();
    if (column > 0) result_ += "  ";
    if (right) result_ += blanks;
    painted(shown, color);
    if (!right && !last) result_ += blanks;
  }

  void painted(std::string_view text, std::string_view color) {
    const bool paint = color_ == Color::kOn && !color.empty();
    if (paint) result_ += color;
    result_ += text;
    if (paint) result_ += "\x1b[0m";
  }

  const std::vector<Column>& columns_;
  std::vector<std::size_t> widths_;
  Color color_;
  std::string result_;
};

Lines format_lines(const Table& table, Reader reader) {
  Lines lines;
  lines.reserve(table.rows.size());
  for (const auto& row : table.rows) {
    std::vector<std::string> line;
    for (std::size_t i = 0; i < row.size(); ++i)
      line.push_back(format_cell(row[i], table.columns[i].format, reader));
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

std::string escape_line(std::string_view text) {
  return escape(text, LineEnds::kEscape);
}

std::string escape_block(std::string_view text) {
  return escape(text, LineEnds::kKeep);
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const Character character = front_character(text);
    width += character.code ? width_of(*character.code) : 1;
    text.remove_prefix(character.length);
  }
  return width;
}

std::string cut_to_width(std::string_view text, std::size_t width) {
  std::size_t used = 0;
  std::size_t end = 0;
  while (end < text.size()) {
    const Character character = front_character(text.substr(end));
    used += character.code ? width_of(*character.code) : 1;
    if (used > width) break;
    end += character.length;
  }
  return std::string(text.substr(0, end));
}

std::string to_tsv(const Report& report) {
  std::string result;
  for (const auto& row : report.table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const Column& column = report.table.columns[i];
      result += fmt::format("{}\t{}\n", column.name, format_cell(row[i], column.format, Reader::kProgram));
    }
  }
  for (const Part& part : report.parts) {
    if (!part.table.rows.empty()) result += fmt::format("\n{}\n{}", part.name, to_tsv(part.table));
  }
  return result;
}

std::string to_tsv(const Table& table) {
  std::string result;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    if (i > 0) result += '\t';
    result += table.columns[i].name;
  }
  result += '\n';
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) result += '\t';
      result += format_cell(row[i], table.columns[i].format, Reader::kProgram);
    }
    result += '\n';
  }
  return result;
}

std::string to_block(const Table& table) {
  std::size_t width = 0;
  for (const Column& column : table.columns) width = std::max(width, display_width(column.name));
  std::string result;
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string& name = table.columns[i].name;
      const std::string blanks(width + 2, ' ');
      result += name + blanks.substr(display_width(name));
      for (const char character : block_cell(row[i], table.columns[i].format)) {
        result += character;
        if (character == '\n') result += blanks;
      }
      result += '\n';
    }
  }
  return result;
}

std::string to_aligned(const Table& table, std::size_t width, Color color) {
  std::vector<Column> columns = table.columns;
  Lines lines = format_lines(table, Reader::kPerson);
  std::vector<std::size_t> widths = natural_widths(table, lines);
  while (width > 0 && least_width(columns, widths) > width) {
    if (!drop_last_optional(columns, lines, widths)) break;
  }
  fit(widths, columns, width);
  AlignedWriter writer(columns, std::move(widths), color);
  writer.header();
  for (const auto& line : lines) writer.line(line);
  return writer.take();
}

}  // namespace headroom::perf
