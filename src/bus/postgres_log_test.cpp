#include "bus/postgres_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include <fmt/format.h>

namespace headroom::bus {
namespace {

using namespace std::string_literals;
using ::testing::ElementsAre;
using ::testing::SizeIs;

/// Messages of pgoutput as a server writes them.
class Wire {
 public:
  static std::string begin(sql::Lsn commit) { return "B" + big(commit, 8) + big(0, 8) + big(7, 4); }
  static std::string commit(sql::Lsn commit) {
    return "C\0"s + big(commit, 8) + big(commit + 8, 8) + big(0, 8);
  }
  static std::string said(const std::string& prefix, const std::string& content, bool transactional = true) {
    return "M" + big(transactional ? 1 : 0, 1) + big(1, 8) + prefix + '\0' + big(content.size(), 4) + content;
  }

 private:
  static std::string big(std::uint64_t value, std::size_t bytes) {
    std::string text;
    for (std::size_t i = bytes; i > 0; --i) text += static_cast<char>(value >> (8 * (i - 1)) & 0xffU);
    return text;
  }
};

void take(LogQueue& queue, const std::string& message) {
  const auto taken = queue.take(message);
  ASSERT_TRUE(taken) << taken.error().message();
}

/// A transaction that published its numbers.
void take_transaction(LogQueue& queue, sql::Lsn commit, int count) {
  take(queue, Wire::begin(commit));
  for (int i = 1; i <= count; ++i)
    take(queue, Wire::said("ours", fmt::format("a\n\n\n{}", commit * 100 + static_cast<sql::Lsn>(i))));
  take(queue, Wire::commit(commit));
}

TEST(LoggedPublication, ReadsWhatPublishWritesAndNothingElse) {
  const auto plain = parse_logged("room:1\n\n\n{\"a\":1}");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->channel, "room:1");
  EXPECT_EQ(plain->id, "");
  EXPECT_EQ(plain->data, "{\"a\":1}");
  const auto whole = parse_logged("a\n42\n4\nx\ny:\"z\"");
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->ticket, "42");
  EXPECT_EQ(whole->id, "x\ny:") << "an id may hold anything";
  EXPECT_EQ(whole->data, "\"z\"");
  for (const char* content : {"", "a", "a\n", "a\n\n", "\n\n\n1", "a\n\n5\n1234", "a\n\nx\n1", "a\n\n-1\n1"})
    EXPECT_FALSE(parse_logged(content)) << content;
}

TEST(LogQueue, GivesPartsAndConfirmsATransactionWhenAllOfItIsStored) {
  LogQueue queue;
  queue.begin("ours", {});
  take_transaction(queue, 10, 2);
  take(queue, Wire::begin(20));
  take(queue, Wire::said("ours", "b\n7\n1\nk3"));
  take(queue, Wire::said("another's", "b\n\n\n4"));
  take(queue, Wire::said("ours", "b\n\n\n5", false));
  EXPECT_EQ(queue.confirmable(500), 0U) << "nothing is stored";
  const auto part = queue.next();
  ASSERT_TRUE(part);
  EXPECT_THAT(part->channels, ElementsAre("a", "a", "b"));
  EXPECT_THAT(part->datas, ElementsAre("1001", "1002", "3"));
  EXPECT_THAT(part->ids, ElementsAre("", "", "k"));
  EXPECT_THAT(part->tickets, ElementsAre("0", "0", "7"));
  EXPECT_EQ(part->position, (LogPosition{20, 1}));
  EXPECT_FALSE(queue.next()) << "one at a time";
  queue.refused();
  ASSERT_TRUE(queue.next()) << "and again when it failed";
  queue.stored();
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.confirmable(500), 18U) << "the second transaction has not ended";
  take(queue, Wire::commit(20));
  EXPECT_EQ(queue.confirmable(15), 28U);
  EXPECT_EQ(queue.confirmable(500), 500U) << "nothing of ours is behind it";
}

TEST(LogQueue, DropsWhatWasStoredBefore) {
  LogQueue queue;
  queue.begin("ours", {20, 2});
  take_transaction(queue, 10, 3);
  take_transaction(queue, 20, 3);
  take_transaction(queue, 30, 1);
  const auto part = queue.next();
  ASSERT_TRUE(part);
  EXPECT_THAT(part->datas, ElementsAre("2003", "3001"));
  EXPECT_EQ(queue.confirmable(0), 18U) << "the first one was stored as a whole";
}

TEST(LogQueue, HoldsNoMoreThanAPartOrTwo) {
  LogQueue queue;
  queue.begin("ours", {});
  take(queue, Wire::begin(10));
  int taken = 0;
  for (; !queue.is_full(); ++taken) take(queue, Wire::said("ours", "a\n\n\n1"));
  EXPECT_EQ(taken, static_cast<int>(LogQueue::kMost));
  EXPECT_THAT(queue.next()->datas, SizeIs(LogQueue::kMost));
  queue.stored();
  EXPECT_FALSE(queue.is_full());
  const std::string large(300'000, '1');
  for (taken = 0; !queue.is_full(); ++taken) take(queue, Wire::said("ours", "a\n\n\n" + large));
  EXPECT_EQ(taken, 4);
  take(queue, Wire::said("ours", "nothing that can be read"));
  EXPECT_EQ(queue.malformed(), 1U);
  EXPECT_FALSE(queue.take("Z"));
}

/// A slot that sends from what was confirmed, or from earlier, after a break at any moment.
TEST(LogQueue, StoresEveryMessageOnceWhateverBreaks) {
  const unsigned seed = 20261130;
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::pair<sql::Lsn, int>> transactions;
    std::vector<std::string> expected;
    for (sql::Lsn commit = 100; commit < 2'000; commit += 100) {
      transactions.emplace_back(commit, static_cast<int>(random() % 4));
      for (int i = 1; i <= transactions.back().second; ++i)
        expected.push_back(std::to_string(commit * 100 + static_cast<sql::Lsn>(i)));
    }
    std::vector<std::string> stored;
    LogPosition position;
    sql::Lsn confirmed = 0;
    LogQueue queue;
    for (int tries = 0; stored.size() < expected.size() && tries < 10'000; ++tries) {
      queue.begin("ours", position);
      for (const auto& [commit, count] : transactions) {
        if (commit + 8 <= confirmed) continue;
        std::vector<std::string> messages{Wire::begin(commit)};
        for (int i = 1; i <= count; ++i)
          messages.push_back(
              Wire::said("ours", fmt::format("a\n\n\n{}", commit * 100 + static_cast<sql::Lsn>(i))));
        messages.push_back(Wire::commit(commit));
        bool broken = false;
        for (const std::string& message : messages) {
          broken = random() % 12 == 0;
          if (broken) break;
          take(queue, message);
          if (random() % 3 != 0) continue;
          const auto part = queue.next();
          if (!part) continue;
          stored.insert(stored.end(), part->datas.begin(), part->datas.end());
          position = part->position;
          // The step was kept, and its answer may be lost.
          if (random() % 4 != 0) queue.stored();
          confirmed = std::max(confirmed, queue.confirmable(0));
        }
        if (broken) break;
      }
    }
    ASSERT_EQ(stored, expected);
  }
}

TEST(LogState, ReadsTheDatabasesAnswerOrNone) {
  const auto state = log_state(
      {{"slot", "reserved", "12", "4096", std::nullopt, "logical", "t", "f", "ours", "t", "f", "0/14", "3"}});
  ASSERT_TRUE(state);
  EXPECT_FALSE(state->is_gone());
  EXPECT_EQ(state->process, 12);
  EXPECT_EQ(state->retained_bytes, 4096U);
  EXPECT_FALSE(state->bound_bytes);
  EXPECT_TRUE(state->logged);
  EXPECT_EQ(state->position, (LogPosition{20, 3}));
  EXPECT_FALSE(log_state({}));
  EXPECT_FALSE(log_state({{"slot"}}));
}

}  // namespace
}  // namespace headroom::bus
