#include "location_table.hpp"

#include <gtest/gtest.h>

#include <random>

namespace headroom::native {
namespace {

using Bytes = std::vector<unsigned char>;

/// The first byte of an entry for `units` code units.
unsigned char head(unsigned kind, unsigned units) {
  return static_cast<unsigned char>(0x80U | (kind << 3U) | (units - 1));
}

TEST(LocationTable, ReadsEveryKindOfEntry) {
  const Bytes table{head(13, 2), 0x02,                           // no columns, +1
                    head(0, 1),  0x12,                           // short, same line
                    head(12, 3), 0x04, 0x08,                     // one line, +2
                    head(14, 1), 0x05, 0x00, 0x01, 0x01,         // long, -2
                    head(15, 2),                                 // none
                    head(14, 8), 0x50, 0x02, 0x00, 0x01, 0x01};  // long, +(16 + 2 * 64) / 2
  EXPECT_EQ(decode_location_table(table, 10),
            (std::vector<LineRange>{{3, 11}, {6, 13}, {7, 11}, {9, 0}, {17, 83}}));
}

TEST(LocationTable, FindsTheLineOfAnInstruction) {
  const std::vector<LineRange> ranges{{3, 11}, {6, 13}, {9, 0}};
  EXPECT_EQ(line_of(ranges, -1, 10), 10U) << "before the first instruction";
  EXPECT_EQ(line_of(ranges, 0, 10), 11U);
  EXPECT_EQ(line_of(ranges, 2, 10), 11U);
  EXPECT_EQ(line_of(ranges, 3, 10), 13U);
  EXPECT_EQ(line_of(ranges, 8, 10), 10U) << "an instruction without a line";
  EXPECT_EQ(line_of(ranges, 9, 10), 10U) << "beyond the table";
}

TEST(LocationTable, TakesAnyBytes) {
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    Bytes table(random() % 64);
    for (unsigned char& byte : table) byte = static_cast<unsigned char>(random());
    std::uint32_t before = 0;
    for (const LineRange& range : decode_location_table(table, static_cast<std::uint32_t>(random()))) {
      ASSERT_GT(range.end, before);
      before = range.end;
    }
    ASSERT_LE(before, 8 * table.size());
  }
}

}  // namespace
}  // namespace headroom::native
