// What is read of PostgreSQL's answer about its sessions. The question itself is asked of a real server in
// tests/scenarios/test_blocking.py.

#include "sql/blocking.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headroom::sql {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Row = std::vector<std::optional<std::string>>;

/// process, blockers, database, user, application, client, state, statement, three ages, lock
Row row(std::string process, std::string blockers, std::string statement = "SELECT 1") {
  return {std::move(process),
          blockers.empty() ? std::nullopt : std::optional(std::move(blockers)),
          "shop",
          "tryton",
          "trytond",
          "127.0.0.1",
          "active",
          std::move(statement),
          "12.5",
          "0.25",
          "3.000001",
          "transactionid, a row of party"};
}

TEST(ReadSessions, TellWhoWaitsForWhomSinceWhen) {
  const auto sessions = read_sessions({row("11", ""), row("12", "11,11,9")}).value();
  ASSERT_EQ(sessions.size(), 2U);
  EXPECT_TRUE(sessions[0].waits_for.empty());
  EXPECT_FALSE(sessions[0].waiting) << "it waits for nothing";
  EXPECT_TRUE(sessions[0].lock.empty());
  EXPECT_THAT(sessions[1].waits_for, ElementsAre(9, 11));
  EXPECT_EQ(sessions[1].waiting, std::chrono::microseconds{3'000'001});
  EXPECT_EQ(sessions[1].transaction_age, std::chrono::microseconds{12'500'000});
  EXPECT_EQ(sessions[1].lock, "transactionid, a row of party");
}

TEST(ReadSessions, LeaveOutWhoGotTheLockMeanwhile) {
  EXPECT_TRUE(read_sessions({row("11", ""), row("12", "")}).value().empty());
}

TEST(ReadSessions, ShowStatementsWithoutTheirValues) {
  const auto sessions =
      read_sessions({row("11", "", "SELECT * FROM party WHERE code = 'secret' AND n = 4242"),
                     row("12", "11", "UPDATE party SET name = 'the text was cut within secret")})
          .value();
  for (const Session& session : sessions) {
    EXPECT_THAT(session.statement, HasSubstr("party"));
    EXPECT_THAT(session.statement, Not(HasSubstr("secret")));
    EXPECT_THAT(session.statement, Not(HasSubstr("4242")));
  }
}

TEST(ReadSessions, KeepEmptyWhatTheRoleMayNotSee) {
  Row hidden = row("11", "");
  hidden[6] = hidden[8] = hidden[9] = std::nullopt;
  hidden[7] = "<insufficient privilege>";
  const auto sessions = read_sessions({hidden, row("12", "11")}).value();
  EXPECT_TRUE(sessions[0].statement.empty());
  EXPECT_FALSE(sessions[0].transaction_age);
}

TEST(ReadSessions, TakeAPreparedTransactionWhichHasNoSession) {
  Row prepared(12);
  prepared[0] = "0";
  const auto sessions = read_sessions({prepared, row("12", "0")}).value();
  EXPECT_EQ(sessions[0].process, 0);
  EXPECT_THAT(sessions[1].waits_for, ElementsAre(0));
}

TEST(ReadSessions, RefuseAnAnswerThatIsNone) {
  EXPECT_EQ(read_sessions({{"1", "2"}}).error().code(), base::ErrorCode::kProtocol);
  EXPECT_EQ(read_sessions({row("eleven", "")}).error().code(), base::ErrorCode::kProtocol);
  EXPECT_EQ(read_sessions({row("11", "12,,13")}).error().code(), base::ErrorCode::kProtocol);
  Row endless = row("11", "12");
  endless[8] = "nan";
  endless[10] = "1e300";
  const auto sessions = read_sessions({endless, row("12", "")}).value();
  EXPECT_FALSE(sessions[0].transaction_age);
  EXPECT_FALSE(sessions[0].waiting);
}

}  // namespace
}  // namespace headroom::sql
