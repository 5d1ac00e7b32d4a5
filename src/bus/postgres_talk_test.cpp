// What a node asks of PostgreSQL to talk with the others, and what it makes of what it hears, as dialogues.

#include "bus/postgres_talk.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

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
const PostgresRows kDone{{""}};
const PostgresRows kNoneRevoked{{"700", std::nullopt, std::nullopt}};

/// What is asked, if anything is; the statement alone, without its parameters.
std::string asked(Talk& talk, PostgresTime now) {
  const auto question = talk.next(now);
  return question ? question->statement : std::string();
}

/// One that hears the others, has asked them who is there, and knows what is revoked.
Talk talking() {
  Talk talk("one:1");
  EXPECT_THAT(asked(talk, kStart), HasSubstr("hear_nodes"));
  talk.answered(kStart, kDone);
  EXPECT_THAT(asked(talk, kStart), HasSubstr("tell_nodes"));
  talk.answered(kStart, kDone);
  EXPECT_THAT(asked(talk, kStart), HasSubstr("revocations"));
  talk.answered(kStart, kNoneRevoked);
  (void)talk.take_news();
  for (const Crowd crowd : {Crowd::kUsers, Crowd::kMembers}) talk.say(crowd, {1, true, {}});
  EXPECT_THAT(asked(talk, kStart), HasSubstr("tell_nodes"));
  talk.answered(kStart, kDone);
  return talk;
}

PresenceWord changes(std::uint64_t number, const std::string& user = "ann") {
  return {number, false, {{user, PresenceState::kOnline}}};
}

TEST(Talk, FirstHearsThenNamesEverybodyAndAsksTheOthersToo) {
  Talk talk("one:1");
  talk.say(Crowd::kUsers, changes(1));
  EXPECT_EQ(talk.next(kStart)->statement, "SELECT headroom.hear_nodes()");
  EXPECT_FALSE(talk.next(kStart)) << "one question at a time";
  talk.answered(kStart, kDone);
  const auto question = talk.next(kStart);
  ASSERT_TRUE(question);
  EXPECT_EQ(question->statement, "SELECT headroom.tell_nodes($1)");
  EXPECT_THAT(question->parameters, ElementsAre("{\"ask\nusers\none:1\n\",\"ask\nmembers\none:1\n\"}"))
      << "what was said before it heard says nothing";
  const TalkNews news = talk.take_news();
  EXPECT_THAT(news.name_all, ElementsAre(true, true));
  EXPECT_TRUE(talk.take_news().empty());
}

TEST(Talk, TellsWordsInOneTransaction) {
  Talk talk = talking();
  EXPECT_FALSE(talk.next(kStart));
  talk.say(Crowd::kUsers, changes(2));
  talk.say(Crowd::kMembers, {2, false, {{"room:1\tann", PresenceState::kOffline}}});
  talk.ask(Crowd::kUsers, "two:1");
  EXPECT_LE(talk.wake_at(), kStart);
  const auto question = talk.next(kStart);
  ASSERT_TRUE(question);
  EXPECT_THAT(question->parameters,
              ElementsAre("{\"ask\nusers\none:1\ntwo:1\",\"word\nusers\none:1\n2\nchanges\n1\n1\nnann\n\","
                          "\"word\nmembers\none:1\n2\nchanges\n1\n1\nfroom:1\tann\n\"}"));
  talk.answered(kStart, kDone);
  EXPECT_EQ(talk.counts(Crowd::kUsers).announced, 1U);
  EXPECT_EQ(talk.counts(Crowd::kMembers).announced, 1U);
  EXPECT_EQ(talk.wake_at(), kStart + Talk::kLookEvery);
}

TEST(Talk, NamesEverybodyAnewWhenItCouldNotTell) {
  Talk talk = talking();
  talk.say(Crowd::kUsers, changes(2));
  ASSERT_TRUE(talk.next(kStart));
  talk.answered(kStart, fail(ErrorCode::kInternal, "the queue is full"));
  EXPECT_THAT(talk.take_news().name_all, ElementsAre(true, true));
  talk.say(Crowd::kUsers, {3, true, {}});
  EXPECT_FALSE(talk.next(kStart)) << "a moment later";
  EXPECT_TRUE(talk.next(kStart + Talk::kRetryAfter));
  EXPECT_EQ(talk.counts(Crowd::kUsers).announced, 0U);
}

/// All payloads of a word, heard by another node.
TalkNews heard(const std::vector<std::string>& payloads) {
  Talk talk = talking();
  for (const std::string& payload : payloads) talk.heard(kStart, payload);
  return talk.take_news();
}

TEST(Talk, HearsWordsOfAnySize) {
  PresenceWord word{7, true, {}};
  for (int i = 0; i < 5'000; ++i)
    word.states.push_back(
        {"user" + std::to_string(i), i % 2 == 0 ? PresenceState::kOnline : PresenceState::kAway});
  const auto parts = said_parts(Crowd::kUsers, "two:1", word);
  EXPECT_GT(parts.size(), 5U);
  for (const std::string& part : parts) EXPECT_LT(part.size(), 8'000U) << "PostgreSQL takes no more";
  const TalkNews news = heard(parts);
  ASSERT_THAT(news.words, SizeIs(1));
  EXPECT_EQ(news.words[0].node, "two:1");
  EXPECT_EQ(news.words[0].word.number, 7U);
  EXPECT_TRUE(news.words[0].word.whole);
  ASSERT_THAT(news.words[0].word.states, SizeIs(5'000));
  EXPECT_EQ(news.words[0].word.states[4'999].user, "user4999");
  EXPECT_EQ(news.words[0].word.states[4'999].state, PresenceState::kAway);
}

TEST(Talk, AWordThatRenewsTheLeaseAloneIsHeard) {
  const TalkNews news = heard(said_parts(Crowd::kMembers, "two:1", {3, false, {}}));
  ASSERT_THAT(news.words, SizeIs(1));
  EXPECT_EQ(news.words[0].crowd, Crowd::kMembers);
  EXPECT_THAT(news.words[0].word.states, IsEmpty());
}

TEST(Talk, TakesNoWordOfWhichAPartIsMissing) {
  PresenceWord word{7, true, {}};
  for (int i = 0; i < 5'000; ++i) word.states.push_back({"user" + std::to_string(i), PresenceState::kOnline});
  auto parts = said_parts(Crowd::kUsers, "two:1", word);
  parts.erase(parts.begin() + 2);
  EXPECT_THAT(heard(parts).words, IsEmpty());
  parts.erase(parts.begin());
  EXPECT_THAT(heard(parts).words, IsEmpty());
  auto next = said_parts(Crowd::kUsers, "two:1", changes(8));
  parts.insert(parts.end(), next.begin(), next.end());
  EXPECT_THAT(heard(parts).words, SizeIs(1)) << "the next one";
}

TEST(Talk, PassesOverItsOwnWordsAndWhatIsNone) {
  EXPECT_TRUE(heard(said_parts(Crowd::kUsers, "one:1", changes(2))).empty());
  for (const std::string payload :
       {"", "word", "word\nusers\ntwo:1\n1\nall\n0\n1\nnann\n", "word\nusers\ntwo:1\n1\nall\n2\n1\nnann\n",
        "word\nusers\ntwo:1\n1\nsome\n1\n1\nnann\n", "word\nnobody\ntwo:1\n1\nall\n1\n1\nnann\n",
        "word\nusers\n\n1\nall\n1\n1\nnann\n", "word\nusers\ntwo:1\nx\nall\n1\n1\nnann\n", "left\n",
        "ask\nusers\n", "word\nusers\ntwo:1\n1\nall\n1\n4000000000\n"})
    EXPECT_TRUE(heard({payload}).empty()) << payload;
}

TEST(Talk, WhoIsAskedNamesEverybody) {
  EXPECT_THAT(heard({"ask\nusers\ntwo:1\n"}).name_all, ElementsAre(true, false));
  EXPECT_THAT(heard({"ask\nmembers\ntwo:1\none:1"}).name_all, ElementsAre(false, true));
  EXPECT_TRUE(heard({"ask\nusers\ntwo:1\nthree:1"}).empty());
  EXPECT_TRUE(heard({"ask\nusers\none:1\n"}).empty()) << "its own question";
}

TEST(Talk, HoldsNoMoreForAHubThatTakesNothingThanIsBounded) {
  Talk talk = talking();
  for (std::uint64_t number = 1; number <= Talk::kMostUntaken + 10; ++number) {
    for (const std::string& part : said_parts(Crowd::kUsers, "two:1", changes(number)))
      talk.heard(kStart, part);
  }
  EXPECT_THAT(talk.take_news().words, SizeIs(Talk::kMostUntaken));
}

TEST(Talk, KeepsWhatIsRevokedInTheDatabaseAndReadsWhatOthersKeep) {
  Talk talk = talking();
  talk.revoke({"uann", 1'700'000'000});
  auto question = talk.next(kStart);
  ASSERT_TRUE(question);
  EXPECT_THAT(question->statement, HasSubstr("headroom.revoke"));
  EXPECT_THAT(question->parameters, ElementsAre("{\"uann\"}", "{\"1700000000\"}"));
  talk.answered(kStart, fail(ErrorCode::kConflict, "another node wrote it"));
  EXPECT_FALSE(talk.next(kStart));
  question = talk.next(kStart + Talk::kRetryAfter);
  ASSERT_TRUE(question);
  EXPECT_THAT(question->statement, HasSubstr("headroom.revoke")) << "again";
  talk.answered(kStart + 1s, kDone);
  EXPECT_FALSE(talk.next(kStart + 1s));

  talk.heard(kStart + 1s, "revoked");
  question = talk.next(kStart + 1s);
  ASSERT_TRUE(question) << "at once";
  EXPECT_THAT(question->parameters, ElementsAre("700")) << "since the last look";
  talk.answered(kStart + 1s, PostgresRows{{"705", std::nullopt, std::nullopt},
                                          {std::nullopt, "sone", "9"},
                                          {std::nullopt, "odd", "9"},
                                          {std::nullopt, "utwo", "soon"}});
  const TalkNews news = talk.take_news();
  ASSERT_THAT(news.revoked, SizeIs(1));
  EXPECT_EQ(news.revoked[0].key, "sone");
  EXPECT_FALSE(news.tell_revoked);
  EXPECT_FALSE(talk.next(kStart + 1s));
  EXPECT_THAT(talk.next(kStart + 1s + Talk::kLookEvery)->parameters, ElementsAre("705"))
      << "also without a notification";
}

TEST(Talk, ReadsAllAgainAfterALossAndTellsWhatTheDatabaseLacks) {
  Talk talk = talking();
  talk.lost();
  talk.lost();
  EXPECT_EQ(talk.counts(Crowd::kUsers).losses, 1U);
  EXPECT_THAT(asked(talk, kStart), HasSubstr("hear_nodes"));
  talk.answered(kStart, kDone);
  EXPECT_THAT(asked(talk, kStart), HasSubstr("tell_nodes"));
  talk.answered(kStart, kDone);
  const auto question = talk.next(kStart);
  ASSERT_TRUE(question);
  EXPECT_THAT(question->parameters, ElementsAre("0"));
  talk.answered(kStart, kNoneRevoked);
  EXPECT_TRUE(talk.take_news().tell_revoked);
}

TEST(Talk, LeavesWithAWordAndSaysNothingAfterIt) {
  Talk talk = talking();
  EXPECT_FALSE(talk.has_left());
  talk.leave();
  const auto question = talk.next(kStart);
  ASSERT_TRUE(question);
  EXPECT_THAT(question->parameters, ElementsAre("{\"left\none:1\"}"));
  EXPECT_FALSE(talk.has_left());
  talk.answered(kStart, kDone);
  EXPECT_TRUE(talk.has_left());
  talk.say(Crowd::kUsers, changes(2));
  EXPECT_FALSE(talk.next(kStart));
  EXPECT_EQ(talk.wake_at(), kStart + Talk::kLookEvery);
  const TalkNews news = heard({"left\ntwo:1"});
  ASSERT_THAT(news.words, SizeIs(1));
  EXPECT_TRUE(news.words[0].left);
}

TEST(Talk, LeavesWithoutAWordWhenTheDatabaseIsAway) {
  Talk talk = talking();
  talk.leave();
  talk.lost();
  EXPECT_TRUE(talk.has_left());
}

}  // namespace
}  // namespace headroom::bus
