#include "sql/token.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sql/utf8.hpp"

namespace headroom::sql {
namespace {

using testing::ElementsAre;

std::vector<std::string> placeholders(std::string_view text) {
  std::vector<std::string> found;
  for (const Token& token : tokenize(text)) {
    if (token.kind == TokenKind::kPlaceholder) found.emplace_back(token.text);
  }
  return found;
}

std::vector<std::string> literals(std::string_view text) {
  std::vector<std::string> found;
  for (const Token& token : tokenize(text)) {
    if (token.is_literal()) found.emplace_back(token.text);
  }
  return found;
}

TEST(Tokenizer, KnowsThePlaceholdersOfEveryDriver) {
  EXPECT_THAT(placeholders("a = %s AND b = %(name)s"), ElementsAre("%s", "%(name)s"));
  EXPECT_THAT(placeholders("a = ? AND b IN (?, ?2) LIMIT ?"), ElementsAre("?", "?", "?2", "?"));
  EXPECT_THAT(placeholders("a = :a AND b = $1 AND c = $name AND d = @d"),
              ElementsAre(":a", "$1", "$name", "@d"));
}

TEST(Tokenizer, LeavesOperatorsThatLookLikePlaceholders) {
  EXPECT_THAT(placeholders("SELECT a::int, b[1:n], c % d, e %% f"), ElementsAre());
  EXPECT_THAT(placeholders("doc ? 'key' AND doc ?| array['a'] AND doc ?& x AND doc @? '$.a'"), ElementsAre());
  EXPECT_THAT(placeholders("doc ? %s"), ElementsAre("%s"));
  EXPECT_THAT(placeholders("\"doc\" ? ?"), ElementsAre("?"));
  EXPECT_THAT(placeholders("x = ?||'y'"), ElementsAre("?"));
}

TEST(Tokenizer, FindsNoPlaceholderWithinStringsNamesAndComments) {
  EXPECT_THAT(placeholders("SELECT '%s ?', \"%s\", /* ? /* :x */ ? */ $t$ ? $t$ -- ?\n, E'\\' ?'"),
              ElementsAre());
}

TEST(Tokenizer, ReadsEveryFormOfLiteral) {
  EXPECT_THAT(literals("'it''s' E'a\\'b' x'ff' $$a$$ $t$ $$ $t$ 12 1.5e-3 .5"),
              ElementsAre("'it''s'", "E'a\\'b'", "x'ff'", "$$a$$", "$t$ $$ $t$", "12", "1.5e-3", ".5"));
}

TEST(Tokenizer, TakesAnUnclosedStringToTheEnd) {
  EXPECT_THAT(literals("SELECT 'open"), ElementsAre("'open"));
  EXPECT_THAT(literals("SELECT $t$open"), ElementsAre("$t$open"));
  EXPECT_THAT(literals("SELECT E'\\"), ElementsAre("E'\\"));
}

TEST(Tokenizer, GivesNamesAndStringsWithoutTheirQuotes) {
  const auto tokens = tokenize("Sale_Sale \"We\"\"ird\" 'it''s' $t$a$t$");
  EXPECT_EQ(catalog_name(tokens[0]), "sale_sale");
  EXPECT_EQ(catalog_name(tokens[1]), "We\"ird");
  EXPECT_EQ(string_value(tokens[2]), "it's");
  EXPECT_EQ(string_value(tokens[3]), "a");
}

TEST(Utf8, ReplacesWhatIsMalformedAndKeepsTheRest) {
  EXPECT_TRUE(is_clean_utf8("na\xC3\xAFve \xE2\x82\xAC \xF0\x9F\x98\x80"));
  for (const char* bad : {"\xFF", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xC3"}) {
    EXPECT_FALSE(is_clean_utf8(bad));
    EXPECT_TRUE(is_clean_utf8(clean_utf8(bad)));
  }
  EXPECT_EQ(clean_utf8(std::string_view{"a\0b", 3}),
            "a\xEF\xBF\xBD"
            "b");
}

TEST(Utf8, CutsBetweenCharacters) {
  EXPECT_EQ(cut_utf8("a\xE2\x82\xAC", 3), "a");
  EXPECT_EQ(cut_utf8("a\xE2\x82\xAC", 4), "a\xE2\x82\xAC");
}

}  // namespace
}  // namespace headroom::sql
