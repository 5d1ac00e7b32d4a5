// The counters in memory after random changes, compared with counting document by document.

#include "worklist/live_counters.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worklist/changing_case.hpp"

namespace headroom::worklist {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;

TEST(LiveCounters, FollowRandomChanges) {
  CaseCounts counts;
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    const auto difference = difference_of_changes(seed, 8, counts);
    ASSERT_FALSE(difference) << *difference;
  }
  EXPECT_TRUE(counts.says_enough()) << counts.not_zero << " of " << counts.all << " are not zero";
}

Catalog small_catalog() {
  Catalog catalog;
  catalog.columns = {{"id", "id", Type::kInteger, Variety::kFew, {}},
                     {"state", "state", Type::kText, Variety::kFew, {}},
                     {"owner", "owner", Type::kInteger, Variety::kFew, {}},
                     {"uid", "uid", Type::kInteger, Variety::kFew, {}}};
  catalog.security = {{2, "Owner", ""}, {3, "", ""}};
  return catalog;
}

CountedList in_state(const std::string& state) {
  return {{{1, {{Operator::kIn, {state}}}, false}}, {}};
}

TEST(LiveCounters, CountADocumentOnceThatTwoColumnsGrant) {
  const Catalog catalog = small_catalog();
  LiveCounters counters(catalog);
  counters.set_lists({in_state("draft"), in_state("done")});
  User user;
  user.id = "7";
  user.security_uids = {{3, "", ""}};
  const std::string draft = "draft";
  ASSERT_TRUE(counters.put(std::vector<Value>{std::int64_t{1}, draft, std::int64_t{7}, std::int64_t{3}}));
  ASSERT_TRUE(counters.put(std::vector<Value>{std::int64_t{2}, draft, std::int64_t{8}, std::int64_t{3}}));
  ASSERT_TRUE(counters.put(std::vector<Value>{std::int64_t{3}, draft, std::int64_t{7}, Value{}}));
  ASSERT_TRUE(counters.put(std::vector<Value>{std::int64_t{4}, draft, std::int64_t{8}, std::int64_t{4}}));
  EXPECT_THAT(counters.count(user).value(), ElementsAre(3, 0));
  counters.set_lists({in_state("done")});
  EXPECT_THAT(counters.count(user).value(), ElementsAre(0));
  EXPECT_EQ(counters.size().classes, 1U);
  counters.clear();
  EXPECT_EQ(counters.size().documents, 0U);
}

/// In state draft or done, by turns, seen by user 7 alone.
std::vector<Value> document(Value key, std::size_t number) {
  return {std::move(key), std::string(number % 2 == 0 ? "draft" : "done"), std::int64_t{7}, Value{}};
}

User user_7() {
  User user;
  user.id = "7";
  return user;
}

TEST(LiveCounters, KeepKeysThatAreFarApart) {
  const Catalog catalog = small_catalog();
  LiveCounters counters(catalog);
  counters.set_lists({in_state("draft"), in_state("done")});
  const auto key = [](std::size_t number) {
    return static_cast<std::int64_t>(number % 2 == 0 ? number : number * 1'000'003);
  };
  for (std::size_t i = 0; i < 3'000; ++i) ASSERT_TRUE(counters.put(document(key(i), i)));
  EXPECT_THAT(counters.count(user_7()).value(), ElementsAre(1'500, 1'500));
  for (std::size_t i = 0; i < 3'000; i += 3) ASSERT_TRUE(counters.put(document(key(i), i + 1)));
  EXPECT_EQ(counters.size().documents, 3'000U);
  for (std::size_t i = 0; i < 3'000; i += 2) ASSERT_TRUE(counters.remove(key(i)));
  EXPECT_THAT(counters.count(user_7()).value(), ElementsAre(500, 1'000));
  EXPECT_FALSE(counters.remove(key(0)));
  EXPECT_FALSE(counters.remove(Value{std::string("0")}));
}

TEST(LiveCounters, KeepKeysThatAreTexts) {
  Catalog catalog = small_catalog();
  catalog.columns[0].type = Type::kText;
  LiveCounters counters(catalog);
  counters.set_lists({in_state("draft"), {{{0, {{Operator::kPrefix, {std::string("INV/1")}}}, false}}, {}}});
  for (std::size_t i = 0; i < 300; ++i) ASSERT_TRUE(counters.put(document("INV/" + std::to_string(i), i)));
  EXPECT_THAT(counters.count(user_7()).value(), ElementsAre(150, 111)) << "a list may ask for the key";
  ASSERT_TRUE(counters.remove(Value{std::string("INV/10")}));
  EXPECT_THAT(counters.count(user_7()).value(), ElementsAre(149, 110));
  counters.set_lists({in_state("done")});
  ASSERT_TRUE(counters.put(document("INV/10", 1)));
  EXPECT_THAT(counters.count(user_7()).value(), ElementsAre(151));
}

TEST(LiveCounters, TakeSeveralAsIfTheyCameOneByOne) {
  const Catalog catalog = small_catalog();
  LiveCounters counters(catalog);
  counters.set_lists({in_state("draft"), in_state("done")});
  std::vector<std::vector<Value>> rows;
  for (std::size_t i = 0; i < 1'000; ++i)
    rows.push_back(document(static_cast<std::int64_t>(i % 700), i % 10));
  ASSERT_TRUE(counters.put_all(rows));
  EXPECT_EQ(counters.size().documents, 700U) << "some came twice";
  EXPECT_THAT(counters.count(user_7()).value(), ElementsAre(350, 350));
  std::vector<std::vector<Value>> twice(3, document(std::int64_t{1'000}, 0));
  twice.back()[1] = std::string("done");
  ASSERT_TRUE(counters.put_all(twice));
  EXPECT_THAT(counters.count(user_7()).value(), ElementsAre(350, 351)) << "the last one holds";
  twice = {document(std::int64_t{1'001}, 0), document(Value{}, 0), document(std::int64_t{1'002}, 0)};
  EXPECT_FALSE(counters.put_all(twice));
  EXPECT_THAT(counters.count(user_7()).value(), ElementsAre(351, 351)) << "what stood before it";
}

TEST(LiveCounters, RefuseWhatIsNoDocument) {
  const Catalog catalog = small_catalog();
  LiveCounters counters(catalog);
  const auto wrong = counters.put(std::vector<Value>{std::int64_t{1}, std::int64_t{2}, Value{}, Value{}});
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message(),
              HasSubstr("column 'state': a value is of another type; expected one of type text"));
  EXPECT_FALSE(counters.put(document(Value{}, 0)));
  EXPECT_FALSE(counters.put(std::vector<Value>{std::int64_t{1}}));
  EXPECT_EQ(counters.size().documents, 0U);
}

TEST(LiveCounters, ForgetValuesThatNoDocumentHas) {
  const Catalog catalog = small_catalog();
  LiveCounters counters(catalog);
  counters.set_lists({in_state("state 299999")});
  for (std::size_t i = 0; i < 300'000; ++i) {
    ASSERT_TRUE(counters.put(
        std::vector<Value>{std::int64_t{1}, "state " + std::to_string(i), std::int64_t{7}, Value{}}));
  }
  EXPECT_LT(counters.size().values, 100'000U);
  EXPECT_THAT(counters.count(user_7()).value(), ElementsAre(1));
}

// Look-ups
// ---------------------------------------------------------------------------------------------------------

/// Sales, each with a party and with one that it is sent to: a table that is looked up twice, and seen by
/// whom the party names.
Catalog catalog_of_parties() {
  Catalog catalog;
  catalog.columns = {{"id", "id", Type::kInteger, Variety::kFew, {}},
                     {"party", "party", Type::kInteger, Variety::kFew, {}},
                     {"receiver", "receiver", Type::kInteger, Variety::kFew, {}},
                     {"country", "country", Type::kText, Variety::kFew, 0},
                     {"keeper", "keeper", Type::kInteger, Variety::kFew, 0},
                     {"sent_to", "country", Type::kText, Variety::kFew, 1}};
  catalog.look_ups = {{"party", "party", "id", 1}, {"receiver", "party", "id", 2}};
  catalog.security = {{4, "Owner", ""}};
  return catalog;
}

CountedList asking(ColumnTest test) {
  return {{std::move(test)}, {}};
}

/// Of sales to a country, and of those that are sent nowhere.
std::vector<CountedList> by_country(const std::string& country) {
  return {asking({3, {{Operator::kIn, {country}}}, false}), asking({5, {{Operator::kNull, {}}}, false})};
}

class LookUps : public ::testing::Test {
 protected:
  LookUps() { counters_.set_lists(by_country("AT")); }

  void sell(std::int64_t id, const Value& party, const Value& receiver) {
    ASSERT_TRUE(counters_.put(std::vector<Value>{id, party, receiver}));
  }
  void name(std::int64_t party, const std::string& country, std::int64_t keeper) {
    ASSERT_TRUE(counters_.put_look_up(0, std::vector<Value>{party, country, keeper}));
    ASSERT_TRUE(counters_.put_look_up(1, std::vector<Value>{party, country}));
  }
  [[nodiscard]] std::vector<std::uint64_t> counts() const { return counters_.count(user_7()).value(); }

  const Catalog catalog_ = catalog_of_parties();
  LiveCounters counters_{catalog_};
};

TEST_F(LookUps, CountDocumentsWhereverTheirRowComes) {
  const std::int64_t first = 1;
  const std::int64_t second = 2;
  sell(1, first, second);
  sell(2, first, Value{});
  EXPECT_THAT(counts(), ElementsAre(0, 0)) << "nobody is named yet";
  name(1, "AT", 7);
  EXPECT_THAT(counts(), ElementsAre(2, 2));
  sell(3, second, first);
  name(2, "AT", 7);
  EXPECT_THAT(counts(), ElementsAre(3, 1));
  const std::vector<Value> row{first, first, second, std::string("AT"), std::int64_t{7}, std::string("AT")};
  EXPECT_EQ(counters_.row(first).value(), row);
  sell(3, first, second);
  name(1, "DE", 7);
  EXPECT_THAT(counts(), ElementsAre(0, 1)) << "all that are the first's now";
  name(1, "AT", 8);
  EXPECT_THAT(counts(), ElementsAre(0, 0)) << "another keeps it";
  ASSERT_TRUE(counters_.remove(std::int64_t{3}));
  name(1, "AT", 7);
  EXPECT_THAT(counts(), ElementsAre(2, 1));
}

TEST_F(LookUps, LeaveNullWhereTheirRowIsGone) {
  const std::int64_t party = 1;
  sell(1, party, party);
  sell(2, party, party);
  name(1, "AT", 7);
  EXPECT_THAT(counts(), ElementsAre(2, 0));
  ASSERT_TRUE(counters_.remove_look_up(1, party));
  EXPECT_FALSE(counters_.remove_look_up(1, party));
  EXPECT_THAT(counts(), ElementsAre(2, 2)) << "the other look-up has it still";
  counters_.clear_look_up(0);
  EXPECT_THAT(counts(), ElementsAre(0, 0));
  EXPECT_EQ(counters_.size().look_up_rows, 0U);
  name(1, "AT", 7);
  counters_.clear();
  EXPECT_THAT(counts(), ElementsAre(0, 0));
  sell(3, party, Value{});
  EXPECT_THAT(counts(), ElementsAre(1, 1)) << "the documents went, their parties did not";
}

TEST_F(LookUps, TellWhoseDocumentsARowIs) {
  const std::int64_t party = 5;
  for (std::int64_t id = 1; id <= 3; ++id) sell(id, party, Value{});
  EXPECT_FALSE(counters_.documents_of(0, party, 2));
  const auto documents = counters_.documents_of(0, party, 3);
  ASSERT_TRUE(documents);
  EXPECT_EQ(documents->size(), 3U);
  EXPECT_THAT(counters_.documents_of(1, party, 3), Optional(::testing::IsEmpty()));
  EXPECT_THAT(counters_.documents_of(0, Value{}, 3), Optional(::testing::IsEmpty()));
}

TEST_F(LookUps, RefuseWhatIsNoRow) {
  EXPECT_FALSE(counters_.put_look_up(1, std::vector<Value>{std::int64_t{1}}));
  const auto wrong = counters_.put_look_up(1, std::vector<Value>{std::int64_t{1}, std::int64_t{2}});
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message(), HasSubstr("column 'sent_to'"));
  EXPECT_FALSE(
      counters_.put(std::vector<Value>{std::int64_t{1}, Value{}, Value{}, Value{}, Value{}, Value{}}))
      << "a document has its table's columns";
  EXPECT_TRUE(counters_.put_look_up(1, std::vector<Value>{Value{}, std::string("AT")}));
  EXPECT_EQ(counters_.size().look_up_rows, 0U) << "NULL is no key";
}

TEST_F(LookUps, FindTheirDocumentsWhereKeysAreFarApart) {
  constexpr std::int64_t kFar = 1'000'003;
  for (std::int64_t i = 0; i < 3'000; ++i) sell(i * kFar, Value{i % 3}, Value{});
  for (std::int64_t i = 0; i < 3'000; i += 2) ASSERT_TRUE(counters_.remove(Value{i * kFar}));
  for (const std::int64_t party : {0, 1, 2}) name(party, party == 1 ? "DE" : "AT", 7);
  EXPECT_THAT(counts(), ElementsAre(1'000, 1'500));
  name(2, "DE", 7);
  EXPECT_THAT(counts(), ElementsAre(500, 1'500));
}

TEST_F(LookUps, KeepValuesThatOnlyRowsHave) {
  const std::int64_t kept = 1'000'000;
  const auto rename = [&](const std::string& what) {
    for (std::int64_t i = 0; i < 70'000; ++i) {
      ASSERT_TRUE(counters_.put_look_up(0, std::vector<Value>{std::int64_t{7}, what + std::to_string(i), i}));
    }
  };
  rename("country ");
  name(kept, "AT", 7);
  rename("land ");
  EXPECT_LT(counters_.size().values, 150'000U) << "what no row has is forgotten";
  sell(1, kept, kept);
  EXPECT_THAT(counts(), ElementsAre(1, 0));
}

TEST(LiveCounters, LookUpByTheirOwnKey) {
  Catalog catalog = catalog_of_parties();
  catalog.look_ups = {{"party", "sale_party", "sale", 0}, {"receiver", "party", "id", 2}};
  LiveCounters counters(catalog);
  counters.set_lists(by_country("AT"));
  ASSERT_TRUE(counters.put(std::vector<Value>{std::int64_t{4}, Value{}, Value{}}));
  ASSERT_TRUE(
      counters.put_look_up(0, std::vector<Value>{std::int64_t{4}, std::string("AT"), std::int64_t{7}}));
  EXPECT_THAT(counters.count(user_7()).value(), ElementsAre(1, 1));
  ASSERT_TRUE(counters.remove_look_up(0, std::int64_t{4}));
  EXPECT_THAT(counters.count(user_7()).value(), ElementsAre(0, 0));
}

TEST(LiveCounters, MoveWithTheTimeThatTheyLookUp) {
  Catalog catalog = catalog_of_parties();
  catalog.columns[4] = {"due", "due", Type::kTime, Variety::kFew, 0};
  catalog.security.clear();
  LiveCounters counters(catalog);
  const auto noon = base::parse_time("2026-11-30 12:00", {}).value();
  Criterion due;
  due.column = 4;
  due.conditions.push_back({Operator::kBelow, {parse_operand(Type::kTime, "now").value()}});
  counters.set_lists({TimedList{{due}, {}}}, noon);
  const auto put_due = [&](int minutes) {
    const Value at = std::int64_t{(noon + std::chrono::minutes{minutes}).time_since_epoch().count()};
    ASSERT_TRUE(counters.put_look_up(0, std::vector<Value>{std::int64_t{1}, Value{}, at}));
  };
  const auto late = [&] { return counters.count(User()).value().front(); };
  put_due(10);
  for (std::int64_t id = 1; id <= 5; ++id)
    ASSERT_TRUE(counters.put(std::vector<Value>{id, std::int64_t{1}, Value{}}));
  EXPECT_EQ(late(), 0U);
  EXPECT_EQ(counters.advance(noon + std::chrono::minutes{11}), 5U);
  EXPECT_EQ(late(), 5U);
  put_due(20);
  EXPECT_EQ(late(), 0U);
  EXPECT_LE(counters.next_change().value(), noon + std::chrono::minutes{20} + base::Microseconds{1});
  counters.advance(noon + std::chrono::minutes{30});
  EXPECT_EQ(late(), 5U);
}

// Time
// ---------------------------------------------------------------------------------------------------------

/// A list of what is due before a moment.
TimedList due_before(std::string_view moment) {
  Criterion criterion;
  criterion.column = 1;
  criterion.conditions.push_back({Operator::kBelow, {parse_operand(Type::kTime, moment).value()}});
  return {{criterion}, {}};
}

TEST(LiveCounters, MoveOnlyDocumentsThatTimeChanges) {
  Catalog catalog = small_catalog();
  catalog.columns[1].type = Type::kTime;
  LiveCounters counters(catalog);
  const auto noon = base::parse_time("2026-11-30 12:00", {}).value();
  const auto at = [noon](int minutes) {
    return Value{std::int64_t{(noon + std::chrono::minutes{minutes}).time_since_epoch().count()}};
  };
  for (int i = 0; i < 1'000; ++i)
    ASSERT_TRUE(counters.put(std::vector<Value>{std::int64_t{i}, at(i), std::int64_t{7}, Value{}}));
  counters.set_lists({due_before("now"), due_before("now - 1 hour")}, noon);
  EXPECT_THAT(counters.count(user_7()).value(), ElementsAre(0, 0));
  EXPECT_THAT(counters.next_change(), Optional(noon + base::Microseconds{1})) << "one is due, and then over";
  EXPECT_EQ(counters.advance(noon + base::Microseconds{1}), 1U);
  EXPECT_THAT(counters.count(user_7()).value(), ElementsAre(1, 0));
  EXPECT_THAT(counters.next_change(), Optional(noon + std::chrono::minutes{1}));
  EXPECT_LE(counters.advance(noon + std::chrono::minutes{10}), 12U);
  EXPECT_THAT(counters.count(user_7()).value(), ElementsAre(10, 0));
  counters.advance(noon + std::chrono::minutes{90});
  EXPECT_THAT(counters.count(user_7()).value(), ElementsAre(90, 30));
  counters.advance(noon);
  EXPECT_THAT(counters.count(user_7()).value(), ElementsAre(0, 0)) << "a clock may be set back";
}

}  // namespace
}  // namespace headroom::worklist
