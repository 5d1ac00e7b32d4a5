#include "bus/postgres_node.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

namespace headroom::bus {
namespace {

using namespace std::chrono_literals;
using base::ErrorCode;
using base::fail;
using sql::PostgresRows;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const PostgresTime kStart = PostgresTime() + 1h;

PostgresRows one(const std::string& value) {
  return {{value}};
}

/// The head of the answer to a step that stored so many.
PostgresRows step(int found) {
  const auto null = std::nullopt;
  return {{"epoch", std::to_string(found), null, null, null, null, null}};
}

Result<PostgresRows> broken() {
  return fail(ErrorCode::kUnavailable, "the connection broke");
}

TEST(PollPace, LooksEveryFiveMillisecondsWhileMessagesComeAndThenTenTimesASecond) {
  PollPace pace;
  pace.looked(kStart, kStart + 2ms, 3, false);
  EXPECT_EQ(pace.next(), kStart + 5ms);
  pace.looked(kStart + 5ms, kStart + 25ms, 3, false);
  EXPECT_EQ(pace.next(), kStart + 26ms) << "it took long: what came meanwhile waits no longer";
  pace.looked(kStart + 1024ms, kStart + 1024ms, 0, false);
  EXPECT_EQ(pace.next(), kStart + 1024ms + 5ms) << "the next ones may come at once";
  pace.looked(kStart + 1025ms, kStart + 1025ms, 0, false);
  EXPECT_EQ(pace.next(), kStart + 1125ms);
  pace.wake(kStart + 1030ms);
  EXPECT_EQ(pace.next(), kStart + 1030ms);
  pace.looked(kStart + 1030ms, kStart + 1031ms, 1'000, true);
  EXPECT_EQ(pace.next(), kStart + 1031ms) << "there is more";
}

TEST(ArrayLiteral, QuotesWhatAnArrayMayHold) {
  EXPECT_EQ(array_literal({}), "{}");
  EXPECT_EQ(array_literal({"a", "", R"({"b":"c\n"})"}), R"({"a","","{\"b\":\"c\\n\"}"})");
}

TEST(Sequencer, CampaignsUntilItLeadsAndLeavesWhenItIsFenced) {
  Sequencer sequencer("one", 300);
  auto question = sequencer.next(kStart);
  ASSERT_TRUE(question);
  EXPECT_THAT(question->statement, HasSubstr("campaign"));
  EXPECT_THAT(question->parameters, ElementsAre("one", "300"));
  sequencer.answered(kStart, PostgresRows{{std::nullopt}});
  EXPECT_EQ(sequencer.term(), 0) << "another one leads";
  EXPECT_FALSE(sequencer.next(kStart + 249ms));
  ASSERT_TRUE(sequencer.next(kStart + 250ms));
  sequencer.answered(kStart + 250ms, one("7"));
  EXPECT_EQ(sequencer.term(), 7);

  question = sequencer.next(kStart + 250ms);
  ASSERT_TRUE(question);
  EXPECT_THAT(question->parameters, ElementsAre("7", "1000", "t")) << "first it writes down where it begins";
  sequencer.answered(kStart + 251ms, step(1'000));
  question = sequencer.next(kStart + 251ms);
  ASSERT_TRUE(question) << "a full step is followed by the next at once";
  EXPECT_EQ(question->parameters.back(), "f");
  sequencer.answered(kStart + 252ms, step(12));
  EXPECT_EQ(sequencer.sequenced(), 1'012U);
  EXPECT_FALSE(sequencer.next(kStart + 255ms));
  ASSERT_TRUE(sequencer.next(kStart + 256ms)) << "5 ms after it asked last";

  sequencer.answered(kStart + 258ms, fail(ErrorCode::kConflict, "term 7 is over"));
  EXPECT_TRUE(sequencer.must_leave());
  EXPECT_FALSE(sequencer.next(kStart + 1h)) << "its session has to end first";
  sequencer.lost();
  EXPECT_EQ(sequencer.term(), 0);
  EXPECT_THAT(sequencer.next(kStart + 1s)->statement, HasSubstr("campaign"));
}

TEST(Sequencer, TakesPartsOfTheLogAtOnceAndLooksIntoTheOutboxSeldom) {
  Sequencer sequencer("one", 300, PostgresSource::kLog);
  EXPECT_THAT(sequencer.next(kStart)->statement, HasSubstr("campaign($1, $2, true)"));
  sequencer.answered(kStart, one("7"));
  ASSERT_TRUE(sequencer.next(kStart)) << "until the log is read, the outbox is the source";
  sequencer.answered(kStart, step(0));
  sequencer.read_log(true, kStart);
  ASSERT_TRUE(sequencer.next(kStart + 1ms)) << "what is left there";
  sequencer.answered(kStart + 1ms, step(2));
  sequencer.wake(kStart + 2ms);
  EXPECT_FALSE(sequencer.next(kStart + 1'000ms));
  LogPart part;
  part.channels = {"a", "b"};
  part.ids = {"", "k"};
  part.tickets = {"0", "12"};
  part.datas = {"1", "{\"x\":2}"};
  part.position = {20, 2};
  const Question question = sequencer.step(kStart + 3ms, part);
  EXPECT_THAT(question.parameters, ElementsAre("7", "1000", "f", R"({"a","b"})", R"({"","k"})",
                                               R"({"0","12"})", R"({"1","{\"x\":2}"})", "0/14", "2"));
  sequencer.answered(kStart + 4ms, step(2));
  EXPECT_EQ(sequencer.sequenced(), 4U);
  EXPECT_FALSE(sequencer.next(kStart + 1'003ms));
  EXPECT_TRUE(sequencer.next(kStart + 1'004ms)) << "once a second";
}

TEST(Keeper, LooksHowTheLogStands) {
  KeeperTimes times{300s, 86'400s, 300s, PostgresSource::kLog};
  Keeper keeper(times);
  ASSERT_TRUE(keeper.next(kStart, 0));
  (void)keeper.answered(kStart, PostgresRows{});
  EXPECT_THAT(keeper.next(kStart, 0)->statement, HasSubstr("log_state"));
  EXPECT_THAT(keeper.answered(kStart, broken()), IsEmpty());
  EXPECT_FALSE(keeper.log());
  EXPECT_EQ(keeper.wake_at(0), kStart + 5s);
  ASSERT_TRUE(keeper.next(kStart + 5s, 0));
  (void)keeper.answered(kStart + 5s, PostgresRows{{"slot", "reserved", "12", "4096", std::nullopt, "logical",
                                                   "t", "t", "ours", "t", "f", "0/14", "3"}});
  EXPECT_EQ(keeper.log()->retained_bytes, 4096U);
}

TEST(Keeper, CleansOnlyWhileItsNodeLeads) {
  Keeper keeper({300s, 86'400s, 300s, PostgresSource::kOutbox});
  EXPECT_THAT(keeper.next(kStart, 0)->statement, HasSubstr("doomed_channels")) << "every node looks";
  EXPECT_THAT(keeper.answered(kStart, PostgresRows{}), IsEmpty());
  EXPECT_FALSE(keeper.next(kStart, 0));
  EXPECT_THAT(keeper.next(kStart, 3)->statement, HasSubstr("clean_outbox"));
  (void)keeper.answered(kStart, one("1"));
  EXPECT_THAT(keeper.next(kStart, 3)->statement, HasSubstr("clean_outbox")) << "there may be another slot";
  (void)keeper.answered(kStart, one("0"));
  EXPECT_FALSE(keeper.next(kStart + 1s, 3));
  EXPECT_THAT(keeper.next(kStart + 2s, 3)->statement, HasSubstr("clean_stream"));
  (void)keeper.answered(kStart + 2s, one("0"));
  const auto question = keeper.next(kStart + 4s, 3);
  ASSERT_TRUE(question);
  EXPECT_THAT(question->statement, HasSubstr("forget_channels"));
  EXPECT_THAT(question->parameters, ElementsAre("3", "86400", "300"));
  (void)keeper.answered(kStart + 4s, one("12"));
  EXPECT_EQ(keeper.forgotten(), 12U);
  EXPECT_EQ(keeper.emptied(), 1U);
}

TEST(Keeper, ObjectsInTimeForWhatItsNodeUses) {
  Keeper keeper({300s, 86'400s, 300s, PostgresSource::kOutbox});
  ASSERT_TRUE(keeper.next(kStart, 0));
  EXPECT_THAT(keeper.answered(kStart, PostgresRows{{"a"}, {"b"}}), ElementsAre("a", "b"));
  EXPECT_EQ(keeper.wake_at(0), kStart + 60s) << "five times until they are forgotten";
  keeper.keep({"b"});
  EXPECT_LT(keeper.wake_at(0), kStart);
  const auto question = keeper.next(kStart, 0);
  ASSERT_TRUE(question);
  EXPECT_THAT(question->statement, HasSubstr("keep_channels"));
  EXPECT_THAT(question->parameters, ElementsAre("{\"b\"}"));
  EXPECT_THAT(keeper.answered(kStart, broken()), IsEmpty());
  EXPECT_FALSE(keeper.next(kStart + 59s, 0));
  EXPECT_THAT(keeper.next(kStart + 60s, 0)->statement, HasSubstr("doomed_channels"));
}

PostgresRows state_rows(const std::string& epoch, const std::string& seq, const std::string& proven) {
  return {{"1", epoch, seq, proven}};
}

PostgresRows stream_rows(const std::string& epoch, std::int64_t from, std::int64_t to) {
  PostgresRows rows{
      {epoch, std::nullopt, std::nullopt, std::nullopt, std::nullopt, std::nullopt, std::nullopt}};
  for (std::int64_t seq = from; seq <= to; ++seq)
    rows.push_back({std::nullopt, std::to_string(seq), std::to_string(seq + 100), std::nullopt, "a",
                    std::to_string(seq), "1"});
  return rows;
}

TEST(Reader, BeginsAtTheNewestAndGoesOnWhereItStoppedAfterALoss) {
  Reader reader;
  EXPECT_THAT(reader.next(kStart)->parameters, ElementsAre("0", "0"));
  ReaderNews news = reader.answered(kStart, state_rows("e1", "40", "t"));
  EXPECT_TRUE(news.available);
  EXPECT_TRUE(news.compare);
  EXPECT_THAT(reader.next(kStart)->parameters, ElementsAre("40", "256"));
  news = reader.answered(kStart, stream_rows("e1", 41, 43));
  EXPECT_THAT(news.rows, SizeIs(3));
  EXPECT_FALSE(news.compare);
  EXPECT_EQ(news.epoch, "e1");

  reader.lost();
  EXPECT_THAT(reader.next(kStart + 1s)->parameters, ElementsAre("43", "143")) << "what proves the history";
  news = reader.answered(kStart + 1s, state_rows("e1", "50", "t"));
  EXPECT_TRUE(news.compare);
  EXPECT_EQ(reader.next(kStart + 1s)->parameters.front(), "43") << "what came meanwhile is read";
}

TEST(Reader, BreaksAHistoryThatIsNotTheOneItKnows) {
  Reader reader;
  (void)reader.answered(kStart, state_rows("e1", "40", "t"));
  (void)reader.answered(kStart, stream_rows("e1", 41, 43));
  reader.lost();
  ReaderNews news = reader.answered(kStart, state_rows("e1", "12", "f"));
  EXPECT_FALSE(news.available);
  const auto question = reader.next(kStart);
  ASSERT_TRUE(question);
  EXPECT_THAT(question->statement, HasSubstr("break_history"));
  EXPECT_THAT(question->parameters, ElementsAre("e1"));
  (void)reader.answered(kStart, PostgresRows{});
  EXPECT_THAT(reader.next(kStart)->parameters, ElementsAre("0", testing::_))
      << "nothing is to be proven any more";
  news = reader.answered(kStart, state_rows("e2", "12", "t"));
  EXPECT_TRUE(news.available);
  EXPECT_EQ(news.epoch, "e2");
  EXPECT_EQ(reader.next(kStart)->parameters.front(), "12");
}

TEST(Reader, SaysWhenTheHistoryChangesOrRowsWereCleanedAwayUnread) {
  Reader reader;
  (void)reader.answered(kStart, state_rows("e1", "40", "t"));
  EXPECT_TRUE(reader.answered(kStart, stream_rows("e1", 45, 46)).compare);
  EXPECT_FALSE(reader.answered(kStart, stream_rows("e1", 47, 47)).compare);
  EXPECT_TRUE(reader.answered(kStart, stream_rows("e2", 48, 48)).compare);
}

TEST(Reader, TakesWhatItsOwnNodeStoredAndReadsNothingForIt) {
  Reader reader;
  EXPECT_FALSE(reader.given(kStart, stream_rows("e1", 41, 43))) << "it knows no history yet";
  (void)reader.answered(kStart, state_rows("e1", "40", "t"));
  ASSERT_TRUE(reader.next(kStart));
  auto news = reader.given(kStart + 1ms, stream_rows("e1", 41, 43));
  ASSERT_TRUE(news);
  EXPECT_THAT(news->rows, SizeIs(3));
  EXPECT_TRUE(news->available);
  EXPECT_FALSE(news->compare);
  EXPECT_EQ(news->epoch, "e1");
  EXPECT_EQ(reader.seq(), 43);
  const ReaderNews read = reader.answered(kStart + 2ms, stream_rows("e1", 41, 44));
  EXPECT_THAT(read.rows, SizeIs(1)) << "a look that was under way brings what is new alone";
  EXPECT_FALSE(read.compare);
  news = reader.given(kStart + 3ms, stream_rows("e1", 45, 45));
  ASSERT_TRUE(news);
  EXPECT_FALSE(reader.next(kStart + 1'002ms));
  EXPECT_TRUE(reader.next(kStart + 1'003ms)) << "somebody else may have begun another history";
  EXPECT_TRUE(reader.given(kStart + 1'004ms, stream_rows("e2", 46, 46))->compare);
}

TEST(Reader, ReadsWhatDoesNotFollowWhatItKnows) {
  Reader reader;
  (void)reader.answered(kStart, state_rows("e1", "40", "t"));
  EXPECT_FALSE(reader.given(kStart, stream_rows("e1", 42, 43)));
  EXPECT_FALSE(reader.given(kStart, step(0)));
  EXPECT_FALSE(reader.given(kStart, one("1")));
  EXPECT_TRUE(reader.next(kStart));
  reader.lost();
  EXPECT_FALSE(reader.given(kStart, stream_rows("e1", 41, 43))) << "first its history is to be proven";
}

TEST(Reader, WaitsForASchemaThatItKnows) {
  Reader reader;
  PostgresRows rows = state_rows("e1", "40", "t");
  rows[0][0] = "2";
  EXPECT_FALSE(reader.answered(kStart, rows).available);
  EXPECT_THAT(reader.problem(), HasSubstr("version 1"));
  EXPECT_FALSE(reader.next(kStart));
  EXPECT_TRUE(reader.next(kStart + 250ms));
}

struct WriterWorld {
  std::vector<std::string> refused;
  Writer writer{[this](std::int64_t ticket, const Error& error) {
    refused.push_back(std::to_string(ticket) + " " + std::string(base::name(error.code())));
  }};
  void add(std::int64_t ticket, const std::string& data = "1") {
    writer.add({ticket, kStart + 10s, {"a", data, ""}});
  }
};

TEST(Writer, GroupsWhatWaitsAndSendsTheNextGroupAfterTheAnswer) {
  WriterWorld world;
  for (int i = 1; i <= 300; ++i) world.add(i);
  auto question = world.writer.next(kStart);
  ASSERT_TRUE(question);
  EXPECT_EQ(world.writer.queued(), 44U);
  EXPECT_FALSE(world.writer.next(kStart));
  world.writer.answered(PostgresRows{});
  ASSERT_TRUE(world.writer.next(kStart));
  EXPECT_EQ(world.writer.queued(), 0U);
  EXPECT_THAT(world.refused, IsEmpty());
}

TEST(Writer, KeepsAGroupSmallInBytes) {
  WriterWorld world;
  for (int i = 1; i <= 3; ++i) world.add(i, std::string(600'000, '1'));
  ASSERT_TRUE(world.writer.next(kStart));
  EXPECT_EQ(world.writer.queued(), 1U);
}

TEST(Writer, FindsTheOneThatTheDatabaseRefuses) {
  WriterWorld world;
  for (int i = 1; i <= 3; ++i) world.add(i);
  ASSERT_TRUE(world.writer.next(kStart));
  world.writer.answered(fail(ErrorCode::kInvalidArgument, "invalid byte sequence"));
  for (int i = 1; i <= 3; ++i) {
    const auto question = world.writer.next(kStart);
    ASSERT_TRUE(question);
    EXPECT_EQ(question->parameters[2], fmt::format("{{\"{}\"}}", i));
    if (i == 2) {
      world.writer.answered(fail(ErrorCode::kInvalidArgument, "invalid byte sequence"));
    } else {
      world.writer.answered(PostgresRows{});
    }
  }
  EXPECT_THAT(world.refused, ElementsAre("2 invalid_argument"));
}

TEST(Writer, RefusesAtTheDeadlineWhatItNeverSentAndNotWhatMayHaveBeenKept) {
  WriterWorld world;
  world.add(1);
  ASSERT_TRUE(world.writer.next(kStart));
  world.writer.lost();
  world.add(2);
  world.writer.expire(kStart + 9s);
  EXPECT_THAT(world.refused, IsEmpty());
  world.writer.expire(kStart + 10s);
  EXPECT_THAT(world.refused, ElementsAre("2 unavailable"));
}

struct InquirerWorld {
  std::vector<std::pair<std::int64_t, Result<HistoryPage>>> answers;
  Inquirer inquirer{[this](std::int64_t number, Result<HistoryPage> page) {
    answers.emplace_back(number, std::move(page));
  }};
};

Inquiry position_of(std::int64_t number, const std::string& channel) {
  Inquiry inquiry;
  inquiry.number = number;
  inquiry.channel = channel;
  return inquiry;
}

Inquiry history_since(std::uint64_t offset, const std::string& epoch = "e1") {
  Inquiry inquiry;
  inquiry.number = 9;
  inquiry.kind = Inquiry::Kind::kHistory;
  inquiry.channel = "a";
  inquiry.since = Position{offset, epoch};
  inquiry.limit = 100;
  inquiry.bytes = 1'000;
  return inquiry;
}

TEST(Inquirer, AsksForManyPositionsAtOnce) {
  InquirerWorld world;
  for (int i = 0; i < 3; ++i) world.inquirer.add(position_of(i, fmt::format("c{}", i)));
  world.inquirer.add(history_since(1));
  EXPECT_THAT(world.inquirer.next()->parameters, ElementsAre(R"({"c0","c1","c2"})"));
  EXPECT_FALSE(world.inquirer.next());
  world.inquirer.answered(PostgresRows{{"e1", "c0", "5"}, {"e1", "c1", "0"}});
  ASSERT_THAT(world.answers, SizeIs(3));
  EXPECT_EQ(world.answers[0].second->position, (Position{5, "e1"}));
  EXPECT_EQ(world.answers[2].second.error().code(), ErrorCode::kProtocol);
  EXPECT_THAT(world.inquirer.next()->statement, HasSubstr("history"));
  world.inquirer.answered(broken());
  EXPECT_EQ(world.answers.back().second.error().code(), ErrorCode::kUnavailable);
}

PostgresRows history_rows(std::uint64_t newest, std::uint64_t oldest, std::uint64_t from, std::uint64_t to) {
  PostgresRows rows{{"e1", std::to_string(newest), std::to_string(oldest), std::nullopt}};
  for (std::uint64_t offset = from; offset <= to; ++offset)
    rows.push_back({std::nullopt, std::to_string(offset), std::nullopt, "0123456789"});
  return rows;
}

TEST(Page, HoldsConsecutiveMessagesOrSaysThatTheyAreLost) {
  auto page = page_of(history_since(3), history_rows(6, 2, 4, 6)).value();
  EXPECT_FALSE(page.lost);
  EXPECT_FALSE(page.more);
  EXPECT_THAT(page.messages, SizeIs(3));
  EXPECT_FALSE(page_of(history_since(1), history_rows(6, 2, 2, 6))->lost);
  EXPECT_TRUE(page_of(history_since(0), history_rows(6, 2, 2, 6))->lost) << "1 is gone";
  EXPECT_TRUE(page_of(history_since(7), history_rows(6, 2, 7, 6))->lost) << "there never was a 7";
  EXPECT_TRUE(page_of(history_since(3, "e0"), history_rows(6, 2, 4, 6))->lost) << "another history";
  EXPECT_TRUE(page_of(history_since(3), history_rows(6, 2, 5, 6))->lost) << "emptied while it was read";
  EXPECT_TRUE(page_of(history_since(3), history_rows(6, 2, 7, 6))->lost) << "likewise";
  page = page_of(history_since(6), history_rows(6, 7, 7, 6)).value();
  EXPECT_FALSE(page.lost) << "nothing is kept, and nothing is missed";
  EXPECT_THAT(page.messages, IsEmpty());
}

TEST(Page, EndsAtItsBoundsAndSaysThatThereIsMore) {
  Inquiry inquiry = history_since(3);
  inquiry.bytes = 25;
  auto page = page_of(inquiry, history_rows(9, 2, 4, 9)).value();
  EXPECT_THAT(page.messages, SizeIs(2));
  EXPECT_TRUE(page.more);
  inquiry.bytes = 5;
  EXPECT_THAT(page_of(inquiry, history_rows(9, 2, 4, 9))->messages, SizeIs(1)) << "one at least";
  inquiry.since.reset();
  inquiry.bytes = 25;
  page = page_of(inquiry, history_rows(9, 2, 4, 9)).value();
  ASSERT_THAT(page.messages, SizeIs(2)) << "the newest";
  EXPECT_EQ(page.messages.front().offset, 8U);
  EXPECT_FALSE(page.more);
  EXPECT_EQ(page_of(inquiry, {}).error().code(), ErrorCode::kProtocol);
}

}  // namespace
}  // namespace headroom::bus
