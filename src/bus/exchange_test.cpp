// What exchanges have in common, as stories: what waits to be said, and how users are written.

#include "bus/exchange.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headroom::bus {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(PresenceText, HoldsAllUsers) {
  EXPECT_EQ(presence_text({}), "");
  std::vector<NodePresence> users;
  for (int i = 0; i < 100; ++i) users.push_back({std::to_string(i), static_cast<PresenceState>(i % 3)});
  const std::vector<NodePresence> read = read_presence_text(presence_text(users));
  ASSERT_EQ(read.size(), users.size());
  for (std::size_t i = 0; i < users.size(); ++i) {
    EXPECT_EQ(read[i].user, users[i].user);
    EXPECT_EQ(read[i].state, users[i].state);
  }
}

TEST(PresenceText, PassesOverWhatItDoesNotKnow) {
  EXPECT_THAT(read_presence_text("xann\n\nn\n"), IsEmpty());
  const auto read = read_presence_text("zeve\naann");
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].user, "ann");
  EXPECT_EQ(read[0].state, PresenceState::kAway);
}

PresenceWord changes(std::uint64_t number) {
  return {number, false, {{"ann", PresenceState::kOnline}}};
}

TEST(PresenceWords, GivesUpWhatWaitsTooLongForOneAccountOfEverybody) {
  PresenceWords words;
  for (std::uint64_t number = 1; number <= PresenceWords::kMost; ++number)
    EXPECT_TRUE(words.add(changes(number)));
  EXPECT_FALSE(words.add(changes(65)));
  EXPECT_TRUE(words.start_anew());
  EXPECT_FALSE(words.start_anew()) << "it was asked for";
  EXPECT_TRUE(words.empty());
  EXPECT_FALSE(words.add(changes(66))) << "changes say nothing to who knows nothing";
  EXPECT_TRUE(words.add({67, true, {}}));
  EXPECT_TRUE(words.add(changes(68)));
  const auto taken = words.take();
  ASSERT_THAT(taken, SizeIs(2));
  EXPECT_EQ(taken[0].number, 67U);
  EXPECT_EQ(taken[1].number, 68U);
  EXPECT_TRUE(words.empty());
  EXPECT_TRUE(words.start_anew()) << "what was given away may get lost";
}

TEST(PresenceWords, AWholeTakesThePlaceOfWhatWaits) {
  PresenceWords words;
  EXPECT_TRUE(words.add(changes(1)));
  EXPECT_TRUE(words.add({2, true, {}}));
  EXPECT_THAT(words.take(), SizeIs(1));
}

TEST(RevocationWords, TellWhatIsNotKeptYetAndKeepOneUntilItIs) {
  RevocationWords words;
  words.start_anew();
  words.heard({"uann", 100});
  EXPECT_TRUE(words.takes_all());
  EXPECT_FALSE(words.takes_all()) << "once";
  words.add({"uann", 100});
  words.add({"uann", 101});
  words.add({"sone", 7});
  ASSERT_TRUE(words.next());
  EXPECT_EQ(words.next()->before_unix_s, 101) << "the older one is kept there";
  words.heard({"uann", 101});
  EXPECT_EQ(words.next()->key, "sone");
  words.start_anew();
  EXPECT_EQ(words.next()->key, "sone") << "it was not kept when the connection broke";
  words.heard({"sone", 7});
  EXPECT_FALSE(words.next());
  EXPECT_TRUE(words.takes_all()) << "with the new connection";
}

TEST(RevocationWords, AskForAllOfThemAgainWhenSomeFoundNoRoom) {
  RevocationWords words;
  EXPECT_TRUE(words.takes_all());
  for (std::size_t i = 0; i <= RevocationWords::kMost; ++i) words.add({"u" + std::to_string(i), 1});
  EXPECT_FALSE(words.takes_all()) << "there is no room yet";
  std::size_t told = 0;
  while (const auto next = words.next()) {
    words.heard(*next);
    ++told;
  }
  EXPECT_EQ(told, RevocationWords::kMost);
  EXPECT_TRUE(words.takes_all());
}

TEST(RevocationKey, IsOfAUserOrSession) {
  EXPECT_TRUE(is_revocation_key("uann"));
  EXPECT_TRUE(is_revocation_key("s1"));
  for (const std::string key : {"", "u", "zann"}) EXPECT_FALSE(is_revocation_key(key)) << key;
  EXPECT_FALSE(is_revocation_key("u" + std::string(4'096, 'x')));
}

}  // namespace
}  // namespace headroom::bus
