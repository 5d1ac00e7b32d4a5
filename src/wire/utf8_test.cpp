#include "wire/utf8.hpp"

#include <gtest/gtest.h>

#include <string>

namespace headroom::wire {
namespace {

TEST(Utf8CheckTest, TakesEveryPlane) {
  for (const char* text :
       {"", "plain", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
        "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "z\xc3\xa9\xe2\x82\xac"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
  EXPECT_TRUE(is_utf8(std::string_view("\0", 1)));
}

TEST(Utf8CheckTest, RefusesOverlongFormsSurrogatesAndWhatIsCut) {
  for (const char* text : {"\x80", "\xbf", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
                           "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
                           "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc3(", "\xe2\x28\xa1"}) {
    EXPECT_FALSE(is_utf8(text)) << testing::PrintToString(std::string(text));
  }
}

TEST(Utf8CheckTest, ReadsACharacterThatComesInPieces) {
  Utf8Check check;
  EXPECT_TRUE(check.feed("\xf0"));
  EXPECT_FALSE(check.complete());
  EXPECT_TRUE(check.feed("\x9f\x98"));
  EXPECT_TRUE(check.feed("\x80"));
  EXPECT_TRUE(check.complete());
}

TEST(Utf8CheckTest, FailsAtTheFirstByteThatIsWrongAndStaysSo) {
  Utf8Check check;
  EXPECT_FALSE(check.feed("\xe0\x80"));
  EXPECT_FALSE(check.feed("a"));
}

}  // namespace
}  // namespace headroom::wire
