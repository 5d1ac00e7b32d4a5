#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "bus/tryton_history.hpp"
#include "bus/tryton_payload.hpp"
#include "bus/tryton_polls.hpp"
#include "bus/tryton_sessions.hpp"

namespace headroom::bus {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using Time = TrytonHistory::Time;

const Time kStart = Time() + 1h;

// What travels
// ---------------------------------------------------------------------------------------------------------

TEST(TrytonPayload, PassesTheMessageThroughByteForByte) {
  const auto message = parse_tryton_payload(
      R"({"channel":"user:1","message":{"type":"notification","title":"\u00e9 }]\"{","body":null,"priority":1e2,"message_id":"a-1"}})");
  ASSERT_TRUE(message) << message.error().message();
  EXPECT_EQ(message->channel, "user:1");
  EXPECT_EQ(message->id, "a-1");
  EXPECT_EQ(
      message->body,
      R"({"message":{"type":"notification","title":"\u00e9 }]\"{","body":null,"priority":1e2,"message_id":"a-1"},"channel":"user:1"})");
}

TEST(TrytonPayload, GivesTheMessageAloneOnOneLine) {
  const auto message = parse_tryton_payload(
      "{\"channel\":\"user:1\",\r\n\"message\":{\"message_id\":\"a\",\r\n \"t\":\"x\\ny\"}}");
  ASSERT_TRUE(message) << message.error().message();
  EXPECT_EQ(message->message(), "{\"message_id\":\"a\",   \"t\":\"x\\ny\"}");
}

TEST(TrytonPayload, TakesBlanksOtherKeysAndTheLastOfTwo) {
  const auto message = parse_tryton_payload(
      " { \"x\" : [ 1 , {\"message\":2} ] , \"message\" : 5, \"channel\" : \"caf\\u00e9\" ,\n"
      "\"message\" : { \"message_id\" : 7 , \"message_id\" : \"b\" , \"n\" : [ ] } } ");
  ASSERT_TRUE(message) << message.error().message();
  EXPECT_EQ(message->channel, "caf\xc3\xa9");
  EXPECT_EQ(message->body,
            "{\"message\":{ \"message_id\" : 7 , \"message_id\" : \"b\" , \"n\" : [ ] "
            "},\"channel\":\"caf\\u00e9\"}");
}

TEST(TrytonPayload, RefusesWhatAClientCouldNotGoOnFrom) {
  for (const char* text :
       {"", "x", "[]", "{}", "{\"channel\":\"a\"}", R"({"channel":"a","message":{}})",
        R"({"channel":"a","message":{"message_id":1}})", R"({"channel":"a","message":{"message_id":""}})",
        R"({"channel":1,"message":{"message_id":"a"}})", R"({"channel":"a","message":["message_id"]})",
        R"({"channel":"a","message":{"message_id":"a"})",
        R"({"channel":"a","message":{"message_id":"\ud800"}})",
        R"({"channel":"a","message":{"message_id":"a","n":NaN}})"}) {
    const auto message = parse_tryton_payload(text);
    ASSERT_FALSE(message) << text;
    EXPECT_EQ(message.error().code(), base::ErrorCode::kProtocol);
  }
  const std::string longest(kTrytonChannelBytes + 1, 'c');
  EXPECT_EQ(
      parse_tryton_payload("{\"channel\":\"" + longest + R"(","message":{"message_id":"a"}})").error().code(),
      base::ErrorCode::kTooLarge);
}

TEST(TrytonAuthorization, KeepsTheUserAndAHashOfTheKey) {
  // admin:1:abc
  const auto session = parse_tryton_authorization("Session YWRtaW46MTphYmM=");
  ASSERT_TRUE(session);
  EXPECT_EQ(session->user, 1);
  EXPECT_EQ(session->digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(parse_tryton_authorization("sEsSiOn   YWRtaW46MTphYmM="), session);
}

TEST(TrytonAuthorization, TakesNothingElse) {
  for (const char* header :
       {"", "Session", "Session ", "Basic YWRtaW46MTphYmM=", "Bearer x", "Session YWRtaW46MTphYmM",
        "Session !!!!", "Session YWRtaW4=" /* admin */, "Session YTpiOmM=" /* a:b:c */,
        "Session YToxOg==" /* a:1: */, "Session YToxOmI6Yw==" /* a:1:b:c */, "Session YTotMTpi" /* a:-1:b */,
        "Session YTo5OTk5OTk5OTk5OmI=" /* a:9999999999:b */}) {
    EXPECT_FALSE(parse_tryton_authorization(header)) << header;
  }
}

TEST(TrytonPollBody, LeavesOutUserChannelsAndRepetitions) {
  const auto poll =
      parse_tryton_poll(R"({"channels":["client:a","user:2","client:a","x"],"last_message":"m"})");
  ASSERT_TRUE(poll);
  EXPECT_THAT(poll->channels, ElementsAre("client:a", "x"));
  EXPECT_EQ(poll->last_message, "m");
  EXPECT_FALSE(parse_tryton_poll(R"({"last_message":null})")->last_message);
  EXPECT_THAT(parse_tryton_poll("{}")->channels, IsEmpty());
}

TEST(TrytonPollBody, RefusesWhatIsNoPoll) {
  for (const char* body :
       {"", "[]", "1", R"({"channels":"abc"})", R"({"channels":[1]})", R"({"channels":null})"})
    EXPECT_FALSE(parse_tryton_poll(body)) << body;
  std::string many = R"({"channels":["x")";
  for (std::size_t i = 0; i < kTrytonChannels; ++i) many += ",\"" + std::to_string(i) + '"';
  EXPECT_EQ(parse_tryton_poll(many + "]}").error().code(), base::ErrorCode::kTooLarge);
}

TEST(TrytonSessions, AreAskedForByHashInOneStatement) {
  const std::vector<TrytonSession> sessions{{1, "aa"}, {2, "bb"}, {1, "cc"}};
  EXPECT_THAT(tryton_session_parameters(sessions, 30s), ElementsAre("{1,2}", "{aa,bb,cc}", "30"));
  const std::vector<std::vector<std::optional<std::string>>> rows{
      {"1", "aa"}, {"2", std::nullopt}, {"x", "bb"}};
  EXPECT_THAT(read_tryton_sessions(rows), ElementsAre(TrytonSession{1, "aa"}));
}

// What is kept
// ---------------------------------------------------------------------------------------------------------

TrytonHistory::Message message(const std::string& channel, const std::string& id, std::size_t bytes = 10) {
  return std::make_shared<const TrytonMessage>(TrytonMessage{channel, id, std::string(bytes, 'x')});
}

std::string id_of(const TrytonHistory::Message& found) {
  return found == nullptr ? "-" : found->id;
}

TEST(TrytonHistory, GoesOnAfterTheLastMessageOfTheSameChannels) {
  TrytonHistory history({});
  history.append(kStart, message("a", "1"));
  history.append(kStart, message("b", "2"));
  history.append(kStart, message("a", "3"));
  const std::vector<std::string> a{"a"};
  const std::vector<std::string> both{"b", "a"};
  EXPECT_EQ(id_of(history.next(a, std::nullopt)), "1");
  EXPECT_EQ(id_of(history.next(a, "1")), "3");
  EXPECT_EQ(id_of(history.next(both, "1")), "2");
  EXPECT_EQ(id_of(history.next(both, "3")), "-");
  EXPECT_EQ(id_of(history.next(a, "unknown")), "1") << "the oldest that is kept";
  EXPECT_EQ(id_of(history.next(a, "2")), "1") << "of a channel that was not asked for";
  EXPECT_EQ(id_of(history.next({}, std::nullopt)), "-");
}

TEST(TrytonHistory, ForgetsByAgeByBoundAndByChannel) {
  TrytonRetention limits;
  limits.messages = 3;
  limits.channel_messages = 2;
  TrytonHistory history(limits);
  const std::vector<std::string> a{"a"};
  for (int i = 1; i <= 3; ++i) history.append(kStart + i * 1s, message("a", std::to_string(i)));
  EXPECT_EQ(id_of(history.next(a, std::nullopt)), "2") << "two of one channel";
  EXPECT_EQ(history.pushed_out(), 1U);
  history.append(kStart + 4s, message("b", "4"));
  history.append(kStart + 5s, message("b", "5"));
  EXPECT_EQ(id_of(history.next(a, std::nullopt)), "3") << "three of all";
  history.expire(kStart + 302s);
  EXPECT_EQ(history.size(), 3U);
  history.expire(kStart + 303s);
  EXPECT_EQ(id_of(history.next(a, std::nullopt)), "-");
  history.forget("b");
  EXPECT_EQ(history.size(), 0U);
  EXPECT_EQ(history.bytes(), 0U);
  EXPECT_EQ(history.pushed_out(), 2U);
}

TEST(TrytonHistory, IsBoundedByBytes) {
  TrytonRetention limits;
  limits.bytes = 10'000;
  TrytonHistory history(limits);
  for (int i = 0; i < 100; ++i) history.append(kStart, message("a", std::to_string(i), 1'000));
  EXPECT_LE(history.bytes(), limits.bytes);
  EXPECT_EQ(history.size() + history.pushed_out(), 100U);
}

/// What trytond's queue does with a list, but for the order within a batch.
struct NaiveHistory {
  struct Kept {
    Time arrived;
    TrytonHistory::Message message;
  };
  std::vector<Kept> kept;

  [[nodiscard]] TrytonHistory::Message next(std::span<const std::string> channels,
                                            const std::optional<std::string>& last) const {
    bool found = false;
    TrytonHistory::Message first;
    for (const Kept& one : kept) {
      if (std::ranges::find(channels, one.message->channel) == channels.end()) continue;
      if (first == nullptr) first = one.message;
      if (!last || found) return one.message;
      found = one.message->id == *last;
    }
    return found ? nullptr : first;
  }
};

TEST(TrytonHistory, AnswersAsTheNaiveList) {
  const auto seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  TrytonHistory history({});
  NaiveHistory naive;
  Time now = kStart;
  const std::vector<std::string> names{"a", "b", "c"};
  for (int step = 0; step < 3'000; ++step) {
    now += std::chrono::seconds(random() % 20);
    history.expire(now);
    std::erase_if(naive.kept, [&](const auto& one) { return now - one.arrived >= 300s; });
    const auto one = message(names[random() % 3], std::to_string(step));
    history.append(now, one);
    naive.kept.push_back({now, one});
    const std::vector<std::string> wanted{names[random() % 3], names[random() % 3]};
    const std::optional<std::string> last = std::to_string(step - static_cast<int>(random() % 60));
    ASSERT_EQ(id_of(history.next(wanted, last)), id_of(naive.next(wanted, last))) << step;
  }
}

// Who waits
// ---------------------------------------------------------------------------------------------------------

const TrytonSession kAnn{1, "ann"};
const TrytonSession kBob{2, "bob"};

/// A database whose sessions are a set, and a clock that is moved by hand.
class TrytonPollsTest : public testing::Test {
 protected:
  TrytonPollId open(const TrytonSession& session, std::vector<std::string> channels = {},
                    std::optional<std::string> last = std::nullopt, TrytonWish wish = TrytonWish::kMessages) {
    auto id = polls_.open(now_, session, {std::move(channels), std::move(last)}, wish);
    return id.value_or(0);
  }
  void check() {
    if (!polls_.next_check(now_).empty()) polls_.checked(now_, sessions_);
  }
  void notify(const std::string& channel, const std::string& id) {
    polls_.publish(now_, message(channel, id));
  }
  /// As a connection does that comes.
  void hold(const TrytonSession& session) {
    open(session, {}, std::nullopt, TrytonWish::kAuthorization);
    now_ += 100ms;
    check();
    (void)answers();
    EXPECT_TRUE(polls_.hold(session));
  }
  /// In steps of a tenth of a second, as the service does it.
  void pass(std::chrono::milliseconds time, bool database_answers = true) {
    for (const Time end = now_ + time; now_ < end;) {
      now_ += 100ms;
      polls_.tick(now_);
      if (database_answers) check();
    }
  }
  /// "poll:outcome" of all that was decided.
  std::vector<std::string> answers() {
    std::vector<std::string> texts;
    for (const TrytonAnswer& answer : polls_.take_answers()) {
      static const std::map<TrytonOutcome, std::string> kNames{{TrytonOutcome::kNothing, "nothing"},
                                                               {TrytonOutcome::kUnauthorized, "unauthorized"},
                                                               {TrytonOutcome::kAuthorized, "authorized"},
                                                               {TrytonOutcome::kUnavailable, "unavailable"}};
      const bool has = answer.outcome == TrytonOutcome::kMessage;
      texts.push_back(std::to_string(answer.poll) + ":" +
                      (has ? answer.message->id : kNames.at(answer.outcome)));
    }
    return texts;
  }

  TrytonPollLimits limits_;
  TrytonPolls polls_{limits_};
  std::set<TrytonSession> sessions_{kAnn, kBob};
  Time now_ = kStart;
};

TEST_F(TrytonPollsTest, AMessageAnswersThePollsThatWaitForIt) {
  open(kAnn);
  open(kBob);
  open(kAnn);
  check();
  EXPECT_THAT(answers(), IsEmpty());
  notify("user:1", "m1");
  EXPECT_THAT(answers(), ElementsAre("1:m1", "3:m1"));
  EXPECT_EQ(polls_.waiting(), 1U);
}

TEST_F(TrytonPollsTest, OneMessageAPollInTheirOrder) {
  for (const char* id : {"m1", "m2", "m3"}) notify("user:1", id);
  open(kAnn);
  check();
  open(kAnn, {}, "m1");
  open(kAnn, {}, "m2");
  open(kAnn, {}, "m3");
  EXPECT_THAT(answers(), ElementsAre("1:m1", "2:m2", "3:m3"));
  pass(299s);
  notify("user:1", "m4");
  EXPECT_THAT(answers(), ElementsAre("4:m4"));
}

TEST_F(TrytonPollsTest, WhoWasAwayForFiveMinutesLosesNothing) {
  notify("user:1", "m1");
  pass(299s);
  open(kAnn);
  check();
  EXPECT_THAT(answers(), ElementsAre("1:m1"));
  pass(1s);
  open(kAnn);
  pass(1s);
  EXPECT_THAT(answers(), IsEmpty()) << "by now it is forgotten";
}

TEST_F(TrytonPollsTest, ThePollOfNothingEndsAfterItsWait) {
  open(kAnn);
  pass(299'900ms);
  EXPECT_THAT(answers(), IsEmpty());
  pass(100ms);
  EXPECT_THAT(answers(), ElementsAre("1:nothing"));
  EXPECT_EQ(polls_.waiting(), 0U);
}

TEST_F(TrytonPollsTest, AnUnknownSessionIsRefusedAndReadsNothing) {
  notify("user:3", "m1");
  open({3, "key"});
  open({1, "of another user"});
  check();
  EXPECT_THAT(answers(), UnorderedElementsAre("1:unauthorized", "2:unauthorized"));
  EXPECT_EQ(polls_.counts().unauthorized, 2U);
}

TEST_F(TrytonPollsTest, ALogoutEndsTheWaitWithinFiveSeconds) {
  open(kAnn);
  open(kAnn);
  open(kBob);
  pass(60s);
  sessions_.erase(kAnn);
  pass(5s);
  EXPECT_THAT(answers(), ElementsAre("1:unauthorized", "2:unauthorized"));
  EXPECT_EQ(polls_.waiting(), 1U);
}

TEST_F(TrytonPollsTest, ManySessionsAreLookedUpTogetherAndSeldom) {
  sessions_.clear();
  for (int i = 0; i < 5'000; ++i) sessions_.insert({i, std::to_string(i)});
  for (const TrytonSession& session : sessions_) open(session);
  pass(1s);
  EXPECT_EQ(polls_.counts().checks, 3U) << "of 2,000 at most";
  const auto before = polls_.counts().checks;
  pass(60s);
  EXPECT_LE(polls_.counts().checks - before, 600U) << "at most ten a second";
  EXPECT_EQ(polls_.waiting(), 5'000U);
  EXPECT_THAT(answers(), IsEmpty());
}

TEST_F(TrytonPollsTest, TwentyThousandThatComeBackAtOnceAreLookedUpTenTimesASecondAtMost) {
  sessions_.clear();
  for (int i = 0; i < 20'000; ++i) sessions_.insert({i, std::to_string(i)});
  auto next = sessions_.begin();
  for (int second = 0; second < 7; ++second) {
    for (int i = 0; i < 4'000 && next != sessions_.end(); ++i, ++next) open(*next);
    const auto before = polls_.counts().checks;
    pass(1s);
    EXPECT_LE(polls_.counts().checks - before, 10U) << "in second " << second;
  }
  EXPECT_EQ(polls_.waiting(), 20'000U);
  EXPECT_THAT(answers(), IsEmpty());
}

TEST_F(TrytonPollsTest, PollsInQuickSuccessionShareOneLookUp) {
  for (int i = 0; i < 10; ++i) notify("user:1", std::to_string(i));
  open(kAnn);
  check();
  for (int i = 0; i < 9; ++i) open(kAnn, {}, std::to_string(i));
  EXPECT_EQ(answers().size(), 10U);
  EXPECT_EQ(polls_.counts().checks, 1U);
}

TEST_F(TrytonPollsTest, ASilentDatabaseKeepsMessagesBackAndGivesThemLater) {
  open(kAnn);
  pass(1s);
  pass(10s, false);
  notify("user:1", "m1");
  notify("user:1", "m2");
  EXPECT_THAT(answers(), IsEmpty()) << "the session may have ended meanwhile";
  pass(100ms);
  EXPECT_THAT(answers(), ElementsAre("1:m1"));
}

TEST_F(TrytonPollsTest, AQuestionWithoutAnswerIsAskedAgain) {
  open(kAnn);
  EXPECT_THAT(polls_.next_check(now_), ElementsAre(kAnn));
  EXPECT_THAT(polls_.next_check(now_ + 1s), IsEmpty()) << "one at a time";
  polls_.check_failed();
  EXPECT_THAT(polls_.next_check(now_ + 1s), ElementsAre(kAnn));
  polls_.checked(now_ + 1s, sessions_);
  notify("user:1", "m1");
  EXPECT_THAT(answers(), ElementsAre("1:m1"));
}

TEST_F(TrytonPollsTest, APollWhoseSessionCanNotBeLookedUpIsToldSo) {
  open(kAnn);
  pass(5s, false);
  EXPECT_THAT(answers(), ElementsAre("1:unavailable"));
  EXPECT_THAT(polls_.next_check(now_), IsEmpty()) << "nobody waits for it any more";
}

TEST_F(TrytonPollsTest, AClientThatGoesWhileItsSessionIsLookedUpLeavesNothing) {
  const auto id = open(kAnn, {"client:a"});
  EXPECT_THAT(polls_.next_check(now_), ElementsAre(kAnn));
  polls_.close(id);
  polls_.close(id);
  polls_.check_failed();
  EXPECT_THAT(polls_.next_check(now_ + 10s), IsEmpty());
  const auto other = open(kAnn);
  check();
  polls_.close(other);
  notify("user:1", "m1");
  EXPECT_THAT(answers(), IsEmpty());
  EXPECT_EQ(polls_.waiting(), 0U);
}

TEST_F(TrytonPollsTest, OnlyTheSessionWasAskedFor) {
  notify("user:1", "m1");
  open(kAnn, {}, std::nullopt, TrytonWish::kAuthorization);
  open({1, "wrong"}, {}, std::nullopt, TrytonWish::kAuthorization);
  check();
  EXPECT_THAT(answers(), UnorderedElementsAre("1:authorized", "2:unauthorized"));
}

TEST_F(TrytonPollsTest, AClientChannelIsReadByTheFirstUserOnly) {
  open(kAnn, {"client:a"});
  check();
  open(kBob, {"client:a", "other"});
  pass(100ms);
  notify("client:a", "m1");
  EXPECT_THAT(answers(), ElementsAre("1:m1"));
  open(kBob, {"client:a"});
  EXPECT_THAT(answers(), IsEmpty()) << "neither what is kept";
  notify("other", "m2");
  EXPECT_THAT(answers(), ElementsAre("2:m2"));
  EXPECT_EQ(polls_.counts().foreign, 2U);
}

TEST_F(TrytonPollsTest, TheSameUserReadsAClientChannelAfterANewLogin) {
  const TrytonSession again{1, "again"};
  sessions_.insert(again);
  open(kAnn, {"client:a"});
  check();
  notify("client:a", "m1");
  pass(100ms);
  open(again, {"client:a"}, "m1");
  pass(1s);
  notify("client:a", "m2");
  EXPECT_THAT(answers(), ElementsAre("1:m1", "2:m2"));
}

TEST_F(TrytonPollsTest, AfterALogoutTheNextUserOfTheSameClientOwnsItAndReadsNothingOld) {
  open(kAnn, {"client:a"});
  check();
  notify("client:a", "secret");
  EXPECT_THAT(answers(), ElementsAre("1:secret"));
  open(kAnn, {"client:a"}, "secret");
  sessions_.erase(kAnn);
  open(kBob, {"client:a"});
  pass(5s);
  EXPECT_THAT(answers(), ElementsAre("2:unauthorized"));
  notify("client:a", "m2");
  EXPECT_THAT(answers(), ElementsAre("3:m2"));
}

TEST_F(TrytonPollsTest, AClientChannelThatNobodyPollsIsFreeAgain) {
  open(kAnn, {"client:a"});
  check();
  notify("client:a", "m1");
  pass(601s);
  open(kBob, {"client:a"});
  pass(1s);
  notify("client:a", "m2");
  EXPECT_THAT(answers(), ElementsAre("1:m1", "2:m2"));
}

TEST_F(TrytonPollsTest, AfterARestartWhoComesFirstOwnsAClientChannelAndReadsNothingOfBefore) {
  open(kAnn, {"client:a"});
  check();
  notify("client:a", "m1");
  polls_ = TrytonPolls(limits_);  // what a start has
  now_ += 1s;
  open(kBob, {"client:a"});
  check();
  open(kAnn, {"client:a"});
  pass(1s);
  EXPECT_THAT(answers(), IsEmpty());
  notify("client:a", "m2");
  EXPECT_THAT(answers(), ElementsAre("1:m2")) << "who knows the name, until its owner comes to know it";
  EXPECT_EQ(polls_.counts().foreign, 1U);
}

TEST_F(TrytonPollsTest, EverythingIsBounded) {
  limits_.polls = 3;
  limits_.claims = 2;
  polls_ = TrytonPolls(limits_);
  open(kAnn, {"client:a"});
  open(kAnn, {"client:b"});
  open(kAnn, {"client:c"});
  EXPECT_EQ(open(kAnn), 0U);
  EXPECT_EQ(polls_.counts().refused, 1U);
  check();
  for (const char* channel : {"client:a", "client:b", "client:c"}) notify(channel, channel);
  EXPECT_THAT(answers(), ElementsAre("1:client:a", "2:client:b", "3:client:c"))
      << "who waits can claim again";
}

/// Many clients that come, go, poll and log out, in random order: each gets every message of its channels
/// exactly once and in order, nobody one of another's.
// Connections that stay
// ---------------------------------------------------------------------------------------------------------

TEST_F(TrytonPollsTest, OnlyASessionThatWasSeenIsHeld) {
  EXPECT_FALSE(polls_.hold(kAnn));
  open(kAnn, {}, std::nullopt, TrytonWish::kAuthorization);
  EXPECT_FALSE(polls_.hold(kAnn)) << "not yet looked up";
  check();
  EXPECT_THAT(answers(), ElementsAre("1:authorized"));
  EXPECT_TRUE(polls_.hold(kAnn));
  EXPECT_THAT(polls_.held(), ElementsAre(kAnn));
}

TEST_F(TrytonPollsTest, ASessionIsLookedUpAsLongAsItIsHeldAndItsEndIsToldWithinFiveSeconds) {
  hold(kAnn);
  hold(kAnn);
  hold(kBob);
  pass(10min);
  sessions_.erase(kAnn);
  pass(5s);
  EXPECT_THAT(polls_.take_ended(), ElementsAre(kAnn));
  EXPECT_THAT(polls_.held(), ElementsAre(kBob));
  polls_.release(kAnn);  // its connections end
  polls_.release(kAnn);
  polls_.release(kBob);
  EXPECT_FALSE(polls_.has_held());
  pass(1min);
  const auto checks = polls_.counts().checks;
  pass(1min);
  EXPECT_EQ(polls_.counts().checks, checks) << "nobody needs it";
  EXPECT_THAT(polls_.take_ended(), IsEmpty());
}

TEST_F(TrytonPollsTest, SessionsThatAreHeldAreStaleFiveSecondsAfterTheyWereSeenLast) {
  EXPECT_TRUE(polls_.are_held_fresh(now_));
  hold(kAnn);
  pass(10s);
  EXPECT_TRUE(polls_.are_held_fresh(now_));
  pass(5s, false);
  EXPECT_FALSE(polls_.are_held_fresh(now_));
  check();
  EXPECT_TRUE(polls_.are_held_fresh(now_));
}

TEST_F(TrytonPollsTest, AConnectionReadsTheChannelsOfItsUserAndOfNobodyElse) {
  hold(kAnn);
  hold(kBob);
  EXPECT_TRUE(polls_.may_hold(now_, kAnn, "user:1"));
  for (const char* channel : {"user:2", "user:", "user:1:x", "user:01"})
    EXPECT_FALSE(polls_.may_hold(now_, kAnn, channel)) << channel;
  EXPECT_TRUE(polls_.may_hold(now_, kAnn, "client:x"));
  EXPECT_TRUE(polls_.may_hold(now_, kAnn, "client:x"));
  EXPECT_FALSE(polls_.may_hold(now_, kBob, "client:x"));
  EXPECT_TRUE(polls_.may_hold(now_, kBob, "everybody"));
  open(kBob, {"client:x"});
  notify("client:x", "m1");
  pass(1s);
  EXPECT_THAT(answers(), IsEmpty()) << "nor does his poll read it";
}

TEST_F(TrytonPollsTest, AClientThatAConnectionReadChangesItsUserOnlyWhenNothingOfItIsKept) {
  hold(kAnn);
  EXPECT_TRUE(polls_.may_hold(now_, kAnn, "client:x"));
  pass(1h);
  hold(kBob);
  EXPECT_FALSE(polls_.may_hold(now_, kBob, "client:x")) << "it is in use";
  sessions_.erase(kAnn);
  pass(9min);
  EXPECT_FALSE(polls_.may_hold(now_, kBob, "client:x")) << "its messages are kept elsewhere";
  pass(12min);
  EXPECT_TRUE(polls_.may_hold(now_, kBob, "client:x"));
}

TEST(TrytonPolls, EveryClientReadsItsMessagesExactlyOnceInOrder) {
  const auto seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  struct Client {
    TrytonSession session;
    std::vector<std::string> channels;
    std::optional<std::string> last;
    TrytonPollId poll = 0;
    std::vector<std::string> got;
  };
  std::vector<Client> clients;
  std::set<TrytonSession> sessions;
  for (int i = 0; i < 20; ++i) {
    const TrytonSession session{i % 5, std::to_string(i)};
    sessions.insert(session);
    clients.push_back({session, {"client:" + std::to_string(i)}, {}, 0, {}});
  }
  std::map<std::string, std::vector<std::string>> sent;
  TrytonPolls polls({});
  Time now = kStart;
  const auto collect = [&] {
    for (const TrytonAnswer& answer : polls.take_answers()) {
      for (Client& client : clients) {
        if (client.poll != answer.poll) continue;
        client.poll = 0;
        if (answer.outcome != TrytonOutcome::kMessage) continue;
        client.got.push_back(answer.message->id);
        client.last = answer.message->id;
      }
    }
  };
  for (int step = 0; step < 20'000; ++step) {
    now += std::chrono::milliseconds(random() % 20);
    Client& client = clients[random() % clients.size()];
    const auto action = random() % 10;
    if (action < 5) {
      if (client.poll == 0)
        client.poll = polls.open(now, client.session, {client.channels, client.last}).value_or(0);
    } else if (action < 6) {
      polls.close(std::exchange(client.poll, 0));
    } else if (action < 7) {
      const std::string channel =
          random() % 2 == 0 ? client.channels[0] : "user:" + std::to_string(client.session.user);
      sent[channel].push_back(std::to_string(step));
      polls.publish(now, message(channel, std::to_string(step)));
    } else {
      if (!polls.next_check(now).empty()) polls.checked(now, sessions);
      polls.tick(now);
    }
    collect();
  }
  for (int turn = 0; turn < 500; ++turn) {
    now += 100ms;
    for (Client& client : clients) {
      if (client.poll == 0)
        client.poll = polls.open(now, client.session, {client.channels, client.last}).value_or(0);
    }
    if (!polls.next_check(now).empty()) polls.checked(now, sessions);
    collect();
  }
  for (const Client& client : clients) {
    std::vector<int> wanted;
    for (const auto& channel : {client.channels[0], "user:" + std::to_string(client.session.user)}) {
      for (const std::string& id : sent[channel]) wanted.push_back(std::stoi(id));
    }
    std::ranges::sort(wanted);
    std::vector<int> got;
    for (const std::string& id : client.got) got.push_back(std::stoi(id));
    EXPECT_EQ(got, wanted);
  }
}

}  // namespace
}  // namespace headroom::bus
