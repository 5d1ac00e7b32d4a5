#include "base/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "base/units.hpp"

namespace headroom::base {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Sample {
  std::string text = "default";
  bool flag = false;
  std::int64_t number = 5;
  Microseconds span{0};
  std::uint64_t size = 1;
  std::vector<std::string> list;
};

Result<Sample> read_sample(std::string_view text) {
  auto file = ConfigFile::parse(text, "sample.toml");
  if (!file) return fail(file.error());
  Sample sample;
  ConfigSection section = file->section("main");
  section.read("text", sample.text);
  section.read("flag", sample.flag);
  section.read("number", sample.number, 1, 10);
  section.read("span", sample.span);
  section.read_size("size", sample.size);
  ConfigSection inner = file->section("main.inner");
  inner.read("list", sample.list);
  if (const auto done = file->finish(); !done) return fail(done.error());
  return sample;
}

std::string error_of(std::string_view text) {
  const auto sample = read_sample(text);
  return sample ? "no error" : sample.error().message();
}

TEST(Config, ReadsEveryTypeOfValue) {
  const auto sample = read_sample(R"([main]
text = "hello"
flag = true
number = 7
span = "2h"
size = "2GiB"
inner.list = ["a", "b"]
)");
  ASSERT_TRUE(sample) << sample.error().message();
  EXPECT_EQ(sample->text, "hello");
  EXPECT_TRUE(sample->flag);
  EXPECT_EQ(sample->number, 7);
  EXPECT_EQ(sample->span, std::chrono::hours(2));
  EXPECT_EQ(sample->size, 2ULL << 30);
  EXPECT_THAT(sample->list, ElementsAre("a", "b"));
}

TEST(Config, KeepsTheDefaultsOfWhatTheFileLeavesOut) {
  const auto sample = read_sample("");
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->text, "default");
  EXPECT_EQ(sample->number, 5);
}

TEST(Config, TakesBareNumbersAsSecondsAndBytes) {
  const auto sample = read_sample("[main]\nspan = 1.5\nsize = 4096\n");
  ASSERT_TRUE(sample) << sample.error().message();
  EXPECT_EQ(sample->span, std::chrono::milliseconds(1500));
  EXPECT_EQ(sample->size, 4096U);
}

TEST(Config, NamesFileLineAndKeyOfAnUnknownKeyAndTheNearestKnownOne) {
  EXPECT_EQ(error_of("[main]\n\ntxet = 'a'\n"),
            "sample.toml:3: main.txet: unknown key; did you mean 'text'?");
}

TEST(Config, ListsTheKnownKeysWhenNoneIsNear) {
  EXPECT_EQ(error_of("[main.inner]\nsomething_else = 1\n"),
            "sample.toml:2: main.inner.something_else: unknown key; known here: list");
}

TEST(Config, RefusesAnUnknownSection) {
  EXPECT_EQ(error_of("[mian]\ntext = 'a'\n"), "sample.toml:1: mian: unknown section; did you mean 'main'?");
}

TEST(Config, RefusesAValueInPlaceOfASection) {
  EXPECT_EQ(error_of("main = 3\n"), "sample.toml:1: main: expected a section [main], found an integer");
}

TEST(Config, NamesTheWrongTypeAndTheOneExpected) {
  EXPECT_EQ(error_of("[main]\ntext = 3\n"), "sample.toml:2: main.text: expected a string, found an integer");
  EXPECT_EQ(error_of("[main]\nflag = 'yes'\n"),
            "sample.toml:2: main.flag: expected true or false, found a string");
  EXPECT_EQ(error_of("[main]\ninner.list = ['a', 1]\n"),
            "sample.toml:2: main.inner.list: expected a list of strings, found a list");
}

TEST(Config, NamesANumberOutsideItsRange) {
  EXPECT_EQ(error_of("[main]\nnumber = 11\n"), "sample.toml:2: main.number: 11 is not between 1 and 10");
}

TEST(Config, ReportsTheErrorNearestToTheTop) {
  EXPECT_THAT(error_of("[main]\nunknown_thing = 1\ntext = 3\n"),
              HasSubstr("sample.toml:2: main.unknown_thing"));
  EXPECT_THAT(error_of("[main]\ntext = 3\nunknown_thing = 1\n"), HasSubstr("sample.toml:2: main.text"));
}

TEST(Config, NamesTheLineOfASyntaxError) {
  EXPECT_THAT(error_of("[main]\ntext = \n"), HasSubstr("sample.toml:2: "));
}

TEST(Config, SaysWhichFileIsMissing) {
  const auto file = ConfigFile::open("/nonexistent/headroom.toml");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(file.error().message(), HasSubstr("/nonexistent/headroom.toml"));
}

TEST(Units, ReadsSizesInPowersOf1000And1024) {
  EXPECT_EQ(parse_size("2GiB").value(), 2ULL << 30);
  EXPECT_EQ(parse_size("1.5 kB").value(), 1500U);
  EXPECT_EQ(parse_size("812").value(), 812U);
  EXPECT_EQ(parse_size("0").value(), 0U);
}

TEST(Units, RefusesWhatIsNoSize) {
  for (const char* text : {"", "GiB", "-1", "2 giga", "1e9", "99999999999TiB", "nan", "1.5", "1.5 B"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

TEST(Units, ShowsSizesWithThreeDigits) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(812), "812 B");
  EXPECT_EQ(format_size(1536), "1.5 KiB");
  EXPECT_EQ(format_size(2ULL << 30), "2.0 GiB");
  EXPECT_EQ(format_size(300ULL << 20), "300 MiB");
}

}  // namespace
}  // namespace headroom::base
