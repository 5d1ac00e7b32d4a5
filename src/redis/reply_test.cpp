#include "redis/reply.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "redis/pipeline.hpp"

namespace headroom::redis {
namespace {

using ::testing::HasSubstr;

Result<std::optional<Reply>> read_all(std::string_view bytes, ReplyLimits limits = {}) {
  ReplyReader reader(limits);
  if (auto fed = reader.feed(bytes); !fed) return fail(std::move(fed.error()));
  return reader.next();
}

TEST(ReplyReader, ReadsEveryTypeHoweverTheBytesAreCut) {
  const std::string bytes = "*6\r\n+OK\r\n$5\r\na\r\nbc\r\n:-42\r\n$-1\r\n-ERR no\r\n*2\r\n*0\r\n$0\r\n\r\n";
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    ReplyReader reader;
    ASSERT_TRUE(reader.feed(std::string_view(bytes).substr(0, cut)));
    auto nothing = reader.next();
    ASSERT_TRUE(nothing);
    ASSERT_FALSE(*nothing) << cut;
    ASSERT_TRUE(reader.feed(std::string_view(bytes).substr(cut)));
    const auto reply = reader.next();
    ASSERT_TRUE(reply && *reply) << cut;
    const auto& parts = (*reply)->elements;
    ASSERT_EQ(parts.size(), 6U);
    EXPECT_EQ(parts[0].text, "OK");
    EXPECT_EQ(parts[1].text, "a\r\nbc");
    EXPECT_EQ(parts[2].integer, -42);
    EXPECT_TRUE(parts[3].is_nil());
    EXPECT_TRUE(parts[4].is_error());
    ASSERT_EQ(parts[5].elements.size(), 2U);
    EXPECT_EQ(parts[5].elements[0].type, Reply::Type::kArray);
    EXPECT_EQ(parts[5].elements[1].text, "");
  }
}

TEST(ReplyReader, RefusesAStringOverTheLimitBeforeItIsComplete) {
  const auto reply = read_all("$2000000\r\n" + std::string(5'000, 'x'), {.bytes = 4'096, .elements = 10});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code(), ErrorCode::kTooLarge);
}

TEST(ReplyReader, RefusesTooManyElements) {
  std::string bytes = "*1000\r\n";
  for (int i = 0; i < 1000; ++i) bytes += ":1\r\n";
  const auto reply = read_all(bytes, {.bytes = 1 << 20, .elements = 500});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code(), ErrorCode::kTooLarge);
}

TEST(ReplyReader, DoesNotBelieveAnAnnouncedLength) {
  const auto reply = read_all("*2000000000\r\n:1\r\n");
  ASSERT_TRUE(reply) << reply.error().message();
  EXPECT_FALSE(*reply);
}

TEST(ReplyReader, CallsForeignBytesAProtocolError) {
  for (const auto* bytes : {"HTTP/1.1 400 Bad Request\r\n\r\n", "$-7\r\n", ":12x\r\n",
                            "*9999999999999999999\r\n", "$99999999999999999999\r\n", "!\r\n",
                            "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"}) {
    const auto reply = read_all(bytes);
    ASSERT_FALSE(reply) << bytes;
    EXPECT_EQ(reply.error().code(), ErrorCode::kProtocol) << bytes;
  }
}

TEST(ReplyReader, SurvivesRandomChangesToAValidReply) {
  const std::string valid = "*5\r\n+OK\r\n$5\r\nhello\r\n:42\r\n*2\r\n$1\r\na\r\n$-1\r\n-ERR x\r\n";
  std::mt19937 random(20'261'121);
  for (int round = 0; round < 20'000; ++round) {
    auto bytes = valid;
    for (int change = 0; change < 3; ++change) {
      bytes[random() % bytes.size()] = static_cast<char>("0123456789-+:$*\r\nx"[random() % 18]);
    }
    ReplyReader reader({.bytes = 1'000, .elements = 100});
    while (!bytes.empty()) {
      const auto size = std::min<std::size_t>(bytes.size(), 1 + random() % 9);
      ASSERT_TRUE(reader.feed(std::string_view(bytes).substr(0, size)));
      bytes.erase(0, size);
      if (!reader.next()) break;
    }
  }
}

TEST(Reply, GivesTheServersErrorWhenAValueIsAskedOf) {
  const Reply reply{Reply::Type::kError, 0, "WRONGTYPE Operation against a key", {}};
  EXPECT_THAT(reply.as_integer().error().message(), HasSubstr("WRONGTYPE"));
  const Reply nothing;
  EXPECT_EQ(nothing.as_text().error().code(), ErrorCode::kProtocol);
}

TEST(Error, IsMappedByItsFirstWord) {
  EXPECT_EQ(to_error("NOAUTH Authentication required.").code(), ErrorCode::kDenied);
  EXPECT_EQ(to_error("WRONGPASS invalid username-password pair").code(), ErrorCode::kDenied);
  EXPECT_EQ(to_error("OOM command not allowed when used memory > 'maxmemory'.").code(),
            ErrorCode::kOverloaded);
  EXPECT_EQ(to_error("LOADING Redis is loading the dataset in memory").code(), ErrorCode::kUnavailable);
  EXPECT_EQ(to_error("MOVED 3999 127.0.0.1:6381").code(), ErrorCode::kUnsupported);
  EXPECT_EQ(to_error("WRONGTYPE Operation against a key").code(), ErrorCode::kProtocol);
  EXPECT_EQ(to_error("ERR a\r\nb").message().find('\n'), std::string::npos);
}

TEST(Pipeline, WritesAScriptByHashAndByText) {
  const Script script("return 1");
  EXPECT_EQ(script.sha(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
  Pipeline pipeline;
  pipeline.add({"PING"});
  const std::vector<std::string_view> keys{"{a}k"};
  const std::vector<std::string_view> arguments{"v\r\n"};
  pipeline.add_script(script, keys, arguments);
  EXPECT_EQ(pipeline.bytes(0), "*1\r\n$4\r\nPING\r\n");
  EXPECT_EQ(pipeline.bytes(1),
            "*5\r\n$7\r\nEVALSHA\r\n$40\r\ne0e1f9fabfc9d4800c877a703b823ac0578ff8db\r\n$1\r\n1\r\n"
            "$4\r\n{a}k\r\n$3\r\nv\r\n\r\n");
  EXPECT_EQ(pipeline.bytes_with_text(1),
            "*5\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n1\r\n$4\r\n{a}k\r\n$3\r\nv\r\n\r\n");
}

TEST(InfoField, FindsTheValueOfAWholeName) {
  const std::string info = "# Memory\r\nused_maxmemory:1\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n";
  EXPECT_EQ(info_field(info, "maxmemory"), "0");
  EXPECT_EQ(info_field(info, "maxmemory_policy"), "noeviction");
  EXPECT_EQ(info_field(info, "policy"), "");
  EXPECT_EQ(info_field("", "maxmemory"), "");
}

}  // namespace
}  // namespace headroom::redis
