// The small tables behind the counters in memory, compared with the standard library's.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <vector>

#include <fmt/format.h>

#include "worklist/impl/cell_keys.hpp"
#include "worklist/impl/cell_table.hpp"
#include "worklist/impl/class_index.hpp"
#include "worklist/impl/narrow_rows.hpp"
#include "worklist/impl/row_keys.hpp"
#include "worklist/impl/value_table.hpp"

namespace headroom::worklist::impl {
namespace {

class Dice {
 public:
  std::uint32_t below(std::uint32_t end) { return static_cast<std::uint32_t>(engine_() % end); }

 private:
  std::mt19937_64 engine_{11};
};

TEST(NarrowRows, GrowWiderWhereANumberNeedsIt) {
  NarrowRows rows(3);
  rows.resize(40'000);
  rows.set(39'999, 1, 200);
  rows.set(39'999, 2, 5);
  const std::size_t narrow = rows.bytes();
  for (const std::uint32_t number : {256U, 65'536U, 0xffffffU, UINT32_MAX}) {
    rows.set(7, 1, number);
    EXPECT_EQ(rows.get(7, 1), number);
    EXPECT_EQ(rows.get(39'999, 1), 200U);
    EXPECT_EQ(rows.get(39'999, 2), 5U);
    EXPECT_EQ(rows.get(0, 1), 0U);
    EXPECT_EQ(rows.get(7, 0), 0U);
  }
  EXPECT_GT(rows.bytes(), 2 * narrow);
  rows.clear(2);
  EXPECT_EQ(rows.get(39'999, 2), 0U);
  rows.resize(100);
  rows.resize(40'000);
  EXPECT_EQ(rows.get(39'999, 1), 0U);
  EXPECT_EQ(rows.get(7, 1), UINT32_MAX);
}

TEST(NarrowRows, KeepColumnsApart) {
  Dice dice;
  NarrowRows rows(4);
  std::vector<std::vector<std::uint32_t>> expected(4, std::vector<std::uint32_t>(20'000));
  rows.resize(20'000);
  for (int i = 0; i < 30'000; ++i) {
    const std::uint32_t column = dice.below(4);
    const std::uint32_t row = dice.below(20'000);
    expected[column][row] = dice.below(1'000) >> dice.below(10) << (dice.below(100) == 0 ? 8 * column : 0);
    rows.set(row, column, expected[column][row]);
  }
  std::vector<std::uint32_t> block(kBlock);
  for (std::uint32_t column = 0; column < 4; ++column) {
    for (std::uint32_t row = 0; row < 20'000; ++row) ASSERT_EQ(rows.get(row, column), expected[column][row]);
    rows.read(1, column, block.data());
    for (std::uint32_t i = 0; i < 20'000 - kBlock; ++i) ASSERT_EQ(block[i], expected[column][kBlock + i]);
    for (std::uint32_t& number : block) number /= 2;
    rows.write(1, column, block.data());
  }
  rows.copy_row(19'999, 3);
  for (std::uint32_t column = 0; column < 4; ++column) {
    EXPECT_EQ(rows.get(3, column), expected[column][19'999] / 2);
    EXPECT_EQ(rows.get(4, column), expected[column][4]);
  }
}

TEST(CellKeys, ArePackedInAsFewWordsAsTheyNeed) {
  CellKeys keys(3);
  const auto round_trip = [&keys](const std::vector<std::uint32_t>& numbers) {
    const CellKeys::Key key = keys.pack(numbers.data());
    return std::vector{keys.number(key.data(), 0), keys.number(key.data(), 1), keys.number(key.data(), 2)};
  };
  EXPECT_EQ(keys.words(), 1U);
  const std::vector<std::uint32_t> small{4'000, 1, 700'000};
  EXPECT_FALSE(keys.has_room(small.data()));
  keys.make_room(small.data());
  EXPECT_TRUE(keys.has_room(small.data()));
  EXPECT_EQ(round_trip(small), small);
  EXPECT_EQ(keys.words(), 2U) << "12, 1 and 20 bits";
  const std::vector<std::uint32_t> large{UINT32_MAX, 0, UINT32_MAX};
  keys.make_room(large.data());
  EXPECT_EQ(round_trip(large), large);
  EXPECT_EQ(round_trip(small), small);
  EXPECT_EQ(keys.words(), 3U);
}

TEST(CellTable, CountsAsAMapDoes) {
  Dice dice;
  for (const std::uint32_t words : {1U, 2U, 4U}) {
    CellTable table(words);
    std::map<std::vector<std::uint32_t>, std::uint32_t> expected;
    for (int i = 0; i < 20'000; ++i) {
      std::vector<std::uint32_t> key(words);
      for (std::uint32_t& word : key) word = dice.below(6) * 1'000'000;
      // Less where there is anything, more often while there is much.
      if (expected.contains(key) && dice.below(expected.size() > 100 ? 3 : 2) != 0) {
        table.subtract(key.data(), 1);
        if (--expected[key] == 0) expected.erase(key);
      } else {
        table.add(key.data(), 1);
        ++expected[key];
      }
      if (i % 500 != 0) continue;
      std::map<std::vector<std::uint32_t>, std::uint32_t> found;
      table.visit([&](const std::uint32_t* told, std::uint32_t count) {
        found[{told, told + words}] = count;
      });
      ASSERT_EQ(found, expected);
      ASSERT_EQ(table.size(), expected.size());
    }
  }
}

TEST(CellTable, CountsKeysThatStandOneBehindTheOther) {
  Dice dice;
  for (const std::uint32_t words : {1U, 3U}) {
    for (const std::uint32_t different : {1U, 50U, 100'000U}) {
      std::vector<std::uint32_t> keys;
      std::map<std::vector<std::uint32_t>, std::uint32_t> expected;
      for (int i = 0; i < 3'000; ++i) {
        std::vector<std::uint32_t> key(words, 9);
        key.back() = dice.below(different);
        ++expected[key];
        keys.insert(keys.end(), key.begin(), key.end());
      }
      CellTable table(words);
      table.add(std::vector<std::uint32_t>(words, 1).data(), 1);
      table.assign(keys);
      std::map<std::vector<std::uint32_t>, std::uint32_t> found;
      table.visit([&](const std::uint32_t* told, std::uint32_t count) {
        found[{told, told + words}] = count;
      });
      EXPECT_EQ(found, expected);
      EXPECT_LT(table.bytes(), (expected.size() * 2 + 16) * (words + 1) * 4) << "no more than is needed";
    }
  }
}

TEST(ClassCounts, AreTheSameAsCellsAndAsAnArray) {
  Dice dice;
  ClassCounts grown;
  std::vector<std::uint32_t> keys;
  std::vector<std::uint32_t> scratch(100);
  for (int i = 0; i < 300; ++i) {
    keys.push_back(dice.below(i < 40 ? 10 : 100));
    grown.add(keys.back(), 100);
    ClassCounts assigned;
    assigned.assign(keys, scratch);
    std::vector<std::uint32_t> expected(100);
    for (const std::uint32_t key : keys) ++expected[key];
    std::vector<std::uint32_t> of_grown(100);
    grown.add_to(of_grown.data());
    std::vector<std::uint32_t> of_assigned(100);
    assigned.add_to(of_assigned.data());
    ASSERT_EQ(of_grown, expected);
    ASSERT_EQ(of_assigned, expected);
  }
  EXPECT_EQ(std::count(scratch.begin(), scratch.end(), 0U), 100);
  for (const std::uint32_t key : keys) grown.subtract(key);
  std::vector<std::uint32_t> empty(100);
  grown.add_to(empty.data());
  EXPECT_EQ(std::count(empty.begin(), empty.end(), 0U), 100);
}

void follow_a_map(Type type, const std::function<Value(std::uint32_t)>& make) {
  Dice dice;
  ValueTable table(type);
  std::map<Value, std::uint32_t> expected;
  for (int i = 0; i < 30'000; ++i) {
    const Value value = make(dice.below(3'000));
    const auto known = expected.find(value);
    ASSERT_EQ(table.find(value), known == expected.end() ? ValueTable::kNone : known->second);
    if (known != expected.end() && dice.below(2) == 0) {
      table.remove(known->second);
      ASSERT_FALSE(table.is_taken(known->second));
      expected.erase(known);
    } else {
      const std::uint32_t place = table.add(value);
      if (known != expected.end()) {
        ASSERT_EQ(place, known->second);
      }
      expected[value] = place;
      ASSERT_EQ(table.value(place), value);
    }
    ASSERT_EQ(table.size(), expected.size());
  }
  for (const auto& [value, place] : expected) ASSERT_EQ(table.value(place), value);
  EXPECT_LE(table.places(), 3'000U) << "freed places are used again";
}

TEST(ValueTable, FollowsAMap) {
  follow_a_map(Type::kInteger, [](std::uint32_t number) { return Value{std::int64_t{number} * 1'000'003}; });
  follow_a_map(Type::kNumber, [](std::uint32_t number) { return Value{number / 4.0}; });
  follow_a_map(Type::kText, [](std::uint32_t number) {
    return Value{fmt::format("{:>{}}", number, number % 3 == 0 ? 2'000 : number % 40)};
  });
}

TEST(ValueTable, KnowsZeroOnceAndNothingOfAnotherType) {
  ValueTable numbers(Type::kNumber);
  EXPECT_EQ(numbers.add(0.0), numbers.add(-0.0));
  EXPECT_EQ(numbers.find(std::int64_t{0}), ValueTable::kNone);
  ValueTable texts(Type::kText);
  const std::string longer(3'000'000, 'x');
  const std::uint32_t first = texts.add(std::string("a"));
  const std::uint32_t second = texts.add(longer);
  const std::uint32_t third = texts.add(std::string());
  EXPECT_EQ(texts.value(first), Value{std::string("a")});
  EXPECT_EQ(texts.value(second), Value{longer});
  EXPECT_EQ(texts.find(std::string()), third);
}

TEST(RowKeys, NeedNothingForWholeNumbersCloseTogether) {
  RowKeys keys(Type::kInteger);
  for (std::int64_t key = -5'000; key < 200'000; ++key) {
    const std::uint32_t slot = keys.add(key);
    ASSERT_EQ(keys.find(key), slot);
    ASSERT_EQ(keys.key(slot), Value{key});
  }
  EXPECT_LT(keys.bytes(), 205'000U);
  EXPECT_FALSE(keys.is_thin(205'000));
  EXPECT_EQ(keys.find(std::int64_t{1'000'000}), RowKeys::kNone);
}

TEST(RowKeys, GoOverToATableWhereTheyAreFarApart) {
  RowKeys keys(Type::kInteger);
  std::vector<std::uint32_t> taken;
  std::vector<std::int64_t> known;
  for (std::int64_t i = 0; !keys.is_thin(taken.size()); ++i) {
    known.push_back(i * 10'000'019);
    taken.push_back(keys.add(known.back()));
  }
  ASSERT_TRUE(std::is_sorted(taken.begin(), taken.end()));
  keys.make_table(taken);
  EXPECT_EQ(keys.slots(), known.size());
  for (std::size_t i = 0; i < known.size(); ++i) {
    ASSERT_EQ(keys.find(known[i]), i);
    ASSERT_EQ(keys.key(static_cast<std::uint32_t>(i)), Value{known[i]});
  }
  keys.remove(3);
  EXPECT_EQ(keys.find(known[3]), RowKeys::kNone);
  EXPECT_EQ(keys.add(std::int64_t{5}), 3U);
}

TEST(ClassIndex, KeepsTuplesOfEveryWidthApart) {
  Dice dice;
  for (const std::size_t columns : {1U, 3U, 8U, 20U}) {
    ClassIndex index;
    const std::vector<std::size_t> sizes(columns, 30);
    index.reset(sizes);
    std::map<std::vector<std::uint32_t>, std::uint32_t> expected;
    for (std::uint32_t i = 1; i < 2'000; ++i) {
      std::vector<std::uint32_t> tuple(columns);
      for (std::uint32_t& one : tuple) one = dice.below(60);
      const auto known = expected.find(tuple);
      ASSERT_EQ(index.find(tuple), known == expected.end() ? 0U : known->second);
      expected[tuple] = i;
      index.add(tuple, i);
    }
    EXPECT_TRUE(index.has_room(0, 59));
    EXPECT_FALSE(index.has_room(0, 64));
  }
}

}  // namespace
}  // namespace headroom::worklist::impl
