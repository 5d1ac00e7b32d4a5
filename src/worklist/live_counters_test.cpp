// The counters in memory after random changes, compared with counting document by document.

#include "worklist/live_counters.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <fmt/format.h>

#include "worklist/random_case.hpp"

namespace headroom::worklist {
namespace {

using ::testing::ElementsAre;

/// A case that changes, and counters that follow it.
class Followed {
 public:
  explicit Followed(std::uint64_t seed)
      : random_(random_case(seed)), changes_(random_, seed + 1'000'000), counters_(random_.catalog) {
    set_lists();
    for (const auto& document : random_.documents()) EXPECT_TRUE(counters_.put(document));
    next_key_ = static_cast<std::int64_t>(random_.rows.size()) + 1;
  }

  void change() {
    const std::size_t kind = changes_.below(20);
    if (kind < 7 || random_.rows.empty()) return put(next_key_++);
    const std::size_t place = changes_.below(random_.rows.size());
    if (kind < 14) return put(std::get<std::int64_t>(random_.rows[place].front()));
    if (kind < 18) return remove(place);
    if (kind == 18) random_.lists = changes_.lists();
    if (kind == 19) random_.now += std::chrono::hours{24 * changes_.below(4)};
    set_lists();
  }

  /// The first difference.
  [[nodiscard]] std::optional<std::string> difference(CaseCounts& counts) const {
    // As they were read at first: what time alone makes impossible is no error, but counts nothing.
    const auto definitions = read_definitions(random_.yaml(), "case", start_);
    if (!definitions) return definitions.error().message();
    for (const User& user : random_.users) {
      const auto expected = count_in_memory(*definitions, {random_.documents()}, user, random_.now);
      const auto counted = counters_.count(user);
      if (!expected || !counted) return "an error";
      for (std::size_t i = 0; i < expected->size(); ++i) {
        ++counts.all;
        counts.not_zero += (*expected)[i] == 0 ? 0 : 1;
        if ((*expected)[i] != (*counted)[i]) {
          return told(random_, fmt::format("user {}, list {}: {} in place of {}", user.id, i, (*counted)[i],
                                           (*expected)[i]));
        }
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] LiveCounters::Size size() const { return counters_.size(); }
  [[nodiscard]] std::size_t documents() const { return random_.rows.size(); }

 private:
  void set_lists() {
    std::vector<CountedList> lists;
    for (const CaseList& list : random_.lists) {
      CountedList counted{{}, list.roles};
      for (const Criterion& one : list.criteria)
        counted.tests.push_back(resolve(random_.catalog.columns[one.column].type, one, random_.now));
      lists.push_back(std::move(counted));
    }
    counters_.set_lists(std::move(lists));
  }

  void put(std::int64_t key) {
    const auto found =
        std::find_if(random_.rows.begin(), random_.rows.end(),
                     [key](const std::vector<Value>& row) { return row.front() == Value{key}; });
    const auto place = static_cast<std::size_t>(found - random_.rows.begin());
    if (place == random_.rows.size()) random_.rows.emplace_back();
    random_.rows[place] = changes_.row(key);
    EXPECT_TRUE(counters_.put(random_.documents()[place]));
  }

  void remove(std::size_t place) {
    EXPECT_TRUE(counters_.remove(random_.rows[place].front()));
    EXPECT_FALSE(counters_.remove(random_.rows[place].front()));
    random_.rows.erase(random_.rows.begin() + static_cast<std::ptrdiff_t>(place));
  }

  RandomCase random_;
  const base::UtcTime start_ = random_.now;
  CaseChanges changes_;
  LiveCounters counters_;
  std::int64_t next_key_ = 1;
};

TEST(LiveCounters, FollowRandomChanges) {
  CaseCounts counts;
  const std::uint64_t first = first_seed();
  const std::uint64_t cases = number_of_cases(15);
  for (std::uint64_t seed = first; seed < first + cases; ++seed) {
    Followed followed(seed);
    for (int round = 0; round < 8; ++round) {
      const auto difference = followed.difference(counts);
      ASSERT_FALSE(difference) << "round " << round << ", " << *difference;
      for (int i = 0; i < 10; ++i) followed.change();
    }
    EXPECT_EQ(followed.size().documents, followed.documents());
  }
  EXPECT_GE(counts.not_zero * 10, counts.all * 3)
      << counts.not_zero << " of " << counts.all << " are not zero";
}

Catalog small_catalog() {
  Catalog catalog;
  catalog.columns = {{"id", "id", Type::kInteger, Variety::kFew, {}},
                     {"state", "state", Type::kText, Variety::kFew, {}},
                     {"owner", "owner", Type::kInteger, Variety::kFew, {}},
                     {"uid", "uid", Type::kInteger, Variety::kFew, {}}};
  catalog.security = {{2, "Owner", ""}, {3, "", ""}};
  return catalog;
}

CountedList in_state(const std::string& state) {
  return {{{1, {{Operator::kIn, {state}}}, false}}, {}};
}

TEST(LiveCounters, CountADocumentOnceThatTwoColumnsGrant) {
  const Catalog catalog = small_catalog();
  LiveCounters counters(catalog);
  counters.set_lists({in_state("draft"), in_state("done")});
  User user;
  user.id = "7";
  user.security_uids = {{3, "", ""}};
  const std::string draft = "draft";
  ASSERT_TRUE(counters.put(std::vector<Value>{std::int64_t{1}, draft, std::int64_t{7}, std::int64_t{3}}));
  ASSERT_TRUE(counters.put(std::vector<Value>{std::int64_t{2}, draft, std::int64_t{8}, std::int64_t{3}}));
  ASSERT_TRUE(counters.put(std::vector<Value>{std::int64_t{3}, draft, std::int64_t{7}, Value{}}));
  ASSERT_TRUE(counters.put(std::vector<Value>{std::int64_t{4}, draft, std::int64_t{8}, std::int64_t{4}}));
  EXPECT_THAT(counters.count(user).value(), ElementsAre(3, 0));
  counters.set_lists({in_state("done")});
  EXPECT_THAT(counters.count(user).value(), ElementsAre(0));
  EXPECT_EQ(counters.size().classes, 1U);
  counters.clear();
  EXPECT_EQ(counters.size().documents, 0U);
}

}  // namespace
}  // namespace headroom::worklist
