#include "wire/json.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace headroom::wire {
namespace {

using Members = std::vector<std::pair<std::string, std::string>>;

Members members(const JsonParts& read) {
  Members found;
  for (const JsonPart& part : read.parts) found.emplace_back(part.key, part.value);
  return found;
}

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(JsonTest, GivesTheMembersOfAnObjectAsTheyStand) {
  const JsonParts read = read_object(
      "\t{ \"a\" : 1.50 ,\"\\u0062\\n\":{\"c\":[ {} , [],\"]}\\\"\"] },\"\":\"\\\\\" ,\"n\":-0E+2}\r\n");
  EXPECT_FALSE(read.wrong_at);
  EXPECT_EQ(
      members(read),
      (Members{{"a", "1.50"}, {"b\n", "{\"c\":[ {} , [],\"]}\\\"\"] }"}, {"", "\"\\\\\""}, {"n", "-0E+2"}}));
  EXPECT_EQ(members(read_object("{ }")), Members{});
}

TEST(JsonTest, GivesTheElementsOfAList) {
  const JsonParts read = read_list("[null,[[1],{\"a\":[]}],true]");
  EXPECT_FALSE(read.wrong_at);
  EXPECT_EQ(members(read), (Members{{"", "null"}, {"", "[[1],{\"a\":[]}]"}, {"", "true"}}));
}

TEST(JsonTest, SaysAtWhichByteATextStopsBeingJson) {
  for (const auto& [text, byte] : std::vector<std::pair<std::string, std::size_t>>{{"", 1},
                                                                                   {"[1]", 1},
                                                                                   {"{", 2},
                                                                                   {"{\"a\"", 5},
                                                                                   {"{\"a\":", 6},
                                                                                   {"{\"a\":1", 7},
                                                                                   {"{\"a\":1,}", 8},
                                                                                   {"{\"a\":1}}", 8},
                                                                                   {"{\"a\":01}", 8},
                                                                                   {"{\"a\":[1,]}", 9},
                                                                                   {"{\"a\":[1}}", 8},
                                                                                   {"{\"a\":{1}}", 7},
                                                                                   {"{\"a\":{\"b\"}}", 10},
                                                                                   {"{\"a\":tru}", 6},
                                                                                   {"{\"a\":\"\\x\"}", 8},
                                                                                   {"{\"a\":[\"\n\"]}", 8}}) {
    EXPECT_EQ(read_object(text).wrong_at, byte) << text;
    EXPECT_FALSE(read_object(text).too_deep) << text;
  }
  EXPECT_EQ(why_wrong(read_object("{\"a\":1,}")), "not JSON at byte 8");
  EXPECT_TRUE(read_object("{\"a\"").is_container);
  EXPECT_FALSE(read_object("[1]").is_container);
}

TEST(JsonTest, IsReadAsDeepAsIsAllowed) {
  EXPECT_FALSE(read_list(nested(kDeepestJson)).wrong_at);
  const JsonParts deeper = read_list(nested(kDeepestJson + 1));
  EXPECT_TRUE(deeper.too_deep);
  EXPECT_EQ(why_wrong(deeper), "nested deeper than 64 at byte 65");
  EXPECT_TRUE(read_list(nested(4), 3).too_deep);
  EXPECT_FALSE(read_list(nested(3), 3).wrong_at);
  EXPECT_FALSE(read_list("[" + nested(63) + "," + nested(63) + "]").wrong_at) << "beside, not within";
}

TEST(JsonTest, DepthTakesNoStack) {
  const std::string deep = nested(1'000'000);
  const std::string object = "{\"a\":" + deep + ",\"b\":1}";
  EXPECT_EQ(members(read_object(object, object.size())), (Members{{"a", deep}, {"b", "1"}}));
  std::string objects;
  for (int level = 0; level < 100'000; ++level) objects += "{\"a\":";
  EXPECT_EQ(read_object(objects, objects.size()).wrong_at, objects.size() + 1);
}

TEST(JsonTest, WhatIsQuotedIsReadAgain) {
  for (const std::string text : {"", "plain", "\"\\", "\n\t\x01", "z\xc3\xa9\xf0\x9f\x98\x80"})
    EXPECT_EQ(json_string(wire::quoted(text)), text);
  EXPECT_EQ(json_string("\"\\ud83d\\ude00\\u00e9\""), "\xf0\x9f\x98\x80\xc3\xa9");
  EXPECT_EQ(json_string("\"\\ud83d\""), "\xef\xbf\xbd");
  EXPECT_EQ(compact(" { \"a b\" : [ 1 , \" \\\" \" ] } "), "{\"a b\":[1,\" \\\" \"]}");
}

}  // namespace
}  // namespace headroom::wire
