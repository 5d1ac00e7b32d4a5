#include "net/access.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "net/sign_in.hpp"

namespace headroom::net {
namespace {

using testing::HasSubstr;

constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";

class TokenFile : public testing::Test {
 protected:
  TokenFile() {
    std::string folder = (std::filesystem::temp_directory_path() / "headroom-token-XXXXXX").string();
    folder_ = ::mkdtemp(folder.data());
  }
  ~TokenFile() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(std::string_view text, mode_t mode) {
    const auto file = folder_ / "token";
    std::ofstream(file) << text;
    ::chmod(file.c_str(), mode);
    return file;
  }

  std::filesystem::path folder_;
};

TEST_F(TokenFile, GivesItsFirstLine) {
  const auto token = Token::from_file(write(std::string(kSecret) + "\nignored\n", 0640));
  ASSERT_TRUE(token) << token.error().message();
  EXPECT_TRUE(token->matches(kSecret));
  EXPECT_FALSE(token->matches(kSecret.substr(1)));
  EXPECT_FALSE(token->matches(""));
}

TEST_F(TokenFile, IsRefusedWhenOthersMayReadOrTheGroupMayWriteIt) {
  for (const mode_t mode : {mode_t{0644}, mode_t{0660}, mode_t{0604}, mode_t{0602}}) {
    const auto token = Token::from_file(write(kSecret, mode));
    ASSERT_FALSE(token);
    EXPECT_EQ(token.error().code(), base::ErrorCode::kDenied);
    EXPECT_THAT(token.error().message(), HasSubstr("chmod"));
  }
}

TEST_F(TokenFile, IsRefusedWhenItIsMissingShortLongOrNoText) {
  EXPECT_EQ(Token::from_file(folder_ / "none").error().code(), base::ErrorCode::kNotFound);
  EXPECT_EQ(Token::from_file(folder_).error().code(), base::ErrorCode::kDenied);
  for (const std::string& text :
       {std::string("short"), std::string(513, 'x'), std::string("0123456789 0123456789"), std::string()}) {
    EXPECT_EQ(Token::from_file(write(text, 0600)).error().code(), base::ErrorCode::kInvalidArgument) << text;
  }
}

TEST(FailureLimiter, RefusesAnAddressUntilItsWindowIsOver) {
  FailureLimiter limiter;
  for (std::uint32_t i = 0; i < FailureLimiter::kMost; ++i) {
    EXPECT_FALSE(limiter.refused("10.0.0.1", 0));
    limiter.failed("10.0.0.1", 0);
  }
  EXPECT_EQ(limiter.refused("10.0.0.1", 1), 60);
  EXPECT_FALSE(limiter.refused("10.0.0.2", 1));
  EXPECT_FALSE(limiter.refused("10.0.0.1", FailureLimiter::kWindowNs));
}

TEST(FailureLimiter, CountsTheAddressesOfOneIpv6NetworkTogether) {
  FailureLimiter limiter;
  for (std::uint32_t i = 0; i < FailureLimiter::kMost; ++i)
    limiter.failed("2001:db8::" + std::to_string(i), 0);
  EXPECT_TRUE(limiter.refused("2001:db8::ffff", 0));
  EXPECT_FALSE(limiter.refused("2001:db8:0:1::1", 0));
}

TEST(FailureLimiter, KeepsABoundedNumberOfAddresses) {
  FailureLimiter limiter;
  for (int i = 0; i < 3000; ++i) limiter.failed("address " + std::to_string(i), i);
  EXPECT_EQ(limiter.size(), FailureLimiter::kAddresses);
}

class GateTest : public testing::Test {
 protected:
  GateTest() : gate_({sign_in_, {"perf.example"}, {"10.0.0.1", "127.0.0.1"}}) {
    request_.remote = {"127.0.0.1", true};
    request_.method = "GET";
    request_.headers.add("Host", "localhost:7400");
  }
  int host_status(std::string host) {
    request_.headers.set("Host", std::move(host));
    const auto refusal = gate_.check_host({request_, "", false});
    return refusal ? refusal->status : 200;
  }
  int status(Access access) {
    request_.caller = {};
    if (const auto refusal = gate_.authenticate(request_, 0)) return refusal->status;
    const auto refusal = gate_.authorize(request_, access);
    return refusal ? refusal->status : 200;
  }
  /// Signs in with the token, and sends the cookie from now on.
  std::string open_session() {
    const auto outcome = sign_in_->with_token(kSecret, "10.0.0.9", 0);
    request_.headers.set("Cookie", "theme=dark; headroom=" + outcome.opened->id);
    return outcome.opened->session.csrf;
  }
  void bear(std::string_view token) { request_.headers.set("Authorization", "Bearer " + std::string(token)); }

  const std::shared_ptr<SignIn> sign_in_ =
      std::make_shared<SignIn>(Token::from_text(kSecret).value(), std::nullopt);
  Gate gate_;
  Request request_;
};

TEST_F(GateTest, TakesTheNamesOfThisMachineOnly) {
  for (const char* host :
       {"localhost", "LOCALHOST:1", "127.0.0.1:7400", "[::1]:7400", "perf.example", "Perf.Example:80"}) {
    EXPECT_EQ(host_status(host), 200) << host;
  }
  for (const char* host : {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "",
                           "[::1", "user@localhost"}) {
    EXPECT_EQ(host_status(host), 421) << host;
  }
}

TEST_F(GateTest, LetsNoAbsoluteTargetHideBehindAGoodHost) {
  EXPECT_TRUE(gate_.check_host({request_, "evil.example", false}));
  EXPECT_FALSE(gate_.check_host({request_, "localhost", false}));
}

TEST_F(GateTest, RefusesTwoHostsAndNone) {
  Request none;
  none.remote = {"127.0.0.1", true};
  EXPECT_EQ(gate_.check_host({none, "", false})->status, 400);
  EXPECT_FALSE(gate_.check_host({none, "", true})) << "a unix socket needs no Host";
  request_.headers.add("Host", "evil.example");
  EXPECT_EQ(gate_.check_host({request_, "", false})->status, 400);
}

TEST_F(GateTest, LetsLocalClientsReadAndNothingElseWithoutAToken) {
  EXPECT_EQ(status(Access::kRead), 200);
  EXPECT_EQ(status(Access::kWrite), 401);
  request_.remote = {"10.0.0.9", false};
  EXPECT_EQ(status(Access::kRead), 401);
  EXPECT_EQ(status(Access::kPublic), 200);
}

TEST_F(GateTest, LetsTheTokenDoEverything) {
  request_.remote = {"10.0.0.9", false};
  bear(kSecret);
  EXPECT_EQ(status(Access::kWrite), 200);
  EXPECT_EQ(request_.caller.role, Role::kAdministrator);
}

TEST_F(GateTest, RefusesAWrongTokenEvenWhereNoneIsNeeded) {
  bear("0123456789abcdef0123456789abcdeF");
  EXPECT_EQ(status(Access::kPublic), 401);
  EXPECT_NE(request_.caller.role, Role::kAdministrator);
}

TEST_F(GateTest, StopsGuessing) {
  bear("wrong wrong wrong");
  for (std::uint32_t i = 0; i < FailureLimiter::kMost; ++i) EXPECT_EQ(status(Access::kRead), 401);
  bear(kSecret);
  EXPECT_EQ(status(Access::kRead), 429);
}

TEST_F(GateTest, RefusesAChangeFromAPageOfAnotherSiteEvenWithTheToken) {
  bear(kSecret);
  request_.headers.set("Origin", "https://evil.example");
  EXPECT_EQ(status(Access::kWrite), 403);
  request_.headers.set("Origin", "http://localhost:7400");
  EXPECT_EQ(status(Access::kWrite), 200);
  request_.headers.set("Sec-Fetch-Site", "cross-site");
  EXPECT_EQ(status(Access::kWrite), 403);
}

TEST_F(GateTest, LetsASessionReadByItsCookieAndChangeWithItsOtherSecret) {
  request_.remote = {"10.0.0.9", false};
  const std::string csrf = open_session();
  EXPECT_EQ(status(Access::kRead), 200);
  request_.method = "POST";
  EXPECT_EQ(status(Access::kWrite), 403);
  EXPECT_EQ(status(Access::kPublic), 403) << "whatever changes something";
  request_.headers.set("X-Headroom-CSRF", csrf.substr(1) + "x");
  EXPECT_EQ(status(Access::kWrite), 403);
  request_.headers.set("X-Headroom-CSRF", csrf);
  EXPECT_EQ(status(Access::kWrite), 200);
  request_.headers.set("Cookie", "headroom=guessed");
  EXPECT_EQ(status(Access::kRead), 401);
}

TEST_F(GateTest, WantsAnotherCookieOverHttps) {
  request_.remote = {"10.0.0.1", false};
  request_.headers.set("X-Forwarded-For", "192.0.2.7");
  request_.headers.set("X-Forwarded-Proto", "https");
  open_session();
  gate_.see_through_proxy(request_);
  EXPECT_TRUE(request_.remote.https);
  EXPECT_EQ(session_cookie(request_), "");
  EXPECT_EQ(session_cookie_name(request_.remote), "__Host-headroom");
}

TEST_F(GateTest, SeesThroughItsOwnProxiesOnly) {
  request_.remote = {"127.0.0.1", true};
  request_.headers.set("X-Forwarded-For", "6.6.6.6, 192.0.2.7, 10.0.0.1");
  gate_.see_through_proxy(request_);
  EXPECT_EQ(request_.remote.address, "192.0.2.7") << "what stands before it the client may have written";
  EXPECT_FALSE(request_.remote.local);
  request_.remote = {"127.0.0.1", true};
  request_.headers.set("X-Forwarded-For", "<script>");
  gate_.see_through_proxy(request_);
  EXPECT_EQ(request_.remote.address, "unknown");
}

TEST_F(GateTest, TakesNobodyForLocalWhomSomeProxyBrought) {
  request_.remote = {"unix", true};
  request_.headers.set("X-Forwarded-For", "192.0.2.7");
  gate_.see_through_proxy(request_);
  EXPECT_EQ(request_.remote.address, "unix");
  EXPECT_EQ(status(Access::kRead), 401);
}

TEST_F(GateTest, SaysThatNoTokenIsConfigured) {
  const Gate open({nullptr, {}, {}});
  EXPECT_THAT(open.authorize(request_, Access::kWrite)->body, HasSubstr("token_file"));
}

}  // namespace
}  // namespace headroom::net
