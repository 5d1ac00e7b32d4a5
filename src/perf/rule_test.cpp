#include "perf/rule.hpp"

#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/glob.hpp"

namespace headroom::perf {

namespace {

using base::Microseconds;
using base::UtcTime;
using testing::ElementsAre;
using testing::IsEmpty;

const UtcTime kNow{Microseconds(1'000'000)};

Rule rule_for(std::vector<std::string> users) {
  Rule rule;
  for (const auto& user : users) rule.users.push_back(UserPattern::parse(user));
  return rule;
}

bool records(const Rule& rule, const Subject& subject, std::uint64_t dice = 0) {
  return decide(std::span(&rule, 1), subject, kNow, dice).record;
}

/// The definition in rule.hpp, written as plainly as possible.
Decision naive(const std::vector<Rule>& rules, const Subject& subject, UtcTime now, std::uint64_t dice) {
  Decision decision;
  const auto any = [](const std::vector<std::string>& globs, std::string_view text) {
    for (const auto& glob : globs) {
      if (text.empty() || base::glob_match(glob, text)) return true;
    }
    return false;
  };
  for (const auto& rule : rules) {
    bool user = rule.users.empty();
    for (const auto& pattern : rule.users) {
      user = user || (pattern.id ? subject.user_id && *pattern.id == *subject.user_id
                                 : !subject.login.empty() && base::glob_match(pattern.login, subject.login));
    }
    const bool matches = user && (!rule.expires || now < *rule.expires) &&
                         (rule.database.empty() || base::glob_match(rule.database, subject.database)) &&
                         (rule.methods.empty() || any(rule.methods, subject.method)) &&
                         (rule.one_in <= 1 || dice % rule.one_in == 0);
    if (!matches) continue;
    if (!decision.record || rule.slower_than < decision.slower_than) decision.slower_than = rule.slower_than;
    decision.record = true;
    if (any(rule.profile, subject.method)) decision.profile = true;
    if (any(rule.sample, subject.method)) decision.sample = true;
    if (any(rule.db, subject.method)) decision.db = true;
    if (any(rule.io, subject.method)) decision.io = true;
    if (rule.query && (!decision.query || *rule.query < *decision.query)) decision.query = rule.query;
  }
  return decision;
}

Rule random_rule(std::mt19937_64& random) {
  static const std::vector<std::string> kGlobs = {"*",      "model.*", "model.sale.*",
                                                  "*.read", "none",    "model.?arty.*"};
  static const std::vector<std::string> kUsers = {"1", "2", "admin", "login:1", "eve", "a*"};
  const auto some = [&](const std::vector<std::string>& from) {
    std::vector<std::string> chosen;
    for (const auto& one : from) {
      if (random() % 5 == 0) chosen.push_back(one);
    }
    return chosen;
  };
  Rule rule = rule_for(some(kUsers));
  rule.methods = some(kGlobs);
  rule.profile = some(kGlobs);
  rule.sample = some(kGlobs);
  rule.db = some(kGlobs);
  rule.io = some(kGlobs);
  if (random() % 3 == 0) rule.database = random() % 2 == 0 ? "try*" : "other";
  if (random() % 2 == 0) rule.query = Microseconds(static_cast<std::int64_t>(random() % 1000));
  if (random() % 3 == 0) rule.expires = kNow + Microseconds(static_cast<std::int64_t>(random() % 3) - 1);
  rule.slower_than = Microseconds(static_cast<std::int64_t>(random() % 3));
  rule.one_in = static_cast<std::uint32_t>(random() % 4);
  return rule;
}

}  // namespace

TEST(UserPattern, digits_are_an_id_and_login_forces_a_login) {
  EXPECT_EQ(UserPattern::parse("42").id, 42);
  EXPECT_EQ(UserPattern::parse("admin").login, "admin");
  EXPECT_EQ(UserPattern::parse("login:42").login, "42");
  EXPECT_FALSE(UserPattern::parse("login:42").id);
  EXPECT_FALSE(UserPattern::parse("-1").id);
  EXPECT_FALSE(UserPattern::parse("4 2").id);
  EXPECT_EQ(UserPattern::parse("99999999999999999999").login, "99999999999999999999");
}

TEST(UserPattern, its_text_leads_back_to_it) {
  for (const char* text : {"42", "admin", "login:42", "login:login:x", "", "99999999999999999999", "a b"}) {
    const auto pattern = UserPattern::parse(text);
    EXPECT_EQ(UserPattern::parse(pattern.text()), pattern) << text;
  }
  EXPECT_EQ(UserPattern::parse("login:admin").text(), "admin");
}

TEST(Rule, no_rule_records_nobody) {
  const auto decision = decide({}, {"db", "method", 1, "admin"}, kNow, 0);
  EXPECT_FALSE(decision.record || decision.profile || decision.sample || decision.db || decision.io);
}

TEST(Rule, users_match_by_id_or_by_login) {
  EXPECT_TRUE(records(rule_for({"1"}), {"", "", 1, ""}));
  EXPECT_FALSE(records(rule_for({"1"}), {"", "", 2, "1"}));
  EXPECT_TRUE(records(rule_for({"login:1"}), {"", "", 2, "1"}));
  EXPECT_TRUE(records(rule_for({"eve", "admin"}), {"", "", 1, "admin"}));
  EXPECT_FALSE(records(rule_for({"admin"}), {"", "", 1, "Admin"}));
}

TEST(Rule, logins_are_globs_and_ids_are_not) {
  EXPECT_TRUE(records(rule_for({"*"}), {"", "", 1, "admin"}));
  EXPECT_TRUE(records(rule_for({"shop_*"}), {"", "", 2, "shop_7"}));
  EXPECT_TRUE(records(rule_for({"login:4?"}), {"", "", 2, "42"}));
  EXPECT_FALSE(records(rule_for({"shop_*"}), {"", "", 2, "admin"}));
  EXPECT_FALSE(records(rule_for({"*"}), {"", "", std::nullopt, ""})) << "nobody is nobody";
  EXPECT_FALSE(records(rule_for({"1"}), {"", "", 12, "12"}));
}

TEST(Rule, a_rule_with_users_never_matches_a_stranger) {
  EXPECT_FALSE(records(rule_for({"1", "admin", ""}), {"", "", std::nullopt, ""}));
  EXPECT_TRUE(records(rule_for({}), {"", "", std::nullopt, ""}));
}

TEST(Rule, it_ends_at_its_expiry) {
  Rule rule;
  rule.expires = kNow;
  EXPECT_FALSE(records(rule, {}));
  rule.expires = kNow + Microseconds(1);
  EXPECT_TRUE(records(rule, {}));
}

TEST(Rule, it_records_one_call_in_so_many) {
  Rule rule;
  rule.one_in = 100;
  int recorded = 0;
  for (std::uint64_t dice = 0; dice < 10000; ++dice) recorded += records(rule, {}, dice) ? 1 : 0;
  EXPECT_EQ(recorded, 100);
  rule.one_in = 0;
  EXPECT_TRUE(records(rule, {}, 7));
}

TEST(Rule, details_are_the_sum_of_the_rules_that_match) {
  std::vector<Rule> rules(3);
  rules[0].profile = {"model.sale.*"};
  rules[0].query = Microseconds(500);
  rules[0].slower_than = Microseconds(10);
  rules[1].db = {"*"};
  rules[1].query = Microseconds(200);
  rules[1].slower_than = Microseconds(20);
  rules[2].methods = {"other"};
  rules[2].io = {"*"};
  const auto decision = decide(rules, {"db", "model.sale.sale.read", 1, ""}, kNow, 0);
  EXPECT_TRUE(decision.profile && decision.db);
  EXPECT_FALSE(decision.io || decision.sample);
  EXPECT_EQ(decision.query, Microseconds(200));
  EXPECT_EQ(decision.slower_than, Microseconds(10));
}

TEST(Rule, random_rules_decide_as_the_definition_says) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937_64 random(seed);
  const std::vector<std::string> methods = {"model.sale.sale.read", "model.party.party.write", "none", ""};
  const std::vector<std::string> logins = {"admin", "eve", "1", ""};
  for (int round = 0; round < 3000; ++round) {
    std::vector<Rule> rules;
    for (std::uint64_t i = random() % 5; i > 0; --i) rules.push_back(random_rule(random));
    Subject subject{random() % 2 == 0 ? "tryton" : "other", methods[random() % 4], std::nullopt,
                    logins[random() % 4]};
    if (random() % 3 != 0) subject.user_id = static_cast<std::int64_t>(random() % 3);
    const auto dice = random();
    const auto decision = decide(rules, subject, kNow, dice);
    const auto expected = naive(rules, subject, kNow, dice);
    EXPECT_EQ(decision.record, expected.record);
    EXPECT_EQ(decision.profile, expected.profile);
    EXPECT_EQ(decision.sample, expected.sample);
    EXPECT_EQ(decision.db, expected.db);
    EXPECT_EQ(decision.io, expected.io);
    EXPECT_EQ(decision.query, expected.query);
    EXPECT_EQ(decision.slower_than, expected.slower_than);
  }
}

TEST(SplitList, entries_are_divided_by_commas_and_line_ends) {
  EXPECT_THAT(split_list("a, b\n\n c.* ,,\td\r\ne f"), ElementsAre("a", "b", "c.*", "d", "e f"));
  EXPECT_THAT(split_list(" , \n"), IsEmpty());
  EXPECT_THAT(split_list(""), IsEmpty());
}

TEST(RuleJson, a_rule_comes_back_as_it_was) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 200; ++i) {
    auto rule = random_rule(random);
    rule.id = "r7";
    rule.author = "caf\u00e9 \"x\"";
    rule.created = kNow;
    const auto read = rule_from_json(to_json(rule));
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(*read, rule) << to_json(rule);
  }
}

TEST(RuleJson, bytes_that_are_no_text_do_not_make_json_that_cannot_be_read) {
  Rule rule;
  rule.author = "\xff\xfe";
  EXPECT_TRUE(rule_from_json(to_json(rule)));
}

TEST(RuleJson, unknown_keys_are_skipped_and_wrong_types_refused) {
  EXPECT_TRUE(rule_from_json(R"({"users":["1"],"later":{"x":[1]}})"));
  for (const char* text : {"", "[]", "{", "1", R"({"users":"admin"})", R"({"methods":[1]})",
                           R"({"query_us":"x"})", R"({"database":null})", R"({"one_in":[]})"}) {
    const auto read = rule_from_json(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code(), base::ErrorCode::kProtocol) << text;
  }
}

}  // namespace headroom::perf
