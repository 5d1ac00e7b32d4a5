#include "perf/record_codec.hpp"

#include <limits>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "perf/impl/varint.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;
using base::Result;
using nlohmann::json;

CallRecord sample() {
  CallRecord record;
  record.summary.id = "id";
  record.summary.method = "model.sale.sale.read";
  record.summary.user_id = -3;
  record.summary.start = UtcTime(Microseconds(1767225600000001));
  record.summary.cpu = Microseconds(0);
  record.summary.attempts = 0;
  record.summary.has = Has::kDb | Has::kConflict;
  record.error = std::string("\xff\x00 x", 4);
  record.memory_growth = 0;
  record.attempts = {{Microseconds(5), 2, "error"}, {Microseconds(6), 3, ""}};
  record.statements = {
      {std::numeric_limits<std::uint64_t>::max(), 4, Microseconds(-1), Microseconds(7), -8, "a\nb"}};
  record.events = {{1, Microseconds(2), Microseconds(3), 4, "[]"}};
  record.slow = {{5, Microseconds(6), Microseconds(7), 8, "SELECT", ""}};
  record.sampled_profile = Profile{Profile::Kind::kSampled,
                                   {{"f", "x", 1}, {"g", "x", 2}},
                                   {{0, 0, 0, {}, {}}, {0, 1, 5, base::Nanoseconds(9), base::Nanoseconds(8)}},
                                   10,
                                   1,
                                   2};
  record.request = Body{"{}", 99};
  return record;
}

std::string msgpack(const json& value) {
  std::string bytes;
  json::to_msgpack(value, bytes);
  return bytes;
}

template <typename T>
void expect_protocol_error(const Result<T>& result, std::string_view what) {
  ASSERT_FALSE(result) << what;
  EXPECT_EQ(result.error().code(), ErrorCode::kProtocol) << what;
}

}  // namespace

TEST(RecordCodec, a_record_comes_back_as_it_was) {
  const auto record = sample();
  const auto read = decode(encode(record));
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->summary.id, "id");
  EXPECT_EQ(read->summary.user_id, -3);
  EXPECT_EQ(read->summary.start, record.summary.start);
  EXPECT_EQ(read->summary.cpu, Microseconds(0)) << "known to be zero is not unknown";
  EXPECT_EQ(read->summary.attempts, 0U);
  EXPECT_EQ(read->summary.has, record.summary.has);
  EXPECT_EQ(read->error, record.error);
  EXPECT_EQ(read->memory_growth, 0);
  ASSERT_EQ(read->attempts.size(), 2U);
  EXPECT_EQ(read->attempts[0].error, "error");
  EXPECT_EQ(read->attempts[1].statements, 3U);
  ASSERT_EQ(read->statements.size(), 1U);
  EXPECT_EQ(read->statements[0].fingerprint, record.statements[0].fingerprint);
  EXPECT_EQ(read->statements[0].time, Microseconds(-1));
  EXPECT_EQ(read->statements[0].rows, -8);
  EXPECT_EQ(read->statements[0].backtrace, "a\nb");
  ASSERT_EQ(read->events.size(), 1U);
  EXPECT_EQ(read->events[0].parameters, "[]");
  ASSERT_EQ(read->slow.size(), 1U);
  EXPECT_EQ(read->slow[0].sql, "SELECT");
  EXPECT_FALSE(read->exact_profile);
  ASSERT_TRUE(read->sampled_profile);
  EXPECT_EQ(read->sampled_profile->frames, record.sampled_profile->frames);
  EXPECT_EQ(read->sampled_profile->nodes[1].cpu, base::Nanoseconds(8));
  EXPECT_EQ(read->sampled_profile->missed, 1U);
  ASSERT_TRUE(read->request);
  EXPECT_EQ(read->request->size, 99U);
  EXPECT_FALSE(read->response);
  EXPECT_EQ(encode(*read), encode(record));
}

TEST(RecordCodec, an_empty_record_needs_few_bytes) {
  EXPECT_LT(encode(CallRecord{}).size(), 8U);
}

TEST(RecordCodec, a_detail_fills_all_but_summary_profiles_and_bodies) {
  CallRecord read;
  read.summary.id = "kept";
  read.request = Body{"kept", 4};
  read.error = "overwritten";
  auto record = sample();
  record.error.clear();
  ASSERT_TRUE(decode_detail(encode_detail(record), read));
  EXPECT_EQ(read.summary.id, "kept");
  EXPECT_EQ(read.request->text, "kept");
  EXPECT_EQ(read.error, "");
  EXPECT_EQ(read.statements.size(), 1U);
  EXPECT_FALSE(read.sampled_profile);
  ASSERT_TRUE(decode_detail(encode_detail(record, Totals::kApart), read));
  EXPECT_TRUE(read.statements.empty());
  EXPECT_EQ(read.slow.size(), 1U);
}

TEST(RecordCodec, the_parts_come_back) {
  const StatementInfo statement{7, sql::StatementKind::kSelect, {"a", "b"}, "SELECT 1"};
  const auto info = decode_statement(encode(statement));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->kind, sql::StatementKind::kSelect);
  EXPECT_EQ(info->tables, statement.tables);
  MethodCount count{"db", "m", CallKind::kBus, 7, 8, 9, Microseconds(10), Microseconds(11), 12, {}};
  count.histogram.add(Microseconds(77));
  const auto counted = decode_count(encode(count));
  ASSERT_TRUE(counted);
  EXPECT_EQ(counted->histogram.count(), 1U);
  EXPECT_EQ(encode(*counted), encode(count));
  const ProcessInfo process{
      "h", -1, "r", "v", UtcTime(Microseconds(1)), UtcTime(Microseconds(-2)), 3, 4, 5, 6, "e", 7, {}, true};
  const auto shown = decode_process(encode(process));
  ASSERT_TRUE(shown);
  EXPECT_EQ(encode(*shown), encode(process));
}

TEST(RecordCodec, unknown_fields_are_skipped) {
  auto map = json::from_msgpack(encode(sample().summary));
  map["field of the future"] = {{"deep", {1, 2, 3}}};
  const auto read = decode_summary(msgpack(map));
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), encode(sample().summary));
}

TEST(RecordCodec, a_packed_list_may_have_grown_wider) {
  std::vector<std::uint8_t> packed;
  for (const std::uint64_t number : {3U, 10U, 2U, 99U}) put_varint(packed, number);
  CallRecord record;
  ASSERT_TRUE(decode_detail(msgpack({{"v", 1}, {"a", json::binary(packed)}}), record));
  ASSERT_EQ(record.attempts.size(), 1U);
  EXPECT_EQ(record.attempts[0].duration, Microseconds(5));
  EXPECT_EQ(record.attempts[0].statements, 2U);
}

TEST(RecordCodec, bytes_that_are_none_of_ours_are_a_protocol_error) {
  expect_protocol_error(decode(""), "nothing");
  expect_protocol_error(decode("garbage"), "text");
  expect_protocol_error(decode(msgpack(json::array())), "no map");
  expect_protocol_error(decode(msgpack(json::object())), "no version");
  expect_protocol_error(decode(msgpack({{"v", 2}})), "newer");
  expect_protocol_error(decode(msgpack({{"v", "1"}})), "version of a wrong type");
  expect_protocol_error(decode(msgpack({{"v", 1}, {"id", 5}})), "wrong type");
  expect_protocol_error(decode(msgpack({{"v", 1}, {"ki", 9}})), "unknown kind");
  expect_protocol_error(decode(msgpack({{"v", 1}, {"at", -1}})), "negative");
  expect_protocol_error(decode(msgpack({{"v", 1}, {"hs", 1ULL << 40}})), "too large");
  expect_protocol_error(decode(msgpack({{"v", 1}, {"w", 1.5}})), "a fraction");
  expect_protocol_error(decode(msgpack({{"v", 1}, {"rq", 1}})), "a part that is no map");
  expect_protocol_error(decode(msgpack({{"v", 1}, {"ae", {"x"}}})), "texts without entries");
  expect_protocol_error(decode(msgpack({{"v", 1}, {"s", json::binary({})}})), "an empty list");
  expect_protocol_error(decode(msgpack({{"v", 1}, {"s", json::binary({0})}})), "width 0");
  expect_protocol_error(decode(msgpack({{"v", 1}, {"s", json::binary({5, 1, 1})}})), "a cut entry");
  expect_protocol_error(decode(msgpack({{"v", 1}, {"s", json::binary({5, 0xFF, 0xFF})}})), "a cut number");
}

TEST(RecordCodec, a_profile_whose_tree_is_broken_is_refused) {
  const auto with_nodes = [](std::vector<std::uint8_t> nodes) {
    return msgpack(
        {{"v", 1}, {"n", {"f"}}, {"f", json::binary({3, 0, 0, 1})}, {"t", json::binary(std::move(nodes))}});
  };
  EXPECT_TRUE(decode_profile(with_nodes({5, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0})));
  expect_protocol_error(decode_profile(with_nodes({5, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0})), "its own parent");
  expect_protocol_error(decode_profile(with_nodes({5, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0})), "no such frame");
}

TEST(RecordCodec, nesting_is_bounded_before_it_reaches_the_stack) {
  expect_protocol_error(decode(std::string(1 << 20, '\x91')), "a million arrays");
  std::string maps;
  for (int i = 0; i < 1 << 18; ++i) maps += "\x81\xa1x";
  expect_protocol_error(decode(maps), "maps in maps");
}

TEST(RecordCodec, a_record_that_is_cut_or_changed_anywhere_is_read_or_refused) {
  const auto whole = encode(sample());
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(decode(whole.substr(0, size))) << size;
  std::mt19937_64 random(7);
  for (int i = 0; i < 5000; ++i) {
    auto changed = whole;
    changed[random() % changed.size()] = static_cast<char>(random());
    const auto read = decode(changed);
    EXPECT_TRUE(!read || decode(encode(*read)));
  }
}

TEST(Varint, numbers_of_every_length_come_back) {
  std::string bytes;
  std::vector<std::uint64_t> numbers = {0, std::numeric_limits<std::uint64_t>::max()};
  for (unsigned bit = 0; bit < 64; ++bit) numbers.push_back(1ULL << bit);
  for (const auto number : numbers) put_varint(bytes, number);
  VarintReader reader(bytes);
  for (const auto number : numbers) EXPECT_EQ(reader.next(), number);
  EXPECT_TRUE(reader.at_end());
  EXPECT_FALSE(reader.failed());
  for (const std::int64_t number :
       {std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::min(),
        std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_EQ(unzigzag(zigzag(number)), number);
  }
}

TEST(Varint, more_than_64_bits_are_a_failure) {
  VarintReader reader("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
  EXPECT_EQ(reader.next(), 0U);
  EXPECT_TRUE(reader.failed());
}

TEST(RecordNames, every_kind_and_status_has_a_name_that_leads_back) {
  for (int i = 0; i <= static_cast<int>(CallKind::kStatic); ++i) {
    EXPECT_EQ(call_kind(name(static_cast<CallKind>(i))), static_cast<CallKind>(i));
  }
  for (int i = 0; i <= static_cast<int>(CallStatus::kKilled); ++i) {
    EXPECT_EQ(call_status(name(static_cast<CallStatus>(i))), static_cast<CallStatus>(i));
  }
  EXPECT_EQ(name(CallKind::kWizard), "wizard");
  EXPECT_EQ(name(CallStatus::kUserError), "user_error");
  EXPECT_EQ(call_kind("RPC"), std::nullopt);
  EXPECT_EQ(call_status(""), std::nullopt);
}

}  // namespace headroom::perf
