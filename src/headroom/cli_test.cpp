// The pure parts of the command line: trytond.conf, the configuration, the status.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>

#include "headroom/bus_client.hpp"
#include "headroom/configuration.hpp"
#include "headroom/ini.hpp"
#include "headroom/rule_check.hpp"
#include "headroom/status.hpp"
#include "headroom/trytond_check.hpp"
#include "perf/report_text.hpp"

namespace headroom::cli {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

std::filesystem::path write_file(const std::string& name, std::string_view text) {
  const std::filesystem::path path = std::filesystem::path(::testing::TempDir()) / name;
  std::ofstream(path) << text;
  return path;
}

/// "line: text" of every finding.
std::vector<std::string> findings(std::string_view text) {
  std::vector<std::string> result;
  for (const Finding& finding : check_trytond_configuration(text)) {
    result.push_back((finding.severity == Severity::kWarning ? "warning " : "") +
                     std::to_string(finding.line) + ": " + finding.text);
  }
  return result;
}

constexpr std::string_view kLoaded = "[cache]\nclass = headroom.trytond.MemoryCache\n";

std::string loaded_with(std::string_view perf) {
  return std::string(kLoaded) + "[perf]\n" + std::string(perf);
}

TEST(Ini, ReadsWhatPythonsConfigparserReads) {
  std::vector<IniProblem> problems;
  const IniFile file =
      parse_ini("# comment\n[one]\nKey = value\nlist: a\n  b\n\n  c\n; comment\n[two]\nempty =\n", problems);
  EXPECT_THAT(problems, IsEmpty());
  ASSERT_NE(file.find("one"), nullptr);
  EXPECT_EQ(file.find("one")->find("key")->value, "value");
  EXPECT_EQ(file.find("one")->find("list")->value, "a\nb\n\nc");
  EXPECT_EQ(file.find("one")->find("list")->line, 4U);
  EXPECT_EQ(file.find("two")->find("empty")->value, "");
  EXPECT_EQ(file.find("three"), nullptr);
}

TEST(Ini, NamesBothLinesOfWhatStandsThereTwice) {
  std::vector<IniProblem> problems;
  (void)parse_ini("[a]\nx = 1\nX = 2\n[a]\n", problems);
  ASSERT_EQ(problems.size(), 2U);
  EXPECT_EQ(problems[0].line, 3U);
  EXPECT_THAT(problems[0].text, HasSubstr("first in line 2"));
  EXPECT_EQ(problems[1].line, 4U);
  EXPECT_THAT(problems[1].text, HasSubstr("first in line 1"));
}

TEST(Ini, NamesLinesThatAreNeitherSectionNorKey) {
  std::vector<IniProblem> problems;
  (void)parse_ini("x = 1\n[a]\nnonsense\n= 3\n", problems);
  ASSERT_EQ(problems.size(), 3U);
  EXPECT_EQ(problems[0].line, 1U);
  EXPECT_EQ(problems[1].line, 3U);
  EXPECT_EQ(problems[2].line, 4U);
}

TEST(Ini, TakesBracketsWithoutANameForAKeyAsPythonDoes) {
  std::vector<IniProblem> problems;
  const IniFile file = parse_ini("[a]\n[]\n[] = 1\n[]]\n", problems);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].line, 2U);
  EXPECT_EQ(file.sections[0].entries[0].key, "[]");
  EXPECT_NE(file.find("]"), nullptr);
}

TEST(Ini, EndsLinesAtCarriageReturnsToo) {
  std::vector<IniProblem> problems;
  const IniFile file = parse_ini("[a]\r\nx = 1\r\n  2\r[b]\ry = 3", problems);
  EXPECT_THAT(problems, IsEmpty());
  EXPECT_EQ(file.find("a")->find("x")->value, "1\n2");
  EXPECT_EQ(file.find("b")->find("y")->line, 5U);
}

TEST(Ini, SurvivesAnyBytes) {
  for (const char* text :
       {"", "\n", "[", "]", "[]", "[\n]", "  x", "[a]\n\xff\xfe = \x01", "[a]\n  indented = 1", "=\n:\n"}) {
    std::vector<IniProblem> problems;
    (void)parse_ini(text, problems);
  }
  SUCCEED();
}

TEST(TrytondCheck, IsFineWithTheOneLine) {
  EXPECT_THAT(findings(kLoaded), IsEmpty());
}

TEST(TrytondCheck, SaysWhichLineToAddWhere) {
  const auto missing_key = check_trytond_configuration("[web]\n[cache]\nmodel = 200\n");
  ASSERT_EQ(missing_key.size(), 1U);
  EXPECT_EQ(missing_key[0].line, 2U);
  EXPECT_EQ(missing_key[0].remedy, "class = headroom.trytond.MemoryCache");
  const auto missing_section = check_trytond_configuration("[web]\n");
  ASSERT_EQ(missing_section.size(), 1U);
  EXPECT_EQ(missing_section[0].remedy, "[cache]\nclass = headroom.trytond.MemoryCache");
}

TEST(TrytondCheck, RefusesAnotherClass) {
  EXPECT_THAT(findings("[cache]\nclass = other.Cache\n"),
              ElementsAre("2: [cache] class is other.Cache, not Headroom's"));
}

TEST(TrytondCheck, WarnsThatTheMiddlewareAloneSeesHttpAlone) {
  const auto found = findings("[wsgi middleware]\nheadroom = headroom.trytond.Middleware\n");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0], HasSubstr("warning 0: "));
  EXPECT_THAT(found[0], HasSubstr("records HTTP alone"));
}

TEST(TrytondCheck, FindsASecondHeader) {
  EXPECT_THAT(
      findings(std::string(kLoaded) + "[cache]\n"),
      ElementsAre("3: section [cache] stands here a second time (first in line 1); move its lines there"));
}

TEST(TrytondCheck, AcceptsEveryKeyOfTheSection) {
  EXPECT_THAT(
      findings(loaded_with(
          "broker = redis://:secret@localhost:6379/1\nstate = /var/lib/headroom\nsecrets = pin, iban\n"
          "body_limit = 64k\nbuffer_limit = 8 MiB\nflush_interval = 0.5\nusers = admin, 7, login:42\n"
          "methods = model.sale.*\n  model.party.*\nprofile = *\nsample = *\ndb = *\nio = *\n"
          "query = 250ms\nslower_than = 1m\none_in = 1/100\n")),
      IsEmpty());
}

TEST(TrytondCheck, NamesUnknownKeysAndValuesThatAreNotUnderstood) {
  EXPECT_THAT(findings(loaded_with("usres = admin\n")),
              ElementsAre(HasSubstr("4: [perf] has no key usres; known are broker")));
  EXPECT_THAT(findings(loaded_with("users = login:\n")), ElementsAre(HasSubstr("4: [perf] users 'login:'")));
  EXPECT_THAT(findings(loaded_with("users = admin\nquery = fast\n")),
              ElementsAre(HasSubstr("5: [perf] query 'fast'")));
  EXPECT_THAT(findings(loaded_with("users = admin\none_in = 0\n")),
              ElementsAre(HasSubstr("5: [perf] one_in '0'")));
  EXPECT_THAT(findings(loaded_with("buffer_limit = much\n")),
              ElementsAre(HasSubstr("4: [perf] buffer_limit 'much'")));
}

TEST(TrytondCheck, SaysThatASectionWhoseRestrictionIsNotUnderstoodRecordsNobody) {
  for (const char* line : {"users = a, login:\n", "methods = ,\n", "database = a, b\n", "one_in = 0\n",
                           "slower_than = 2sec\n"}) {
    EXPECT_THAT(findings(loaded_with(line)).front(), HasSubstr("the section records nobody in detail"))
        << line;
  }
  EXPECT_THAT(findings(loaded_with("io = ,\n")).front(), ::testing::Not(HasSubstr("records nobody")));
}

TEST(TrytondCheck, NeverRepeatsABrokerThatMayHoldAPassword) {
  const auto found = findings(loaded_with("broker = http://user:secret@host\n"));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0], HasSubstr("4: [perf] broker is not understood"));
  EXPECT_THAT(found[0], ::testing::Not(HasSubstr("secret")));
}

TEST(TrytondCheck, RefusesAStoreAmongTrytondsDatabases) {
  const std::string database = "[database]\npath = /var/lib/tryton\n";
  EXPECT_THAT(findings(database + loaded_with("broker = sqlite:///var/lib/tryton/perf.sqlite\n")),
              ElementsAre(HasSubstr("6: [perf] broker lies inside [database] path")));
  EXPECT_THAT(
      findings(database + loaded_with("broker = sqlite:///var/lib/headroom/../tryton/x/perf.sqlite\n")),
      ElementsAre(HasSubstr("6: [perf] broker lies inside")));
  EXPECT_THAT(findings(database + loaded_with("broker = sqlite:///var/lib/tryton2/perf.sqlite\n")),
              IsEmpty());
}

TEST(TrytondCheck, WarnsThatDetailsWithoutUsersHaveNoEffect) {
  EXPECT_THAT(findings(loaded_with("profile = model.sale.*\n")),
              ElementsAre(HasSubstr("warning 4: [perf] profile has no effect")));
}

TEST(Configuration, TakesTheExampleWhoseValuesAreTheDefaults) {
  const auto example = read_configuration("../../examples/headroom.toml");
  ASSERT_TRUE(example) << example.error().message();
  const auto defaults = read_configuration({});
  ASSERT_TRUE(defaults);
  EXPECT_EQ(example->perf.store, defaults->perf.store);
  EXPECT_EQ(example->perf.retention.age, defaults->perf.retention.age);
  EXPECT_EQ(example->perf.retention.bytes, defaults->perf.retention.bytes);
  EXPECT_EQ(example->serve.listen, defaults->serve.listen);
  EXPECT_EQ(example->serve.socket, defaults->serve.socket);
  EXPECT_EQ(example->serve.token_file, defaults->serve.token_file);
  EXPECT_EQ(example->serve.hosts, defaults->serve.hosts);
  EXPECT_EQ(example->serve.password_file, defaults->serve.password_file);
  EXPECT_EQ(example->serve.session_idle, defaults->serve.session_idle);
  EXPECT_EQ(example->serve.session_age, defaults->serve.session_age);
  EXPECT_EQ(example->serve.proxies, defaults->serve.proxies);
  EXPECT_EQ(example->perf.state, defaults->perf.state);
  EXPECT_EQ(example->serve.workers, defaults->serve.workers);
  EXPECT_EQ(example->bus.enabled, defaults->bus.enabled);
  EXPECT_EQ(example->bus.broker, defaults->bus.broker);
  EXPECT_EQ(example->bus.database, defaults->bus.database);
  EXPECT_EQ(example->bus.source, defaults->bus.source);
  EXPECT_EQ(example->bus.url, defaults->bus.url);
  EXPECT_EQ(example->bus.shards, defaults->bus.shards);
  EXPECT_EQ(example->bus.listen, defaults->bus.listen);
  EXPECT_EQ(example->bus.secret_files, defaults->bus.secret_files);
  EXPECT_EQ(example->bus.origins, defaults->bus.origins);
  EXPECT_EQ(example->bus.connections, defaults->bus.connections);
  EXPECT_EQ(example->bus.subscriptions, defaults->bus.subscriptions);
  EXPECT_EQ(example->bus.queue_size, defaults->bus.queue_size);
  EXPECT_EQ(example->bus.connections_per_second, defaults->bus.connections_per_second);
  EXPECT_EQ(example->bus.poll_wait, defaults->bus.poll_wait);
  EXPECT_EQ(example->bus.away_after, defaults->bus.away_after);
  EXPECT_EQ(example->bus.reconnect_window, defaults->bus.reconnect_window);
  EXPECT_EQ(example->bus.channels, defaults->bus.channels);
  EXPECT_EQ(example->tryton_bus.databases, defaults->tryton_bus.databases);
  EXPECT_EQ(example->tryton_bus.most_databases, defaults->tryton_bus.most_databases);
  EXPECT_EQ(example->tryton_bus.retention, defaults->tryton_bus.retention);
  EXPECT_EQ(example->tryton_bus.messages, defaults->tryton_bus.messages);
  EXPECT_EQ(example->tryton_bus.bytes, defaults->tryton_bus.bytes);
  EXPECT_EQ(example->tryton_bus.polls, defaults->tryton_bus.polls);
  EXPECT_EQ(example->tryton_bus.allow_subscribe, defaults->tryton_bus.allow_subscribe);
  EXPECT_EQ(example->tryton_bus.redirect_age, defaults->tryton_bus.redirect_age);
  EXPECT_EQ(example->worklist.file, defaults->worklist.file);
  EXPECT_EQ(example->worklist.url, defaults->worklist.url);
  EXPECT_EQ(example->worklist.users_url, defaults->worklist.users_url);
  EXPECT_EQ(example->worklist.timeout, defaults->worklist.timeout);
  EXPECT_EQ(example->worklist.live, defaults->worklist.live);
  EXPECT_EQ(example->worklist.live_url, defaults->worklist.live_url);
  EXPECT_EQ(example->worklist.publication, defaults->worklist.publication);
  EXPECT_EQ(example->worklist.rights_age, defaults->worklist.rights_age);
  EXPECT_EQ(example->worklist.application, defaults->worklist.application);
  EXPECT_EQ(example->worklist.tryton, defaults->worklist.tryton);
  EXPECT_EQ(example->worklist.push, defaults->worklist.push);
}

TEST(DataIn, IsTheValueOfEachMessageByteForByte) {
  for (const std::string data :
       {"1.0", "-0", "1E400", "12345678901234567890123", R"("\"data\":1,")",
        R"({"data":[1.50,{"data":2}],"x":"]}"})", R"("\\")", "\"\xc2\x9b\"", R"("\u00e9")", "null"}) {
    EXPECT_THAT(data_in(R"({"message":{"channel":"data","offset":7,"data":)" + data + "}}"),
                ElementsAre(data));
    EXPECT_THAT(data_in(R"({"id":10,"history":{"offset":2,"epoch":"data","messages":[{"offset":1,"data":)" +
                        data + R"(},{"offset":2,"data":)" + data + R"(}],"more":true}})"),
                ElementsAre(data, data));
  }
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_THAT(data_in(R"({"message":{"data":)" + deep + "}}"), ElementsAre(deep));
  EXPECT_THAT(data_in(R"({"history":{"messages":[]}})"), IsEmpty());
  EXPECT_EQ(without_data(R"({"messages":[{"data":1e400,"offset":1},{"data":{"data":7},"offset":2}]})"),
            R"({"messages":[{"data":null,"offset":1},{"data":null,"offset":2}]})");
  EXPECT_EQ(without_data("{}"), "{}");
  for (const std::string broken :
       {"", "\"", "\"data", "\"data\"", "\"data\":", "\"data\":\"\\", "}]\"data\":["})
    EXPECT_LE(data_in(broken).size(), 1U) << broken;
}

TEST(HarmlessJson, IsTheSameValueWithoutWhatSteersATerminal) {
  EXPECT_EQ(harmless_json(R"({"a":"\u001b[1m\n"})"), R"({"a":"\u001b[1m\n"})");
  EXPECT_EQ(harmless_json("\"\xc2\x9b\x7f\xc2\xa0\xc3\xa9\""), "\"\\u009b\\u007f\xc2\xa0\xc3\xa9\"");
}

TEST(BusSection, ReadsTheRulesOfChannelsFromWords) {
  const auto rule = parse_channel_rule("room:",
                                       "subscribe=users  publish=nobody joins=yes message=1KiB history=7 "
                                       "history_size=2KiB history_age=1h budget=1MiB");
  ASSERT_TRUE(rule) << rule.error().message();
  EXPECT_EQ(rule->prefix, "room:");
  EXPECT_EQ(rule->subscribe, bus::Who::kUsers);
  EXPECT_EQ(rule->publish, bus::Who::kNobody);
  EXPECT_TRUE(rule->joins);
  EXPECT_EQ(rule->message_bytes, 1024U);
  EXPECT_EQ(rule->history_messages, 7U);
  EXPECT_EQ(rule->history_bytes, 2048U);
  EXPECT_EQ(rule->history_age_ns, 3'600'000'000'000);
  EXPECT_EQ(rule->budget_bytes, 1U << 20U);
  EXPECT_EQ(parse_channel_rule("*", "joins=no")->prefix, "");
}

TEST(BusSection, NamesFileLineAndKeyOfWhatIsWrong) {
  const auto error = [](const std::string& text) {
    const auto read = read_configuration(write_file("bus.toml", text));
    return read ? std::string("none") : read.error().message();
  };
  EXPECT_THAT(error("[bus]\nenabled = true\n"), HasSubstr("bus.toml:2: bus.enabled: [bus] secret_files"));
  EXPECT_THAT(error("[bus]\nbroker = 'rabbit'\n"), HasSubstr("bus.toml:2: bus.broker: 'rabbit' is none"));
  EXPECT_THAT(error("[bus]\nbroker = 'postgresql'\ndatabase = 'mysql://u:secret@h/x'\n"),
              AllOf(HasSubstr("bus.toml:3: bus.database: [bus] database: expected postgresql://"),
                    Not(HasSubstr("secret"))));
  EXPECT_THAT(error("[bus]\nsource = 'notify'\n"),
              HasSubstr("bus.source: 'notify' is none; expected outbox or logical"));
  EXPECT_THAT(error("[bus]\nbroker = 'postgresql'\n"),
              HasSubstr("bus.broker: [bus] database: expected postgresql"));
  EXPECT_THAT(error("[bus]\nbroker = 'redis'\n"),
              HasSubstr("bus.toml:2: bus.broker: [bus] url: expected redis://"));
  EXPECT_THAT(error("[bus]\nbroker = 'redis'\nurl = 'redis://u:secret@h:port'\n"),
              AllOf(HasSubstr("bus.toml:3: bus.url: "), Not(HasSubstr("secret"))));
  EXPECT_THAT(
      error("[bus]\nlisten = '127.0.0.1:7410'\n"),
      AllOf(HasSubstr("bus.toml:2: bus.listen: "), HasSubstr("memory"), HasSubstr("redis or postgresql")));
  EXPECT_THAT(error("[bus]\nbroker = 'redis'\nurl = 'redis://h'\nlisten = '127.0.0.1:0'\n"),
              HasSubstr("bus.toml:4: bus.listen: '127.0.0.1:0': expected ADDRESS:PORT"));
  EXPECT_THAT(error("[bus]\nlisten = 'nowhere'\n"), HasSubstr("bus.listen: 'nowhere'"));
  EXPECT_THAT(error("[bus]\nshards = 0\n"), HasSubstr("bus.toml:2: bus.shards: "));
  EXPECT_THAT(error("[bus]\norigins = ['example.org']\n"),
              HasSubstr("bus.origins: 'example.org': expected scheme"));
  EXPECT_THAT(error("[bus]\nqueue_size = 10\n"), HasSubstr("bus.queue_size: expected 64KiB at least"));
  EXPECT_THAT(error("[bus.channels]\n'room:' = 'subscribe=all'\n"),
              HasSubstr("bus.channels.room:: 'subscribe=all'"));
  EXPECT_THAT(error("[bus.channels]\n'room:' = 'read=users'\n"), HasSubstr("known are subscribe, publish"));
}

TEST(Configuration, NamesFileLineAndKeyOfAnUnknownKey) {
  const auto path = write_file("unknown.toml", "[perf]\nstroe = 'x'\n");
  const auto configuration = read_configuration(path);
  ASSERT_FALSE(configuration);
  EXPECT_EQ(configuration.error().message(),
            path.string() + ":2: perf.stroe: unknown key; did you mean 'store'?");
}

TEST(StoreChoice, ComesFromTheOptionThenTheConfigurationThenTrytondThenTheDefault) {
  const auto trytond = write_file("trytond.conf", loaded_with("broker = redis://broker\n"));
  Configuration configuration;
  EXPECT_EQ(choose_store("", configuration, "")->url, kDefaultStore);
  EXPECT_EQ(choose_store("", configuration, trytond)->url, "redis://broker");
  configuration.perf.store = "redis://file";
  EXPECT_EQ(choose_store("", configuration, trytond)->url, "redis://file");
  EXPECT_EQ(choose_store("redis://option", configuration, trytond)->url, "redis://option");
  EXPECT_FALSE(choose_store("", Configuration{}, "/nonexistent/trytond.conf"));
}

Status healthy_status(base::UtcTime now) {
  Status status;
  status.version = "0.1.0";
  status.rules_version = 3;
  perf::ProcessInfo process;
  process.host = "app1";
  process.process = 42;
  process.role = "trytond";
  process.version = "headroom 0.1.0 in trytond 6.0.29, hooked rpc";
  process.started = now - std::chrono::hours(3);
  process.seen = now;
  process.rules_version = 3;
  status.store.processes = {process};
  return status;
}

TEST(Status, FindsNothingWrongWithAHealthyProcess) {
  const base::UtcTime now = base::utc_now();
  EXPECT_THAT(find_problems(healthy_status(now), now), IsEmpty());
}

TEST(Status, ShowsTheCallsThatRun) {
  const base::UtcTime now = base::utc_now();
  Status status = healthy_status(now);
  perf::RunningCall call;
  call.summary.method = "model.sale.sale.process";
  call.summary.user = "admin";
  call.summary.wall = std::chrono::milliseconds(2500);
  call.activity = perf::Activity::kSql;
  call.process = 42;
  call.statement = "SELECT 1";
  EXPECT_THAT(status_text(status, now), HasSubstr("running        0\n"));
  status.running = {call};
  EXPECT_THAT(status_text(status, now), HasSubstr("running        1\n"));
  EXPECT_THAT(status_text(status, now), HasSubstr("model.sale.sale.process  sql"));
  const auto json = nlohmann::json::parse(status_json(status, now));
  EXPECT_EQ(json["running"][0]["process"], 42);
  EXPECT_EQ(json["running"][0]["activity"], "sql");
}

TEST(Status, ShowsTheRestWhenTheStoreIsAway) {
  const base::UtcTime now = base::utc_now();
  Status status;
  status.version = "0.1.0";
  status.store.url = "redis://127.0.0.1:1/0";
  status.store_error = "connection refused";
  status.running.emplace_back();
  EXPECT_THAT(find_problems(status, now), ElementsAre("connection refused"));
  EXPECT_THAT(status_text(status, now), HasSubstr("cannot be read\nrunning        1\n"));
  const auto json = nlohmann::json::parse(status_json(status, now));
  EXPECT_TRUE(json["store"]["calls"].is_null());
  EXPECT_EQ(json["store"]["error"], "connection refused");
}

perf::Rule rule_for_all_methods() {
  perf::Rule rule;
  rule.methods = {"*"};
  return rule;
}

TEST(RuleCheck, AcceptsEveryFormOfAGlob) {
  for (const char* glob :
       {"*", "model.sale.*", "m?del", "[a-z]*", "[!abc]", "[]]", "[!]a]", "a]", "[a][b]"}) {
    perf::Rule rule;
    rule.methods = {glob};
    EXPECT_TRUE(check_rule(rule)) << glob;
  }
}

TEST(RuleCheck, RefusesAGlobThatMatchesNothing) {
  for (const char* glob : {"", " ", "[", "a[b", "[]", "[!]", "[a][b"}) {
    perf::Rule rule = rule_for_all_methods();
    rule.io = {glob};
    const auto checked = check_rule(rule);
    ASSERT_FALSE(checked) << glob;
    EXPECT_THAT(checked.error().message(), HasSubstr("io '")) << glob;
    rule = {};
    rule.users = {{std::nullopt, glob}};
    EXPECT_FALSE(check_rule(rule)) << glob;
    rule = rule_for_all_methods();
    rule.database = *glob == '\0' ? "[" : glob;
    EXPECT_FALSE(check_rule(rule)) << glob;
  }
}

TEST(RuleCheck, WantsALimitAUserWithANameAndAnEnd) {
  EXPECT_THAT(check_rule({}).error().message(), HasSubstr("would record everybody"));
  perf::Rule sampled;
  sampled.one_in = 2;
  EXPECT_TRUE(check_rule(sampled));
  perf::Rule nameless = rule_for_all_methods();
  nameless.users = {perf::UserPattern::parse("login:")};
  EXPECT_THAT(check_rule(nameless).error().message(), HasSubstr("login:NAME"));
  perf::Rule over = rule_for_all_methods();
  over.expires = over.created;
  EXPECT_THAT(check_rule(over).error().message(), HasSubstr("10m"));
}

TEST(Status, NamesWhatIsWrong) {
  const base::UtcTime now = base::utc_now();
  Status status = healthy_status(now);
  perf::ProcessInfo& process = status.store.processes.front();
  process.version = "headroom 0.0.9 in trytond 6.0.29, hooked rpc, not hooked sql";
  process.dropped_records = 5;
  process.errors = 1;
  process.last_error = "no space";
  process.rules_version = 2;
  status.store.bytes = status.retention.bytes + 1;
  EXPECT_THAT(find_problems(status, now),
              UnorderedElementsAre(
                  HasSubstr("trytond 42 on app1 dropped 5 records"), HasSubstr("no space"),
                  HasSubstr("runs headroom 0.0.9, this is 0.1.0"), HasSubstr("not hooked sql"),
                  HasSubstr("obeys version 2 of the rules, 3 is current"), HasSubstr("headroom prune")));
}

TEST(Status, DoesNotExpectASilentProcessToObey) {
  const base::UtcTime now = base::utc_now();
  Status status = healthy_status(now);
  status.store.processes.front().rules_version = 2;
  status.store.processes.front().seen = now - std::chrono::minutes(5);
  EXPECT_THAT(find_problems(status, now), Not(Contains(HasSubstr("obeys version"))));
}

TEST(Status, CountsTheProcessesThatLiveAndNamesTheSilentOnes) {
  const base::UtcTime now = base::utc_now();
  Status status = healthy_status(now);
  perf::ProcessInfo silent = status.store.processes.front();
  silent.seen = now - std::chrono::minutes(5);
  for (silent.process = 1; silent.process <= 9; ++silent.process) status.store.processes.push_back(silent);
  EXPECT_THAT(status_text(status, now), HasSubstr("processes      1, and 9 silent for over a minute\n"));
  EXPECT_THAT(status_text(status, now), Not(HasSubstr("app1    9")))
      << "the silent ones do not fill the list";
  EXPECT_THAT(find_problems(status, now),
              ElementsAre("silent for over a minute, killed or without a way to the "
                          "store: trytond 1 on app1, trytond 2 on app1, trytond 3 on "
                          "app1 and 6 more"));
}

TEST(Status, ShowsTheRulesOfTheFilesOfLivingProcesses) {
  const base::UtcTime now = base::utc_now();
  Status status = healthy_status(now);
  perf::ProcessInfo& first = status.store.processes.front();
  first.rules = {rule_for_all_methods()};
  perf::ProcessInfo second = first;
  second.rules.front().created = now;
  second.host = "app2";
  perf::ProcessInfo silent = first;
  silent.rules.front().methods = {"other"};
  silent.seen = now - std::chrono::minutes(5);
  status.store.processes.insert(status.store.processes.end(), {second, silent});
  EXPECT_THAT(status_text(status, now),
              HasSubstr("rules          0 (version 3)\n               and that of the "
                        "configuration file of 2 processes on app1, app2\n"));
  EXPECT_EQ(nlohmann::json::parse(status_json(status, now))["rules"]["of_files"], 1);
}

TEST(Status, IsKeysAndValuesInAPipe) {
  const base::UtcTime now = base::utc_now();
  Status status = healthy_status(now);
  status.store.url = "sqlite:///a\tb";
  status.problems = {"one thing"};
  const std::string text = perf::to_tsv(status_report(status, now));
  EXPECT_THAT(text, HasSubstr("version\t0.1.0\nconfiguration\t-\nstore\tsqlite:///a\\tb\n"));
  EXPECT_THAT(text, HasSubstr("\nprocesses\t1\nsilent\t0\n"));
  EXPECT_THAT(text, HasSubstr("\n\nprocess_list\nhost\tpid\trole\t"));
  EXPECT_THAT(text, HasSubstr("\n\nwarnings\nwarning\none thing\n"));
  EXPECT_THAT(text, Not(HasSubstr("running_list"))) << "nothing runs";
}

TEST(Status, WarnsWhenNothingRecordsAnyMore) {
  const base::UtcTime now = base::utc_now();
  Status status = healthy_status(now);
  status.store.processes.front().seen = now - std::chrono::minutes(5);
  EXPECT_THAT(status_text(status, now), HasSubstr("processes      0, and 1 silent for over a minute\n"));
  EXPECT_THAT(find_problems(status, now),
              ElementsAre("nothing records now: the last process, trytond 42 on app1, was seen 5 min ago"));
}

}  // namespace
}  // namespace headroom::cli
