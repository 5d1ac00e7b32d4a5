// The executable as a user runs it: through a shell, over a SQLite store that holds the sample of the
// reports.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "perf/report_sample.hpp"
#include "perf/report_text.hpp"
#include "perf/store.hpp"

namespace headroom {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

struct Outcome {
  int status = -1;
  std::string out;
  std::string error;
};

std::string read_file(const std::filesystem::path& path) {
  std::ifstream stream(path);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

/// One folder with a filled store for all tests; they only add rules.
class Executable : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ =
        std::filesystem::path(::testing::TempDir()) / ("headroom-executable-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    auto store = perf::open_store(url(), perf::OpenMode::kWrite);
    ASSERT_TRUE(store) << store.error().message();
    ASSERT_TRUE(store->store->append(perf::sample_batch()));
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder_); }

  static std::string url() { return "sqlite://" + (folder_ / "perf.sqlite").string(); }

  /// Runs `headroom ARGUMENTS` as a shell does, without a configuration of the machine it runs on.
  static Outcome run(const std::string& arguments, const std::string& environment = "") {
    const std::filesystem::path out = folder_ / "out";
    const std::filesystem::path error = folder_ / "error";
    const std::string command = "cd '" + folder_.string() + "' && env -u HEADROOM_CONFIG " + environment +
                                " " + HEADROOM_EXECUTABLE + " " + arguments + " >'" + out.string() + "' 2>'" +
                                error.string() + "'";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), read_file(error)};
  }

  static Outcome run_on_store(const std::string& arguments) {
    return run("--store " + url() + " " + arguments);
  }

  static std::filesystem::path folder_;
};

std::filesystem::path Executable::folder_;

TEST_F(Executable, PrintsTabSeparatedLinesIntoAPipe) {
  const Outcome outcome = run_on_store("method shop/71");
  EXPECT_EQ(outcome.status, 0) << outcome.error;
  EXPECT_THAT(outcome.out, StartsWith("method\ttime\tnumber\tavg\nmodel.sale.sale.write\t1.250\t1\t1.250\n"));
  EXPECT_THAT(outcome.error, IsEmpty());
}

TEST_F(Executable, AlignsColumnsInAPipeToTheWidthThatIsAskedFor) {
  const Outcome outcome = run_on_store("repeat shop/71 --width 100");
  EXPECT_EQ(outcome.status, 0) << outcome.error;
  EXPECT_THAT(outcome.out, StartsWith("call  method "));
  EXPECT_THAT(outcome.out, Not(HasSubstr("\t")));
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(perf::display_width(line), 100U) << line;
  EXPECT_EQ(run_on_store("session --width 20").status, 2);
}

TEST_F(Executable, PrintsJsonWithNumbers) {
  const Outcome outcome = run_on_store("call shop/71 --json");
  ASSERT_EQ(outcome.status, 0) << outcome.error;
  const auto calls = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(calls.size(), 3U);
  EXPECT_DOUBLE_EQ(calls[1]["tm"].get<double>(), 1.25);
}

TEST_F(Executable, PrintsEveryReportOverARealStore) {
  for (const char* arguments :
       {"session", "session admin", "table shop/71 n", "profile shop/71", "profile shop/71 3", "db shop/71 2",
        "io shop/71 2", "query shop/71", "query shop/71 1", "repeat shop/71", "conflict", "overview"}) {
    const Outcome outcome = run_on_store(arguments);
    EXPECT_EQ(outcome.status, 0) << arguments << ": " << outcome.error;
    EXPECT_THAT(outcome.out, Not(IsEmpty())) << arguments;
  }
}

TEST_F(Executable, NeverSendsAStoredControlCharacterToTheTerminal) {
  const Outcome outcome = run_on_store("call 7b");
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, HasSubstr("model.\\x1b[2J\\tevil"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("\x1b")));
}

TEST_F(Executable, FiltersAndCutsToAPage) {
  EXPECT_THAT(run_on_store("call shop/71 --method 'model.sale.*' --limit 1").out,
              HasSubstr("model.sale.sale.read"));
  EXPECT_THAT(run_on_store("call shop/71 --method 'model.sale.*' --limit 1").out, Not(HasSubstr("write")));
  EXPECT_THAT(run_on_store("call shop/71 --since 2026-11-21T08:00:03").out, Not(HasSubstr("model.sale")));
}

/// Twenty calls a day ago, and as many now that take twice as long.
void write_slower_calls(const std::string& url) {
  perf::Batch batch;
  for (int i = 0; i < 40; ++i) {
    perf::CallRecord record;
    record.summary.id = "slower" + std::to_string(i);
    record.summary.database = "shop";
    record.summary.session = "81";
    record.summary.method = "model.sale.sale.read";
    record.summary.start = base::utc_now() - std::chrono::hours(i < 20 ? 18 : 6);
    record.summary.wall = std::chrono::milliseconds(i < 20 ? 10 : 20);
    batch.calls.push_back(record);
  }
  ASSERT_TRUE(perf::open_store(url, perf::OpenMode::kWrite)->store->append(batch));
}

TEST_F(Executable, ComparesTwoSidesAndFailsWhenOneIsWorse) {
  const Outcome table = run_on_store("diff shop/71 7b");
  EXPECT_EQ(table.status, 0) << table.error;
  EXPECT_THAT(table.out, StartsWith("method\tverdict\tchange\tlow\thigh\tadded\tcalls_a"));
  EXPECT_THAT(table.error, HasSubstr("note: A is shop/71aa 3 calls"));
  std::ofstream(folder_ / "releases.toml") << "[perf.releases]\n'1.0' = '2026-11-21'\n";
  const Outcome release = run("--config releases.toml --store " + url() + " diff @1.0 .. --by table --json");
  ASSERT_EQ(release.status, 0) << release.error;
  const auto diff = nlohmann::json::parse(release.out);
  EXPECT_EQ(diff["summary"]["a"]["name"], "@1.0");
  EXPECT_EQ(diff["rows"][0]["verdict"], "few");
  const std::string slower = "sqlite://" + (folder_ / "slower.sqlite").string();
  write_slower_calls(slower);
  const Outcome worse = run("--store " + slower + " diff 1d..12h 12h..");
  EXPECT_EQ(worse.status, 1) << worse.error;
  EXPECT_THAT(worse.out, HasSubstr("model.sale.sale.read\tworse\t1\t"));
  EXPECT_EQ(run_on_store("diff shop/71").status, 2);
  EXPECT_EQ(run_on_store("diff shop/71 7b --by nothing").status, 2);
  EXPECT_EQ(run_on_store("diff shop/71 7b --threshold 10").status, 2);
}

TEST_F(Executable, NeverEndsAComparisonThatFailedAsIfOneSideWereWorse) {
  for (const char* sides : {"shop/71 zz", "shop/71 @9", "shop/71 ..2001-01-01"}) {
    const Outcome failed = run_on_store(std::string("diff ") + sides);
    EXPECT_EQ(failed.status, 2) << sides;
    EXPECT_THAT(failed.error, StartsWith("headroom: ")) << sides;
  }
  EXPECT_EQ(run("--store sqlite:///nowhere/perf.sqlite diff 71 7b").status, 2);
  EXPECT_EQ(run("--config /nowhere/headroom.toml diff 71 7b").status, 2);
  EXPECT_EQ(run_on_store("diff shop/71 7b >/dev/full; exit $?; true").status, 2);
}

TEST_F(Executable, GivesAdviceInParagraphsAndRows) {
  const Outcome text = run_on_store("advice shop/71");
  EXPECT_EQ(text.status, 0) << text.error;
  EXPECT_THAT(text.out, HasSubstr("2. saves about 0.025 s (repeated_statement): model.sale.sale.read"));
  const Outcome all = run_on_store("advice --method 'model.*' --since 2026-11-21 --json");
  ASSERT_EQ(all.status, 0) << all.error;
  EXPECT_EQ(nlohmann::json::parse(all.out)[0]["kind"], "slow_statement");
  EXPECT_EQ(run_on_store("advice zz").status, 1);
}

TEST_F(Executable, ExportsToStandardOutput) {
  EXPECT_THAT(run_on_store("export shop/71 --format csv --report method").out,
              StartsWith("method,time,number,avg\r\n"));
  EXPECT_THAT(run_on_store("export shop/71 3 --format collapsed").out,
              HasSubstr("dispatch (trytond/dispatcher.py:10) 10000\n"));
  EXPECT_EQ(run_on_store("export shop/71 --format svg").status, 2);
  EXPECT_EQ(run_on_store("export shop/71 1").status, 1);
}

TEST_F(Executable, ExplainsAStatementThroughTheConfiguredDatabase) {
  const std::string database = (folder_ / "shop.sqlite").string();
  ASSERT_EQ(std::system(("sqlite3 '" + database + "' 'CREATE TABLE sale_sale(id, state)'").c_str()), 0);
  std::ofstream(folder_ / "databases.toml")
      << "[perf]\nstore = '" << url() << "'\n[perf.databases]\nshop = 'sqlite://" << database << "'\n";
  const Outcome plan = run("--config databases.toml explain shop/71 1 --json");
  ASSERT_EQ(plan.status, 0) << plan.error;
  const auto answer = nlohmann::json::parse(plan.out);
  EXPECT_EQ(answer["plan"]["nodes"][answer["worst_scan"].get<std::size_t>()]["relation"], "sale_sale");
  EXPECT_THAT(run("--config databases.toml advice shop/71").out, HasSubstr("An index on sale_sale"));
  EXPECT_THAT(run_on_store("advice shop/71").out, HasSubstr("once [perf.databases] names the database"));
  ASSERT_EQ(
      std::system(("sqlite3 '" + database + "' 'CREATE UNIQUE INDEX sale_id ON sale_sale(id)'").c_str()), 0);
  EXPECT_THAT(run("--config databases.toml advice shop/71").out,
              HasSubstr("Its plan reads no large table as a whole"));
  ASSERT_EQ(std::system(("sqlite3 '" + database + "' 'DROP TABLE sale_sale'").c_str()), 0);
  EXPECT_THAT(run("--config databases.toml advice shop/71").out,
              HasSubstr("The database gave no plan of it"));
  EXPECT_THAT(run_on_store("explain shop/71 1").error, HasSubstr("[perf.databases]"));
  EXPECT_EQ(run("--config databases.toml explain shop/71").status, 2);
  EXPECT_EQ(run("--config databases.toml explain shop/71 1 --timeout 1h").status, 2);
}

TEST_F(Executable, ShowsInTheUsageWhichArgumentsAreRequired) {
  EXPECT_THAT(run("call --help").out, HasSubstr(" session [method]"));
  EXPECT_THAT(run("conflict --help").out, HasSubstr(" [session]"));
  EXPECT_THAT(run("--help").out, HasSubstr("where neither --store"));
}

TEST_F(Executable, SaysInOneLineWhatNumberIsExpected) {
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"call 71 --limit x", "--limit: expected a whole number from 1 to 1000000, got 'x'"},
      {"call 71 --limit 0", "--limit: expected a whole number from 1 to 1000000, got '0'"},
      {"call 71 --limit -1", "--limit: expected a whole number from 1 to 1000000, got '-1'"},
      {"call 71 --limit 99999999999999999999",
       "--limit: expected a whole number from 1 to 1000000, got '9999"},
      {"call 71 --offset 1.5", "--offset: expected a whole number from 0 to "},
      {"repeat 71 --at-least x", "--at-least: expected a whole number from 2 to 4294967295, got 'x'"},
      {"session --width 20", "--width: expected a whole number from 40 to 10000, got '20'"}};
  for (const auto& [arguments, message] : wrong) {
    const Outcome outcome = run_on_store(arguments);
    EXPECT_EQ(outcome.status, 2) << arguments;
    EXPECT_THAT(outcome.error, HasSubstr(message)) << arguments;
    EXPECT_LT(outcome.error.size(), 250U) << arguments;
  }
}

TEST_F(Executable, SaysInWhichZoneItsTimesAre) {
  EXPECT_THAT(run("call --help").out, HasSubstr("UTC"));
  EXPECT_THAT(read_file("../../packaging/man/headroom.1"), HasSubstr("UTC"));
  EXPECT_EQ(run_on_store("call shop/71 --since 2026-11-21T09:00:03+01:00").out,
            run_on_store("call shop/71 --since 2026-11-21T08:00:03").out);
}

TEST_F(Executable, FailsWithOneForWhatIsNotThere) {
  for (const char* arguments : {"method zz", "method 7", "db shop/71 99"}) {
    const Outcome outcome = run_on_store(arguments);
    EXPECT_EQ(outcome.status, 1) << arguments;
    EXPECT_THAT(outcome.out, IsEmpty()) << arguments;
    EXPECT_THAT(outcome.error, StartsWith("headroom: ")) << arguments;
  }
  EXPECT_THAT(run_on_store("method 7").error, HasSubstr("many candidates for session '7'"));
  EXPECT_EQ(run("--store sqlite:///nonexistent/perf.sqlite session").status, 1);
}

TEST_F(Executable, FailsWithTwoForAMisuse) {
  for (const char* arguments :
       {"method", "method 7b x", "nothing", "call 7b --since yesterday", "session --limit x", "trace",
        "trace add", "--store ftp://host session", "--color purple session", "session --method x",
        "overview --user x", "session admin --user demo"}) {
    const Outcome outcome = run_on_store(arguments);
    EXPECT_EQ(outcome.status, 2) << arguments << ": " << outcome.error;
    EXPECT_THAT(outcome.out, IsEmpty()) << arguments;
  }
  EXPECT_THAT(run_on_store("method").error, HasSubstr("missing session argument"));
}

TEST_F(Executable, NamesFileLineAndKeyOfAConfigurationThatIsWrong) {
  std::ofstream(folder_ / "wrong.toml") << "[perf]\nretention_age = true\n";
  const Outcome outcome = run("--config wrong.toml session");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.error, HasSubstr("wrong.toml:2: perf.retention_age: expected a time span"));
}

TEST_F(Executable, DoesNotEmptyTheStoreForWantOfAUnit) {
  for (const char* value : {"1.5", "2", "'2'", "'1.5'"}) {
    std::ofstream(folder_ / "small.toml") << "[perf]\nretention_size = " << value << "\n";
    const Outcome outcome = run("--config small.toml prune");
    EXPECT_EQ(outcome.status, 2) << value;
    EXPECT_THAT(outcome.error, HasSubstr("small.toml:2: perf.retention_size: ")) << value;
  }
  for (const char* size : {"2", "1.5", "1000kB"}) {
    const Outcome outcome = run_on_store(std::string("prune --size ") + size);
    EXPECT_EQ(outcome.status, 2) << size;
    EXPECT_THAT(outcome.error, HasSubstr("--size: ")) << size;
  }
}

TEST_F(Executable, FindsTheStoreInTheConfiguration) {
  std::ofstream(folder_ / "right.toml") << "[perf]\nstore = '" << url() << "'\n";
  EXPECT_EQ(run("session --config right.toml").status, 0);
  EXPECT_EQ(run("session", "HEADROOM_CONFIG=right.toml").status, 0);
}

TEST_F(Executable, AddsListsAndRemovesRules) {
  const Outcome added =
      run_on_store("trace add --user admin --profile 'model.sale.*' --sample 1/100 --for 10m --json");
  ASSERT_EQ(added.status, 0) << added.error;
  const auto rule = nlohmann::json::parse(added.out)[0];
  EXPECT_EQ(rule["user"], "admin");
  EXPECT_EQ(rule["one_in"], 100);
  const std::string id = rule["rule"].get<std::string>();
  EXPECT_THAT(run_on_store("trace list").out, HasSubstr("\n" + id + "\t"));
  EXPECT_EQ(run_on_store("trace remove " + id).status, 0);
  EXPECT_THAT(run_on_store("trace list").out, Not(HasSubstr("\n" + id + "\t")));
  EXPECT_EQ(run_on_store("trace remove " + id).status, 1);
}

TEST_F(Executable, MakesNoStoreWhereAPathIsWrong) {
  const std::string wrong = "--store sqlite://" + (folder_ / "typo" / "perf.sqlite").string() + " ";
  for (const char* arguments : {"prune", "trace remove r1", "prune --age 1d", "trace list", "session"}) {
    const Outcome outcome = run(wrong + arguments);
    EXPECT_EQ(outcome.status, 1) << arguments;
    EXPECT_THAT(outcome.error, HasSubstr("No such file or directory")) << arguments;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "typo"));
}

TEST_F(Executable, SaysThatNoProcessWillObeyARule) {
  const Outcome added = run_on_store("trace add --user admin --for 10m");
  EXPECT_EQ(added.status, 0);
  EXPECT_THAT(added.error, HasSubstr("note: no process records into sqlite:///"));
}

TEST_F(Executable, ListsTheRuleOfAConfigurationFile) {
  auto store =
      perf::open_store("sqlite://" + (folder_ / "file_rule.sqlite").string(), perf::OpenMode::kWrite);
  ASSERT_TRUE(store);
  perf::Batch batch;
  batch.process.emplace();
  batch.process->host = "app1";
  batch.process->process = 7;
  batch.process->seen = base::utc_now();
  batch.process->rules.resize(1);
  batch.process->rules.front().users = {perf::UserPattern::parse("admin")};
  ASSERT_TRUE(store->store->append(batch));
  const Outcome listed =
      run("--store sqlite://" + (folder_ / "file_rule.sqlite").string() + " trace list --json");
  ASSERT_EQ(listed.status, 0) << listed.error;
  const auto rules = nlohmann::json::parse(listed.out);
  ASSERT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules[0]["rule"], "config");
  EXPECT_EQ(rules[0]["user"], "admin");
  EXPECT_EQ(rules[0]["where"], "1 process on app1");
}

TEST_F(Executable, RefusesRulesThatWouldRecordMoreThanWasAsked) {
  const std::string before = run_on_store("trace list").out;
  for (const char* options :
       {"", "--user ''", "--user ,", "--method ''", "--user '' --database shop", "--database ''",
        "--user login:", "--user admin --for 0", "--user admin --for ''", "--method 'model.[a'",
        "--slower-than 0", "--sample 1/1", "--user admin --profile ''", "--user admin --db '['"}) {
    const Outcome outcome = run_on_store(std::string("trace add ") + options);
    EXPECT_EQ(outcome.status, 2) << options << ": " << outcome.out;
    EXPECT_THAT(outcome.error, StartsWith("headroom: ")) << options;
  }
  EXPECT_EQ(run_on_store("trace list").out, before);
}

TEST_F(Executable, ShowsACallWholeAsTextAndAsJson) {
  EXPECT_THAT(run_on_store("call shop/71 1 --width 100").out,
              HasSubstr("\nstatement 1:\nSELECT \"name\" FROM"));
  const std::string piped = run_on_store("call shop/71 1").out;
  EXPECT_THAT(piped, StartsWith("#\t1\nmethod\tmodel.sale.sale.read\n"));
  EXPECT_THAT(piped, HasSubstr("\n\nstatements\n#\ttime\tnumber\t"));
  const auto call = nlohmann::json::parse(run_on_store("call shop/71 1 --json").out)[0];
  EXPECT_EQ(call["http_status"], 200);
  EXPECT_EQ(call["statements"].size(), 3U);
}

TEST_F(Executable, TellsWhatItCanOfItsStatusWithoutAStore) {
  const Outcome outcome = run("--store sqlite:///nonexistent/perf.sqlite status --json");
  EXPECT_EQ(outcome.status, 1);
  const auto status = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(status["store"]["url"], "sqlite:///nonexistent/perf.sqlite");
  ASSERT_EQ(status["problems"].size(), 1U);
  EXPECT_THAT(status["problems"][0].get<std::string>(), HasSubstr("sqlite:///nonexistent/perf.sqlite"));
}

TEST_F(Executable, TellsItsStatus) {
  const Outcome outcome = run_on_store("status --json");
  ASSERT_EQ(outcome.status, 0) << outcome.error;
  const auto status = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(status["store"]["calls"], 6);
  EXPECT_EQ(status["store"]["source"], "--store");
  EXPECT_THAT(run_on_store("status").out, HasSubstr("\ncalls\t6\n"));
  EXPECT_THAT(run_on_store("status --width 100").out, HasSubstr("6 calls"));
}

TEST_F(Executable, BringsTheRetentionOfTheConfigurationIntoTheStore) {
  std::ofstream(folder_ / "keep.toml") << "[perf]\nstore = '" << url() << "'\nretention_age = '9000d'\n";
  EXPECT_THAT(run_on_store("status --width 100").out, HasSubstr("kept for 7 d"));
  EXPECT_THAT(run("status --config keep.toml").out, HasSubstr("does not hold yet"));
  EXPECT_EQ(run("prune --config keep.toml").status, 0);
  EXPECT_THAT(run_on_store("status --width 100").out, HasSubstr("kept for 9000 d"))
      << "without the file, as a server reads it";
  EXPECT_THAT(run("status --config keep.toml").out, Not(HasSubstr("does not hold yet")));
}

TEST_F(Executable, WarnsWhenTheServerRecordsElsewhere) {
  std::ofstream(folder_ / "trytond.conf") << "[perf]\nbroker = sqlite:///elsewhere/perf.sqlite\n";
  EXPECT_THAT(run_on_store("status --trytond-config trytond.conf").out, HasSubstr("names another store"));
}

TEST_F(Executable, ChecksTheWayOfTrytonsClientsToTheBus) {
  std::ofstream(folder_ / "bus.toml")
      << "[bus.tryton]\nuri = \"postgresql://localhost/\"\ndatabases = [\"shop\"]\n";
  std::ofstream(folder_ / "trytond.conf") << "[bus]\nurl_host = http://bus.example/\n";
  std::ofstream(folder_ / "nginx.conf")
      << "server {\n  location / { proxy_pass http://127.0.0.1:8000; }\n}\n";
  const Outcome wrong =
      run("bus check --config bus.toml --trytond-config trytond.conf --nginx nginx.conf --width 400");
  EXPECT_EQ(wrong.status, 1);
  EXPECT_THAT(wrong.out, HasSubstr("trytond.conf:2"));
  EXPECT_THAT(wrong.out, HasSubstr("can't serve SAO"));
  EXPECT_THAT(wrong.out, HasSubstr("location ~ ^/[^/]+/bus$"));
  std::ofstream(folder_ / "fine.conf") << "[database]\nuri = postgresql://localhost/\n";
  const std::string example = std::filesystem::absolute("../../examples/nginx/tryton.conf").string();
  const std::string command = "bus check --trytond-config fine.conf --width 400 --nginx '" + example + "' ";
  const Outcome off = run(command + "--config bus.toml");
  EXPECT_EQ(off.status, 0) << off.out;
  EXPECT_THAT(off.out, HasSubstr("custom.js comes from here only when [bus] is enabled"));
  std::ofstream(folder_ / "secret") << std::string(64, 'x') << "\n";
  std::filesystem::permissions(folder_ / "secret", std::filesystem::perms::owner_read);
  std::ofstream(folder_ / "on.toml") << "[bus]\nenabled = true\nsecret_files = [\"secret\"]\n"
                                     << std::ifstream(folder_ / "bus.toml").rdbuf();
  EXPECT_THAT(run(command + "--config on.toml").out, HasSubstr("nothing wrong in the files that were read"));
  const Outcome missing = run("bus check --config bus.toml --nginx missing.conf");
  EXPECT_EQ(missing.status, 1);
  EXPECT_EQ(missing.error, "headroom: missing.conf: No such file or directory\n");
}

TEST_F(Executable, ChecksTrytondsConfiguration) {
  std::ofstream(folder_ / "bare.conf") << "[cache]\nmodel = 200\n";
  const Outcome outcome = run("trytond check bare.conf");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, StartsWith("bare.conf:1: error: "));
  EXPECT_THAT(outcome.out, HasSubstr("    class = headroom.trytond.MemoryCache\n"));
  std::ofstream(folder_ / "fine.conf") << "[cache]\nclass = headroom.trytond.MemoryCache\n";
  EXPECT_EQ(run("trytond check fine.conf").status, 0);
  const Outcome missing = run("trytond check missing.conf");
  EXPECT_EQ(missing.status, 1);
  EXPECT_EQ(missing.error, "headroom: missing.conf: No such file or directory\n");
}

const std::vector<std::string> kCommands{"",
                                         "session",
                                         "method",
                                         "table",
                                         "call",
                                         "profile",
                                         "db",
                                         "io",
                                         "query",
                                         "repeat",
                                         "conflict",
                                         "overview",
                                         "trace add",
                                         "trace list",
                                         "trace remove",
                                         "trytond check",
                                         "status",
                                         "prune",
                                         "import",
                                         "serve",
                                         "help",
                                         "diff",
                                         "advice",
                                         "explain",
                                         "export",
                                         "bus",
                                         "bus publish",
                                         "bus tail",
                                         "bus channels",
                                         "bus presence",
                                         "bus disconnect",
                                         "bus check",
                                         "bus sql",
                                         "top",
                                         "block",
                                         "worklist",
                                         "worklist check",
                                         "worklist plan",
                                         "worklist count",
                                         "worklist documents",
                                         "worklist explain"};

TEST_F(Executable, HelpsEverywhereWithExamples) {
  for (const std::string& command : kCommands) {
    const Outcome outcome = run(command + " --help");
    EXPECT_EQ(outcome.status, 0) << command;
    EXPECT_THAT(outcome.out, HasSubstr("Examples:")) << command;
  }
  EXPECT_EQ(run("help").out, run("--help").out);
  EXPECT_THAT(run("--version").out, StartsWith("headroom 0."));
}

/// The words of `name="..."` in the completion script.
std::vector<std::string> completion_words(const std::string& name) {
  const std::string script = read_file("../../share/completions/headroom.bash");
  const std::size_t start = script.find("\n" + name + "=\"") + name.size() + 3;
  std::istringstream words(script.substr(start, script.find('"', start) - start));
  return {std::istream_iterator<std::string>(words), {}};
}

TEST_F(Executable, CompletesTheCommandsAndOptionsThatItHas) {
  const std::string help = run("--help").out;
  for (const std::string& command : completion_words("_headroom_commands"))
    EXPECT_THAT(help, HasSubstr("\n  " + command + " "));
  for (const std::string& option : completion_words("_headroom_common")) EXPECT_THAT(help, HasSubstr(option));
  const std::string report = run("call --help").out;
  for (const std::string& option : completion_words("_headroom_filters"))
    EXPECT_THAT(report, HasSubstr(option));
}

/// The "--name" at the beginning of each option's line in a command's help.
std::set<std::string> options_in_help(const std::string& help) {
  std::set<std::string> options;
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t start = line.find("--");
    if (!line.starts_with("  ") || start == std::string::npos || start > 5) continue;
    const std::size_t end = line.find_first_not_of("abcdefghijklmnopqrstuvwxyz-", start);
    options.insert(line.substr(start, end - start));
  }
  return options;
}

TEST_F(Executable, NamesEveryOptionInTheManualAndTheCompletion) {
  std::string manual =
      std::regex_replace(read_file("../../packaging/man/headroom.1"), std::regex(R"(\\f[BIR])"), "");
  std::erase(manual, '\\');
  const std::filesystem::path script = std::filesystem::absolute("../../share/completions/headroom.bash");
  for (const std::string& command : kCommands) {
    const std::set<std::string> options = options_in_help(run(command + " --help").out);
    EXPECT_THAT(options, Not(IsEmpty())) << command;
    std::string key = command;
    std::replace(key.begin(), key.end(), ' ', ':');
    if (key.find(':') == std::string::npos) key += ':';
    const std::filesystem::path words = folder_ / "words";
    const std::string completing = "bash -c '. \"" + script.string() +
                                   "\"; echo $_headroom_common $(_headroom_options " + key + ") \"\"' >'" +
                                   words.string() + "'";
    ASSERT_EQ(std::system(completing.c_str()), 0) << command;
    const std::string completed = " " + read_file(words);
    for (const std::string& option : options) {
      EXPECT_TRUE(std::regex_search(manual, std::regex(option + "[^a-z-]"))) << command << " " << option;
      EXPECT_THAT(completed, HasSubstr(" " + option + " ")) << command;
    }
  }
}

}  // namespace
}  // namespace headroom
