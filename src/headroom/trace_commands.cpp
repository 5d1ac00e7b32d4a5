#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdlib>
#include <memory>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "headroom/commands.hpp"
#include "headroom/output.hpp"
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

std::vector<std::string> split_all(const std::vector<std::string>& values) {
  std::vector<std::string> entries;
  for (const std::string& value : values) {
    for (std::string& entry : perf::split_list(value)) entries.push_back(std::move(entry));
  }
  return entries;
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

/// A rule for everything would slow everybody down and fill the store: it has to be asked for.
Result<void> require_a_limit(const RuleOptions& options) {
  if (!options.users.empty() || !options.methods.empty() || !options.database.empty() ||
      !options.slower_than.empty() || !options.sample.empty()) {
    return {};
  }
  return fail(ErrorCode::kInvalidArgument,
              "trace add: whom? Give --user, --method, --database, --slower-than or --sample; --method '*' "
              "is everybody");
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
  if (const auto limited = require_a_limit(options); !limited) return fail(limited.error());
  perf::Rule rule;
  for (const std::string& user : split_all(options.users))
    rule.users.push_back(perf::UserPattern::parse(user));
  rule.database = options.database;
  rule.methods = split_all(options.methods);
  rule.profile = split_all(options.profile);
  rule.sample = split_all(options.sample_profile);
  rule.db = split_all(options.db);
  rule.io = split_all(options.io);
  rule.created = base::utc_now();
  rule.author = author();
  if (const auto read = read_spans(options, rule); !read) return fail(read.error());
  if (!options.sample.empty()) {
    const auto one_in = parse_one_in(options.sample);
    if (!one_in) return fail(one_in.error());
    rule.one_in = *one_in;
  }
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
                          {"author", Format::kText}};
  for (const perf::Rule& rule : rules) {
    report.table.rows.push_back(
        {rule.id, joined(rule.users), rule.database, joined(rule.methods), joined(rule.profile),
         joined(rule.sample), joined(rule.db), joined(rule.io), rule.query ? Cell(*rule.query) : Cell(),
         rule.slower_than.count() > 0 ? Cell(rule.slower_than) : Cell(),
         static_cast<std::int64_t>(rule.one_in), rule.expires ? Cell(*rule.expires) : Cell(), rule.author});
  }
  report.total = report.table.rows.size();
  return report;
}

Result<Exit> add_rule(const RuleOptions& options, const Invocation& invocation) {
  auto rule = rule_of(options);
  if (!rule) return fail(rule.error());
  const auto store = open_chosen_store(invocation, perf::OpenMode::kWrite);
  if (!store) return fail(store.error());
  auto id = store->control->add_rule(*rule);
  if (!id) return fail(id.error());
  rule->id = *id;
  return print_report(invocation.options, rules_report({*rule}));
}

Result<Exit> list_rules(const Invocation& invocation) {
  const auto store = open_chosen_store(invocation, perf::OpenMode::kRead);
  if (!store) return fail(store.error());
  auto rules = store->control->rules(0);
  if (!rules) return fail(rules.error());
  const base::UtcTime now = base::utc_now();
  std::erase_if(rules->rules, [now](const perf::Rule& rule) { return rule.expires && *rule.expires <= now; });
  return print_report(invocation.options, rules_report(rules->rules));
}

Result<Exit> remove_rules(const std::vector<std::string>& ids, const Invocation& invocation) {
  const auto store = open_chosen_store(invocation, perf::OpenMode::kWrite);
  if (!store) return fail(store.error());
  for (const std::string& id : ids) {
    if (const auto removed = store->control->remove_rule(id); !removed) {
      return fail(base::Error(removed.error()).within(fmt::format("rule {}", id)));
    }
  }
  return Exit::kFine;
}

void add_rule_options(CLI::App& command, RuleOptions& options) {
  command.add_option("--user", options.users,
                     "this user: a login, digits for an id, login:42 for a login of digits");
  command.add_option("--database", options.database, "only in databases that match, for example 'shop*'");
  command.add_option("--method", options.methods, "only methods that match, for example 'model.sale.*'");
  command.add_option("--profile", options.profile, "exact profile of methods that match");
  command.add_option("--sample-profile", options.sample_profile, "sampling profile of methods that match");
  command.add_option("--db", options.db, "keep every statement of methods that match");
  command.add_option("--io", options.io, "keep request and response of methods that match");
  command.add_option("--query", options.query,
                     "keep SQL and backtrace of statements slower than this, for example 0.5");
  command.add_option("--slower-than", options.slower_than, "only calls that take longer, for example 2s");
  command.add_option("--sample", options.sample, "only one call in so many, for example 1/100");
  command.add_option("--for", options.duration, "the rule ends after this time; 'ever': when it is removed")
      ->capture_default_str();
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
