#include "worklist/live_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

namespace headroom::worklist {
namespace {

using ::testing::HasSubstr;

Value value(Type type, std::string_view text) {
  const auto read = live_value(type, text);
  EXPECT_TRUE(read) << text;
  return read.value_or(Value{});
}

constexpr std::string_view kConcerning = R"yaml(
catalogs:
  sale:
    table: sale
    columns: {id: integer, owner: integer, uid: integer}
    security:
      - {column: owner, role: Owner}
      - {column: uid}
lists:
  - {id: all, workflow: sale, title: All, catalog: sale, criteria: {id: {above: 0}}}
)yaml";

TEST(LiveValue, ReadsWhatPostgresqlWrites) {
  EXPECT_EQ(value(Type::kBoolean, "t"), Value{true});
  EXPECT_EQ(value(Type::kBoolean, "f"), Value{false});
  EXPECT_EQ(value(Type::kInteger, "-12"), Value{std::int64_t{-12}});
  EXPECT_EQ(value(Type::kNumber, "10.50"), Value{10.5});
  EXPECT_EQ(value(Type::kNumber, "-0"), Value{0.0});
  EXPECT_EQ(value(Type::kDate, "1970-01-02"), Value{std::int64_t{1}});
  EXPECT_EQ(value(Type::kTime, "1970-01-01 00:00:01.5"), Value{std::int64_t{1'500'000}});
  EXPECT_EQ(value(Type::kTime, "1970-01-01 00:00:01.5+00"), Value{std::int64_t{1'500'000}});
  EXPECT_EQ(value(Type::kText, "t"), Value{std::string("t")});
  EXPECT_FALSE(live_value(Type::kInteger, "1.5"));
  EXPECT_FALSE(live_value(Type::kDate, "today"));
  EXPECT_FALSE(live_value(Type::kNumber, "1,5"));
}

/// Definitions name dates of four digits and numbers of 15: what is beyond lies on the right side of them
/// all.
TEST(LiveValue, KeepsApartWhatADefinitionCanNotName) {
  const Value first = value(Type::kDate, "0001-01-01");
  const Value last = value(Type::kDate, "9999-12-31");
  for (const char* text : {"infinity", "10000-01-01", "294276-12-31"})
    EXPECT_GT(value(Type::kDate, text), last);
  for (const char* text : {"-infinity", "0044-03-15 BC"}) EXPECT_LT(value(Type::kDate, text), first);
  EXPECT_GT(value(Type::kTime, "12345-01-01 10:00:00"), value(Type::kTime, "9999-12-31 23:59:59"));
  EXPECT_LT(value(Type::kTime, "0044-03-15 10:00:00 BC"), value(Type::kTime, "0001-01-01 00:00:00"));
  const Value large = value(Type::kNumber, "1e300");
  for (const char* text : {"NaN", "Infinity", "1e400"}) EXPECT_GT(value(Type::kNumber, text), large) << text;
  EXPECT_LT(value(Type::kNumber, "-Infinity"), value(Type::kNumber, "-1e300"));
  EXPECT_LT(value(Type::kNumber, "-1e400"), value(Type::kNumber, "-1e300"));
  EXPECT_EQ(value(Type::kNumber, "12345678901234567890"), Value{12345678901234567890.0});
}

Catalog catalog() {
  Catalog made;
  made.name = "sale";
  made.table = "shop.sale";
  made.columns = {{"id", "id", Type::kInteger, Variety::kFew, {}},
                  {"state", "state \"x\"", Type::kText, Variety::kFew, {}}};
  return made;
}

sql::ReplicatedRelation relation() {
  return {7,
          "shop",
          "sale",
          'd',
          {{false, "other", 25, -1}, {false, "state \"x\"", 25, -1}, {true, "id", 23, -1}}};
}

TEST(LiveTable, SaysWhatItsTableLacks) {
  const Catalog of = catalog();
  LiveTable table(of);
  EXPECT_THAT(table.check_statement("it's"), HasSubstr("'it''s'"));
  EXPECT_THAT(table.copy_statement(), HasSubstr("\"state \"\"x\"\"\" FROM \"shop\".\"sale\""));
  EXPECT_EQ(table.checked({}, "p").error().code(), ErrorCode::kNotFound);
  const auto checked = [&](const char* published, const char* identity, const char* kind) {
    const auto done = table.checked({{"7", "shop", "sale", published, identity, kind, "f"}}, "p");
    return done ? std::string() : done.error().message();
  };
  EXPECT_THAT(checked("f", "t", "r"), HasSubstr("ALTER PUBLICATION \"p\" ADD TABLE \"shop\".\"sale\""));
  EXPECT_THAT(checked("f", "t", "p"), HasSubstr("publish_via_partition_root"));
  EXPECT_THAT(checked("t", "f", "r"), HasSubstr("REPLICA IDENTITY"));
  EXPECT_EQ(checked("t", "t", "r"), "");
}

TEST(LiveTable, IsThatOfALookUpToo) {
  Catalog of = catalog();
  of.look_ups.push_back({"party", "shop.party", "code", 1});
  of.columns.push_back({"country", "land", Type::kText, Variety::kFew, 0});
  auto tables = live_tables(of);
  ASSERT_EQ(tables.size(), 2U);
  EXPECT_EQ(tables[0].what(), "catalog 'sale': look-up 'party'");
  EXPECT_EQ(tables[0].copy_statement(), R"(COPY (SELECT "code", "land" FROM "shop"."party") TO STDOUT)");
  EXPECT_EQ(tables[1].columns().size(), 2U) << "its own";
  const auto checked = tables[0].checked({{"7", "shop", "party", "t", "t", "r", "f"}}, "p");
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().message(), HasSubstr("CREATE UNIQUE INDEX ON \"shop\".\"party\" (\"code\")"));
}

TEST(LiveTable, IsNotTheSameOnceItWasAltered) {
  const Catalog of = catalog();
  LiveTable table(of);
  LiveCounters counters(of);
  ASSERT_TRUE(table.checked({{"7", "shop", "sale", "t", "t", "r", "t"}}, "p"));
  const sql::RowInserted early{7, {{}, {}, {}}};
  EXPECT_EQ(table.apply(early, counters).error().code(), ErrorCode::kConflict) << "its columns are not known";
  ASSERT_TRUE(table.learn(relation()));
  ASSERT_TRUE(table.learn(relation())) << "it is told again now and then";
  const auto refused = [&](const std::function<void(sql::ReplicatedRelation&)>& alter) {
    sql::ReplicatedRelation altered = relation();
    alter(altered);
    const auto learnt = table.learn(altered);
    return learnt ? std::string() : learnt.error().message();
  };
  EXPECT_THAT(refused([](auto& one) { one.relation = 8; }), HasSubstr("made anew"));
  EXPECT_THAT(refused([](auto& one) { one.name = "order"; }), HasSubstr("renamed"));
  EXPECT_THAT(refused([](auto& one) { one.columns.pop_back(); }), HasSubstr("no column 'id'"));
  EXPECT_THAT(refused([](auto& one) { one.columns[1].type = 23; }), HasSubstr("another type"));
  EXPECT_THAT(refused([](auto& one) { one.columns[2].is_key = false; }), HasSubstr("replica identity"));
  EXPECT_EQ(refused([](auto& one) { one.columns.push_back({false, "new", 25, -1}); }), "");
}

TEST(LiveTable, RefusesWhatTheLogDoesNotTellOf) {
  Catalog of = catalog();
  of.look_ups.push_back({"party", "party", "id", 0});
  EXPECT_TRUE(check_live(of));
  of.columns[0].type = Type::kNumber;
  EXPECT_EQ(check_live(of).error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(check_live(of).error().message(), HasSubstr("look-up 'party' is by 'id' of type number"));
  of = catalog();
  of.query = "SELECT 1";
  EXPECT_THAT(check_live(of).error().message(), HasSubstr("catalog 'sale'"));
}

TEST(TouchedRows, ConcernThoseWhoCouldOrCanSeeADocument) {
  const Definitions definitions = read_definitions(kConcerning, "lists.yaml", {}).value();
  const Catalog& catalog = definitions.catalogs[0];
  User user;
  user.id = "7";
  user.security_uids = {{3, "", ""}};
  const Scope scope = scope_of(catalog, {}, user).value();
  TouchedRows touched(catalog);
  EXPECT_FALSE(touched.concern(scope));
  const auto add = [&](const Value& owner, const Value& uid) {
    touched.add(std::vector<Value>{std::int64_t{1}, owner, uid});
  };
  add(std::int64_t{8}, std::int64_t{4});
  add(Value{}, std::int64_t{7});
  EXPECT_FALSE(touched.concern(scope)) << "a uid that is his number is none of his";
  add(std::int64_t{8}, std::int64_t{3});
  EXPECT_TRUE(touched.concern(scope));
  TouchedRows owned(catalog);
  owned.add(std::vector<Value>{std::int64_t{1}, std::int64_t{7}, Value{}});
  EXPECT_TRUE(owned.concern(scope));
  TouchedRows many(catalog);
  for (std::size_t i = 0; i <= TouchedRows::kMost; ++i)
    many.add(std::vector<Value>{std::int64_t{1}, static_cast<std::int64_t>(1'000 + i), Value{}});
  EXPECT_TRUE(many.concern(scope)) << "of so many nobody looks for his own";
}

}  // namespace
}  // namespace headroom::worklist
