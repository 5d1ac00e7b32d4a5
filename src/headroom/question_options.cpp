#include "headroom/question_options.hpp"

#include <CLI/CLI.hpp>

#include <limits>

#include "base/clock.hpp"
#include "headroom/command.hpp"

namespace headroom::cli {

using base::fail;
using base::Result;

namespace {

Result<void> read_time(const std::string& text, const char* option, std::optional<base::UtcTime>& target) {
  if (text.empty()) return {};
  const auto time = base::parse_time(text, base::utc_now());
  if (!time) return fail(base::Error(time.error()).within(option));
  target = *time;
  return {};
}

}  // namespace

void add_call_filter_options(CLI::App& command, perf::Filter& filter) {
  command.add_option("--user", filter.user, "only this user: a login, or digits for an id");
  command.add_option("--database", filter.database, "only this database, or those that match a glob");
  command.add_option("--method", filter.method, "only methods that match, for example 'model.sale.*'");
}

void add_filter_options(CLI::App& command, perf::Filter& filter, perf::Page& page) {
  add_call_filter_options(command, filter);
  command.add_option("--limit", page.limit, "at most so many rows")->check(whole_number(1, kMostRowsAsked));
  command.add_option("--offset", page.offset, "leave out so many rows first")
      ->check(whole_number(0, std::numeric_limits<std::int64_t>::max()));
}

void add_range_options(CLI::App& command, RangeOptions& options) {
  command.add_option(
      "--since", options.since,
      "from this time on: 2026-11-21T07:30 in UTC, with +01:00 behind it in another zone, or a "
      "span before now such as 10m, 2h, 7d");
  command.add_option("--until", options.until, "before this time, told in the same ways");
}

Result<void> read_range(const RangeOptions& options, perf::Filter& filter) {
  if (auto since = read_time(options.since, "--since", filter.since); !since) return since;
  return read_time(options.until, "--until", filter.until);
}

}  // namespace headroom::cli
