#include "net/target.hpp"

#include <gtest/gtest.h>

namespace headroom::net {
namespace {

TEST(Target, IsDecodedIntoSegmentsAndParameters) {
  const auto target =
      parse_target("/api/perf/s%C3%A9ance/a%2Fb?method=model.sale.*&x=a+b%2Bc&empty=&flag&x=2");
  ASSERT_TRUE(target) << target.error().message();
  EXPECT_EQ(target->segments, (std::vector<std::string>{"api", "perf", "séance", "a/b"}));
  EXPECT_EQ(*target->query.find("method"), "model.sale.*");
  EXPECT_EQ(*target->query.find("x"), "a b+c");
  EXPECT_EQ(*target->query.find("empty"), "");
  EXPECT_EQ(*target->query.find("flag"), "");
  EXPECT_EQ(target->query.find("none"), nullptr);
  EXPECT_EQ(target->query.all().size(), 5U);
}

TEST(Target, KeepsAPlusInThePath) {
  EXPECT_EQ(parse_target("/a+b")->segments.front(), "a+b");
}

TEST(Target, RootHasNoSegments) {
  EXPECT_TRUE(parse_target("/")->segments.empty());
  EXPECT_EQ(parse_target("/?a=1")->path(), "/");
}

TEST(Target, TakesTheAbsoluteFormApart) {
  const auto target = parse_target("http://localhost:7400/health?x=1");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->authority, "localhost:7400");
  EXPECT_EQ(target->path(), "/health");
  EXPECT_EQ(parse_target("HTTP://evil.example")->authority, "evil.example");
}

TEST(Target, NeverYieldsADotSegmentHoweverItIsWritten) {
  for (const std::string text : {"/a/../b", "/%2e%2e/b", "/.", "/a//b", "/a/", "//"}) {
    EXPECT_FALSE(parse_target(text)) << text;
  }
}

TEST(Target, RefusesWhatIsNotWellFormed) {
  for (const std::string text : {"", "*", "a", "?a", "/a%", "/a%2", "/a%zz", "/%ff", "/%c0%af", "/%00",
                                 "/a%0d%0ab", "/a#b", "/?a=%ed%a0%80", "http://x?a", "https://x/"}) {
    const auto target = parse_target(text);
    ASSERT_FALSE(target) << text;
    EXPECT_EQ(target.error().code(), base::ErrorCode::kInvalidArgument) << text;
  }
}

TEST(Target, IsBounded) {
  std::string deep;
  for (int i = 0; i < 33; ++i) deep += "/a";
  EXPECT_EQ(parse_target(deep).error().code(), base::ErrorCode::kTooLarge);
  std::string wide = "/?";
  for (int i = 0; i < 65; ++i) wide += "a=1&";
  EXPECT_EQ(parse_target(wide).error().code(), base::ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace headroom::net
