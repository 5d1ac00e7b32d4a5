#include <CLI/CLI.hpp>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.hpp"
#include "base/units.hpp"
#include "headroom/bus_client.hpp"
#include "headroom/commands.hpp"
#include "headroom/output.hpp"
#include "headroom/status.hpp"
#include "headroom/version.hpp"
#include "perf/original.hpp"
#include "perf/report.hpp"
#include "perf/report_text.hpp"

namespace headroom::cli {

namespace {

using base::fail;
using base::Result;

/// The places that name a store, besides the one that was chosen: they should agree with it.
void compare_stores(const Invocation& invocation, Status& status) {
  const auto differs = [&](const std::string& url, const std::string& source) {
    if (url.empty() || url == status.choice.url) return;
    status.problems.push_back(fmt::format("{} names another store, {}, than {}, {}", source,
                                          perf::without_password(url), status.choice.source,
                                          perf::without_password(status.choice.url)));
  };
  if (!invocation.configuration.perf.store.empty()) {
    differs(invocation.configuration.perf.store,
            fmt::format("[perf] store of {}", invocation.configuration.file.string()));
  }
  if (invocation.options.trytond_config.empty()) return;
  const auto broker = choose_store("", Configuration{}, invocation.options.trytond_config);
  if (!broker) {
    status.problems.push_back(broker.error().message());
  } else {
    differs(broker->url, broker->source);
  }
}

Result<void> ask_chosen_store(const Invocation& invocation, Status& status) {
  auto store = open_chosen_store(invocation, perf::OpenMode::kRead);
  if (!store) return fail(store.error());
  if (auto asked = ask_store(*store, status); !asked) return asked;
  const perf::Retention& named = invocation.configuration.perf.retention;
  if (invocation.configuration.perf.names_retention && named != status.retention) {
    status.problems.push_back(
        fmt::format("the retention of {} does not hold yet: 'headroom serve' and 'headroom prune' "
                    "bring it into the store",
                    invocation.configuration.file.string()));
  }
  return {};
}

Status::Bus ask_for_bus(const Configuration& configuration) {
  Status::Bus bus;
  const auto access = bus_access(configuration, "");
  const auto reply = access ? ask_bus(*access, "GET", "/bus/status") : Result<BusReply>(fail(access.error()));
  if (!reply) {
    bus.error = reply.error().message();
    return bus;
  }
  const auto answer = nlohmann::json::parse(reply->body, nullptr, false);
  if (!answer.is_object()) {
    bus.error = "its answer is no JSON";
    return bus;
  }
  if (!answer.value("available", true)) bus.error = "its broker is away";
  bus.connections = answer.value("connections", std::int64_t{0});
  bus.most_connections = answer.value("most_connections", std::int64_t{0});
  bus.channels = answer.value("channels", std::int64_t{0});
  bus.users = answer.value("users", std::int64_t{0});
  return bus;
}

/// Without a store the rest is worth the more: which store it should be, and what runs now.
Result<Status> gather_status(const Invocation& invocation) {
  Status status;
  status.version = kVersion;
  status.configuration = invocation.configuration.file.string();
  status.retention = invocation.configuration.perf.retention;
  auto choice = chosen_store(invocation);
  if (!choice) return fail(choice.error());
  status.choice = std::move(*choice);
  compare_stores(invocation, status);
  status.running = perf::running_calls(invocation.configuration.perf.state);
  if (invocation.configuration.bus.enabled) status.bus = ask_for_bus(invocation.configuration);
  if (const auto asked = ask_chosen_store(invocation, status); !asked) {
    status.store.url = perf::without_password(status.choice.url);
    status.store_error = asked.error().message();
  }
  return status;
}

std::string shown(const Status& status, base::UtcTime now, const CommonOptions& options) {
  if (options.json) return status_json(status, now);
  return prints_for_people(options) ? status_text(status, now) : perf::to_tsv(status_report(status, now));
}

Result<Exit> run_status(const Invocation& invocation) {
  const auto status = gather_status(invocation);
  if (!status) return fail(status.error());
  const base::UtcTime now = base::utc_now();
  const Exit printed = print_text(shown(*status, now, invocation.options));
  return status->store_error.empty() ? printed : Exit::kFailed;
}

struct PruneOptions {
  std::string age;
  std::string size;
};

/// For this once, what the options say goes before what holds.
Result<perf::Retention> retention_of(const PruneOptions& options, perf::Retention retention) {
  if (!options.age.empty()) {
    const auto age = base::parse_duration(options.age);
    if (!age) return fail(base::Error(age.error()).within("--age"));
    retention.age = *age;
  }
  if (!options.size.empty()) {
    const auto size = base::parse_size(options.size);
    if (!size) return fail(base::Error(size.error()).within("--size"));
    if (const auto large = check_retention_size(*size); !large)
      return fail(base::Error(large.error()).within("--size"));
    retention.bytes = *size;
  }
  return retention;
}

Result<Exit> run_prune(const PruneOptions& options, const Invocation& invocation) {
  if (const auto checked = retention_of(options, {}); !checked) return fail(checked.error());
  const auto store = open_chosen_store(invocation, perf::OpenMode::kChange);
  if (!store) return fail(store.error());
  const auto settled = settle_retention(*store->control, invocation.configuration.perf);
  if (!settled) return fail(settled.error());
  const auto retention = retention_of(options, *settled);
  if (!retention) return fail(retention.error());
  const auto pruned = store->control->prune(*retention, base::utc_now());
  if (!pruned) return fail(pruned.error());
  using perf::Format;
  perf::Report report;
  report.table.columns = {
      {"calls", Format::kCount}, {"bytes_before", Format::kBytes}, {"bytes_after", Format::kBytes}};
  report.table.rows.push_back({static_cast<std::int64_t>(pruned->calls),
                               static_cast<std::int64_t>(pruned->bytes_before),
                               static_cast<std::int64_t>(pruned->bytes_after)});
  return print_report(invocation.options, report);
}

struct ImportOptions {
  std::string source;
  std::string database;
};

std::string left_out_text(const perf::ImportCounts& counts) {
  std::string text;
  for (const auto& [reason, number] : counts.left_out) {
    text += fmt::format("{}{}: {}", text.empty() ? "left out: " : ", ", reason, number);
  }
  return text;
}

Result<Exit> run_import(const ImportOptions& options, const Invocation& invocation) {
  const auto store = open_chosen_store(invocation, perf::OpenMode::kWrite);
  if (!store) return fail(store.error());
  const auto counts = perf::import_original(options.source, options.database, *store->store);
  if (!counts)
    return fail(base::Error(counts.error())
                    .within(fmt::format("import from {}", perf::without_password(options.source))));
  using perf::Format;
  const auto number = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
  perf::Report report;
  report.table.columns = {{"sessions", Format::kCount}, {"calls", Format::kCount},
                          {"new", Format::kCount},      {"queries", Format::kCount},
                          {"profiles", Format::kCount}, {"bodies", Format::kCount}};
  report.table.rows.push_back({number(counts->sessions), number(counts->calls), number(counts->new_calls),
                               number(counts->slow_statements), number(counts->profiles),
                               number(counts->bodies)});
  report.note = left_out_text(*counts);
  return print_report(invocation.options, report);
}

void add_import_command(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("import", "Copy what tryton-perf-analyzer recorded in Redis into the store");
  command->group("Store");
  command->footer(
      "Importing twice stores once.\n\nExamples:\n  headroom import redis://127.0.0.1:6379/15 --as shop");
  auto options = std::make_shared<ImportOptions>();
  command->add_option("url", options->source, "the analyzer's Redis, redis://host:port/db")->required();
  command
      ->add_option("--as", options->database,
                   "the database that the calls belong to: the analyzer did not keep its name")
      ->required();
  command->callback([&invocation, options] {
    invocation.run = [options](Invocation& run) { return run_import(*options, run); };
  });
}

}  // namespace

void add_store_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* status =
      app.add_subcommand("status", "Say what records, since when, into which store, and what is wrong");
  status->group("Store");
  status->footer(
      "Examples:\n  headroom status\n  headroom status --trytond-config /etc/tryton/trytond.conf --json");
  status->callback([&invocation] { invocation.run = [](Invocation& run) { return run_status(run); }; });

  CLI::App* prune =
      app.add_subcommand("prune", "Delete old calls: first by age, then until the store fits its size");
  prune->group("Store");
  prune->footer(
      "Without options the retention of the configuration holds.\n\nExamples:\n  headroom prune\n"
      "  headroom prune --age 1d --size 500MB");
  auto options = std::make_shared<PruneOptions>();
  prune->add_option("--age", options->age, "delete what is older, for example 7d");
  prune->add_option("--size", options->size,
                    "then the oldest until the store is no larger, for example 2GiB");
  prune->callback([&invocation, options] {
    invocation.run = [options](Invocation& run) { return run_prune(*options, run); };
  });
  add_import_command(app, invocation);
}

}  // namespace headroom::cli
