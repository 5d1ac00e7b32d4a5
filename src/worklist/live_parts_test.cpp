// The parts that the counters in memory are made of, each by itself.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "worklist/impl/document_classes.hpp"
#include "worklist/impl/documents.hpp"
#include "worklist/impl/grants.hpp"
#include "worklist/impl/held_column.hpp"
#include "worklist/impl/level_counts.hpp"
#include "worklist/impl/reclassify.hpp"
#include "worklist/impl/recount.hpp"
#include "worklist/impl/timed_documents.hpp"

namespace headroom::worklist::impl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::UnorderedElementsAre;

Value text(std::string_view value) {
  return std::string(value);
}

std::vector<HeldColumn> columns_of(const std::vector<Type>& types) {
  std::vector<HeldColumn> columns;
  for (const Type type : types) columns.emplace_back(type);
  return columns;
}

ColumnTest one_of(std::size_t column, const std::vector<Value>& values) {
  return {column, {{Operator::kIn, values}}, false};
}

// Columns
// ---------------------------------------------------------------------------------------------------------

TEST(HeldColumn, KeepsTheCodeOfAValueUntilItIsForgotten) {
  HeldColumn column(Type::kText);
  EXPECT_EQ(column.code_of(Value{}), 0U);
  const Code draft = column.code_of(text("draft"));
  const Code done = column.code_of(text("done"));
  EXPECT_EQ(column.code_of(text("draft")), draft);
  EXPECT_EQ(column.find(text("done")), done);
  EXPECT_EQ(column.find(text("sent")), 0U);
  EXPECT_EQ(column.value(0), Value{});
  EXPECT_EQ(column.value(done), text("done"));
  std::vector<bool> used(column.codes(), true);
  used[draft] = false;
  column.forget_unused(used);
  EXPECT_FALSE(column.is_taken(draft));
  EXPECT_EQ(column.find(text("draft")), 0U);
  EXPECT_EQ(column.code_of(text("sent")), draft) << "a freed code is used again";
}

TEST(HeldColumn, CallsValuesAlikeThatListsTreatAlike) {
  HeldColumn column(Type::kText);
  const Code draft = column.code_of(text("draft"));
  EXPECT_FALSE(column.is_asked());
  column.set_tests({one_of(0, {text("done"), text("sent")}), std::nullopt}, false);
  EXPECT_TRUE(column.is_asked());
  const Code done = column.code_of(text("done"));
  const Code sent = column.code_of(text("sent"));
  EXPECT_EQ(column.class_of(done), column.class_of(sent));
  EXPECT_NE(column.class_of(done), column.class_of(draft));
  EXPECT_EQ(column.class_of(0), column.class_of(draft)) << "no list takes NULL";
}

// Documents
// ---------------------------------------------------------------------------------------------------------

TEST(Documents, ArePutAtSlotsWithTheirCodes) {
  Documents documents(Type::kInteger, 2);
  documents.hold(1);
  const Slot slot = documents.add(std::int64_t{7});
  EXPECT_EQ(documents.find(std::int64_t{7}), Documents::kNone) << "it has no class yet";
  documents.set_code(slot, 1, 300);
  documents.set_class(slot, 5);
  EXPECT_EQ(documents.find(std::int64_t{7}), slot);
  EXPECT_EQ(documents.code(slot, 0), 0U) << "not held";
  documents.hold(0);
  EXPECT_EQ(documents.code(slot, 0), 0U);
  documents.set_code(slot, 0, 70'000);
  EXPECT_EQ(documents.code(slot, 0), 70'000U);
  EXPECT_EQ(documents.code(slot, 1), 300U);
  EXPECT_EQ(documents.class_of(slot), 5U);
  documents.drop(0);
  EXPECT_EQ(documents.code(slot, 0), 0U);
  EXPECT_EQ(documents.code(slot, 1), 300U);
  documents.remove(slot);
  EXPECT_EQ(documents.find(std::int64_t{7}), Documents::kNone);
  EXPECT_EQ(documents.size(), 0U);
}

TEST(Documents, KeepTheirCodesWhereTheyGoOverToATable) {
  Documents documents(Type::kInteger, 1);
  documents.hold(0);
  std::vector<std::int64_t> keys;
  bool moved = false;
  for (std::int64_t i = 0; !moved; ++i) {
    moved = documents.compact();
    keys.push_back(i * 10'000'019);
    const Slot slot = documents.add(keys.back());
    documents.set_code(slot, 0, static_cast<Code>(i));
    documents.set_class(slot, 1);
  }
  ASSERT_EQ(documents.size(), keys.size());
  EXPECT_EQ(documents.slots(), keys.size());
  std::vector<Code> codes(kBlock);
  documents.read_codes(0, 0, codes.data());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Slot slot = documents.find(keys[i]);
    ASSERT_NE(slot, Documents::kNone);
    ASSERT_EQ(documents.code(slot, 0), i);
    ASSERT_EQ(codes[slot], i);
    ASSERT_EQ(documents.key(slot), Value{keys[i]});
  }
}

// Classes of documents
// ---------------------------------------------------------------------------------------------------------

/// Two columns of texts; list 0 asks the first for "a", list 1 the second for "x", list 2 both.
struct TwoColumns {
  std::vector<HeldColumn> columns = columns_of({Type::kText, Type::kText});
  DocumentClasses classes{columns};

  TwoColumns() {
    columns[0].set_tests({one_of(0, {text("a")}), std::nullopt, one_of(0, {text("a")})}, false);
    columns[1].set_tests({std::nullopt, one_of(1, {text("x")}), one_of(1, {text("x")})}, false);
    classes.set_lists(3);
    classes.clear();
  }
  ClassNumber class_of(std::string_view first, std::string_view second) {
    const std::vector<Code> codes{columns[0].code_of(text(first)), columns[1].code_of(text(second))};
    return classes.class_of([&codes](std::size_t column) { return codes[column]; });
  }
};

TEST(DocumentClasses, AreMadeWhenTheirFirstDocumentComes) {
  TwoColumns two;
  EXPECT_EQ(two.classes.size(), 1U);
  const ClassNumber both = two.class_of("a", "x");
  EXPECT_THAT(two.classes[both].lists, ElementsAre(0, 1, 2));
  const ClassNumber none = two.class_of("b", "y");
  EXPECT_THAT(two.classes[none].lists, IsEmpty());
  EXPECT_FALSE(two.classes[none].tracked);
  EXPECT_EQ(two.class_of("c", "z"), none);
  EXPECT_EQ(two.class_of("a", "x"), both);
  EXPECT_THAT(two.classes[two.class_of("a", "y")].lists, ElementsAre(0));
  EXPECT_EQ(two.classes.size(), 4U);
}

TEST(DocumentClasses, KeepTheirNumbersAndAreTrackedFurtherUnderOtherLists) {
  TwoColumns two;
  const ClassNumber both = two.class_of("a", "x");
  const ClassNumber none = two.class_of("b", "y");
  two.columns[0].set_tests({one_of(0, {text("b")})}, false);
  two.columns[1].set_tests({std::nullopt}, false);
  two.classes.set_lists(1);
  ASSERT_THAT(two.classes.asked(), ElementsAre(0));
  const std::uint32_t takes_b = two.columns[0].class_of(two.columns[0].find(text("b")));
  const std::uint32_t takes_a = two.columns[0].class_of(two.columns[0].find(text("a")));
  two.classes.rename([&](const DocumentClass& known) {
    return std::vector<std::uint32_t>{known.tracked ? takes_a : takes_b};
  });
  EXPECT_THAT(two.classes[none].lists, ElementsAre(0));
  EXPECT_THAT(two.classes[both].lists, IsEmpty());
  EXPECT_TRUE(two.classes[both].tracked) << "its documents are in the levels";
  EXPECT_EQ(two.class_of("b", "x"), none);
}

// Who may see
// ---------------------------------------------------------------------------------------------------------

/// An owner, uids and a holder.
Catalog catalog_with_three() {
  Catalog catalog;
  catalog.columns = {{"id", "id", Type::kInteger, Variety::kFew, {}},
                     {"owner", "owner", Type::kInteger, Variety::kFew, {}},
                     {"uid", "uid", Type::kInteger, Variety::kFew, {}},
                     {"assignee", "assignee", Type::kInteger, Variety::kFew, {}}};
  catalog.security = {{1, "Owner", ""}, {2, "", ""}};
  catalog.holders = {{3, "Assignee"}};
  return catalog;
}

TEST(Grants, AreToldLevelByLevelUidsFirst) {
  const Catalog catalog = catalog_with_three();
  const std::vector<Level> levels = levels_of(catalog);
  ASSERT_EQ(levels.size(), 3U);
  EXPECT_EQ(levels[0].column, 2U);
  EXPECT_EQ(levels[1].column, 1U);
  EXPECT_TRUE(levels[2].is_holder);
  std::vector<HeldColumn> columns = columns_of(std::vector(4, Type::kInteger));
  const Code uid = columns[2].code_of(std::int64_t{20});
  const Code owner = columns[1].code_of(std::int64_t{7});
  Scope scope;
  scope.grants = {{0, {std::int64_t{7}}, {}}, {1, {std::int64_t{20}, std::int64_t{21}}, {}}};
  const Grants grants = grants_of(scope, levels, columns);
  EXPECT_THAT(grants.plain[0].codes(), ElementsAre(uid)) << "21 no document has";
  EXPECT_THAT(grants.plain[1].codes(), ElementsAre(owner));
  EXPECT_FALSE(grants.plain[0].has(0)) << "nobody is granted NULL";
  EXPECT_THAT(grants.plain[2].codes(), IsEmpty());
}

TEST(LevelCounts, CountADocumentAtTheFirstLevelThatGrantsIt) {
  const std::vector<Level> levels{{false, 0, 0}, {false, 1, 1}};
  LevelCounts counts(2);
  const auto standing = [](ClassNumber number, Code first, Code second) {
    return Standing{number, first, second};
  };
  counts.move({}, standing(1, 3, 5), 3);
  counts.move({}, standing(1, 4, 5), 3);
  counts.move({}, standing(2, 0, 5), 3);
  counts.move({}, standing(2, 3, 0), 3);
  const auto granted = [](const std::vector<Code>& codes) {
    GrantedCodes granted(10);
    for (const Code code : codes) granted.add(code);
    return granted;
  };
  const auto seen = [&](const std::vector<Code>& first, const std::vector<Code>& second) {
    return counts.count({{granted(first), granted(second)}, {granted({}), granted({})}}, levels, 3);
  };
  EXPECT_THAT(seen({3}, {}), ElementsAre(0, 1, 1));
  EXPECT_THAT(seen({}, {5}), ElementsAre(0, 2, 1));
  EXPECT_THAT(seen({3}, {5}), ElementsAre(0, 2, 2)) << "each once";
  EXPECT_THAT(seen({9}, {9}), ElementsAre(0, 0, 0));
  counts.move(standing(1, 3, 5), {}, 3);
  EXPECT_THAT(seen({3}, {5}), ElementsAre(0, 1, 2));
  counts.move(standing(1, 4, 5), standing(1, 4, 6), 3);
  EXPECT_THAT(seen({3}, {5}), ElementsAre(0, 0, 2));
  EXPECT_THAT(seen({4}, {}), ElementsAre(0, 1, 0)) << "the first level has it where it was";
  EXPECT_THAT(seen({}, {6}), ElementsAre(0, 1, 0));
}

TEST(LevelCounts, ShowWhatAHolderHoldsWhereALevelBeforeShowsIt) {
  const std::vector<Level> levels{{false, 0, 0}, {true, 0, 1}};
  LevelCounts counts(2);
  counts.move({}, Standing{1, 3, 7}, 2);
  counts.move({}, Standing{1, 4, 7}, 2);
  counts.move({}, Standing{1, 3, 8}, 2);
  GrantedCodes none(10);
  GrantedCodes holder(10);
  holder.add(7);
  GrantedCodes behind(10);
  behind.add(3);
  EXPECT_THAT(counts.count({{none, holder}, {behind, none}}, levels, 2), ElementsAre(0, 1));
}

TEST(LevelCounts, KeepTheirCellsWhereNumbersOutgrowTheirBits) {
  const std::vector<Level> levels{{false, 0, 0}, {false, 1, 1}, {false, 2, 2}};
  LevelCounts counts(3);
  std::vector<Standing> standings;
  for (std::uint32_t i = 1; i < 70'000'000; i *= 3)
    standings.push_back({i % 1'000 + 1, i / 1'000 + 1, i % 97, 1});
  for (const Standing& one : standings) counts.move({}, one, 1'002);
  const auto seen = [&] {
    GrantedCodes none(100'000);
    GrantedCodes one(2);
    one.add(1);
    const auto by_class = counts.count({{none, none, one}, {none, none, one}}, levels, 1'002);
    return std::accumulate(by_class.begin(), by_class.end(), std::size_t{0});
  };
  EXPECT_EQ(seen(), standings.size());
  for (const Standing& one : standings) counts.move(one, {}, 1'002);
  EXPECT_EQ(seen(), 0U);
}

// Counting anew
// ---------------------------------------------------------------------------------------------------------

/// Documents of three columns that are asked, and seen by two levels.
struct ThreeColumns {
  std::vector<HeldColumn> columns = columns_of(std::vector(3, Type::kInteger));
  Documents documents{Type::kInteger, 3};
  DocumentClasses classes{columns};
  std::vector<Level> levels{{false, 0, 1}, {false, 1, 2}};
  LevelCounts counts{2};
  std::mt19937_64 engine{5};

  explicit ThreeColumns(std::size_t size) {
    for (std::size_t i = 0; i < 3; ++i) documents.hold(i);
    ask(2);
    classes.clear();
    for (std::size_t i = 0; i < size; ++i) {
      const Slot slot = documents.add(static_cast<std::int64_t>(i));
      for (std::size_t column = 0; column < 3; ++column)
        documents.set_code(slot, column, columns[column].code_of(random_value()));
      documents.set_class(slot, class_of(slot));
    }
  }
  Value random_value() {
    const auto number = static_cast<std::int64_t>(engine() % 400);
    return number == 0 ? Value{} : Value{number};
  }
  /// List i asks the first column for i.
  void ask(std::int64_t lists) {
    std::vector<std::optional<ColumnTest>> tests;
    for (std::int64_t i = 1; i <= lists; ++i) tests.emplace_back(one_of(0, {i}));
    columns[0].set_tests(tests, false);
    classes.set_lists(tests.size());
  }
  ClassNumber class_of(Slot slot) {
    return classes.class_of([&](std::size_t column) { return documents.code(slot, column); });
  }
  Standing standing(Slot slot) {
    return {documents.class_of(slot), documents.code(slot, 1), documents.code(slot, 2)};
  }
  /// By class, what everybody sees together.
  std::vector<std::uint32_t> all(const LevelCounts& counted) {
    Grants grants;
    for (const Level& level : levels) {
      GrantedCodes every(columns[level.column].codes());
      for (Code code = 1; code < columns[level.column].codes(); code += 2) every.add(code);
      grants.plain.push_back(every);
      grants.behind.emplace_back(columns[level.column].codes());
    }
    return counted.count(grants, levels, classes.size());
  }
};

TEST(Recount, CountsAsDocumentByDocumentDoes) {
  for (const unsigned threads : {1U, 3U}) {
    ThreeColumns three(100'000);
    three.ask(40);
    for (Slot slot = 0; slot < 1'000; slot += 3) three.documents.remove(slot);
    recount({three.columns, three.documents, three.classes, three.levels, three.counts}, threads);
    EXPECT_EQ(three.classes.size(), 42U) << "40, and those that no list wants";
    LevelCounts one_by_one(2);
    std::vector<std::uint64_t> totals(three.classes.size());
    for (Slot slot = 0; slot < three.documents.slots(); ++slot) {
      if (!three.documents.is_there(slot)) continue;
      ASSERT_EQ(three.documents.class_of(slot), three.class_of(slot));
      if (!three.classes[three.documents.class_of(slot)].tracked) continue;
      ++totals[three.documents.class_of(slot)];
      one_by_one.move({}, three.standing(slot), three.classes.size());
    }
    EXPECT_EQ(three.classes.totals(), totals);
    EXPECT_EQ(three.all(three.counts), three.all(one_by_one));
  }
}

TEST(Reclassify, MovesOnlyDocumentsWhoseValueIsCalledOtherwise) {
  ThreeColumns three(20'000);
  const auto before = remember(three.columns, three.classes);
  three.ask(3);
  const Moves moves = rename_classes(before, three.columns, three.classes);
  EXPECT_FALSE(moves.none());
  const auto slots = slots_that_move(moves, three.documents, 2);
  ASSERT_TRUE(slots);
  const Code asked = three.columns[0].find(std::int64_t{3});
  std::vector<Slot> expected;
  for (Slot slot = 0; slot < three.documents.slots(); ++slot) {
    if (three.documents.is_there(slot) && three.documents.code(slot, 0) == asked) expected.push_back(slot);
  }
  EXPECT_EQ(*slots, expected);
  EXPECT_GT(expected.size(), 10U);
  for (Slot slot = 0; slot < three.documents.slots(); ++slot) {
    if (!three.documents.is_there(slot) || three.documents.code(slot, 0) == asked) continue;
    ASSERT_EQ(three.class_of(slot), three.documents.class_of(slot));
  }
}

TEST(Reclassify, GivesUpWhereManyMove) {
  ThreeColumns three(20'000);
  const auto before = remember(three.columns, three.classes);
  three.ask(300);
  EXPECT_FALSE(slots_that_move(rename_classes(before, three.columns, three.classes), three.documents, 1));
}

// Time
// ---------------------------------------------------------------------------------------------------------

TEST(TimedDocuments, AreThoseThatACriterionPassed) {
  std::vector<HeldColumn> columns = columns_of({Type::kDate});
  Documents documents(Type::kInteger, 1);
  documents.hold(0);
  TimedDocuments times(columns, documents);
  const auto put = [&](std::int64_t key, const Value& day) {
    const Slot slot = documents.add(key);
    documents.set_code(slot, 0, columns[0].code_of(day));
    documents.set_class(slot, 1);
    return slot;
  };
  const Slot first = put(1, std::int64_t{100});
  (void)put(2, Value{});
  Criterion due;
  due.conditions.push_back({Operator::kBelow, {parse_operand(Type::kDate, "today").value()}});
  EXPECT_TRUE(is_timed(due));
  EXPECT_FALSE(times.has(0));
  times.set(0, {{0, due}});
  const Slot second = put(3, std::int64_t{101});
  times.change(second, 0, 0);
  const auto day = [](std::int64_t number) { return base::UtcTime{std::chrono::days{number}}; };
  std::vector<Slot> found;
  EXPECT_TRUE(times.passed(0, day(99), day(100), found));
  EXPECT_THAT(found, ElementsAre(first));
  EXPECT_FALSE(times.passed(0, day(100), day(100), found));
  found.clear();
  documents.set_code(first, 0, 0);
  times.change(first, 0, 1);
  EXPECT_TRUE(times.passed(0, day(90), day(110), found));
  EXPECT_THAT(found, UnorderedElementsAre(second));
  EXPECT_THAT(times.next_change(day(100)), Optional(day(101)));
  times.set(0, {});
  EXPECT_FALSE(times.has(0));
}

}  // namespace
}  // namespace headroom::worklist::impl
