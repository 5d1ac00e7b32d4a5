#include "worklist/cost.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

namespace headroom::worklist {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const base::UtcTime kNow = base::parse_time("2026-11-30 12:00", {}).value();
const std::set<Way> kAll{kAllWays.begin(), kAllWays.end()};
const std::set<Way> kBoth{Way::kEach, Way::kJoin};

constexpr std::size_t kState = 1;
constexpr std::size_t kReference = 2;
constexpr std::size_t kUid = 3;

/// So many lists over one catalog: a state, and one of many references.
Definitions lists(int count) {
  std::string text = R"(
catalogs:
  sale:
    table: sale
    columns: {id: integer, state: text, reference: {type: text, values: many}, uid: integer}
    security: [{column: uid}]
lists:
)";
  for (int i = 0; i < count; ++i) {
    text += fmt::format(
        "  - {{id: l{}, workflow: w, title: t, catalog: sale, criteria: {{state: s{}, reference: r{}}}}}\n",
        i, i % 10, i);
  }
  return read_definitions(text, "worklists.yaml", kNow).value();
}

CatalogSize ten_million(std::vector<std::vector<std::size_t>> indexes) {
  CatalogSize size;
  size.documents = 10'000'000;
  for (const double values : {10'000'000, 10, 5'000'000, 5'000}) size.columns.push_back({values, 0, {}});
  size.indexes = std::move(indexes);
  return size;
}

const CatalogSize kSomeIndexes = ten_million({{0}, {kState}, {kUid}});
const CatalogSize kAllIndexes = ten_million({{0}, {kState}, {kReference}, {kUid}});

User reader() {
  User user;
  user.id = "1";
  for (std::int64_t uid = 0; uid < 100; ++uid) user.security_uids.insert({uid, "", ""});
  return user;
}

Choice choice(int count, const CatalogSize& size, const std::set<Way>& allowed = kBoth) {
  const Definitions definitions = lists(count);
  const User user = reader();
  const auto chosen = choose_way({definitions, user, kNow}, {size}, allowed);
  EXPECT_TRUE(chosen) << chosen.error().message();
  return *chosen;
}

WayCost cost_of(const Choice& choice, Way way) {
  for (const WayCost& cost : choice.costs) {
    if (cost.way == way) return cost;
  }
  ADD_FAILURE() << "no cost of " << name(way);
  return {};
}

TEST(ChooseWay, TakesTheCheaperOneForTheSizeOfTheTables) {
  EXPECT_EQ(choice(300, kSomeIndexes).way, Way::kJoin) << "each list would read what the user sees";
  EXPECT_EQ(choice(1, kAllIndexes).way, Way::kEach) << "an index leads to two documents";
  EXPECT_EQ(choice(20, kAllIndexes).way, Way::kEach);
  EXPECT_EQ(choice(2'000, kAllIndexes).way, Way::kJoin);
}

TEST(ChooseWay, AddsUpHereWhereThereAreFewCells) {
  EXPECT_EQ(choice(3, kSomeIndexes, {Way::kEach, Way::kJoin, Way::kCells}).way, Way::kCells);
}

TEST(ChooseWay, MergesWhereListsShareWhatAnIndexFinds) {
  const Choice few = choice(6, kAllIndexes, {Way::kJoin, Way::kCells, Way::kMerged});
  EXPECT_EQ(few.way, Way::kMerged) << "a reference each, to which an index leads";
  EXPECT_EQ(cost_of(few, Way::kMerged).statements, 1U);
}

TEST(ChooseWay, ReadsAllDocumentsWhereNoIndexLeadsToThoseOfTheUser) {
  const Choice chosen = choice(3, ten_million({{0}}));
  EXPECT_EQ(chosen.way, Way::kJoin);
  EXPECT_DOUBLE_EQ(cost_of(chosen, Way::kJoin).documents, 1e7);
  EXPECT_DOUBLE_EQ(cost_of(chosen, Way::kEach).documents, 3e7);
}

TEST(ChooseWay, KnowsWhatSeveralColumnsOfAnIndexLetThroughTogether) {
  const Choice apart = choice(1, kSomeIndexes);
  const Choice together = choice(1, ten_million({{kState, kUid}, {kUid}}));
  EXPECT_DOUBLE_EQ(cost_of(apart, Way::kEach).documents, 1e7 * 100 / 5'000);
  EXPECT_DOUBLE_EQ(cost_of(together, Way::kEach).documents, 1e7 / 10 * 100 / 5'000);
  const Choice useless = choice(1, ten_million({{0, kReference}, {kUid}}));
  EXPECT_DOUBLE_EQ(cost_of(useless, Way::kEach).documents, 1e7 * 100 / 5'000)
      << "nothing is asked of the first column of the other index";
}

TEST(ChooseWay, KnowsThatAFewValuesMayBeMostOfTheDocuments) {
  CatalogSize size = ten_million({{kState}});
  size.columns[kState].parts = {{"s1", 0.98}, {"s0", 0.001}};
  EXPECT_DOUBLE_EQ(cost_of(choice(1, size), Way::kEach).documents, 1e7 * 0.001);
  size.columns[kState].parts = {{"s0", 0.98}};
  EXPECT_DOUBLE_EQ(cost_of(choice(1, size), Way::kEach).documents, 1e7) << "the index is of no use";
}

TEST(ChooseWay, TakesNoneThatTheSiteDoesNotAllow) {
  const Choice chosen = choice(300, kSomeIndexes, {Way::kEach});
  EXPECT_EQ(chosen.way, Way::kEach);
  EXPECT_THAT(to_text(chosen), HasSubstr("; the site does not allow it\n"));
  EXPECT_THAT(to_text(chosen), HasSubstr("chosen: each, the site allows no other\n"));
  const Definitions definitions = lists(1);
  const User user = reader();
  EXPECT_FALSE(choose_way({definitions, user, kNow}, {kSomeIndexes}, {}));
}

TEST(ChooseWay, JoinsWhereNothingIsKnown) {
  CatalogSize size = kSomeIndexes;
  size.documents.reset();
  const Choice chosen = choice(3, size);
  EXPECT_EQ(chosen.way, Way::kJoin);
  EXPECT_THAT(chosen.costs, IsEmpty());
  EXPECT_EQ(to_text(chosen), "chosen: join, nothing is known of the size of sale; ANALYZE tells it\n");
  EXPECT_EQ(choice(3, size, {Way::kEach}).way, Way::kEach);
  EXPECT_EQ(to_text(lists(1), {size}), "sale: its size is not known; ANALYZE tells it\n");
  EXPECT_EQ(to_text(lists(1), {kSomeIndexes}), "sale: about 10000000 documents\n");
  const Definitions definitions = lists(1);
  const User user = reader();
  EXPECT_EQ(choose_way({definitions, user, kNow}, {}, kAll)->why,
            "no database was asked for the sizes of its tables");
}

}  // namespace
}  // namespace headroom::worklist
