#include "worklist/impl/column_classes.hpp"

namespace headroom::worklist::impl {

namespace {

constexpr std::size_t kBits = 64;

void set_bit(ListBits& bits, std::size_t list) {
  bits[list / kBits] |= std::uint64_t{1} << (list % kBits);
}

}  // namespace

void ColumnClasses::set(Type type, const std::vector<std::optional<ColumnTest>>& tests) {
  lists_.clear();
  known_.clear();
  renew(type, tests);
}

void ColumnClasses::renew(Type type, const std::vector<std::optional<ColumnTest>>& tests) {
  std::vector<ColumnTest> different;
  std::map<ColumnTest, std::size_t> places;
  std::vector<ListBits> lists_of;  // by test
  const std::size_t words = (tests.size() + kBits - 1) / kBits;
  ListBits silent(words);
  for (std::size_t list = 0; list < tests.size(); ++list) {
    if (!tests[list]) {
      set_bit(silent, list);
      continue;
    }
    const auto [place, added] = places.emplace(*tests[list], different.size());
    if (added) {
      different.push_back(*tests[list]);
      lists_of.emplace_back(words);
    }
    set_bit(lists_of[place->second], list);
  }
  asked_ = !different.empty();
  classes_ = classify(type, different);
  std::vector<ListBits> sets(classes_.classes, silent);
  for (std::size_t test = 0; test < different.size(); ++test) {
    for (const ClassId accepted : classes_.accepted[test]) {
      for (std::size_t word = 0; word < words; ++word) sets[accepted][word] |= lists_of[test][word];
    }
  }
  ids_.clear();
  for (const ListBits& set : sets) {
    const auto [known, added] = known_.emplace(set, static_cast<std::uint32_t>(lists_.size()));
    if (added) lists_.push_back(set);
    ids_.push_back(known->second);
  }
}

void ColumnClasses::narrow(std::uint32_t id, ListBits& lists) const {
  for (std::size_t word = 0; word < lists.size(); ++word) lists[word] &= lists_[id][word];
}

}  // namespace headroom::worklist::impl
