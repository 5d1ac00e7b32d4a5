#include "net/endpoint.hpp"

#include <gtest/gtest.h>

namespace headroom::net {
namespace {

TEST(Endpoint, IsReadFromItsTextAndPrintedTheSame) {
  for (const std::string text :
       {"127.0.0.1:7400", "[::1]:7400", "0.0.0.0:0", "unix:/run/headroom/serve.sock"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint) << endpoint.error().message();
    EXPECT_EQ(endpoint->text(), text);
  }
}

TEST(Endpoint, UnderstandsLocalhostAndTheStar) {
  EXPECT_EQ(parse_endpoint("localhost:80")->text(), "127.0.0.1:80");
  EXPECT_EQ(parse_endpoint("*:80")->text(), "0.0.0.0:80");
}

TEST(Endpoint, RefusesWhatIsNoAddressAndSaysWhatIsAccepted) {
  for (const std::string text :
       {"", "7400", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80x", "::1:7400",
        "example.org:80", "unix:", "unix:relative", "[::1]", "1.2.3:4"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_FALSE(endpoint) << text;
    EXPECT_EQ(endpoint.error().code(), base::ErrorCode::kInvalidArgument);
    EXPECT_NE(endpoint.error().message().find("accepted are"), std::string::npos);
  }
  EXPECT_FALSE(parse_endpoint("unix:/" + std::string(107, 'x')));
}

TEST(Endpoint, KnowsWhatIsLocal) {
  EXPECT_TRUE(parse_endpoint("127.8.9.1:1")->is_local());
  EXPECT_TRUE(parse_endpoint("[::1]:1")->is_local());
  EXPECT_TRUE(parse_endpoint("[::ffff:127.0.0.1]:1")->is_local());
  EXPECT_TRUE(parse_endpoint("unix:/x")->is_local());
  EXPECT_FALSE(parse_endpoint("0.0.0.0:1")->is_local());
  EXPECT_FALSE(parse_endpoint("[::]:1")->is_local());
  EXPECT_FALSE(parse_endpoint("10.0.0.1:1")->is_local());
}

}  // namespace
}  // namespace headroom::net
