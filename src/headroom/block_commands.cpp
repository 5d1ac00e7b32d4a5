// `headroom block`: who waits for whose lock at this moment.

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "headroom/blocking_watch.hpp"
#include "headroom/commands.hpp"
#include "headroom/output.hpp"

namespace headroom::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

struct BlockOptions {
  std::string database;
  std::string url;
};

/// Those to ask. With --url the name is that of records, which trytond calls as PostgreSQL does.
Result<Databases> chosen_databases(const BlockOptions& options, const Databases& configured) {
  if (!options.url.empty()) {
    if (options.database.empty())
      return fail(ErrorCode::kInvalidArgument, "--url needs --database, the name that records carry");
    return Databases{{options.database, options.url}};
  }
  if (options.database.empty()) {
    if (!configured.empty()) return configured;
    return fail(ErrorCode::kNotFound,
                "no URL of a database is known: [perf.databases] of headroom.toml names them, or --url");
  }
  const auto found = configured.find(options.database);
  if (found != configured.end()) return Databases{*found};
  return fail(ErrorCode::kNotFound, fmt::format("no URL of database '{}' is known: [perf.databases] of "
                                                "headroom.toml names it, or --url",
                                                options.database));
}

Result<void> check_dialect(const Databases& databases) {
  for (const auto& [name, url] : databases) {
    if (url.starts_with("postgresql://") || url.starts_with("postgres://")) return {};
  }
  return fail(
      ErrorCode::kUnsupported,
      "none of the databases is a PostgreSQL (postgresql://...), which alone tells who waits for whom");
}

Result<Exit> block(const BlockOptions& options, const Invocation& run) {
  auto databases = chosen_databases(options, run.configuration.perf.databases);
  if (!databases) return fail(std::move(databases.error()));
  if (auto checked = check_dialect(*databases); !checked) return fail(std::move(checked.error()));
  BlockingWatch watch(*databases);
  const auto running = perf::running_calls(run.configuration.perf.state);
  const BlockingView view = watch.look(running, Asked::kAll, base::monotonic_ns());
  if (view.answered == 0 && !view.problems.empty())
    return fail(ErrorCode::kUnavailable, view.problems.front());
  if (!run.options.json) return print_report(run.options, blocking_report(view));
  return print_text(blocking_json(view).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace

void add_block_command(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("block", "Show who waits for whose lock in PostgreSQL, and which calls they are");
  command->group("Reports");
  command->footer(
      "Those that wait stand indented below those that they wait for. [perf.databases] of headroom.toml "
      "names "
      "the\ndatabases. Statements are shown without values.\n\n"
      "Examples:\n  headroom block\n  headroom block --database shop --json\n"
      "  headroom block --database shop --url postgresql://reader@localhost/shop");
  const auto options = std::make_shared<BlockOptions>();
  command->add_option("--database", options->database, "only this one, as records name it");
  command->add_option("--url", options->url, "postgresql://..., in place of the configuration's");
  command->callback([&invocation, options] {
    invocation.run = [options](Invocation& run) { return block(*options, run); };
  });
}

}  // namespace headroom::cli
