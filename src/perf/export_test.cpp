// The formats in which records leave. That their own tools read them is tested in tests/formats.

#include "perf/export.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "perf/memory_store.hpp"
#include "perf/report_sample.hpp"

namespace headroom::perf {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const Frame kRead{"sale.sale:read", "sale.py", 10};
const Frame kBrowse{"Model.browse", "model.py", 20};

Profile small_profile() {
  ProfileBuilder builder(Profile::Kind::kExact);
  const auto read = builder.child(0, kRead);
  const auto browse = builder.child(read, kBrowse);
  builder.add(0, 0, 1ms);
  builder.add(read, 1, 10ms);
  builder.add(browse, 3, 20ms);
  return std::move(builder).take();
}

Export exported(const std::string& session, const std::string& call, ExportFormat format,
                const std::string& report = "call") {
  MemoryStore store;
  (void)store.append(sample_batch());
  ExportRequest request;
  request.session = session;
  request.call = call;
  request.format = format;
  request.report = report;
  auto made = make_export(store, request);
  EXPECT_TRUE(made) << made.error().message();
  return made ? *made : Export{};
}

std::string refusal(const std::string& session, const std::string& call, ExportFormat format,
                    const std::string& report = "call") {
  MemoryStore store;
  (void)store.append(sample_batch());
  ExportRequest request{session, call, format, report, {}, {}};
  const auto made = make_export(store, request);
  return made ? "made" : made.error().message();
}

TEST(Speedscope, OpensAndClosesEveryNodeAndEndsWithTheTime) {
  const json file = json::parse(to_speedscope(small_profile(), "a \"title\""));
  EXPECT_EQ(file["name"], "a \"title\"");
  const json& profile = file["profiles"][0];
  EXPECT_EQ(profile["endValue"], 31'000'000);
  ASSERT_EQ(profile["events"].size(), 4U);
  EXPECT_EQ(profile["events"][0], json::parse(R"({"type":"O","frame":0,"at":1000000})"));
  EXPECT_EQ(profile["events"][1], json::parse(R"({"type":"O","frame":1,"at":11000000})"));
  EXPECT_EQ(profile["events"][2], json::parse(R"({"type":"C","frame":1,"at":31000000})"));
  EXPECT_EQ(file["shared"]["frames"][1]["file"], "model.py");
}

TEST(Pprof, IsGzipThatDiffersWithTheProfile) {
  const std::string bytes = to_pprof(small_profile(), UtcTime(1h), 31ms);
  EXPECT_THAT(bytes, StartsWith("\x1f\x8b"));
  EXPECT_NE(bytes, to_pprof(Profile{}, UtcTime(1h), 31ms));
}

TEST(Csv, QuotesWhatItMustAndDisarmsFormulas) {
  Table table{{{"name"}, {"time", Format::kSeconds}, {"n"}}, {}};
  table.rows = {{std::string("a,\"b\"\n"), Microseconds(1500), std::int64_t{-3}},
                {std::string("=cmd|' /C calc'!A0"), Cell(), 0.25},
                {std::string("@SUM(1)"), UtcTime(1h), std::string("plain")}};
  EXPECT_EQ(to_csv(table),
            "name,time,n\r\n\"a,\"\"b\"\"\n\",0.001500,-3\r\n'=cmd|' /C calc'!A0,,0.25\r\n"
            "'@SUM(1),1970-01-01T01:00:00.000000Z,plain\r\n");
}

TEST(OtlpJson, HasASpanForTheCallItsAttemptsAndItsStatements) {
  const json file = json::parse(exported("7b", "1", ExportFormat::kOtlpJson).content);
  const json& spans = file["resourceSpans"][0]["scopeSpans"][0]["spans"];
  ASSERT_EQ(spans.size(), 3U);
  const json& root = spans[0];
  EXPECT_EQ(root["name"], "model.sale.sale.process");
  EXPECT_EQ(root["traceId"].get<std::string>().size(), 32U);
  EXPECT_EQ(root["spanId"].get<std::string>().size(), 16U);
  EXPECT_TRUE(root.contains("parentSpanId")) << "another call ran it";
  EXPECT_EQ(spans[1]["parentSpanId"], root["spanId"]);
  EXPECT_EQ(spans[1]["startTimeUnixNano"], root["startTimeUnixNano"]);
  EXPECT_EQ(spans[1]["endTimeUnixNano"], spans[2]["startTimeUnixNano"]);
  EXPECT_EQ(spans[1]["status"]["code"], 2);
  EXPECT_EQ(spans[2]["status"], json::object());
}

TEST(OtlpJson, PlacesStatementsWhoseTimeIsKnown) {
  const json file = json::parse(exported("shop/71", "2", ExportFormat::kOtlpJson).content);
  const json& spans = file["resourceSpans"][0]["scopeSpans"][0]["spans"];
  ASSERT_EQ(spans.size(), 3U);
  EXPECT_FALSE(spans[0].contains("parentSpanId"));
  EXPECT_EQ(spans[0]["kind"], 2);
  EXPECT_EQ(spans[2]["name"], "update sale_sale");
  EXPECT_EQ(spans[2]["kind"], 3);
  const auto at = [](const json& text) { return std::stoll(text.get<std::string>()); };
  EXPECT_EQ(at(spans[2]["startTimeUnixNano"]) - at(spans[0]["startTimeUnixNano"]), 9'000'000);
  EXPECT_EQ(at(spans[2]["endTimeUnixNano"]) - at(spans[2]["startTimeUnixNano"]), 1'100'000'000);
}

TEST(OtlpJson, IsTheSameForTheSameCallAndWholeForHostileNames) {
  const std::string once = exported("7b", "", ExportFormat::kOtlpJson).content;
  EXPECT_EQ(once, exported("7b", "", ExportFormat::kOtlpJson).content);
  const json file = json::parse(once);
  EXPECT_EQ(file["resourceSpans"][0]["scopeSpans"][0]["spans"].size(), 4U);
  EXPECT_THAT(to_otlp_json({}, {}, {}), HasSubstr("\"spans\":[]"));
}

TEST(Export, TakesTheProfileOfACallOrOfTheSession) {
  for (const char* call : {"3", ""}) {
    const Export made = exported("shop/71", call, ExportFormat::kCollapsed);
    EXPECT_THAT(made.content, HasSubstr("dispatch (trytond/dispatcher.py:10);sale.sale:read"));
  }
  EXPECT_EQ(exported("shop/71", "3", ExportFormat::kPstats).file_name, "shop-71aa-call3.pstats");
  EXPECT_EQ(exported("shop/71", "", ExportFormat::kCsv, "method").file_name, "shop-71aa-method.csv");
  EXPECT_THAT(exported("shop/71", "", ExportFormat::kCsv, "method").content,
              StartsWith("method,time,number,avg\r\n"));
}

TEST(Export, SaysWhatIsMissing) {
  EXPECT_THAT(refusal("", "", ExportFormat::kCsv), HasSubstr("missing session"));
  EXPECT_THAT(refusal("shop/71", "1", ExportFormat::kPprof),
              HasSubstr("call 1 was recorded without a profile"));
  EXPECT_THAT(refusal("7b", "", ExportFormat::kSpeedscope),
              HasSubstr("the session was recorded without a profile"));
  EXPECT_THAT(refusal("7b", "", ExportFormat::kCsv, "nothing"), HasSubstr("unknown report"));
  EXPECT_THAT(refusal("7b", "99", ExportFormat::kOtlpJson), HasSubstr("no call 99"));
}

TEST(Export, KnowsItsFormatsByName) {
  for (const char* format : {"speedscope", "pprof", "collapsed", "pstats", "csv", "otlp-json"})
    EXPECT_EQ(name(export_format(format).value()), format);
  EXPECT_FALSE(export_format("svg"));
}

}  // namespace
}  // namespace headroom::perf
