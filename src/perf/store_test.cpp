#include "perf/store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headroom::perf {

TEST(StoreUrl, the_password_is_taken_out) {
  EXPECT_EQ(without_password("redis://user:secret@host:6379/0"), "redis://user@host:6379/0");
  EXPECT_EQ(without_password("rediss://:secret@host"), "rediss://host");
  EXPECT_EQ(without_password("redis://host:6379"), "redis://host:6379");
  EXPECT_EQ(without_password("redis://user@host"), "redis://user@host");
  EXPECT_EQ(without_password("unix://:secret@/run/redis.sock"), "unix:///run/redis.sock");
  EXPECT_EQ(without_password("unix:///run/redis.sock?db=1&password=secret"), "unix:///run/redis.sock?db=1");
  EXPECT_EQ(without_password("unix:///run/redis.sock?password=secret&db=1"), "unix:///run/redis.sock?db=1");
}

TEST(StoreUrl, a_password_with_unescaped_signs_is_taken_out_whole) {
  EXPECT_EQ(without_password("redis://u:p@ss/w:rd@host/1"), "redis://u@host/1");
  EXPECT_EQ(without_password("redis://:a:b@c@host"), "redis://host");
}

TEST(StoreUrl, a_path_is_left_alone) {
  EXPECT_EQ(without_password("sqlite:///srv/a:b@c/x"), "sqlite:///srv/a:b@c/x");
  EXPECT_EQ(without_password("no url"), "no url");
}

TEST(StoreUrl, one_that_is_no_store_is_refused_with_what_is_accepted) {
  for (const char* url :
       {"", "sqlite://relative", "sqlite:///", "mysql://u:secret@host", "/path", "sqlite:/x"}) {
    const auto opened = open_store(url, OpenMode::kWrite);
    ASSERT_FALSE(opened) << url;
    EXPECT_EQ(opened.error().code(), base::ErrorCode::kInvalidArgument) << url;
    EXPECT_THAT(opened.error().message(), testing::HasSubstr("sqlite:///absolute/path"));
    EXPECT_THAT(opened.error().message(), testing::Not(testing::HasSubstr("secret")));
  }
}

}  // namespace headroom::perf
