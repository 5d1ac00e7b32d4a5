// `headroom bus sql`: the schema that the bus needs in a PostgreSQL database.

#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include "bus/postgres_broker.hpp"
#include "headroom/commands.hpp"

namespace headroom::cli {

namespace {

/// The group is shared with the commands that ask a running service.
CLI::App& bus_group(CLI::App& app) {
  const auto found = app.get_subcommands([](const CLI::App* one) { return one->get_name() == "bus"; });
  if (!found.empty()) return *found.front();
  CLI::App* group = app.add_subcommand("bus", "The bus: messages for browser tabs");
  group->require_subcommand(1);
  group->footer("Examples:\n  headroom bus sql | psql -d shop");
  return *group;
}

}  // namespace

void add_bus_sql_command(CLI::App& app, Invocation& invocation) {
  CLI::App* command = bus_group(app).add_subcommand(
      "sql", "Print the schema headroom for PostgreSQL: it makes it, or brings an older one up to date");
  command->footer("Examples:\n  headroom bus sql | psql -v ON_ERROR_STOP=1 -d shop");
  command->callback([&invocation] {
    invocation.run = [](const Invocation&) -> base::Result<Exit> {
      fmt::print("{}", bus::postgres_schema());
      return Exit::kFine;
    };
  });
}

}  // namespace headroom::cli
