#include "net/http.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headroom::net {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Headers, AreFoundWithoutRegardToCase) {
  Headers headers;
  headers.add("Content-Type", "a");
  headers.add("content-type", "b");
  EXPECT_EQ(*headers.find("CONTENT-TYPE"), "a");
  EXPECT_EQ(headers.count("Content-type"), 2U);
  headers.set("content-TYPE", "c");
  EXPECT_EQ(headers.count("Content-Type"), 1U);
  EXPECT_EQ(headers.find("Content"), nullptr);
}

TEST(SerializeHead, CarriesDateLengthAndSecurityHeaders) {
  const std::string head = serialize_head(make_response(200, "text/plain", "hello"), {}, 784111777);
  EXPECT_THAT(head, testing::StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(head, testing::EndsWith("\r\n\r\n"));
  EXPECT_THAT(head, HasSubstr("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
  EXPECT_THAT(head, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(head, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  EXPECT_THAT(head, HasSubstr("Connection: keep-alive\r\n"));
}

TEST(SerializeHead, LetsTheHandlerReplaceASecurityHeader) {
  Response response;
  response.headers.add("content-security-policy", "default-src 'self'");
  const std::string head = serialize_head(response, {}, 0);
  EXPECT_THAT(head, HasSubstr("content-security-policy: default-src 'self'"));
  EXPECT_THAT(head, Not(HasSubstr("default-src 'none'")));
}

TEST(SerializeHead, LetsNoValueStartAHeaderOfItsOwn) {
  Response response;
  response.headers.add("Location", "/a\r\nSet-Cookie: x=1");
  EXPECT_THAT(serialize_head(response, {}, 0), Not(HasSubstr("\nSet-Cookie")));
}

TEST(SerializeHead, GivesNoLengthToAnAnswerWithoutBody) {
  EXPECT_THAT(serialize_head(Response{.status = 204, .headers = {}, .body = {}}, {}, 0),
              Not(HasSubstr("Content-Length")));
}

TEST(ErrorResponse, IsJsonWhateverTheMessageHolds) {
  EXPECT_EQ(error_response(404, "not_found", "no \"x\"\n\xff").body,
            "{\"error\":{\"code\":\"not_found\",\"message\":\"no \\\"x\\\"\\n\xef\xbf\xbd\"}}\n");
}

TEST(ErrorResponse, TellsWhenToTryAgain) {
  const Response response = error_response(base::Error(base::ErrorCode::kUnavailable, "the store is away"));
  EXPECT_EQ(response.status, 503);
  EXPECT_NE(response.headers.find("Retry-After"), nullptr);
}

TEST(MethodClass, IsBounded) {
  EXPECT_EQ(method_class("GET"), "GET");
  EXPECT_EQ(method_class("get"), "other");
  EXPECT_EQ(method_class("<script>"), "other");
}

}  // namespace
}  // namespace headroom::net
