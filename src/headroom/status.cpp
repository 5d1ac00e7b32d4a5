#include "headroom/status.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/units.hpp"
#include "perf/report_text.hpp"

namespace headroom::cli {

namespace {

using perf::ProcessInfo;

constexpr std::size_t kShownStatement = 80;
/// Silent processes that the table still shows, and that a warning names.
constexpr std::ptrdiff_t kShownSilent = 5;
constexpr std::size_t kNamedSilent = 3;

bool is_silent(const ProcessInfo& process, base::UtcTime now) {
  return now - process.seen > kSilentAfter;
}

std::string process_name(const ProcessInfo& process) {
  return fmt::format("{} {} on {}", process.role.empty() ? "process" : process.role, process.process,
                     process.host);
}

/// The recorder describes itself as "headroom 0.1.0 in trytond 6.0.29, hooked ...": the first version in it
/// is its own.
std::string recorder_version(const ProcessInfo& process) {
  constexpr std::string_view kFront = "headroom ";
  std::string_view text = process.version;
  if (text.starts_with(kFront)) text.remove_prefix(kFront.size());
  return std::string(text.substr(0, text.find(' ')));
}

void add_process_problems(const Status& status, const ProcessInfo& process, base::UtcTime now,
                          std::vector<std::string>& problems) {
  const std::string name = process_name(process);
  if (process.dropped_records > 0) {
    problems.push_back(
        fmt::format("{} dropped {} records because its buffer was full", name, process.dropped_records));
  }
  if (process.errors > 0) {
    problems.push_back(fmt::format("{} counted {} errors of the recorder, the last one: {}", name,
                                   process.errors, process.last_error.empty() ? "-" : process.last_error));
  }
  const std::string version = recorder_version(process);
  if (!version.empty() && version != status.version) {
    problems.push_back(fmt::format("{} runs headroom {}, this is {}", name, version, status.version));
  }
  if (const std::size_t at = process.version.find("not hooked "); at != std::string::npos) {
    problems.push_back(fmt::format("{} could not record everything: {}", name, process.version.substr(at)));
  }
  if (is_silent(process, now)) return;
  if (process.rules_version != status.rules_version) {
    problems.push_back(fmt::format("{} obeys version {} of the rules, {} is current", name,
                                   process.rules_version, status.rules_version));
  }
}

std::vector<const ProcessInfo*> silent_processes(const Status& status, base::UtcTime now) {
  std::vector<const ProcessInfo*> silent;
  for (const ProcessInfo& process : status.store.processes) {
    if (is_silent(process, now)) silent.push_back(&process);
  }
  return silent;
}

/// "3 d", "2 h", "7 min", "12 s": one unit is enough to know whether something is alive.
std::string ago(base::UtcTime time, base::UtcTime now) {
  const auto seconds = std::max<std::int64_t>(0, (now - time).count() / 1'000'000);
  if (seconds >= 2 * 86400) return fmt::format("{} d", seconds / 86400);
  if (seconds >= 2 * 3600) return fmt::format("{} h", seconds / 3600);
  if (seconds >= 2 * 60) return fmt::format("{} min", seconds / 60);
  return fmt::format("{} s", seconds);
}

/// A process that stops as it should is forgotten; one that is only silent was killed, or cannot reach the
/// store.
void add_silent_problems(const Status& status, base::UtcTime now, std::vector<std::string>& problems) {
  const auto silent = silent_processes(status, now);
  if (silent.empty()) return;
  const std::string last = process_name(*silent.front());
  const std::string since = ago(silent.front()->seen, now);
  if (silent.size() == status.store.processes.size()) {
    problems.push_back(
        fmt::format("nothing records now: the last process, {}, was seen {} ago", last, since));
    return;
  }
  std::vector<std::string> names;
  for (const ProcessInfo* process : silent) {
    if (names.size() < kNamedSilent) names.push_back(process_name(*process));
  }
  problems.push_back(fmt::format(
      "silent for over a minute, killed or without a way to the store: {}{}", fmt::join(names, ", "),
      silent.size() > names.size() ? fmt::format(" and {} more", silent.size() - names.size())
                                   : std::string()));
}

/// Up to so many of the silent ones.
perf::Table process_table(const Status& status, base::UtcTime now, std::ptrdiff_t most_silent) {
  using perf::Format;
  perf::Table table;
  table.columns = {{"host", Format::kText},    {"pid", Format::kCount},     {"role", Format::kText},
                   {"version", Format::kText}, {"started", Format::kText},  {"seen", Format::kText},
                   {"calls", Format::kCount},  {"records", Format::kCount}, {"dropped", Format::kCount},
                   {"errors", Format::kCount}, {"rules", Format::kCount}};
  const auto number = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
  std::ptrdiff_t silent = 0;
  for (const ProcessInfo& process : status.store.processes) {
    if (is_silent(process, now) && ++silent > most_silent) continue;
    table.rows.push_back({process.host, static_cast<std::int64_t>(process.process), process.role,
                          process.version, ago(process.started, now) + " ago",
                          ago(process.seen, now) + " ago", number(process.calls), number(process.records),
                          number(process.dropped_records), number(process.errors),
                          number(process.rules_version)});
  }
  return table;
}

/// What a person wants to know first: who waits for what since when. Times have the unit that a glance needs.
perf::Table running_table(const Status& status) {
  using perf::Format;
  perf::Table table;
  table.columns = {{"seconds", Format::kSeconds},       {"pid", Format::kCount},
                   {"database", Format::kText},         {"user", Format::kText},
                   {"method", Format::kText},           {"doing", Format::kText},
                   {"doing_seconds", Format::kSeconds}, {"statement", Format::kLongText}};
  for (const perf::RunningCall& call : status.running) {
    table.rows.push_back({call.summary.wall, static_cast<std::int64_t>(call.process), call.summary.database,
                          call.summary.user, call.summary.method, std::string(perf::name(call.activity)),
                          call.activity_age, call.statement.substr(0, kShownStatement)});
  }
  return table;
}

std::string aligned(const perf::Table& table) {
  return perf::to_aligned(table, 0, perf::Color::kOff);
}

/// What the store itself tells.
std::string store_text(const Status& status, base::UtcTime now) {
  std::string text =
      fmt::format("               {} schema {}, {} calls, {} of at most {}, kept for {}", status.store.kind,
                  status.store.schema, status.store.calls, base::format_size(status.store.bytes),
                  base::format_size(status.retention.bytes), ago(now - status.retention.age, now));
  text += status.store.oldest ? fmt::format(", oldest {}\n", base::to_iso(*status.store.oldest)) : "\n";
  text += fmt::format("rules          {} (version {})\n", status.rules, status.rules_version);
  for (const FileRule& one : file_rules(status.store.processes, now))
    text += fmt::format("               and that of the configuration file of {}\n", one.where());
  const std::size_t silent = silent_processes(status, now).size();
  text += fmt::format("processes      {}{}\n", status.store.processes.size() - silent,
                      silent > 0 ? fmt::format(", and {} silent for over a minute", silent) : std::string());
  if (!status.store.processes.empty()) text += "\n" + aligned(process_table(status, now, kShownSilent));
  return text;
}

/// Null where the store could not be asked: 0 would be an answer.
nlohmann::ordered_json store_json(const Status& status) {
  const perf::StoreInfo& store = status.store;
  nlohmann::ordered_json json = {{"url", store.url},  {"source", status.choice.source},
                                 {"state", "ok"},     {"kind", nullptr},
                                 {"schema", nullptr}, {"calls", nullptr},
                                 {"bytes", nullptr},  {"oldest", nullptr},
                                 {"error", nullptr}};
  if (!status.store_error.empty()) {
    json["state"] = "away";
    json["error"] = status.store_error;
    return json;
  }
  json["kind"] = store.kind;
  json["schema"] = store.schema;
  json["calls"] = store.calls;
  json["bytes"] = store.bytes;
  if (store.oldest) json["oldest"] = base::to_iso(*store.oldest);
  return json;
}

nlohmann::ordered_json process_json(const ProcessInfo& process, base::UtcTime now) {
  return {{"host", process.host},
          {"process", process.process},
          {"role", process.role},
          {"version", process.version},
          {"started", base::to_iso(process.started)},
          {"seen", base::to_iso(process.seen)},
          {"silent", is_silent(process, now)},
          {"calls", process.calls},
          {"records", process.records},
          {"dropped_records", process.dropped_records},
          {"errors", process.errors},
          {"last_error", process.last_error},
          {"rules_version", process.rules_version}};
}

}  // namespace

std::string FileRule::where() const {
  return fmt::format("{} process{} on {}", processes, processes == 1 ? "" : "es", fmt::join(hosts, ", "));
}

std::vector<FileRule> file_rules(const std::vector<ProcessInfo>& processes, base::UtcTime now) {
  std::vector<FileRule> found;
  for (const ProcessInfo& process : processes) {
    if (is_silent(process, now)) continue;
    for (perf::Rule rule : process.rules) {
      rule.created = {};  // the start of the process
      auto same =
          std::find_if(found.begin(), found.end(), [&](const FileRule& one) { return one.rule == rule; });
      if (same == found.end()) same = found.insert(found.end(), FileRule{rule, 0, {}});
      ++same->processes;
      auto& hosts = same->hosts;
      if (std::find(hosts.begin(), hosts.end(), process.host) == hosts.end()) hosts.push_back(process.host);
    }
  }
  return found;
}

bool anything_records(const std::vector<ProcessInfo>& processes, base::UtcTime now) {
  return std::any_of(processes.begin(), processes.end(),
                     [now](const ProcessInfo& process) { return !is_silent(process, now); });
}

std::vector<std::string> find_problems(const Status& status, base::UtcTime now) {
  std::vector<std::string> problems = status.problems;
  if (status.bus && !status.bus->error.empty()) problems.push_back("the bus: " + status.bus->error);
  if (!status.store_error.empty()) {
    problems.push_back(status.store_error);
    return problems;
  }
  for (const ProcessInfo& process : status.store.processes)
    add_process_problems(status, process, now, problems);
  if (!status.store.evicting.empty()) {
    problems.push_back(fmt::format(
        "the Redis server of the store throws keys away when its memory is full (maxmemory-policy {}): "
        "records, counts and rules get lost unseen; set maxmemory-policy noeviction",
        status.store.evicting));
  }
  if (status.store.bytes > status.retention.bytes) {
    problems.push_back(fmt::format(
        "the store holds {}, more than the {} of [perf] retention_size; 'headroom prune' makes room",
        base::format_size(status.store.bytes), base::format_size(status.retention.bytes)));
  }
  add_silent_problems(status, now, problems);
  if (status.store.processes.empty())
    problems.emplace_back("no process has recorded into this store within the last hour");
  return problems;
}

base::Result<void> ask_store(perf::OpenStore& open, Status& status) {
  auto info = open.store->info();
  if (!info) return base::fail(std::move(info.error()));
  const auto retention = open.control->retention();
  if (!retention) return base::fail(retention.error());
  const auto rules = open.control->rules(0);
  if (!rules) return base::fail(rules.error());
  status.store = std::move(*info);
  status.retention = *retention;
  status.rules_version = rules->version;
  status.rules = rules->rules.size();
  return {};
}

nlohmann::json running_json(const perf::RunningCall& call) {
  return {{"id", call.summary.id},
          {"database", call.summary.database},
          {"session", call.summary.session},
          {"user", call.summary.user},
          {"method", call.summary.method},
          {"start", base::to_iso(call.summary.start)},
          {"seconds", static_cast<double>(call.summary.wall.count()) / 1e6},
          {"host", call.host},
          {"process", call.process},
          {"activity", perf::name(call.activity)},
          {"activity_seconds", static_cast<double>(call.activity_age.count()) / 1e6},
          {"statement", call.statement}};
}

namespace {

std::string bus_text(const Status::Bus& bus) {
  if (!bus.error.empty()) return "bus            does not answer\n";
  return fmt::format("bus            {} of {} connections, {} channels, {} users\n", bus.connections,
                     bus.most_connections, bus.channels, bus.users);
}

nlohmann::ordered_json bus_json(const std::optional<Status::Bus>& bus) {
  if (!bus) return nullptr;
  if (!bus->error.empty()) return {{"error", bus->error}};
  return {{"connections", bus->connections},
          {"most_connections", bus->most_connections},
          {"channels", bus->channels},
          {"users", bus->users}};
}

}  // namespace

perf::Report status_report(const Status& status, base::UtcTime now) {
  using perf::Cell;
  using perf::Format;
  const auto number = [](std::uint64_t value) { return Cell(static_cast<std::int64_t>(value)); };
  const bool known = status.store_error.empty();
  const perf::StoreInfo& store = status.store;
  const std::vector<std::pair<perf::Column, Cell>> cells{
      {{"version"}, status.version},
      {{"configuration"}, status.configuration},
      {{"store"}, store.url},
      {{"source"}, status.choice.source},
      {{"error"}, status.store_error},
      {{"kind"}, store.kind},
      {{"schema", Format::kCount}, known ? number(store.schema) : Cell()},
      {{"calls", Format::kCount}, known ? number(store.calls) : Cell()},
      {{"bytes", Format::kBytes}, known ? number(store.bytes) : Cell()},
      {{"oldest", Format::kTime}, store.oldest ? Cell(*store.oldest) : Cell()},
      {{"retention_age", Format::kSeconds}, status.retention.age},
      {{"retention_size", Format::kBytes}, number(status.retention.bytes)},
      {{"rules", Format::kCount}, number(status.rules)},
      {{"rules_version", Format::kCount}, number(status.rules_version)},
      {{"rules_of_files", Format::kCount}, number(file_rules(store.processes, now).size())},
      {{"processes", Format::kCount}, number(store.processes.size() - silent_processes(status, now).size())},
      {{"silent", Format::kCount}, number(silent_processes(status, now).size())},
      {{"running", Format::kCount}, number(status.running.size())}};
  perf::Report report;
  report.table.rows.emplace_back();
  for (const auto& [column, cell] : cells) {
    report.table.columns.push_back(column);
    report.table.rows.front().push_back(cell);
  }
  perf::Part warnings{"warnings", {{{"warning", Format::kText}}, {}}};
  for (const std::string& problem : find_problems(status, now)) warnings.table.rows.push_back({problem});
  const auto all = static_cast<std::ptrdiff_t>(store.processes.size());
  report.parts = {{"process_list", process_table(status, now, all)},
                  {"running_list", running_table(status)},
                  std::move(warnings)};
  return report;
}

std::string status_text(const Status& status, base::UtcTime now) {
  std::string text = fmt::format("headroom {}\n", status.version);
  text +=
      fmt::format("configuration  {}\n",
                  status.configuration.empty() ? "none, defaults" : perf::escape_line(status.configuration));
  text += fmt::format("store          {} (from {})\n", perf::escape_line(status.store.url),
                      perf::escape_line(status.choice.source));
  text += status.store_error.empty() ? store_text(status, now) : "               cannot be read\n";
  text +=
      fmt::format("{}running        {}\n", status.store.processes.empty() ? "" : "\n", status.running.size());
  if (!status.running.empty()) text += "\n" + aligned(running_table(status));
  if (status.bus) text += bus_text(*status.bus);
  const std::vector<std::string> problems = find_problems(status, now);
  if (!problems.empty()) text += "\n";
  for (const std::string& problem : problems)
    text += fmt::format("warning: {}\n", perf::escape_line(problem));
  return text;
}

std::string status_json(const Status& status, base::UtcTime now) {
  nlohmann::ordered_json processes = nlohmann::ordered_json::array();
  for (const ProcessInfo& process : status.store.processes) processes.push_back(process_json(process, now));
  nlohmann::json running = nlohmann::json::array();
  for (const perf::RunningCall& call : status.running) running.push_back(running_json(call));
  const nlohmann::ordered_json json = {
      {"version", status.version},
      {"configuration", status.configuration},
      {"store", store_json(status)},
      {"retention",
       {{"age", static_cast<double>(status.retention.age.count()) / 1e6}, {"bytes", status.retention.bytes}}},
      {"rules",
       {{"version", status.rules_version},
        {"count", status.rules},
        {"of_files", file_rules(status.store.processes, now).size()}}},
      {"processes", processes},
      {"running", running},
      {"bus", bus_json(status.bus)},
      {"problems", find_problems(status, now)}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace headroom::cli
