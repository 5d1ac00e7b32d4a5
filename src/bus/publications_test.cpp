#include "bus/publications.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headroom::bus {
namespace {

using testing::HasSubstr;

std::string data_of(const std::string& body) {
  const auto parsed = parse_publications(body, 10);
  if (!parsed) return "refused: " + parsed.error().message();
  const auto& first = parsed->all.front();
  return first ? first->data : "refused: " + first.error().message();
}

TEST(Publications, WhatIsPublishedIsWhatWasSent) {
  for (const std::string data :
       {"1e400", "-1E+400", "12345678901234567890123", "0.1000000000000000000000000001", "-0", "1.0", "1E2",
        "\"\\u00e9\"", R"("\/ \ud83d\ude00 \u0000")", R"({"a":1,"a":2,"":[null,true,false]})", "\"\xc3\xa9\"",
        "\"\\ud800\"", "[[],{}]"}) {
    EXPECT_EQ(data_of(R"({"channel":"a","data":)" + data + "}"), data);
    EXPECT_EQ(data_of(R"({"messages":[{"data":)" + data + R"(,"channel":"a"}]})"), data);
  }
  EXPECT_EQ(data_of("{\"channel\":\"a\", \"data\" : { \"x y\" :\t[ 1 ,\n2 ] } }"), R"({"x y":[1,2]})");
}

TEST(Publications, EachOfABatchIsJudgedAlone) {
  const auto parsed = parse_publications(
      R"({"messages":[{"channel":"a","data":1,"id":"x"},7,{"channel":"a"},{"channel":"b","data":null,"id":""}]})",
      4);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->batch);
  ASSERT_EQ(parsed->all.size(), 4U);
  EXPECT_EQ(parsed->all[0]->id, "x");
  EXPECT_THAT(parsed->all[1].error().message(), HasSubstr("expected an object"));
  EXPECT_EQ(parsed->all[2].error().message(), "channel 'a': 'data' is missing");
  EXPECT_EQ(parsed->all[3]->data, "null");
  EXPECT_EQ(parsed->all[3]->id, "");
}

TEST(Publications, SayWhatIsWrong) {
  EXPECT_EQ(data_of("{"), "refused: the body is not JSON at byte 2");
  EXPECT_EQ(data_of("[1]"), "refused: the body is no object");
  EXPECT_EQ(data_of(""), "refused: the body is no object");
  EXPECT_EQ(data_of(R"({"channel":"a","data":01})"), "refused: the body is not JSON at byte 25");
  EXPECT_EQ(data_of(R"({"channel":"a","data":1} x)"), "refused: the body is not JSON at byte 26");
  EXPECT_EQ(data_of("{\"channel\":\"a\",\"data\":\"\xff\"}"), "refused: the body is not UTF-8");
  EXPECT_THAT(data_of(R"({"channel":"a","data":)" + std::string(500'000, '[')),
              HasSubstr("nested deeper than 64"));
  EXPECT_THAT(data_of(R"({"channel":7,"data":1})"), HasSubstr("'channel', a text"));
  EXPECT_THAT(data_of(R"({"channel":"a\nb","data":1})"), HasSubstr("control"));
  EXPECT_THAT(data_of(R"({"channel":"a","data":1,"id":7})"), HasSubstr("'id' is a text of at most 64 bytes"));
  EXPECT_THAT(data_of(R"({"channel":"a","data":1,"id":")" + std::string(65, 'x') + "\"}"),
              HasSubstr("at most 64 bytes"));
  EXPECT_THAT(data_of(R"({"messages":[]})"), HasSubstr("'messages' is a list"));
  EXPECT_THAT(data_of(R"({"messages":{}})"), HasSubstr("'messages' is a list"));
  std::string many = R"({"messages":[0)";
  for (int i = 0; i < 10; ++i) many += ",0";
  EXPECT_THAT(data_of(many + "]}"), HasSubstr("11 messages in one request; expected 10 at most"));
}

TEST(Publications, NestIn64LevelsAtMost) {
  const auto nested = [](std::size_t levels) {
    return R"({"channel":"a","data":)" + std::string(levels, '[') + std::string(levels, ']') + "}";
  };
  EXPECT_EQ(data_of(nested(63)).size(), 126U);
  EXPECT_THAT(data_of(nested(64)), HasSubstr("nested deeper than 64"));
}

}  // namespace
}  // namespace headroom::bus
