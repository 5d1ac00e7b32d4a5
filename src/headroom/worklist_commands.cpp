// `headroom worklist`: check, plan, count, documents, explain, import. They work without a running service,
// but for `count --live`, which asks it.

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "headroom/commands.hpp"
#include "headroom/output.hpp"
#include "headroom/text_file.hpp"
#include "headroom/worklist_client.hpp"
#include "worklist/action.hpp"
#include "worklist/cost.hpp"
#include "worklist/count.hpp"
#include "worklist/database_check.hpp"
#include "worklist/import.hpp"
#include "worklist/live_check.hpp"
#include "worklist/user_source.hpp"

namespace headroom::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using perf::Format;
using perf::Shown;
using worklist::Definitions;
using worklist::Fate;

constexpr std::uint64_t kMostDocuments = 10'000;

struct WorklistOptions {
  std::string file;
  std::string url;
  std::string timeout;
  std::string user;
  std::string user_file;
  std::string way = "auto";
  std::string list;
  std::string limit = "100";
  std::string after;
  bool all = false;
  bool live = false;
};

using Shared = std::shared_ptr<WorklistOptions>;

/// What every command works on.
struct Work {
  Definitions definitions;
  std::unique_ptr<sql::Reader> reader;  ///< none without a URL
  std::unique_ptr<sql::Reader> users;   ///< none when they are where the documents are
  worklist::User user;
  base::UtcTime now;
  worklist::Way way = worklist::Way::kJoin;
  std::optional<worklist::Choice> choice;  ///< none: --way named one

  [[nodiscard]] worklist::Question question() const {
    const auto dialect = reader == nullptr ? sql::Dialect::kPostgres : reader->dialect();
    return {definitions, user, now, dialect, way};
  }
  /// Who knows the users; none without a URL.
  [[nodiscard]] sql::Reader* users_reader() const { return users != nullptr ? users.get() : reader.get(); }
  [[nodiscard]] std::string key_of(std::size_t list) const { return definitions.lists[list].key(); }
};

/// The definitions' file. Errors: invalid_argument when nobody names one.
Result<std::string> chosen_file(const Invocation& run, const WorklistOptions& options) {
  const std::string& file = options.file.empty() ? run.configuration.worklist.file : options.file;
  if (!file.empty()) return file;
  return fail(ErrorCode::kInvalidArgument,
              "no definitions: --file, or file in [worklist] of headroom.toml, names worklists.yaml");
}

Result<Definitions> load_definitions(const std::string& file, base::UtcTime now) {
  auto text = read_text_file(file);
  if (!text) return fail(std::move(text.error()));
  return worklist::read_definitions(*text, file, now);
}

Result<std::chrono::milliseconds> chosen_timeout(const Invocation& run, const WorklistOptions& options) {
  base::Microseconds timeout = run.configuration.worklist.timeout;
  if (!options.timeout.empty()) {
    const auto given = base::parse_duration(options.timeout);
    if (!given || *given < std::chrono::milliseconds{1} || *given > std::chrono::minutes{10}) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("--timeout '{:.40}': expected a span from 1ms to 10m", options.timeout));
    }
    timeout = *given;
  }
  return std::chrono::duration_cast<std::chrono::milliseconds>(timeout);
}

Result<std::unique_ptr<sql::Reader>> open_reader(const Invocation& run, const WorklistOptions& options,
                                                 const std::string& url, std::string_view what) {
  const auto timeout = chosen_timeout(run, options);
  if (!timeout) return fail(timeout.error());
  auto reader = sql::open_reader(url, {*timeout});
  if (!reader) return fail(std::move(reader.error()).within(what));
  return reader;
}

/// None when no URL is known.
Result<std::unique_ptr<sql::Reader>> open_database(const Invocation& run, const WorklistOptions& options) {
  const std::string& url = options.url.empty() ? run.configuration.worklist.url : options.url;
  if (url.empty()) return std::unique_ptr<sql::Reader>();
  return open_reader(run, options, url, "the database of the work lists");
}

/// None when the users are where the documents are: --url means a whole database, users included.
Result<std::unique_ptr<sql::Reader>> open_users(const Invocation& run, const WorklistOptions& options) {
  const std::string& url = run.configuration.worklist.users_url;
  if (url.empty() || !options.url.empty()) return std::unique_ptr<sql::Reader>();
  return open_reader(run, options, url, "the database of the users");
}

Result<worklist::User> read_user_file(const Work& work, const std::string& file) {
  auto text = read_text_file(file);
  if (!text) return fail(std::move(text.error()));
  auto user = worklist::read_user(*text);
  if (!user) return fail(std::move(user.error()).within(file));
  if (work.users_reader() == nullptr) return user;
  if (auto loaded = worklist::load_conditions(*work.users_reader(), work.definitions, *user); !loaded)
    return fail(std::move(loaded.error()));
  return user;
}

Result<worklist::User> chosen_user(const Work& work, const WorklistOptions& options) {
  if (options.user.empty() == options.user_file.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "expected either --user, an id that `users` of the definitions finds in the database, or "
                "--user-file, a JSON file");
  }
  if (!options.user_file.empty()) return read_user_file(work, options.user_file);
  if (work.users_reader() == nullptr) {
    return fail(ErrorCode::kInvalidArgument,
                "--user needs a database: --url, or url in [worklist] of headroom.toml, names it");
  }
  return worklist::load_user(*work.users_reader(), work.definitions, options.user);
}

Result<Work> prepare(const Invocation& run, const WorklistOptions& options) {
  Work work;
  work.now = base::utc_now();
  const auto file = chosen_file(run, options);
  if (!file) return fail(file.error());
  auto definitions = load_definitions(*file, work.now);
  if (!definitions) return fail(std::move(definitions.error()));
  work.definitions = std::move(*definitions);
  auto reader = open_database(run, options);
  if (!reader) return fail(std::move(reader.error()));
  work.reader = std::move(*reader);
  auto users = open_users(run, options);
  if (!users) return fail(std::move(users.error()));
  work.users = std::move(*users);
  auto user = chosen_user(work, options);
  if (!user) return fail(std::move(user.error()));
  work.user = std::move(*user);
  return work;
}

std::string names_of(const std::set<worklist::Way>& ways) {
  std::vector<std::string_view> names;
  for (const worklist::Way way : ways) names.push_back(worklist::name(way));
  return fmt::format("{}", fmt::join(names, ", "));
}

/// That of --way, or the cheapest one for the lists that are there, of those that the site allows.
Result<void> choose_way(const Invocation& run, const WorklistOptions& options, Work& work) {
  const std::set<worklist::Way>& allowed = run.configuration.worklist.ways;
  if (options.way != "auto") {
    work.way = worklist::parse_way(options.way).value();
    if (allowed.contains(work.way)) return {};
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("--way {}: ways in [worklist] of headroom.toml allows {}", options.way,
                            names_of(allowed)));
  }
  auto choice = work.reader == nullptr ? worklist::choose_way(work.question(), {}, allowed)
                                       : worklist::choose_way(*work.reader, work.question(), allowed);
  if (!choice) return fail(std::move(choice.error()));
  work.way = choice->way;
  work.choice = std::move(*choice);
  return {};
}

/// A note for each line.
void print_notes(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    print_note(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

Result<Work> prepare_with_database(const Invocation& run, const WorklistOptions& options) {
  auto work = prepare(run, options);
  if (work && work->reader == nullptr) {
    return fail(ErrorCode::kInvalidArgument,
                "no database: --url, or url in [worklist] of headroom.toml, names it");
  }
  return work;
}

std::string columns_of(const Definitions& definitions, const worklist::WorkList& list) {
  std::vector<std::string> names;
  for (const worklist::Criterion& one : list.criteria)
    names.push_back(definitions.catalogs[list.catalog].columns[one.column].name);
  return fmt::format("{}", fmt::join(names, ", "));
}

/// Why a list is not counted in the ways in which it isn't. `not_live` is empty where it can be counted live.
std::string why_not_others(const std::set<worklist::Way>& allowed, const std::string& not_live) {
  std::vector<std::string> why;
  if (!not_live.empty()) why.push_back("live: " + not_live);
  for (const worklist::Way way : worklist::kAllWays) {
    if (!allowed.contains(way))
      why.push_back(fmt::format("{}: the site does not allow it", worklist::name(way)));
  }
  return fmt::format("{}", fmt::join(why, "; "));
}

/// `not_live`: by lists, why they can't be counted live; empty where they can.
perf::Report checked_lists(const Definitions& definitions, const std::set<worklist::Way>& allowed,
                           const std::vector<std::string>& not_live) {
  perf::Report report;
  report.table.columns = {{"list"},
                          {"catalog"},
                          {"columns"},
                          {"ways"},
                          {"why not others", Format::kLongText},
                          {"line", Format::kCount}};
  for (std::size_t i = 0; i < definitions.lists.size(); ++i) {
    const worklist::WorkList& list = definitions.lists[i];
    const std::string ways = (not_live[i].empty() ? "live, " : "") + names_of(allowed);
    report.table.rows.push_back({list.key(), definitions.catalogs[list.catalog].name,
                                 columns_of(definitions, list), ways, why_not_others(allowed, not_live[i]),
                                 std::int64_t{list.line}});
  }
  report.total = report.table.rows.size();
  return report;
}

perf::Report problems_report(const std::vector<worklist::DatabaseProblem>& problems) {
  perf::Report report;
  report.table.columns = {{"subject"}, {"problem", Format::kLongText}};
  for (const worklist::DatabaseProblem& one : problems)
    report.table.rows.push_back({one.subject, one.problem});
  return report;
}

/// Which ways each list can be counted here. What live counting lacks is a failure where the service is told
/// to count live, else a note.
Result<Exit> check_live(const Invocation& run, const WorklistOptions& options,
                        const Definitions& definitions) {
  const WorklistSection& section = run.configuration.worklist;
  std::string url = options.url.empty() ? section.url : options.url;
  if (options.url.empty() && !section.live_url.empty()) url = section.live_url;
  auto reader = open_reader(run, options, url, "the login that reads the log");
  if (!reader) return fail(std::move(reader.error()));
  if ((*reader)->dialect() != sql::Dialect::kPostgres) {
    return print_report(run.options,
                        checked_lists(definitions, section.ways, worklist::no_live_lists(definitions).why));
  }
  const auto checked = worklist::check_live_database(**reader, definitions, section.publication);
  if (!checked) return fail(checked.error());
  std::vector<std::string> not_live = checked->why;
  std::string lacks;
  for (const worklist::DatabaseProblem& one : checked->problems) {
    lacks += fmt::format("{}{}: {}", lacks.empty() ? "" : "; ", one.subject, one.problem);
  }
  for (std::string& why : not_live) {
    if (why.empty()) why = lacks;
  }
  const Exit printed = print_report(run.options, checked_lists(definitions, section.ways, not_live));
  if (!lacks.empty()) print_note("nothing can be counted live: " + lacks);
  return section.live && !lacks.empty() ? Exit::kFailed : printed;
}

Result<Exit> check(const Invocation& run, const WorklistOptions& options) {
  const auto file = chosen_file(run, options);
  if (!file) return fail(file.error());
  const auto definitions = load_definitions(*file, base::utc_now());
  if (!definitions) {
    // What is wrong with the file is what was asked for.
    if (definitions.error().code() != ErrorCode::kInvalidArgument) return fail(definitions.error());
    print_error(definitions.error().message());
    return Exit::kFailed;
  }
  auto reader = open_database(run, options);
  if (!reader) return fail(std::move(reader.error()));
  if (*reader == nullptr) {
    perf::Report report =
        checked_lists(*definitions, run.configuration.worklist.ways, worklist::live_lists(*definitions).why);
    report.note = "the database was not asked: neither --url nor [worklist] names one";
    return print_report(run.options, report);
  }
  auto users = open_users(run, options);
  if (!users) return fail(std::move(users.error()));
  sql::Reader& rights = *users != nullptr ? **users : **reader;
  const auto problems = worklist::check_database(**reader, rights, *definitions);
  if (!problems) return fail(problems.error());
  if (!problems->empty()) {
    (void)print_report(run.options, problems_report(*problems));
    return Exit::kFailed;
  }
  const auto sizes = worklist::read_sizes(**reader, *definitions);
  if (!sizes) return fail(sizes.error());
  auto checked = check_live(run, options, *definitions);
  if (checked) print_notes(worklist::to_text(*definitions, *sizes));
  return checked;
}

std::string_view name(Fate fate) {
  if (fate == Fate::kCounted) return "counted";
  return fate == Fate::kHidden ? "hidden" : "zero";
}

/// By place in Plan::lists: the numbers of the statements that count it.
std::vector<std::vector<std::int64_t>> statement_numbers(const worklist::Plan& plan) {
  std::vector<std::vector<std::int64_t>> numbers(plan.lists.size());
  for (std::size_t i = 0; i < plan.statements.size(); ++i) {
    if (plan.statements[i].list) numbers[*plan.statements[i].list] = {static_cast<std::int64_t>(i) + 1};
  }
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    for (const std::size_t list : plan.groups[i].lists)
      numbers[list].push_back(static_cast<std::int64_t>(i) + 1);
  }
  return numbers;
}

/// One as a number, several as a text: "1, 4".
perf::Cell statement_cell(const std::vector<std::int64_t>& numbers) {
  if (numbers.size() == 1) return numbers.front();
  return fmt::format("{}", fmt::join(numbers, ", "));
}

Result<Exit> plan(const Invocation& run, const WorklistOptions& options) {
  auto work = prepare(run, options);
  if (!work) return fail(work.error());
  if (auto chosen = choose_way(run, options, *work); !chosen) return fail(std::move(chosen.error()));
  const auto made = worklist::make_plan(work->question());
  if (!made) return fail(made.error());
  const auto numbers = statement_numbers(*made);
  perf::Report report;
  report.table.columns = {{"list"}, {"fate"}, {"statement", Format::kCount}, {"why", Format::kLongText}};
  for (std::size_t i = 0; i < made->lists.size(); ++i) {
    const worklist::PlannedList& list = made->lists[i];
    perf::Cell number;
    if (list.fate == Fate::kCounted) number = statement_cell(numbers[i]);
    report.table.rows.push_back({work->key_of(list.list), std::string(name(list.fate)), number, list.why});
  }
  report.total = report.table.rows.size();
  report.note = fmt::format("{} statements", made->statements.size());
  const Exit exit = print_report(run.options, report);
  if (work->choice) print_notes(worklist::to_text(*work->choice));
  return exit;
}

/// What the service says.
Result<Exit> count_live(const Invocation& run, const WorklistOptions& options) {
  if (options.user.empty())
    return fail(ErrorCode::kInvalidArgument, "--live asks the service, which knows users by --user alone");
  auto access = service_access(run.configuration, ServiceUse::kReads);
  if (!access) return fail(std::move(access.error()));
  const auto reply =
      ask_bus(*access, "GET", worklist_target(options.user, options.all ? "counts?all=1" : "counts"));
  if (!reply) return fail(reply.error());
  const auto body = nlohmann::json::parse(reply->body, nullptr, false);
  if (!body.is_object() || !body.contains("lists"))
    return fail(ErrorCode::kProtocol, "the service's answer has no lists");
  perf::Report report;
  report.table.columns = {{"list"},
                          {"count", Format::kCount},
                          {"way"},
                          {"title"},
                          {"category", Format::kText, Shown::kWhereItFits},
                          {"url", Format::kLongText, Shown::kWhereItFits}};
  for (const auto& list : body["lists"]) {
    report.table.rows.push_back({list.value("list", ""), list.value("count", std::int64_t{0}),
                                 list.value("way", ""), list.value("name", ""), list.value("category", ""),
                                 list.value("url", "")});
  }
  report.total = report.table.rows.size();
  const bool is_live = body["lsn"].is_string();
  report.note = is_live ? fmt::format("{}, as of {}", body.value("state", ""), body.value("lsn", ""))
                        : "nothing was counted live";
  return print_report(run.options, report);
}

Result<Exit> count(const Invocation& run, const WorklistOptions& options) {
  if (options.live) return count_live(run, options);
  auto work = prepare_with_database(run, options);
  if (!work) return fail(work.error());
  if (auto chosen = choose_way(run, options, *work); !chosen) return fail(std::move(chosen.error()));
  const auto counts = worklist::count(*work->reader, work->question());
  if (!counts) return fail(counts.error());
  perf::Report report;
  report.table.columns = {{"list"},
                          {"count", Format::kCount},
                          {"title"},
                          {"category", Format::kText, Shown::kWhereItFits},
                          {"url", Format::kLongText, Shown::kWhereItFits}};
  std::size_t hidden = 0;
  for (std::size_t i = 0; i < counts->size(); ++i) {
    const worklist::Count& one = (*counts)[i];
    hidden += one.fate == Fate::kHidden ? 1 : 0;
    if (one.fate == Fate::kHidden || (one.count == 0 && !options.all)) continue;
    const auto action = worklist::action_of(work->definitions, i, one.count, work->now);
    report.table.rows.push_back(
        {action.list, static_cast<std::int64_t>(one.count), action.name, action.category, action.url});
  }
  report.total = report.table.rows.size();
  if (hidden > 0) report.note = fmt::format("{} lists are hidden by their guards", hidden);
  return print_report(run.options, report);
}

Result<Exit> documents(const Invocation& run, const WorklistOptions& options) {
  const auto work = prepare_with_database(run, options);
  if (!work) return fail(work.error());
  const auto list = work->definitions.find_list(options.list);
  if (!list) return fail(list.error());
  const worklist::Page page{std::stoull(options.limit), options.after};
  const auto keys = worklist::documents(*work->reader, work->question(), *list, page);
  if (!keys) return fail(base::Error(keys.error()).within(work->key_of(*list)));
  perf::Report report;
  const auto& catalog = work->definitions.catalogs[work->definitions.lists[*list].catalog];
  report.table.columns = {{catalog.columns[catalog.key].name}};
  for (const std::string& key : *keys) report.table.rows.push_back({key});
  report.total = keys->size();
  if (keys->size() == page.limit)
    report.note = fmt::format("there may be more: --after '{}'", keys->empty() ? "" : keys->back());
  return print_report(run.options, report);
}

/// Only the list that was asked for stays.
Result<void> keep_list(Definitions& definitions, const std::string& list) {
  if (list.empty()) return {};
  const auto found = definitions.find_list(list);
  if (!found) return fail(found.error());
  worklist::WorkList kept = std::move(definitions.lists[*found]);
  definitions.lists.clear();
  definitions.lists.push_back(std::move(kept));
  return {};
}

Result<Exit> explain(const Invocation& run, const WorklistOptions& options) {
  auto work = prepare(run, options);
  if (!work) return fail(work.error());
  if (auto kept = keep_list(work->definitions, options.list); !kept) return fail(std::move(kept.error()));
  if (auto chosen = choose_way(run, options, *work); !chosen) return fail(std::move(chosen.error()));
  auto explained = worklist::explain_plan(work->question());
  if (!explained) return fail(explained.error());
  if (work->choice) {
    explained->notes.insert(explained->notes.begin(), {"way", "the cheapest one that the site allows",
                                                       worklist::to_text(*work->choice)});
  }
  perf::Report report;
  report.table.columns = {{"pass"}, {"purpose"}, {"text", Format::kLongText}};
  for (const worklist::PassNote& note : explained->notes) {
    report.table.rows.push_back({std::string(note.name), std::string(note.purpose), note.text});
    report.text += fmt::format("{}: {}\n", note.name, note.purpose);
    report.text += note.text.empty() ? "  nothing to do\n" : note.text;
    report.text += '\n';
  }
  return print_report(run.options, report);
}

/// Lists for the filters of a database of Odoo, to be put behind those of the definitions.
Result<Exit> import_filters(const Invocation& run, const WorklistOptions& options) {
  const auto file = chosen_file(run, options);
  if (!file) return fail(file.error());
  const auto definitions = load_definitions(*file, base::utc_now());
  if (!definitions) return fail(definitions.error());
  auto reader = open_database(run, options);
  if (!reader) return fail(std::move(reader.error()));
  if (*reader == nullptr)
    return fail(ErrorCode::kInvalidArgument, "no database: --url names the one of Odoo");
  const auto filters = worklist::read_odoo_filters(**reader);
  if (!filters) return fail(filters.error());
  perf::Report report;
  report.table.columns = {{"filter"}, {"why not", Format::kLongText}, {"yaml", Format::kLongText}};
  std::string refused;
  for (const worklist::ImportedList& one : worklist::import_odoo(*definitions, *filters)) {
    report.table.rows.push_back({one.filter, one.why, one.yaml});
    report.text += one.yaml;
    if (!one.why.empty()) refused += fmt::format("filter {}: {}\n", one.filter, one.why);
  }
  report.total = report.table.rows.size();
  const Exit exit = print_report(run.options, report);
  print_notes(refused);
  return exit;
}

/// Declares one and runs `work` when it is named.
CLI::App* add(CLI::App& group, Invocation& invocation, const Shared& options, const char* name,
              const char* help, const char* examples,
              Result<Exit> (*work)(const Invocation&, const WorklistOptions&)) {
  CLI::App* command = group.add_subcommand(name, help);
  command->footer(std::string("Examples:\n") + examples);
  command->add_option("--file", options->file, "worklists.yaml, in place of file in [worklist]");
  command->add_option("--url", options->url,
                      "postgresql://..., mariadb://... or sqlite:///path, in place of url in [worklist]");
  command->add_option("--timeout", options->timeout,
                      "the database's time for each statement (10s, at most 10m)");
  command->callback([&invocation, options, work] {
    invocation.run = [options, work](Invocation& run) { return work(run, *options); };
  });
  return command;
}

void add_user(CLI::App& command, const Shared& options) {
  command.add_option("--user", options->user, "the user's id, whose rights the database tells");
  command.add_option("--user-file", options->user_file, "in place of it: a JSON file with id and rights");
}

void add_way(CLI::App& command, const Shared& options) {
  command
      .add_option("--way", options->way,
                  "join, cells or merged (one statement for many lists), each, or auto, the cheapest of them")
      ->check(CLI::IsMember({"auto", "join", "cells", "merged", "each"}));
}

}  // namespace

void add_worklist_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* group = app.add_subcommand("worklist", "Count work lists with a user's rights");
  group->group("Work lists");
  group->require_subcommand(1);
  group->footer(
      "Definitions and database are those of [worklist] in headroom.toml, or of --file and --url.\n\n"
      "Examples:\n  headroom worklist check\n  headroom worklist count --user 7\n"
      "  headroom worklist count --file worklists.yaml --url sqlite:///srv/shop.sqlite --user 7");
  const auto options = std::make_shared<WorklistOptions>();

  add(*group, invocation, options, "check",
      "Check definitions, whether the database has what they speak of, and how each list can be counted",
      "  headroom worklist check\n  headroom worklist check --file worklists.yaml\n"
      "  headroom worklist check --file worklists.yaml --url postgresql://reader@localhost/shop",
      check);

  CLI::App* planning = add(
      *group, invocation, options, "plan", "Say which statement counts each list for a user",
      "  headroom worklist plan --user 7\n  headroom worklist plan --user-file anna.json --way each", plan);
  add_user(*planning, options);
  add_way(*planning, options);

  CLI::App* counting =
      add(*group, invocation, options, "count", "Count every list for a user",
          "  headroom worklist count --user 7\n  headroom worklist count --user 7 --all --json\n"
          "  headroom worklist count --user 7 --live",
          count);
  add_user(*counting, options);
  add_way(*counting, options);
  counting->add_flag("--all", options->all, "lists with nothing in them too");
  counting->add_flag("--live", options->live, "ask the running service, which has the counts in memory");

  CLI::App* listing =
      add(*group, invocation, options, "documents", "List the keys of a list's documents that a user may see",
          "  headroom worklist documents sale/late --user 7\n"
          "  headroom worklist documents late --user 7 --limit 20 --after 5130",
          documents);
  listing->add_option("list", options->list, "workflow/id, or an id that one list alone has")->required();
  add_user(*listing, options);
  listing->add_option("--limit", options->limit, "at most so many")->check(whole_number(1, kMostDocuments));
  listing->add_option("--after", options->after, "those behind this key");

  add(*group, invocation, options, "import",
      "Print lists for the filters that everybody may use in a database of Odoo",
      "  headroom worklist import --file worklists.yaml --url postgresql://reader@localhost/odoo >> "
      "worklists.yaml",
      import_filters);

  CLI::App* explaining = add(
      *group, invocation, options, "explain", "Show what each pass of the planner does, and the statements",
      "  headroom worklist explain --user 7\n  headroom worklist explain sale/late --user 7 --way each",
      explain);
  explaining->add_option("list", options->list, "this one alone");
  add_user(*explaining, options);
  add_way(*explaining, options);
}

}  // namespace headroom::cli
