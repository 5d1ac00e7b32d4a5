#include "net/router.hpp"

#include <gtest/gtest.h>

namespace headroom::net {
namespace {

Route route(std::string method, std::string pattern) {
  Route made;
  made.method = std::move(method);
  made.pattern = std::move(pattern);
  made.handler = [](const Request&) { return Response{}; };
  return made;
}

class RouterTest : public testing::Test {
 protected:
  RouterTest() {
    router_.add(route("GET", "/"));
    router_.add(route("GET", "/rules/{id}"));
    router_.add(route("DELETE", "/rules/{id}"));
    router_.add(route("GET", "/rules/all"));
  }
  Router router_;
};

TEST_F(RouterTest, FindsARouteWithItsParameters) {
  const Match match = router_.match("DELETE", {"rules", "r7"});
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.route->pattern, "/rules/{id}");
  EXPECT_EQ(*match.parameters.find("id"), "r7");
}

TEST_F(RouterTest, PrefersLiteralSegments) {
  EXPECT_EQ(router_.match("GET", {"rules", "all"}).route->pattern, "/rules/all");
  EXPECT_EQ(router_.match("DELETE", {"rules", "all"}).route->pattern, "/rules/{id}");
}

TEST_F(RouterTest, AnswersHeadWithTheRouteOfGet) {
  EXPECT_EQ(router_.match("HEAD", {}).route->pattern, "/");
}

TEST_F(RouterTest, TellsWhichMethodsAPathAccepts) {
  const Match match = router_.match("POST", {"rules", "r7"});
  EXPECT_EQ(match.route, nullptr);
  EXPECT_EQ(match.allow, "GET, HEAD, DELETE");
}

TEST_F(RouterTest, FindsNothingForAnUnknownPath) {
  EXPECT_EQ(router_.match("GET", {"rules"}).route, nullptr);
  EXPECT_EQ(router_.match("GET", {"rules", "a", "b"}).allow, "");
}

TEST_F(RouterTest, FallsBackForAPathThatNobodyElseHas) {
  router_.set_fallback(route("GET", "/*"), {"api"});
  EXPECT_EQ(router_.match("GET", {"sessions", "71", "call"}).route->pattern, "/*");
  EXPECT_EQ(router_.match("HEAD", {"anything"}).route->pattern, "/*");
  EXPECT_EQ(router_.match("GET", {}).route->pattern, "/") << "a route of its own wins";
  EXPECT_EQ(router_.match("GET", {"api", "nothing"}).route, nullptr) << "the API answers for itself";
  EXPECT_EQ(router_.match("POST", {"anything"}).route, nullptr);
  EXPECT_EQ(router_.match("PUT", {"rules", "r7"}).allow, "GET, HEAD, DELETE");
  EXPECT_THROW(router_.set_fallback(route("GET", "/*"), {}), std::logic_error) << "there is one";
}

TEST_F(RouterTest, RefusesARouteThatIsMalformedOrThereAlready) {
  EXPECT_THROW(router_.add(route("GET", "rules")), std::logic_error);
  EXPECT_THROW(router_.add(route("GET", "/rules/{id}")), std::logic_error);
  EXPECT_THROW(router_.add(Route{.method = "GET", .pattern = "/x", .deadline = {}, .handler = {}}),
               std::logic_error);
}

}  // namespace
}  // namespace headroom::net
