#include "redis/url.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headroom::redis {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Url, ReadsEveryPartOfATcpUrl) {
  const auto url = parse_url("redis://ada:s%40cret@cache.example:6380/7?timeout=250ms");
  ASSERT_TRUE(url) << url.error().message();
  EXPECT_EQ(url->transport, Url::Transport::kTcp);
  EXPECT_EQ(url->user, "ada");
  EXPECT_EQ(url->password, "s@cret");
  EXPECT_EQ(url->host, "cache.example");
  EXPECT_EQ(url->port, 6380);
  EXPECT_EQ(url->database, 7U);
  EXPECT_EQ(url->timeout, std::chrono::milliseconds{250});
  EXPECT_EQ(url->text(), "redis://ada@cache.example:6380/7");
}

TEST(Url, FillsInWhatIsLeftOut) {
  const auto url = parse_url("redis://localhost");
  ASSERT_TRUE(url) << url.error().message();
  EXPECT_EQ(url->port, 6379);
  EXPECT_EQ(url->database, 0U);
  EXPECT_TRUE(url->password.empty());
}

TEST(Url, TakesAPasswordWithoutAUser) {
  const auto url = parse_url("rediss://:secret@[::1]:7000/?ca=/etc/ca.pem");
  ASSERT_TRUE(url) << url.error().message();
  EXPECT_EQ(url->transport, Url::Transport::kTls);
  EXPECT_TRUE(url->user.empty());
  EXPECT_EQ(url->password, "secret");
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, 7000);
  EXPECT_EQ(url->ca_file, "/etc/ca.pem");
  EXPECT_EQ(url->text(), "rediss://[::1]:7000/0");
}

TEST(Url, ReadsTheTwoFormsOfAUnixSocket) {
  const auto plain = parse_url("unix:///run/redis/redis.sock?db=3");
  ASSERT_TRUE(plain) << plain.error().message();
  EXPECT_EQ(plain->path, "/run/redis/redis.sock");
  EXPECT_EQ(plain->database, 3U);
  const auto authenticated = parse_url("unix://ada:pw@/run/a@b.sock");
  ASSERT_TRUE(authenticated) << authenticated.error().message();
  EXPECT_EQ(authenticated->path, "/run/a@b.sock");
  EXPECT_EQ(authenticated->user, "ada");
}

TEST(Url, RefusesWhatItCannotReadWithoutShowingThePassword) {
  for (const auto* text :
       {"http://ada:s3cret@host/0", "redis://ada:s3cret@", "redis://ada:s3cret@host:0/0",
        "redis://ada:s3cret@host:99999", "redis://ada:s3cret@host/x", "redis://ada:s3cret@host/-1",
        "redis://ada:s3cret@[::1/0", "redis://ada:s3cret@host/0?color=red",
        "redis://ada:s3cret@host/0?password=s3cret", "redis://ada:s3cret@host?timeout=soon",
        "redis://ada:s3cret@host?timeout=0", "unix://ada:s3cret@relative", "redis://ada:%s3cret@host",
        "redis://ada:s3cret/with?everything@host", "redis://ada:s3cret@host?db=3"}) {
    const auto url = parse_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(url.error().message(), Not(HasSubstr("s3cret")));
    EXPECT_THAT(url.error().message(), Not(HasSubstr("\n")));
  }
  EXPECT_FALSE(parse_url(""));
  EXPECT_FALSE(parse_url("redis://host/0\n"));
  EXPECT_FALSE(parse_url("redis://user@host/0"));
  EXPECT_FALSE(parse_url("unix:///" + std::string(200, 'x')));
}

}  // namespace
}  // namespace headroom::redis
