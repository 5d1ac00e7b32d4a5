#include "sql/statement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

/// What the sanitizer keeps of freed memory is bounded, so that a test can see what nobody freed.
extern "C" const char* __asan_default_options() {
  return "quarantine_size_mb=1:thread_local_quarantine_size_kb=16";
}

namespace headroom::sql {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kGolden = "testdata/statements.txt";

std::uint64_t fingerprint(std::string_view text) {
  return analyze(text).fingerprint;
}

std::string repeat(std::string_view part, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += part;
  return text;
}

std::string report(const std::string& text) {
  const Statement statement = analyze(text);
  std::string tables;
  for (const std::string& table : statement.tables) tables += ' ' + table;
  return "kind:" + std::string{" "} + std::string{name(statement.kind)} + "\ntables:" + tables + "\n" +
         statement.normalized + "\n";
}

/// Cases are separated by a line "===="; within one, "----" stands between the statement and the answer.
/// HEADROOM_REWRITE_GOLDEN=1 sql_test rewrites the answers.
TEST(Analyze, AnswersTheGoldenStatements) {
  std::ifstream file(kGolden);
  ASSERT_TRUE(file) << "run within src/sql";
  std::stringstream rewritten;
  std::string line, text, expected;
  bool answer = false;
  std::size_t cases = 0;
  const auto finish = [&] {
    const std::string actual = report(text);
    EXPECT_EQ(actual, expected) << text;
    rewritten << text << "\n----\n" << actual << "====\n";
    text.clear();
    expected.clear();
    answer = false;
    ++cases;
  };
  while (std::getline(file, line)) {
    if (line == "====") {
      finish();
    } else if (line == "----") {
      answer = true;
    } else if (answer) {
      expected += line + '\n';
    } else {
      text += (text.empty() ? "" : "\n") + line;
    }
  }
  EXPECT_GE(cases, 60U);
  if (std::getenv("HEADROOM_REWRITE_GOLDEN") != nullptr) std::ofstream(kGolden) << rewritten.str();
}

TEST(Fingerprint, IsBlindToLiteralsPlaceholdersCaseAndSpacing) {
  const std::uint64_t expected = fingerprint(R"(SELECT "a"."id" FROM "party" AS "a" WHERE ("a"."id" = %s))");
  for (const char* same : {R"(SELECT "a"."id" FROM "party" AS "a" WHERE ("a"."id" = ?))",
                           R"(SELECT "a"."id" FROM "party" AS "a" WHERE ("a"."id" = 42))",
                           R"(SELECT "a"."id" FROM "party" AS "a" WHERE ("a"."id" = 'x'))",
                           "select a.id\n from party as a /* c */ where a.id = :id"}) {
    EXPECT_EQ(fingerprint(same), expected) << same;
  }
  EXPECT_NE(fingerprint(R"(SELECT "a"."id" FROM "sale" AS "a" WHERE ("a"."id" = %s))"), expected);
  EXPECT_NE(fingerprint(R"(SELECT "a"."name" FROM "party" AS "a" WHERE ("a"."id" = %s))"), expected);
}

TEST(Fingerprint, IsBlindToTheLengthOfListsUpToAnyLength) {
  for (const std::string verb : {"SELECT a FROM t WHERE id IN (", "PRAGMA x SELECT a FROM t WHERE id IN ("}) {
    const Statement one = analyze(verb + "%s)");
    for (const std::size_t length : {1UL, 10UL, 1'000UL, 100'000UL}) {
      const Statement many = analyze(verb + repeat("%s, ", length) + "%s)");
      EXPECT_EQ(many.fingerprint, one.fingerprint) << verb << length;
      EXPECT_EQ(many.normalized, one.normalized);
    }
  }
}

TEST(Fingerprint, IsBlindToTheNumberOfRowsAfterValues) {
  const std::uint64_t one = fingerprint("INSERT INTO t (a, b) VALUES (%s, NOW())");
  EXPECT_EQ(fingerprint("INSERT INTO t (a, b) VALUES (%s, NOW()), (%s, NOW()), (%s, NOW())"), one);
  EXPECT_EQ(fingerprint("INSERT INTO t (a, b) VALUES " + repeat("(1, NOW()), ", 50'000) + "(2, now())"), one);
  const std::uint64_t other = fingerprint("INSERT OR REPLACE INTO t (a) VALUES (?)");
  EXPECT_EQ(fingerprint("insert or replace into T (a) values (?), (?), (?)"), other);
  EXPECT_NE(fingerprint("INSERT OR REPLACE INTO t (b) VALUES (?)"), other);
}

TEST(Fingerprint, OfATextThatOnlyTheTokenizerReadsIsBlindToTheSameThings) {
  const std::uint64_t expected = fingerprint("REPLACE INTO t (a) VALUES (?)");
  EXPECT_EQ(fingerprint("replace  into \"t\" (a) values (-1.5)"), expected);
  EXPECT_NE(fingerprint("REPLACE INTO u (a) VALUES (?)"), expected);
}

TEST(Analyze, KeepsNoLiteralInTheNormalizedText) {
  for (const char* text : {"SELECT 'hunter2', $$hunter2$$, E'hunter2' -- hunter2\n FROM t /* hunter2 */",
                           "ALTER ROLE x PASSWORD 'hunter2'", "SELECT 'hunter2", "garbage ' hunter2"}) {
    EXPECT_THAT(analyze(text).normalized, Not(HasSubstr("hunter2"))) << text;
  }
}

TEST(Analyze, ReadsItsOwnNormalizedText) {
  for (const char* text : {"SELECT a FROM t WHERE id IN (1, 2) AND b = -1 AND doc ? 'x' LIMIT 5",
                           "PRAGMA table_info('t')", "INSERT INTO t (a) VALUES (%s), (%s)"}) {
    const Statement first = analyze(text);
    const Statement second = analyze(first.normalized);
    EXPECT_EQ(second.fingerprint, first.fingerprint) << first.normalized;
    EXPECT_EQ(second.normalized, first.normalized);
  }
}

TEST(Analyze, AnswersTextsThatAreNoText) {
  for (const std::string& text : {std::string{}, std::string{"SELECT \0 1", 10}, std::string{"\xFF\xFE"},
                                  std::string{"("}, std::string{"$"}, std::string{"'"}, std::string{";;;"}}) {
    const Statement statement = analyze(text);
    EXPECT_NE(statement.fingerprint, 0U);
    EXPECT_LT(statement.fingerprint, std::uint64_t{1} << 63U);
  }
  EXPECT_THAT(analyze("SELECT '\xFF' FROM \"caf\xE9\"").tables, ElementsAre("caf\xEF\xBF\xBD"));
}

TEST(Analyze, CutsTheNormalizedTextBetweenCharacters) {
  const Statement statement = analyze("SELECT a" + repeat(", \xC3\xA9", 20'000) + " FROM t");
  EXPECT_LE(statement.normalized.size(), 16U * 1024);
  EXPECT_GT(statement.normalized.size(), 16U * 1024 - 4);
  EXPECT_THAT(statement.tables, ElementsAre("t"));
}

struct DeepText {
  const char* head;
  const char* open;
  const char* middle;
  const char* close;
};

constexpr DeepText kDeep[] = {{"SELECT ", "(", "1", ")"},
                              {"SELECT ", "(SELECT ", "1", ")"},
                              {"SELECT 1", "+1", "", ""},
                              {"SELECT ", "NOT ", "true", ""},
                              {"SELECT ", "f(", "1", ")"},
                              {"SELECT ", "CASE WHEN ", "true", " THEN 1 END"},
                              {"SELECT 1", " UNION SELECT 1, 2", "", ""},
                              {"SELECT 1 FROM a", " JOIN a ON true", "", ""},
                              {"", "WITH a AS (", "SELECT 1", ") SELECT 1"},
                              {"SELECT ", "((1 OR ", "1", ") AND 1)"},
                              {"SELECT ", "ROW(1, ", "1", ")"},
                              {"SELECT a", "::int", "", ""},
                              {"SELECT ", "ARRAY[", "1", "]"},
                              {"SELECT ", "(", "", ""}};

/// Runs `body` on a thread that has a stack of 256 KiB. AddressSanitizer's frames are several times as large.
void with_small_stack(void (*body)(void*), void* argument) {
  struct Start {
    void (*body)(void*);
    void* argument;
  } start{body, argument};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, 256UL * 1024), 0);
  pthread_t thread;
  ASSERT_EQ(pthread_create(
                &thread, &attributes,
                [](void* raw) -> void* {
                  auto* self = static_cast<Start*>(raw);
                  self->body(self->argument);
                  return nullptr;
                },
                &start),
            0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

TEST(Analyze, NeedsLittleStackForTheDeepestText) {
  for (const DeepText& deep : kDeep) {
    for (const std::size_t levels : {150UL, 199UL, 399UL, 5'000UL, 20'000UL}) {
      std::string text =
          std::string{deep.head} + repeat(deep.open, levels) + deep.middle + repeat(deep.close, levels);
      with_small_stack([](void* raw) { EXPECT_NE(analyze(*static_cast<std::string*>(raw)).fingerprint, 0U); },
                       &text);
    }
  }
}

std::size_t resident_kib() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
  }
  return 0;
}

TEST(Analyze, LeavesNoMemoryBehindOverManyTextsAndThreads) {
  const auto run = [](int from, int count) {
    for (int i = from; i < from + count; ++i) {
      const std::string number = std::to_string(i);
      static_cast<void>(analyze("SELECT a" + number + " FROM t" + number + " WHERE b IN (SELECT 1)"));
      static_cast<void>(analyze("PRAGMA x" + number));
    }
  };
  run(0, 2'000);
  const std::size_t before = resident_kib();
  run(2'000, 12'000);
  for (int thread = 0; thread < 32; ++thread) {
    with_small_stack([](void*) { static_cast<void>(analyze("SELECT 1 FROM t; SELECT (")); }, nullptr);
  }
  EXPECT_LT(resident_kib(), before + 3'072);  // a tree of one statement that stayed would be some KiB
}

TEST(StatementKind, NamesAreInverse) {
  for (int i = 0; i <= static_cast<int>(StatementKind::kOther); ++i) {
    const auto kind = static_cast<StatementKind>(i);
    EXPECT_EQ(statement_kind(name(kind)), kind);
  }
  EXPECT_EQ(statement_kind("x"), StatementKind::kOther);
}

}  // namespace
}  // namespace headroom::sql
