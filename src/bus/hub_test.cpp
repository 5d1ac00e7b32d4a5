// Stories of the hub over the memory broker: who may what, bounds, how connections end.

#include "bus/hub.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "bus/hub_world.hpp"

namespace headroom::bus {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string subscribe(int id, std::string_view channel) {
  return fmt::format(R"({{"id":{},"subscribe":{{"channels":["{}"]}}}})", id, channel);
}

std::unique_ptr<TestPeer> connect(HubWorld& world, Grant grant) {
  grant.issued_unix_s = world.now().unix_s;
  grant.expires_unix_s = world.now().unix_s + 3600;
  auto peer = world.open();
  world.say(*peer, R"({"id":1,"connect":{"token":")" + write_token(grant, HubWorld::key()) + "\"}}");
  EXPECT_THAT(peer->next(), HasSubstr("\"connect\""));
  return peer;
}

Grant grant_of(std::string user, std::vector<std::string> channels = {}) {
  Grant grant;
  grant.user = std::move(user);
  grant.channels = std::move(channels);
  return grant;
}

TEST(Hub, AnothersChannelIsNotReadWhateverTheTokenSays) {
  HubWorld world;
  Grant greedy = grant_of("alice", {"*", "user:*", "user:bob", "user:bob:inbox"});
  greedy.admin = true;
  const auto alice = connect(world, greedy);
  for (const std::string name :
       {"user:bob", "user:bob:inbox", "user:", "user:bo", "user::alice", "user:Alice"}) {
    EXPECT_THAT(world.ask(*alice, subscribe(2, name)), HasSubstr(R"("code":"denied")")) << name;
    EXPECT_THAT(world.ask(*alice, fmt::format(R"({{"id":3,"history":{{"channel":"{}"}}}})", name)),
                HasSubstr(R"("code":"denied")"))
        << name;
    EXPECT_THAT(world.ask(*alice, fmt::format(R"({{"id":4,"who":{{"channel":"{}"}}}})", name)),
                HasSubstr(R"("code":"denied")"))
        << name;
    EXPECT_THAT(world.ask(*alice, fmt::format(R"({{"id":5,"publish":{{"channel":"{}","data":1}}}})", name)),
                HasSubstr(R"("code":"denied")"))
        << name;
  }
  EXPECT_THAT(world.ask(*alice, subscribe(6, "user:alice")), HasSubstr(R"("offset":0)"));
  ASSERT_TRUE(world.publish("user:bob", "1"));
  ASSERT_TRUE(world.publish("user:alice", "2"));
  EXPECT_EQ(alice->next(), R"({"message":{"channel":"user:alice","offset":1,"data":2}})");
  EXPECT_EQ(alice->next(), "");
}

TEST(Hub, AnEscapedNameIsTheNameThatIsChecked) {
  HubWorld world;
  const auto alice = world.connect("alice");
  EXPECT_THAT(world.ask(*alice, R"({"id":2,"subscribe":{"channels":["\u0075ser:bob"]}})"),
              HasSubstr("denied"));
  EXPECT_THAT(world.ask(*alice, R"({"id":3,"subscribe":{"channels":["user:alice\u0000"]}})"),
              HasSubstr("invalid_argument"));
}

TEST(Hub, PublishingNeedsARight) {
  ChannelRule rule;
  rule.prefix = "news:";
  HubWorld world({}, {rule});
  Grant reader = grant_of("alice", {"news:*"});
  const auto alice = connect(world, reader);
  EXPECT_THAT(world.ask(*alice, R"({"id":2,"publish":{"channel":"news:1","data":1}})"), HasSubstr("denied"));
  reader.publish = {"news:1"};
  const auto writer = connect(world, reader);
  EXPECT_THAT(world.ask(*writer, R"({"id":2,"publish":{"channel":"news:1","data":1}})"),
              HasSubstr("\"offset\":1"));
  EXPECT_THAT(world.ask(*writer, R"({"id":3,"publish":{"channel":"news:2","data":1}})"), HasSubstr("denied"));
}

TEST(Hub, ASignedChannelIsReadByWhomItWasSignedFor) {
  ChannelRule rule;
  rule.prefix = "doc:";
  rule.subscribe = Who::kSigned;
  HubWorld world({}, {rule});
  const auto ask = [&](std::string_view user, const std::string& signature) {
    const auto peer = connect(world, grant_of(std::string(user), {"*"}));
    return world.ask(
        *peer,
        fmt::format(R"({{"id":2,"subscribe":{{"channels":[{{"channel":"doc:5","signature":"{}"}}]}}}})",
                    signature));
  };
  const std::int64_t later = world.now().unix_s + 60;
  const std::string for_alice = sign_channel("doc:5", "alice", later, HubWorld::key());
  EXPECT_THAT(ask("alice", for_alice), HasSubstr("\"offset\":0"));
  EXPECT_THAT(ask("bob", for_alice), HasSubstr("denied"));
  EXPECT_THAT(ask("bob", sign_channel("doc:5", "", later, HubWorld::key())), HasSubstr("\"offset\":0"));
  EXPECT_THAT(ask("alice", sign_channel("doc:6", "alice", later, HubWorld::key())), HasSubstr("denied"));
  EXPECT_THAT(ask("alice", sign_channel("doc:5", "alice", later - 60, HubWorld::key())), HasSubstr("denied"));
  EXPECT_THAT(ask("alice", ""), HasSubstr("denied"));
}

TEST(Hub, WhoIsDisconnectedDoesNotComeBackWithThatToken) {
  HubWorld world;
  const std::string token = world.token("alice");
  const auto tab = world.connect("alice");
  const auto other = world.connect("bob");
  EXPECT_EQ(world.hub().disconnect_user("alice", world.now()), 1U);
  ASSERT_TRUE(tab->closed);
  EXPECT_EQ(tab->closed->code, DisconnectCode::kTokenRevoked);
  EXPECT_FALSE(other->closed);
  const auto again = world.open();
  world.say(*again, R"({"id":1,"connect":{"token":")" + token + "\"}}");
  ASSERT_TRUE(again->closed);
  EXPECT_EQ(again->closed->code, DisconnectCode::kTokenRevoked);
  world.pass(std::chrono::seconds{2});
  const auto anew = world.connect("alice");
  EXPECT_FALSE(anew->closed) << "with a token of after it";
}

TEST(Hub, ASessionIsDisconnectedAlone) {
  HubWorld world;
  Grant one = grant_of("alice");
  one.session = "one";
  Grant two = one;
  two.session = "two";
  const auto first = connect(world, one);
  const auto second = connect(world, two);
  EXPECT_EQ(world.hub().disconnect_session("one", world.now()), 1U);
  EXPECT_TRUE(first->closed);
  EXPECT_FALSE(second->closed);
}

TEST(Hub, WhatAnotherNodeRevokedEndsTheTokensOfBeforeAlone) {
  HubWorld world;
  const auto before = world.connect("alice");
  const auto other = world.connect("bob");
  const std::int64_t revoked = world.now().unix_s + 1;
  world.pass(std::chrono::seconds{2});
  const auto after = world.connect("alice");
  EXPECT_EQ(world.hub().revoke({{"ualice", revoked}}, world.now()), 1U);
  EXPECT_TRUE(before->closed);
  EXPECT_FALSE(after->closed);
  EXPECT_FALSE(other->closed);
  EXPECT_EQ(world.hub().revoke({{"ualice", revoked}}, world.now()), 0U) << "told again";
}

TEST(Hub, WhoTakesNothingIsDisconnectedAndResumesWithoutLoss) {
  HubLimits limits;
  limits.queue_bytes = 4'000;
  HubWorld world(limits);
  auto stuck = world.connect("alice");
  const auto reader = world.connect("bob");
  world.say(*stuck, subscribe(2, "room:1"));
  world.say(*reader, subscribe(2, "room:1"));
  reader->sent.clear();
  stuck->sent.clear();
  stuck->stuck = true;
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(world.publish("room:1", std::string(200, '1')));
  ASSERT_TRUE(stuck->closed);
  EXPECT_EQ(stuck->closed->code, DisconnectCode::kSlow);
  EXPECT_LT(stuck->queued_bytes(), 4'500U);
  EXPECT_EQ(reader->sent.size(), 50U);
  EXPECT_EQ(world.hub().counts().slow, 1U);
  EXPECT_EQ(world.hub().counts().subscriptions, 1U);
  stuck = world.connect("alice");
  EXPECT_THAT(world.ask(*stuck, R"({"id":2,"subscribe":{"channels":[{"channel":"room:1","since":{"offset":3,)"
                                R"("epoch":"epoch"}}]}})"),
              HasSubstr("\"recovered\":true"));
  EXPECT_EQ(stuck->sent.size(), 47U);
}

TEST(Hub, MoreMissedMessagesThanFitAreToldAsLost) {
  HubLimits limits;
  limits.recover_bytes = 2'000;
  HubWorld world(limits);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(world.publish("room:1", std::string(200, '1')));
  const auto peer = world.connect("alice");
  EXPECT_THAT(world.ask(*peer, R"({"id":2,"subscribe":{"channels":[{"channel":"room:1","since":{"offset":3,)"
                               R"("epoch":"epoch"}}]}})"),
              HasSubstr(R"("offset":50,"epoch":"epoch","lost":true)"));
  EXPECT_EQ(peer->next(), "");
}

TEST(Hub, AUserHoldsABoundedNumberOfSubscriptions) {
  HubLimits limits;
  limits.subscriptions_per_user = 3;
  HubWorld world(limits);
  const auto one = world.connect("alice");
  const auto two = world.connect("alice");
  const auto other = world.connect("bob");
  world.ask(*one, subscribe(2, "room:1"));
  world.ask(*one, subscribe(3, "room:2"));
  world.ask(*two, subscribe(2, "room:3"));
  EXPECT_THAT(world.ask(*two, subscribe(3, "room:4")), HasSubstr("a user has 3 subscriptions at most"));
  EXPECT_THAT(world.ask(*other, subscribe(2, "room:4")), HasSubstr("\"offset\":0"));
  world.leave(*one);
  EXPECT_THAT(world.ask(*two, subscribe(4, "room:4")), HasSubstr("\"offset\":0"));
}

TEST(Hub, ManyEntriesAreAnsweredEachInItsPlace) {
  HubLimits limits;
  limits.subscriptions = 2;
  HubWorld world(limits);
  const auto peer = world.connect("alice");
  const std::string answer = world.ask(
      *peer,
      R"({"id":2,"subscribe":{"channels":["room:1",{},{"channel":"room:2","since":{"offset":-1,"epoch":"x"}},)"
      R"("room:1","room:2","room:3"]}})");
  EXPECT_THAT(answer, StartsWith(R"({"id":2,"subscribe":{"channels":[{"channel":"room:1","offset":0)"));
  EXPECT_THAT(answer, HasSubstr(R"({"channel":"room:3","error":{"code":"overloaded")"));
  EXPECT_EQ(world.hub().counts().subscriptions, 2U);
}

TEST(Hub, AChannelThatStandsTwiceInOneCommandIsWrongInItsSecondPlace) {
  HubWorld world;
  const auto peer = world.connect("alice");
  EXPECT_EQ(world.ask(*peer, R"({"id":2,"subscribe":{"channels":["room:1",{"channel":"room:1","since":)"
                             R"({"offset":0,"epoch":"epoch"}}]}})"),
            R"({"id":2,"subscribe":{"channels":[{"channel":"room:1","offset":0,"epoch":"epoch"},)"
            R"({"channel":"room:1","error":{"code":"invalid_argument","message":)"
            R"("channel 'room:1' stands twice in one command"}}]}})");
}

TEST(Hub, TheBoundOfAllChannelsHoldsWithinOneCommand) {
  HubLimits limits;
  limits.channels = 2;
  HubWorld world(limits);
  const auto peer = world.connect("alice");
  const std::string answer =
      world.ask(*peer, R"({"id":2,"subscribe":{"channels":["room:1","room:2","room:3","room:4"]}})");
  EXPECT_THAT(answer, HasSubstr(R"({"channel":"room:3","error":{"code":"overloaded")"));
  EXPECT_EQ(world.hub().counts().channels, 2U);
  EXPECT_EQ(world.hub().counts().subscriptions, 2U);
  EXPECT_THAT(world.ask(*peer, subscribe(3, "room:2")), HasSubstr("\"offset\":0"));
}

TEST(Hub, MembersThatAreNoCommandAreIgnored) {
  HubWorld world;
  const auto peer = world.connect("alice");
  EXPECT_EQ(world.ask(*peer, R"({"trace":"7","id":2,"sent":[1],"ping":{}})"), R"({"id":2,"ping":{}})");
  EXPECT_THAT(world.ask(*peer, R"({"id":3,"shout":{}})"), HasSubstr("unknown command 'shout'"));
}

TEST(Hub, UsersThatAreWatchedAreUsersAndCountOnce) {
  HubLimits limits;
  limits.watched = 3;
  HubWorld world(limits);
  const auto peer = world.connect("alice");
  const auto ask = [&](std::string_view command, std::string_view users) {
    return world.ask(*peer, fmt::format(R"({{"id":2,"{}":{{"users":[{}]}}}})", command, users));
  };
  EXPECT_EQ(ask("watch", R"("bob","bob","carol")"),
            R"({"id":2,"watch":{"users":{"bob":"offline","carol":"offline"}}})");
  EXPECT_THAT(ask("watch", R"("bob","carol","dave")"), HasSubstr("dave")) << "two are watched already";
  EXPECT_THAT(ask("watch", R"("eve")"), HasSubstr("watches 3 users at most"));
  EXPECT_EQ(ask("unwatch", R"("bob","nobody")"), R"({"id":2,"unwatch":{}})");
  EXPECT_THAT(ask("watch", R"("eve")"), HasSubstr(R"("eve":"offline")"));
  for (const std::string_view command : {"watch", "presence", "unwatch"}) {
    EXPECT_THAT(ask(command, R"("a:b")"), HasSubstr("invalid_argument"));
    EXPECT_THAT(ask(command, R"("")"), HasSubstr("invalid_argument"));
    EXPECT_THAT(ask(command, "\"" + std::string(200, 'x') + "\""), HasSubstr("invalid_argument"));
  }
  EXPECT_EQ(ask("presence", R"("bob","bob")"), R"({"id":2,"presence":{"users":{"bob":"offline"}}})");
}

TEST(Hub, WhatIsNotUtf8ReachesNobody) {
  HubWorld world;
  const auto reader = world.connect("bob");
  world.say(*reader, subscribe(2, "room:1"));
  reader->sent.clear();
  const auto peer = world.connect("alice");
  world.say(*peer, "{\"id\":2,\"publish\":{\"channel\":\"room:1\",\"data\":\"\xff\"}}");
  ASSERT_TRUE(peer->closed);
  EXPECT_EQ(peer->closed->code, DisconnectCode::kProtocol);
  EXPECT_FALSE(world.publish("room:1", "\"\xc0\x80\""));
  EXPECT_TRUE(reader->sent.empty());
}

TEST(Hub, WhoSendsTooManyCommandsIsSentAway) {
  HubLimits limits;
  limits.commands = {10, 20};
  HubWorld world(limits);
  const auto peer = world.connect("alice");
  for (int i = 0; i < 40 && !peer->closed; ++i) world.say(*peer, R"({"id":9,"ping":{}})");
  ASSERT_TRUE(peer->closed);
  EXPECT_EQ(peer->closed->code, DisconnectCode::kRateLimited);
  EXPECT_EQ(peer->sent.size(), 19U);
}

TEST(Hub, AnAddressSendsABoundedNumberOfCommandsOverAllItsConnections) {
  HubLimits limits;
  limits.commands_per_address = {10, 20};
  HubWorld world(limits);
  const auto one = world.open("192.0.2.1");
  const auto two = world.open("192.0.2.1");
  const auto elsewhere = world.open("192.0.2.2");
  for (int i = 0; i < 15; ++i) world.say(*one, R"({"id":9,"ping":{}})");
  EXPECT_FALSE(one->closed);
  for (int i = 0; i < 15 && !two->closed; ++i) world.say(*two, R"({"id":9,"ping":{}})");
  ASSERT_TRUE(two->closed);
  EXPECT_EQ(two->closed->code, DisconnectCode::kRateLimited);
  EXPECT_EQ(two->sent.size(), 5U);
  for (int i = 0; i < 15; ++i) world.say(*elsewhere, R"({"id":9,"ping":{}})");
  EXPECT_FALSE(elsewhere->closed);
}

TEST(Hub, WhoPublishesTooOftenIsToldSoAndStays) {
  HubLimits limits;
  limits.publishes = {1, 3};
  HubWorld world(limits);
  const auto peer = world.connect("alice");
  const std::string_view publication = R"({"id":2,"publish":{"channel":"room:1","data":1}})";
  for (int i = 0; i < 3; ++i) EXPECT_THAT(world.ask(*peer, publication), HasSubstr("\"offset\""));
  EXPECT_EQ(world.ask(*peer, publication),
            R"({"id":2,"error":{"code":"overloaded","message":"too many publications of this connection",)"
            R"("retry":true}})");
  world.pass(std::chrono::seconds{1});
  EXPECT_THAT(world.ask(*peer, publication), HasSubstr("\"offset\":4")) << "none was published meanwhile";
}

TEST(Hub, MoreEntriesThanACommandHoldsAreRefusedAsOne) {
  HubLimits limits;
  limits.entries = 2;
  HubWorld world(limits);
  const auto peer = world.connect("alice");
  for (const std::string_view command : {"subscribe", "unsubscribe"}) {
    EXPECT_THAT(world.ask(*peer, fmt::format(R"({{"id":2,"{}":{{"channels":["room:1","room:2","room:3"]}}}})",
                                             command)),
                testing::AllOf(HasSubstr(R"("code":"too_large")"), HasSubstr("2 at most")))
        << command;
  }
  EXPECT_EQ(world.hub().counts().subscriptions, 0U);
}

TEST(Hub, WhoNeverConnectsIsSentAway) {
  HubWorld world;
  const auto peer = world.open();
  world.pass(std::chrono::seconds{9});
  EXPECT_FALSE(peer->closed);
  world.pass(std::chrono::seconds{3});
  ASSERT_TRUE(peer->closed);
  EXPECT_EQ(peer->closed->code, DisconnectCode::kConnectTimeout);
}

TEST(Hub, ATokenThatAllowsLessTakesTheChannelAway) {
  ChannelRule rule;
  rule.prefix = "news:";
  HubWorld world({}, {rule});
  const auto peer = connect(world, grant_of("alice", {"news:1", "news:2"}));
  world.ask(*peer, subscribe(2, "news:1"));
  world.ask(*peer, subscribe(3, "news:2"));
  Grant less = grant_of("alice", {"news:2"});
  less.issued_unix_s = world.now().unix_s;
  less.expires_unix_s = world.now().unix_s + 60;
  world.say(*peer, R"({"id":4,"refresh":{"token":")" + write_token(less, HubWorld::key()) + "\"}}");
  EXPECT_THAT(peer->next(), HasSubstr("\"refresh\""));
  EXPECT_THAT(peer->next(), StartsWith(R"({"unsubscribed":{"channel":"news:1")"));
  ASSERT_TRUE(world.publish("news:1", "1"));
  ASSERT_TRUE(world.publish("news:2", "2"));
  EXPECT_EQ(peer->next(), R"({"message":{"channel":"news:2","offset":1,"data":2}})");
}

TEST(Hub, AUserSeesThePresenceOfThoseWhomTheTokenNamesAndNobodyElses) {
  HubWorld world;
  const auto bob = world.connect("bob");
  const auto team = world.connect("team-1");
  const auto seen_by = [&](Grant grant) {
    const auto peer = connect(world, std::move(grant));
    const std::string users = R"({"users":["alice","bob","team-1"]}})";
    const std::string watched = world.ask(*peer, R"({"id":2,"watch":)" + users);
    const std::string asked = world.ask(*peer, R"({"id":2,"presence":)" + users);
    EXPECT_EQ(asked.substr(asked.find("users")), watched.substr(watched.find("users")));
    world.leave(*peer);
    return watched;
  };
  const auto answer = [](std::string_view of_bob, std::string_view of_team) {
    return fmt::format(R"({{"id":2,"watch":{{"users":{{"alice":"online","bob":"{}","team-1":"{}"}}}}}})",
                       of_bob, of_team);
  };
  Grant grant = grant_of("alice", {"room:*"});
  EXPECT_EQ(seen_by(grant), answer("offline", "offline")) << "by default the own user alone";
  grant.presence = {"bob"};
  EXPECT_EQ(seen_by(grant), answer("online", "offline"));
  grant.presence = {"team-*", "bo"};
  EXPECT_EQ(seen_by(grant), answer("offline", "online"));
  grant.presence = {"*"};
  EXPECT_EQ(seen_by(grant), answer("online", "online"));
  grant.presence = {};
  grant.admin = true;
  EXPECT_EQ(seen_by(grant), answer("online", "online"));
}

TEST(Hub, WhoIsNotSeenIsNotTold) {
  HubWorld world;
  const auto peer = connect(world, grant_of("alice"));
  world.ask(*peer, R"({"id":2,"watch":{"users":["bob"]}})");
  const auto bob = world.connect("bob");
  world.pass(std::chrono::seconds{2});
  EXPECT_EQ(peer->next(), "");
}

TEST(Hub, ATokenThatShowsFewerUsersEndsTheWatchOfTheOthers) {
  HubWorld world;
  const auto bob = world.connect("bob");
  const auto eve = world.connect("eve");
  Grant grant = grant_of("alice");
  grant.presence = {"*"};
  const auto peer = connect(world, grant);
  EXPECT_THAT(world.ask(*peer, R"({"id":2,"watch":{"users":["bob","eve"]}})"),
              HasSubstr(R"("bob":"online","eve":"online")"));
  grant.presence = {"eve"};
  grant.issued_unix_s = world.now().unix_s;
  grant.expires_unix_s = world.now().unix_s + 3600;
  world.say(*peer, R"({"id":3,"refresh":{"token":")" + write_token(grant, HubWorld::key()) + "\"}}");
  EXPECT_THAT(peer->next(), HasSubstr("\"refresh\""));
  EXPECT_EQ(peer->next(), R"({"presence":{"users":{"bob":"offline"}}})");
  for (const auto& one : {&bob, &eve}) world.leave(**one);
  world.pass(std::chrono::seconds{10});
  EXPECT_EQ(peer->next(), R"({"presence":{"users":{"eve":"offline"}}})") << "bob is not watched any more";
  EXPECT_EQ(peer->next(), "");
}

TEST(Hub, AStopSendsEverybodyAwayToComeBackWithinTheWindow) {
  HubWorld world;
  std::vector<std::unique_ptr<TestPeer>> peers;
  for (int i = 0; i < 100; ++i) peers.push_back(world.connect("alice"));
  world.hub().stop(30'000, world.now());
  EXPECT_FALSE(world.hub().drained());
  const auto late = world.open();
  ASSERT_TRUE(late->closed);
  EXPECT_EQ(late->closed->code, DisconnectCode::kGoingAway);
  world.pass(std::chrono::seconds{5});
  EXPECT_TRUE(world.hub().drained());
  for (const auto& peer : peers) {
    ASSERT_TRUE(peer->closed);
    EXPECT_EQ(reason(*peer->closed), R"({"code":"going_away","reconnect":{"after_ms":0,"window_ms":30000}})");
  }
}

TEST(Hub, ConnectionsAreListedAPageAtATime) {
  HubWorld world;
  std::vector<std::unique_ptr<TestPeer>> peers;
  for (int i = 0; i < 5; ++i) peers.push_back(world.connect(i % 2 == 0 ? "alice" : "bob"));
  const auto silent = world.open();
  for (int i = 0; i < 10; ++i) world.say(*peers[1], subscribe(i + 2, "room:" + std::to_string(i)));
  world.say(*peers[3], subscribe(2, "room:3"));
  world.leave(*peers[0]);
  peers.push_back(world.connect("alice"));  // in the place of the one that left
  peers[2]->stuck = true;
  world.say(*peers[2], R"({"id":9,"ping":{}})");
  world.pass(std::chrono::seconds{7});
  const auto listed = [&](const ConnectionQuery& query) {
    const ConnectionPage page = world.hub().connections(query, world.now());
    std::string text;
    for (const ConnectionInfo& one : page.connections) text += fmt::format("c{} {} ", one.number, one.user);
    return fmt::format("{}of {}{}", text, page.count, page.more ? " and more" : "");
  };
  ConnectionQuery query;
  EXPECT_EQ(listed(query), "c2 bob c3 alice c4 bob c5 alice c6 alice of 5");
  query.limit = 2;
  EXPECT_EQ(listed(query), "c2 bob c3 alice of 5 and more");
  query.after = 3;
  EXPECT_EQ(listed(query), "c4 bob c5 alice of 5 and more");
  query.after = 5;
  EXPECT_EQ(listed(query), "c6 alice of 5");
  EXPECT_EQ(listed({"bob", "room:3", 0, ConnectionOrder::kOldest, 1}), "c2 bob of 2 and more");
  EXPECT_EQ(listed({"", "", 0, ConnectionOrder::kQueue, 1}), "c3 alice of 5");
  EXPECT_EQ(listed({"", "room:99", 0, ConnectionOrder::kOldest, 9}), "of 0");
  const ConnectionInfo one =
      world.hub().connections({"bob", "", 0, ConnectionOrder::kOldest, 1}, world.now()).connections.front();
  EXPECT_EQ(one.subscriptions, 10U);
  EXPECT_EQ(one.channels.size(), Hub::kChannelsShown);
  EXPECT_EQ(one.channels.front(), "room:0");
  EXPECT_EQ(one.address, "192.0.2.1");
  EXPECT_EQ(one.age_s, 7);
  EXPECT_EQ(one.queued_bytes, 0U);
  query = {"", "", 0, ConnectionOrder::kQueue, 1};
  EXPECT_GT(world.hub().connections(query, world.now()).connections.front().queued_bytes, 0U);
}

TEST(Hub, ThoseWhomTheDoorCutsForAStallAreSlowOnesToo) {
  HubWorld world;
  const auto stalled = world.connect("alice");
  const auto gone = world.connect("bob");
  world.hub().closed(stalled->session, world.now(), Departure::kSlow);
  world.hub().closed(stalled->session, world.now(), Departure::kSlow);
  world.hub().closed(gone->session, world.now());
  EXPECT_EQ(world.hub().counts().slow, 1U);
  EXPECT_EQ(world.hub().counts().sessions, 0U);
}

TEST(Hub, ACrowdIsNotToldWhoComesAndGoes) {
  HubLimits limits;
  limits.who = 3;
  HubWorld world(limits);
  const auto first = world.connect("u0");
  world.ask(*first, R"({"id":2,"subscribe":{"channels":[{"channel":"room:1","joins":true}]}})");
  std::vector<std::unique_ptr<TestPeer>> peers;
  for (int i = 1; i < 6; ++i) {
    peers.push_back(world.connect("u" + std::to_string(i)));
    world.ask(*peers.back(), subscribe(2, "room:1"));
  }
  EXPECT_EQ(first->sent.size(), 2U) << "u1 and u2";
  first->sent.clear();
  EXPECT_EQ(world.ask(*first, R"({"id":3,"who":{"channel":"room:1"}})"),
            R"({"id":3,"who":{"users":["u0","u1","u2"],"connections":6,"more":true}})");
}

}  // namespace
}  // namespace headroom::bus
