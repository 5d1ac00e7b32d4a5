#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <tuple>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "headroom/commands.hpp"
#include "headroom/output.hpp"
#include "headroom/rule_check.hpp"
#include "headroom/status.hpp"
#include "perf/report.hpp"
#include "perf/rule.hpp"

namespace headroom::cli {

namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using perf::Cell;
using perf::Format;

/// The options of `trace add`, as they were written.
struct RuleOptions {
  std::vector<std::string> users;
  std::string database;
  std::vector<std::string> methods;
  std::vector<std::string> profile;
  std::vector<std::string> sample_profile;
  std::vector<std::string> db;
  std::vector<std::string> io;
  std::string query;
  std::string slower_than;
  std::string sample;
  std::string duration = "1h";
};

/// Who gave the rule: the person behind sudo, if there is one.
std::string author() {
  if (const char* person = std::getenv("SUDO_USER"); person != nullptr && *person != '\0') return person;
  const passwd* entry = ::getpwuid(::geteuid());
  return entry == nullptr ? fmt::format("uid {}", ::geteuid()) : std::string(entry->pw_name);
}

/// An option that was given, but with nothing in it (`--user "$WHO"`), must not widen the rule.
Result<void> read_list(const char* option, const std::vector<std::string>& values,
                       std::vector<std::string>& entries) {
  for (const std::string& value : values) {
    if (auto given = check_not_empty(option, value); !given) return given;
    for (std::string& entry : perf::split_list(value)) entries.push_back(std::move(entry));
  }
  return {};
}

Result<void> read_lists(const RuleOptions& options, perf::Rule& rule) {
  std::vector<std::string> users;
  const std::array<std::tuple<const char*, const std::vector<std::string>*, std::vector<std::string>*>, 6>
      lists{{{"--user", &options.users, &users},
             {"--method", &options.methods, &rule.methods},
             {"--profile", &options.profile, &rule.profile},
             {"--sample-profile", &options.sample_profile, &rule.sample},
             {"--db", &options.db, &rule.db},
             {"--io", &options.io, &rule.io}}};
  for (const auto& [option, values, entries] : lists) {
    if (auto read = read_list(option, *values, *entries); !read) return read;
  }
  for (const std::string& user : users) rule.users.push_back(perf::UserPattern::parse(user));
  return {};
}

Result<std::uint32_t> parse_one_in(std::string_view text) {
  std::string_view number = text;
  if (number.starts_with("1/")) number.remove_prefix(2);
  std::uint32_t one_in = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), one_in);
  if (error != std::errc{} || end != number.data() + number.size() || one_in == 0) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("--sample '{}': expected 1/N, for example 1/100", text));
  }
  return one_in;
}

Result<std::optional<base::Microseconds>> parse_span(const char* option, const std::string& text) {
  if (text.empty()) return std::optional<base::Microseconds>();
  const auto span = base::parse_duration(text);
  if (!span) return fail(base::Error(span.error()).within(option));
  if (span->count() < 0) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} '{}': a time span is not negative", option, text));
  }
  return std::optional(*span);
}

Result<void> read_spans(const RuleOptions& options, perf::Rule& rule) {
  const auto query = parse_span("--query", options.query);
  if (!query) return fail(query.error());
  rule.query = *query;
  const auto slower_than = parse_span("--slower-than", options.slower_than);
  if (!slower_than) return fail(slower_than.error());
  rule.slower_than = slower_than->value_or(base::Microseconds{0});
  if (options.duration == "ever") return {};
  const auto duration = parse_span("--for", options.duration);
  if (!duration) return fail(duration.error());
  rule.expires = rule.created + duration->value_or(std::chrono::hours{1});
  return {};
}

Result<perf::Rule> rule_of(const RuleOptions& options) {
  perf::Rule rule;
  if (const auto read = read_lists(options, rule); !read) return fail(read.error());
  rule.database = options.database;
  rule.created = base::utc_now();
  rule.author = author();
  if (const auto read = read_spans(options, rule); !read) return fail(read.error());
  if (!options.sample.empty()) {
    const auto one_in = parse_one_in(options.sample);
    if (!one_in) return fail(one_in.error());
    rule.one_in = *one_in;
  }
  if (const auto checked = check_rule(rule); !checked)
    return fail(base::Error(checked.error()).within("trace add"));
  return rule;
}

std::string joined(const std::vector<std::string>& entries) {
  return fmt::format("{}", fmt::join(entries, ","));
}

std::string joined(const std::vector<perf::UserPattern>& users) {
  std::vector<std::string> texts;
  for (const perf::UserPattern& user : users) texts.push_back(user.text());
  return joined(texts);
}

perf::Report rules_report(const std::vector<perf::Rule>& rules) {
  perf::Report report;
  report.table.columns = {{"rule", Format::kText},     {"user", Format::kText},
                          {"database", Format::kText}, {"method", Format::kText},
                          {"profile", Format::kText},  {"sample_profile", Format::kText},
                          {"db", Format::kText},       {"io", Format::kText},
                          {"query", Format::kSeconds}, {"slower_than", Format::kSeconds},
                          {"one_in", Format::kCount},  {"expires", Format::kTime},
                          {"author", Format::kText},   {"where", Format::kText}};
  for (const perf::Rule& rule : rules) {
    report.table.rows.push_back(
        {rule.id, joined(rule.users), rule.database, joined(rule.methods), joined(rule.profile),
         joined(rule.sample), joined(rule.db), joined(rule.io), rule.query ? Cell(*rule.query) : Cell(),
         rule.slower_than.count() > 0 ? Cell(rule.slower_than) : Cell(),
         static_cast<std::int64_t>(rule.one_in), rule.expires ? Cell(*rule.expires) : Cell(), rule.author,
         std::string("every process")});
  }
  report.total = report.table.rows.size();
  return report;
}

/// Rules that no command changes: their files do, and a restart.
void add_file_rules(perf::Report& report, const std::vector<FileRule>& rules) {
  for (const FileRule& one : rules) {
    auto row = std::move(rules_report({one.rule}).table.rows.front());
    row.front() = "config";
    row.back() = one.where();
    report.table.rows.push_back(std::move(row));
  }
  report.total = report.table.rows.size();
}

Result<Exit> add_rule(const RuleOptions& options, const Invocation& invocation) {
  auto rule = rule_of(options);
  if (!rule) return fail(rule.error());
  const auto store = open_chosen_store(invocation, perf::OpenMode::kWrite);
  if (!store) return fail(store.error());
  auto id = store->control->add_rule(*rule);
  if (!id) return fail(id.error());
  rule->id = *id;
  perf::Report report = rules_report({*rule});
  const auto info = store->store->info();
  if (!info) return fail(info.error());
  if (!anything_records(info->processes, base::utc_now())) {
    report.note =
        fmt::format("no process records into {} now; 'headroom status' says what there is", info->url);
  }
  return print_report(invocation.options, report);
}

Result<Exit> list_rules(const Invocation& invocation) {
  const auto store = open_chosen_store(invocation, perf::OpenMode::kRead);
  if (!store) return fail(store.error());
  auto rules = store->control->rules(0);
  if (!rules) return fail(rules.error());
  const base::UtcTime now = base::utc_now();
  std::erase_if(rules->rules, [now](const perf::Rule& rule) { return rule.expires && *rule.expires <= now; });
  const auto info = store->store->info();
  if (!info) return fail(info.error());
  perf::Report report = rules_report(rules->rules);
  add_file_rules(report, file_rules(info->processes, now));
  if (report.total == 0)
    report.note = "no rule: nothing is recorded in detail; 'headroom trace add' adds one";
  return print_report(invocation.options, report);
}

Result<Exit> remove_rules(const std::vector<std::string>& ids, const Invocation& invocation) {
  const auto store = open_chosen_store(invocation, perf::OpenMode::kChange);
  if (!store) return fail(store.error());
  for (const std::string& id : ids) {
    if (const auto removed = store->control->remove_rule(id); !removed) {
      return fail(base::Error(removed.error()).within(fmt::format("rule {}", id)));
    }
  }
  return Exit::kFine;
}

/// For the options with one value: the lists say it themselves.
std::string refuse_empty(const std::string& value) {
  return value.empty() ? "expected a value; leave the option out where nothing shall be restricted" : "";
}

void add_rule_options(CLI::App& command, RuleOptions& options) {
  command.add_option(
      "--user", options.users,
      "this user: a login or a glob of logins, digits for an id, login:42 for a login of digits");
  command.add_option("--database", options.database, "only in databases that match, for example 'shop*'")
      ->check(refuse_empty);
  command.add_option("--method", options.methods, "only methods that match, for example 'model.sale.*'");
  command.add_option("--profile", options.profile, "exact profile of methods that match");
  command.add_option("--sample-profile", options.sample_profile, "sampling profile of methods that match");
  command.add_option("--db", options.db, "keep every statement of methods that match");
  command.add_option("--io", options.io, "keep request and response of methods that match");
  command
      .add_option("--query", options.query,
                  "keep SQL and backtrace of statements slower than this, for example 0.5")
      ->check(refuse_empty);
  command.add_option("--slower-than", options.slower_than, "only calls that take longer, for example 2s")
      ->check(refuse_empty);
  command.add_option("--sample", options.sample, "only one call in so many, for example 1/100")
      ->check(refuse_empty);
  command.add_option("--for", options.duration, "the rule ends after this time; 'ever': when it is removed")
      ->capture_default_str()
      ->check(refuse_empty);
}

CLI::App* add_add(CLI::App& trace, Invocation& invocation) {
  CLI::App* add = trace.add_subcommand("add", "Record calls in detail from now on");
  add->footer(
      "Every process obeys within 2 seconds. Lists may be given again or with commas.\n\nExamples:\n"
      "  headroom trace add --user admin --profile 'model.sale.*' --for 10m\n"
      "  headroom trace add --method '*' --slower-than 2s --query 0.5 --for 1d\n"
      "  headroom trace add --database shop --sample 1/100");
  auto options = std::make_shared<RuleOptions>();
  add_rule_options(*add, *options);
  add->callback([&invocation, options] {
    invocation.run = [options](Invocation& run) { return add_rule(*options, run); };
  });
  return add;
}

}  // namespace

void add_trace_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* trace =
      app.add_subcommand("trace", "Choose whose calls are recorded in detail, without a restart");
  trace->group("Recording");
  trace->require_subcommand(1);
  trace->footer(
      "Examples:\n  headroom trace add --user admin --for 10m\n  headroom trace list\n  headroom trace "
      "remove r7");
  add_add(*trace, invocation);
  CLI::App* list = trace->add_subcommand("list", "List the rules that hold");
  list->footer("Examples:\n  headroom trace list --json");
  list->callback([&invocation] { invocation.run = [](Invocation& run) { return list_rules(run); }; });
  CLI::App* remove = trace->add_subcommand("remove", "Remove rules");
  remove->footer("Examples:\n  headroom trace remove r7 r8");
  auto ids = std::make_shared<std::vector<std::string>>();
  remove->add_option("rule", *ids, "as 'headroom trace list' shows it")->required();
  remove->callback(
      [&invocation, ids] { invocation.run = [ids](Invocation& run) { return remove_rules(*ids, run); }; });
}

}  // namespace headroom::cli
