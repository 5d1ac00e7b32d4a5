// Hubs of several nodes over a real PostgreSQL: the conformance of what it carries, and what is its own.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bus/exchange_conformance.hpp"
#include "bus/postgres_world.hpp"

namespace headroom::bus {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// A broker for what the nodes say alone: messages of their hubs stay in memory.
class PostgresExchanges final : public NodeExchanges, public BrokerListener {
 public:
  PostgresExchanges(const std::string& url, const std::string& node, const HubThread::Post& post) {
    PostgresBrokerOptions options;
    options.url = url;
    options.node = node;
    broker_ = PostgresBroker::make(std::move(options), rules_, post).value();
  }

  void start(Hub& hub) override {
    broker_->start(*this, read_clocks());
    broker_->share(hub);
  }
  void leave() override { broker_->leave(); }
  [[nodiscard]] ExchangeCounts presence() const override { return broker_->counts().presence; }
  [[nodiscard]] ExchangeCounts members() const override { return broker_->counts().members; }
  [[nodiscard]] RevocationCounts revocations() const override { return broker_->counts().revocations; }

  void message(std::string_view, std::string_view, const Message&, const Now&) override {}
  void moved(std::string_view, const Position&, const Now&) override {}
  void state(BrokerState, const Now&) override {}

 private:
  ChannelRules rules_ = ChannelRules::make({}).value();
  std::unique_ptr<PostgresBroker> broker_;
};

/// One for all tests, each with a database of its own on it.
testing::PostgresServer& server() {
  static testing::PostgresServer shared(without_disk());
  return shared;
}

class PostgresExchangeWorld final : public ExchangeWorld {
 public:
  [[nodiscard]] std::unique_ptr<NodeExchanges> make(const std::string& node, std::int64_t /*lease_ns*/,
                                                    const HubThread::Post& post) override {
    return std::make_unique<PostgresExchanges>(database_.url(), node, post);
  }
  void kill() override { server().kill(); }
  void start() override { server().start(); }
  [[nodiscard]] const PostgresDatabase& database() const { return database_; }

 private:
  PostgresDatabase database_{server()};
};

INSTANTIATE_TEST_SUITE_P(Postgres, ExchangeConformance,
                         ::testing::Values(ExchangeCase{
                             "postgres", [] { return std::make_unique<PostgresExchangeWorld>(); }}),
                         [](const auto& one) { return one.param.name; });

class PostgresExchange : public ::testing::Test {
 protected:
  std::string url(const std::string& user = "postgres") { return world_.database().url(user); }

  PostgresExchangeWorld world_;
  ExchangeNodes nodes_{world_};
};

TEST_F(PostgresExchange, WritesNoRowForWhoIsThere) {
  ExchangeNode& one = nodes_.add("one");
  ExchangeNode& two = nodes_.add("two");
  for (int i = 0; i < 100; ++i) one.join("user" + std::to_string(i));
  ASSERT_TRUE(nodes_.sees(two, "user99", PresenceState::kOnline));
  ASSERT_TRUE(nodes_.run_until([&] { return two.exchanges().members().heard >= 100; }));
  EXPECT_THAT(SqlSession(url()).run(
                  "SELECT (SELECT count(*) FROM headroom.outbox) + (SELECT count(*) FROM headroom.stream)"
                  " + (SELECT count(*) FROM headroom.channel) + (SELECT count(*) FROM headroom.revoked)"),
              ElementsAre("0"));
}

TEST_F(PostgresExchange, WhoIsNoNodeNeitherHearsNorForges) {
  ExchangeNode& one = nodes_.add("one");
  one.join("ann");
  ASSERT_TRUE(nodes_.run_until([&] { return one.exchanges().presence().announced > 0; }));
  make_logins(world_.database());
  SqlSession app(url("app"));
  for (const char* statement :
       {"SELECT nodes FROM headroom.about", "SELECT headroom.hear_nodes()",
        "SELECT headroom.tell_nodes('{left}')", "SELECT headroom.revoke('{uann}', '{1}')",
        "SELECT * FROM headroom.revocations('0')", "SELECT * FROM headroom.revoked"})
    EXPECT_EQ(app.fails(statement), "42501") << statement;
  EXPECT_THAT(app.run("SELECT query FROM pg_stat_activity WHERE query LIKE '%LISTEN%headroom%'"
                      " AND pid <> pg_backend_pid()"),
              IsEmpty())
      << "the channel's name";
}

TEST_F(PostgresExchange, KeepsTheNewestOfWhatIsRevokedAndNothingThatIsOld) {
  ExchangeNode& one = nodes_.add("one");
  SqlSession session(url());
  session.run(
      "SELECT headroom.revoke(array_agg('u' || i), array_agg(extract(epoch FROM now())::bigint - i)) FROM"
      " generate_series(1, 10020) i;"
      "SELECT headroom.revoke('{sold}', ARRAY[extract(epoch FROM now())::bigint - 8 * 86400])");
  EXPECT_THAT(session.run("SELECT count(*) FROM headroom.revoked WHERE key IN ('u10000', 'u10001', 'sold')"),
              ElementsAre("1"));
  ASSERT_TRUE(nodes_.run_until([&] { return one.hub().revocations().size() == 10'000; }));
}

TEST_F(PostgresExchange, WhatAnOpenTransactionRevokesIsReadWhenItCommits) {
  ExchangeNode& one = nodes_.add("one");
  SqlSession slow(url());
  slow.run("BEGIN; SELECT headroom.revoke('{uslow}', ARRAY[extract(epoch FROM now())::bigint])");
  one.hub().disconnect_user("quick", one.world().now());
  ASSERT_TRUE(nodes_.run_until([&] { return one.exchanges().revocations().heard >= 1; }));
  slow.run("COMMIT");
  EXPECT_TRUE(nodes_.run_until([&] { return one.hub().revocations().size() == 2; }));
}

}  // namespace
}  // namespace headroom::bus
