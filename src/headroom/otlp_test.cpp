// The OTLP exporter's decisions, and the reading of its configuration. A real receiver stands in the scenario
// otlp.

#include "headroom/otlp_queue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "headroom/method_class.hpp"
#include "headroom/otlp_section.hpp"

namespace headroom::cli {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const base::UtcTime kStart = base::parse_time("2026-11-21T08:00:00Z", {}).value();
const OtlpOutcome kTaken{OtlpOutcome::Kind::kTaken, 0, {}, {}};
const OtlpOutcome kRetry{OtlpOutcome::Kind::kRetry, 0, {}, "away"};

perf::CallSummary call(std::string id, base::Microseconds after) {
  perf::CallSummary made;
  made.id = std::move(id);
  made.start = kStart + after;
  return made;
}

TEST(OtlpQueue, TakesEachCallOnceAlsoWhenItIsFoundAgain) {
  OtlpQueue queue(10, kStart);
  queue.offer({call("a", 1s), call("b", 2s)});
  queue.offer({call("a", 1s), call("b", 2s), call("c", 1500ms)});
  EXPECT_THAT(queue.next(kStart), ElementsAre("a", "b", "c"));
  queue.finished(3, 3, kTaken, kStart);
  queue.offer({call("a", 1s), call("b", 2s), call("c", 1500ms)});
  EXPECT_THAT(queue.next(kStart), IsEmpty());
  EXPECT_EQ(queue.counts().sent, 3U);
}

TEST(OtlpQueue, LooksBackForCallsThatEndedLateButNotBeforeItsStart) {
  OtlpQueue queue(10, kStart);
  queue.offer({call("old", -1s)});
  EXPECT_EQ(queue.size(), 0U);
  EXPECT_EQ(queue.look_from(), kStart);
  queue.offer({call("new", 10min)});
  EXPECT_EQ(queue.look_from(), kStart + 8min);
  queue.offer({call("late", 9min), call("too late", 7min)});
  EXPECT_THAT(queue.next(kStart), ElementsAre("new", "late"));
}

TEST(OtlpQueue, DropsTheOldestAndCountsThem) {
  OtlpQueue queue(2, kStart);
  queue.offer({call("a", 1s), call("b", 2s), call("c", 3s)});
  EXPECT_THAT(queue.next(kStart), ElementsAre("b", "c"));
  EXPECT_EQ(queue.counts().dropped, 1U);
}

TEST(OtlpQueue, WaitsTwiceAsLongEachTimeUpToAMinute) {
  OtlpQueue queue(2, kStart);
  queue.offer({call("a", 1s)});
  base::UtcTime now = kStart;
  for (const auto pause : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    ASSERT_THAT(queue.next(now), ElementsAre("a"));
    queue.finished(1, 1, kRetry, now);
    EXPECT_THAT(queue.next(now + pause - 1us), IsEmpty());
    now += pause;
  }
  queue.finished(1, 1, kTaken, now);
  queue.offer({call("b", 2s)});
  queue.finished(1, 1, kRetry, now);
  EXPECT_THAT(queue.next(now + 1s), ElementsAre("b")) << "a success begins anew";
  EXPECT_EQ(queue.counts().retries, 9U);
}

TEST(OtlpQueue, WaitsAsLongAsTheReceiverAsksFor) {
  OtlpQueue queue(2, kStart);
  queue.offer({call("a", 1s)});
  queue.finished(1, 1, otlp_outcome(503, "30", ""), kStart);
  EXPECT_THAT(queue.next(kStart + 29s), IsEmpty());
  EXPECT_THAT(queue.next(kStart + 30s), ElementsAre("a"));
}

TEST(OtlpQueue, DoesNotSendAgainWhatIsRefused) {
  OtlpQueue queue(2, kStart);
  queue.offer({call("a", 1s)});
  queue.finished(1, 1, otlp_outcome(400, "", "bad"), kStart);
  EXPECT_THAT(queue.next(kStart + 1h), IsEmpty());
  EXPECT_EQ(queue.counts().refused, 1U);
}

TEST(OtlpQueue, SendsInBatches) {
  OtlpQueue queue(1000, kStart);
  for (int i = 0; i < 250; ++i) queue.offer({call(std::to_string(i), 1s)});
  EXPECT_EQ(queue.next(kStart).size(), OtlpQueue::kBatch);
}

TEST(OtlpOutcome, ReadsAnswers) {
  EXPECT_EQ(otlp_outcome(200, "", "{}").kind, OtlpOutcome::Kind::kTaken);
  EXPECT_EQ(otlp_outcome(200, "", R"({"partialSuccess":{"rejectedSpans":"3"}})").rejected, 3U);
  EXPECT_EQ(otlp_outcome(200, "", R"({"partialSuccess":{"rejectedSpans":2}})").rejected, 2U);
  EXPECT_EQ(otlp_outcome(200, "", R"({"partialSuccess":7})").rejected, 0U);
  for (const int status : {429, 502, 503, 504})
    EXPECT_EQ(otlp_outcome(status, "", "").kind, OtlpOutcome::Kind::kRetry);
  for (const int status : {301, 400, 401, 404, 413, 500})
    EXPECT_EQ(otlp_outcome(status, "", "").kind, OtlpOutcome::Kind::kRefused) << status;
  EXPECT_EQ(otlp_outcome(429, "99999999999", "").retry_after, 3600s);
  EXPECT_EQ(otlp_outcome(429, "Fri, 31 Dec 1999", "").retry_after, 0s);
}

TEST(HttpTarget, IsAnHttpUrl) {
  const auto target = parse_http_target("http://collector:4319/v1/traces");
  ASSERT_TRUE(target) << target.error().message();
  EXPECT_EQ(target->host + "|" + target->port + "|" + target->path, "collector|4319|/v1/traces");
  const auto usual = parse_http_target("http://[::1]");
  ASSERT_TRUE(usual) << usual.error().message();
  EXPECT_EQ(usual->host + "|" + usual->port + "|" + usual->path, "::1|4318|/v1/traces");
  const auto secure = parse_http_target("https://collector/v1/traces");
  ASSERT_TRUE(secure) << secure.error().message();
  EXPECT_TRUE(secure->tls && !target->tls);
  EXPECT_EQ(secure->port, "443") << "as of any https URL";
  EXPECT_EQ(parse_http_target("https://collector:4318")->port, "4318");
  for (const char* url :
       {"", "ftp://host", "https://", "https://u:p@h/", "host:4318", "http://", "http://:80/",
        "http://h:99999/", "http://h:x/", "http://h/a b", "http://h/a\r\nX: y"}) {
    EXPECT_FALSE(parse_http_target(url)) << url;
  }
  EXPECT_THAT(parse_http_target("http://u:secret@h/").error().message(), testing::Not(HasSubstr("secret")));
}

TEST(HttpHeader, IsOneLine) {
  EXPECT_EQ(parse_http_header("Authorization: Bearer x y")->value, "Bearer x y");
  for (const char* text : {"", "x", ": y", "a b: c", "a: b\r\nc: d"})
    EXPECT_FALSE(parse_http_header(text)) << text;
}

TEST(MethodClasses, SplitVerbsAndBoundNames) {
  MethodClasses classes;
  EXPECT_EQ(classes.of("model.sale.sale.read", 1).name, "model.sale.sale");
  EXPECT_EQ(classes.of("model.sale.sale.read", 1).verb, "read");
  EXPECT_EQ(classes.of("model.sale.sale.invented", 0).verb, "other") << "the class is known";
  EXPECT_EQ(classes.of("model.no.such.read", 0).name, "other") << "it never succeeded";
  EXPECT_EQ(classes.of("model.\"evil\n.read", 9).name, "other");
  EXPECT_EQ(classes.of("", 1).name, "other");
  for (int i = 0; i < 200; ++i) (void)classes.of("model.m" + std::to_string(i) + ".read", 1);
  EXPECT_EQ(classes.of("model.m199.read", 1).name, "other");
  EXPECT_EQ(classes.of("model.sale.sale.write", 0).verb, "write");
}

}  // namespace
}  // namespace headroom::cli
