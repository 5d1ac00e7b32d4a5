// Grants of another authority than that of our own tokens: its rights decide, and it learns of their end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>

#include <fmt/format.h>

#include "bus/hub_world.hpp"

namespace headroom::bus {
namespace {

using testing::HasSubstr;

/// The authority's books: who may read what, and which connections live by a grant of it.
struct Books {
  std::set<std::string, std::less<>> readable;
  std::set<std::string, std::less<>> visible;
  int lives = 0;
};

class BookRights final : public Rights {
 public:
  explicit BookRights(Books& books) : books_(books) { ++books_.lives; }
  ~BookRights() override { --books_.lives; }
  BookRights(const BookRights&) = delete;
  BookRights& operator=(const BookRights&) = delete;
  bool may_read(std::string_view channel, const Now& /*now*/) override {
    return books_.readable.contains(channel);
  }
  bool may_see(std::string_view user) override { return books_.visible.contains(user); }

 private:
  Books& books_;
};

/// "Book NAME" is user NAME, asked for later: the test answers.
class BookAuthority final : public Authority {
 public:
  void authenticate(std::string_view token, const Now& /*now*/, Done<Grant> done) override {
    Grant grant;
    grant.user = token.substr(token.find(' ') + 1);
    grant.session = "s";
    grant.rights = std::make_shared<BookRights>(books);
    waiting = [done = std::move(done), grant = std::move(grant)] { done(grant); };
  }
  void answer() { std::exchange(waiting, nullptr)(); }

  Books books;
  std::function<void()> waiting;
};

class HubGrantTest : public testing::Test {
 protected:
  HubGrantTest() {
    authorities_.add("Book", book_);
    broker_.start(hub_, now_);
  }
  std::unique_ptr<TestPeer> connect(const std::string& token) {
    auto peer = std::make_unique<TestPeer>();
    peer->session = hub_.open(*peer, "192.0.2.1", now_).session;
    ask(*peer, R"({"id":1,"connect":{"token":")" + token + "\"}}");
    if (book_.waiting) book_.answer();
    EXPECT_THAT(peer->sent.back(), HasSubstr("\"protocol\":1"));
    peer->sent.clear();
    return peer;
  }
  std::string ask(TestPeer& peer, std::string_view text) {
    hub_.received(peer.session, text, now_);
    return peer.next();
  }
  std::string subscribe(TestPeer& peer, const std::string& channel) {
    return ask(peer, R"({"id":2,"subscribe":{"channels":[")" + channel + R"("]}})");
  }

  Now now_{1'000'000'000'000, 1'800'000'000};
  ChannelRules rules_ = ChannelRules::make({HubWorld::room_rule()}).value();
  MemoryBroker broker_{rules_, "epoch"};
  BookAuthority book_;
  TokenAuthority tokens_{{HubWorld::key()}};
  SchemeAuthority authorities_{tokens_};
  Hub hub_{HubLimits{}, rules_, broker_, authorities_, {HubWorld::key()}, PresenceLimits{}};
};

TEST_F(HubGrantTest, RightsDecideWhatIsReadWhateverTheRulesSay) {
  book_.books.readable = {"user:8", "news"};
  const auto peer = connect("Book 7");
  EXPECT_THAT(subscribe(*peer, "news"), HasSubstr("\"offset\":0"));
  EXPECT_THAT(subscribe(*peer, "user:8"), HasSubstr("\"offset\":0"));
  EXPECT_THAT(subscribe(*peer, "room:1"), HasSubstr("\"denied\"")) << "that every user of our tokens may";
  EXPECT_THAT(subscribe(*peer, "user:7"), HasSubstr("\"denied\""));
  EXPECT_THAT(ask(*peer, R"({"id":3,"history":{"channel":"room:1"}})"), HasSubstr("\"denied\""));
  EXPECT_THAT(ask(*peer, R"({"id":4,"history":{"channel":"news"}})"), HasSubstr("\"messages\":[]"));
  EXPECT_THAT(ask(*peer, R"({"id":5,"publish":{"channel":"room:1","data":1}})"), HasSubstr("\"denied\""));
  EXPECT_THAT(ask(*peer, R"({"id":6,"who":{"channel":"room:1"}})"), HasSubstr("\"denied\""));
}

TEST_F(HubGrantTest, WhoMayNotBeSeenIsOfflineWhateverHeDoes) {
  book_.books.visible = {"8"};
  const auto peer = connect("Book 7");
  const auto seen = connect("Book 8");
  const auto unseen = connect("Book 9");
  EXPECT_EQ(ask(*peer, R"({"id":2,"presence":{"users":["8","9","nobody"]}})"),
            R"({"id":2,"presence":{"users":{"8":"online","9":"offline","nobody":"offline"}}})");
  EXPECT_EQ(ask(*peer, R"({"id":3,"watch":{"users":["8","9"]}})"),
            R"({"id":3,"watch":{"users":{"8":"online","9":"offline"}}})");
  for (const auto& one : {&seen, &unseen}) hub_.closed((*one)->session, now_);
  for (int step = 0; step < 100; ++step) {
    now_.monotonic_ns += 100'000'000;
    hub_.tick(now_);
  }
  EXPECT_EQ(peer->next(), R"({"presence":{"users":{"8":"offline"}}})");
  EXPECT_TRUE(peer->sent.empty());
}

TEST_F(HubGrantTest, RightsEndWithTheConnectionThatUsesThem) {
  const auto first = connect("Book 7");
  const auto second = connect("Book 7");
  EXPECT_EQ(book_.books.lives, 2);
  hub_.closed(first->session, now_);
  EXPECT_EQ(book_.books.lives, 1);
  hub_.received(second->session, R"({"id":2,"refresh":{"token":"Book 7"}})", now_);
  EXPECT_EQ(book_.books.lives, 2) << "the new one is asked for";
  book_.answer();
  EXPECT_EQ(book_.books.lives, 1);
  EXPECT_EQ(hub_.end_session("s", now_), 1U);
  EXPECT_EQ(book_.books.lives, 0);
  EXPECT_EQ(second->closed->code, DisconnectCode::kTokenRevoked);
}

TEST_F(HubGrantTest, RightsOfAConnectionThatLeftBeforeTheAnswerEndWithIt) {
  auto peer = std::make_unique<TestPeer>();
  peer->session = hub_.open(*peer, "192.0.2.1", now_).session;
  hub_.received(peer->session, R"({"id":1,"connect":{"token":"Book 7"}})", now_);
  hub_.closed(peer->session, now_);
  book_.answer();
  EXPECT_EQ(book_.books.lives, 0);
}

TEST_F(HubGrantTest, CommandsThatComeBeforeTheAnswerToConnectWaitForIt) {
  book_.books.readable = {"news"};
  auto peer = std::make_unique<TestPeer>();
  peer->session = hub_.open(*peer, "192.0.2.1", now_).session;
  hub_.received(peer->session, R"({"id":1,"connect":{"token":"Book 7"}})", now_);
  hub_.received(peer->session, R"({"id":2,"subscribe":{"channels":["news","room:1"]}})", now_);
  hub_.received(peer->session, R"({"id":3,"connect":{"token":"Book 7"}})", now_);
  hub_.received(peer->session, R"({"id":4,"ping":{}})", now_);
  EXPECT_TRUE(peer->sent.empty());
  book_.answer();
  EXPECT_THAT(peer->next(), HasSubstr(R"({"id":1,"connect":)"));
  EXPECT_THAT(peer->next(),
              testing::AllOf(HasSubstr(R"({"id":2,"subscribe":{"channels":[{"channel":"news","offset":0)"),
                             HasSubstr(R"({"channel":"room:1","error":{"code":"denied")")));
  EXPECT_THAT(peer->next(), HasSubstr(R"({"id":3,"error":{"code":"conflict")"));
  EXPECT_EQ(peer->next(), R"({"id":4,"ping":{}})");
  EXPECT_TRUE(peer->sent.empty());
}

TEST_F(HubGrantTest, WhatWaitsForTheAnswerToConnectIsBoundedAndEndsWithTheConnection) {
  auto peer = std::make_unique<TestPeer>();
  peer->session = hub_.open(*peer, "192.0.2.1", now_).session;
  hub_.received(peer->session, R"({"id":1,"connect":{"token":"Book 7"}})", now_);
  hub_.received(peer->session, R"({"id":2,"who":{"channel":")" + std::string(65'000, 'x') + "\"}}", now_);
  EXPECT_THAT(ask(*peer, R"({"id":3,"who":{"channel":")" + std::string(1'000, 'x') + "\"}}"),
              HasSubstr(R"("code":"overloaded")"));
  for (int id = 4; id < 19; ++id)
    EXPECT_EQ(ask(*peer, fmt::format(R"({{"id":{},"who":{{}}}})", id)), "") << id;
  EXPECT_EQ(ask(*peer, R"({"id":19,"ping":{}})"), R"({"id":19,"ping":{}})");
  EXPECT_THAT(ask(*peer, R"({"id":20,"who":{}})"),
              testing::AllOf(HasSubstr(R"("code":"overloaded")"), HasSubstr(R"("retry":true)")));
  hub_.closed(peer->session, now_);
  const auto other = connect("Book 8");
  EXPECT_TRUE(other->sent.empty()) << "it has the same place";
}

TEST_F(HubGrantTest, ASessionThatEndedMayBeginAnew) {
  const auto peer = connect("Book 7");
  EXPECT_EQ(hub_.end_session("", now_), 0U);
  EXPECT_EQ(hub_.end_session("s", now_), 1U);
  EXPECT_FALSE(connect("Book 7")->closed);
}

}  // namespace
}  // namespace headroom::bus
