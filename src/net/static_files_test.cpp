#include "net/static_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <array>
#include <string>
#include <vector>

namespace headroom::net {
namespace {

using testing::HasSubstr;
using testing::Not;

std::vector<unsigned char> packed(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::vector<unsigned char> bytes(text.size() + 256);
  stream.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = bytes.data();
  stream.avail_out = static_cast<uInt>(bytes.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  bytes.resize(stream.total_out);
  deflateEnd(&stream);
  return bytes;
}

class StaticFilesTest : public testing::Test {
 protected:
  Response get(std::string path, std::vector<std::pair<std::string, std::string>> headers = {}) const {
    Request request;
    request.method = "GET";
    request.path = std::move(path);
    for (auto& [name, value] : headers) request.headers.add(std::move(name), std::move(value));
    return files_.respond(request);
  }

  static std::string header(const Response& response, std::string_view name) {
    const std::string* value = response.headers.find(name);
    return value == nullptr ? std::string("(none)") : *value;
  }

  const std::string script_ = std::string(300'000, 'x') + "end";
  const std::vector<unsigned char> page_bytes_ = packed("<!doctype html>");
  const std::vector<unsigned char> script_bytes_ = packed(script_);
  const std::vector<unsigned char> damaged_bytes_{1, 2, 3};
  const std::array<Asset, 3> assets_{{
      {"/index.html", "text/html; charset=utf-8", "aa", page_bytes_},
      {"/assets/index-4f2a.js", "text/javascript", "bb", script_bytes_},
      {"/damaged.txt", "text/plain", "cc", damaged_bytes_},
  }};
  const StaticFiles files_{assets_};
};

TEST_F(StaticFilesTest, SendsTheStoredBytesToAClientThatTakesGzip) {
  const Response response = get("/assets/index-4f2a.js", {{"Accept-Encoding", "br, gzip"}});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(header(response, "Content-Encoding"), "gzip");
  EXPECT_EQ(header(response, "Content-Type"), "text/javascript");
  EXPECT_EQ(static_cast<const void*>(response.content().data()),
            static_cast<const void*>(script_bytes_.data()))
      << "from where they lie";
}

TEST_F(StaticFilesTest, UnpacksForAClientThatTakesNone) {
  const Response response = get("/assets/index-4f2a.js");
  EXPECT_EQ(response.content(), script_);
  EXPECT_EQ(header(response, "Content-Encoding"), "(none)");
  EXPECT_EQ(header(response, "Vary"), "Accept-Encoding");
  EXPECT_EQ(get("/assets/index-4f2a.js", {{"Accept-Encoding", "identity;q=0"}}).status, 406);
}

TEST_F(StaticFilesTest, AnswersAddressesOfTheApplicationWithItsPage) {
  for (const char* path : {"/", "/session/71", "/live", "/a.b/c"}) EXPECT_EQ(get(path).status, 200) << path;
  EXPECT_EQ(get("/session/71").content(), "<!doctype html>");
  EXPECT_EQ(get("/assets/gone-1234.js").status, 404) << "a script of another release is no page";
}

TEST_F(StaticFilesTest, KeepsHashedNamesForAYearAndAsksForThePageEveryTime) {
  EXPECT_THAT(header(get("/assets/index-4f2a.js"), "Cache-Control"),
              HasSubstr("max-age=31536000, immutable"));
  EXPECT_EQ(header(get("/"), "Cache-Control"), "no-cache");
}

TEST_F(StaticFilesTest, SendsNothingThatTheClientHasAlready) {
  const std::string etag = header(get("/", {{"Accept-Encoding", "gzip"}}), "ETag");
  EXPECT_EQ(etag, "\"aa\"");
  const auto again = [&](const std::string& known) {
    return get("/", {{"Accept-Encoding", "gzip"}, {"If-None-Match", known}}).status;
  };
  EXPECT_EQ(again(etag), 304);
  EXPECT_EQ(again("\"x\", W/" + etag), 304);
  EXPECT_EQ(again("*"), 304);
  EXPECT_EQ(again("\"x\""), 200);
  EXPECT_EQ(get("/", {{"If-None-Match", etag}}).status, 200) << "the plain bytes are others";
}

TEST_F(StaticFilesTest, AllowsScriptsOfThisServerAlone) {
  const Response response = get("/");
  const std::string policy = header(response, "Content-Security-Policy");
  EXPECT_THAT(policy, HasSubstr("default-src 'none'; script-src 'self'; style-src 'self'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  EXPECT_EQ(header(response, "Cross-Origin-Opener-Policy"), "same-origin");
}

TEST_F(StaticFilesTest, SaysThatAFileIsDamagedInsteadOfSendingHalfOfIt) {
  EXPECT_EQ(get("/damaged.txt").status, 500);
}

TEST(AcceptedEncodingsTest, ReadsNamesWeightsAndTheStar) {
  const auto is = [](std::string_view header, bool gzip, bool identity) {
    const AcceptedEncodings accepted = accepted_encodings(header);
    return accepted.gzip == gzip && accepted.identity == identity;
  };
  EXPECT_TRUE(is("gzip, deflate, br", true, true));
  EXPECT_TRUE(is("GZIP;q=0.5", true, true));
  EXPECT_TRUE(is("gzip;q=0", false, true));
  EXPECT_TRUE(is("gzip; q=0.000, *", false, true));
  EXPECT_TRUE(is("*", true, true));
  EXPECT_TRUE(is("gzip, identity;q=0", true, false));
  EXPECT_TRUE(is("br, *;q=0", false, false));
  EXPECT_TRUE(is("", false, true));
  EXPECT_TRUE(is(",;,;q", false, true));
}

}  // namespace
}  // namespace headroom::net
