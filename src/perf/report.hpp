#pragma once

// What the command line and the API show: every report as a function from a store to a table.
//
// The first columns of a report, their names and their order are those of tryton-perf-analyzer, so that
// scripts written for it go on working; further columns stand behind them. A cell keeps its value (seconds, a
// time, a count): how it is printed is decided by who prints it (report_text.hpp for people and pipes,
// `to_json` for programs).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "perf/store.hpp"

namespace headroom::perf {

/// How the values of a column are meant. Numbers stand on the right, text on the left.
enum class Format : std::uint8_t {
  kText,
  kLongText,   ///< cut on a terminal
  kBacktrace,  ///< frames, one a line; on a terminal the innermost one of the application
  kCount,
  kSeconds,
  kTime,
  kBytes,
  kNumber,  ///< with a fraction
  kRatio,   ///< a growth: 0.5 is 50 % more
};

/// "text", "count", "seconds", "time", "bytes", "number" or "ratio": as the API names it.
[[nodiscard]] std::string_view name(Format format);

/// A terminal that is too narrow does without the second kind, from the last one on.
enum class Shown : std::uint8_t { kAlways, kWhereItFits };

struct Column {
  std::string name;
  Format format = Format::kText;
  Shown shown = Shown::kAlways;
};

/// Nothing (shown as "-"), a text, a count or size, a duration, a point in time, a number with a fraction.
using Cell = std::variant<std::monostate, std::string, std::int64_t, Microseconds, UtcTime, double>;

struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
};

/// Rows that belong to the only row of a report: the attempts of a call, its statements.
struct Part {
  std::string name;
  Table table;
};

struct Report {
  Table table;
  std::vector<Part> parts;
  /// What people read in place of the table (a profile, bodies, a slow statement); may be empty.
  std::string text;
  /// Rows without paging.
  std::uint64_t total = 0;
  /// One line about what was left out, or why there is nothing; may be empty.
  std::string note;
};

/// More than the recorder keeps of a statement with its values, of an error or of a backtrace.
inline constexpr std::size_t kLongestShownText = 16U << 10;
/// What the recorder keeps of a statement without values.
inline constexpr std::size_t kLongestPartText = 64U << 10;

enum class Order : std::uint8_t { kTime, kNumber, kAverage };

/// What is asked for. `filter.session` is not read: the session comes as the user wrote it.
struct ReportRequest {
  /// One of `report_names`.
  std::string report;
  /// Any unique prefix of a session, or "database/prefix"; required by the reports of one session.
  std::string session;
  /// session: a user; method, table: "t", "n" or "a"; call: a method, exact, or the number of a call to
  /// see it whole; profile, db, io: a call; query: a rank.
  std::string argument;
  /// A column's name: the smallest first; "-" before it: the largest first. Empty: the report's own order.
  std::string sort;
  /// Only rows whose texts hold every one of these words, whatever the case of ASCII letters. Not of the
  /// report `call`, whose rows are never held together.
  std::string contains;
  Filter filter;
  /// `limit` 0: all rows of reports that are bounded by themselves, 10,000 calls else.
  Page page;
};

/// "session", "method", "table", "call", "profile", "db", "io", "query", "repeat", "conflict", "overview".
[[nodiscard]] const std::vector<std::string>& report_names();

/// Makes a report.
/// Errors: invalid_argument (unknown report, missing session, an argument or column that is none of those
/// accepted),
/// not_found (no such session, call or rank), conflict (several sessions begin with the prefix: the message
/// lists them), those of the store.
[[nodiscard]] Result<Report> make_report(Store& store, const ReportRequest& request);

/// Cuts the names of a list to what `shown_name` leaves of them, and its longer texts (statements,
/// backtraces, errors) to kLongestShownText: a store may hold texts of a mebibyte, and a list a thousand of
/// them. A report about one thing, which has a `text`, keeps what it is about; texts of its parts are cut to
/// kLongestPartText.
void bound_texts(Report& report);

/// Leaves the rows of the page in the table, counts all of them in `total`.
void cut_to_page(Report& report, const Page& page);

/// Finds the one session that `prefix` means. Errors: as make_report.
[[nodiscard]] Result<SessionRow> find_session(Store& store, std::string_view prefix, const Filter& filter);

/// A list of objects keyed by the columns' names: numbers as numbers (seconds with their fraction), times as
/// ISO 8601, nothing as null; bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string to_json(const Table& table);
/// The same of a report: each of its parts becomes a list under its name in the only row.
[[nodiscard]] std::string to_json(const Report& report);
/// A JSON string, with its quotes; bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string json_text(std::string_view text);
/// A JSON number of six digits; null when it is not finite.
[[nodiscard]] std::string json_number(double number);

}  // namespace headroom::perf
