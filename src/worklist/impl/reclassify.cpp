#include "worklist/impl/reclassify.hpp"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <map>
#include <utility>

#include "worklist/impl/parallel.hpp"

namespace headroom::worklist::impl {

namespace {

/// When more than this part of the documents move, all are counted anew: that takes so much less for each.
constexpr std::size_t kFewMove = 12;

std::uint32_t class_before(const CalledBefore& before, Code code) {
  return before.asked ? before.class_of_code[code] : 0;
}

/// For each class that values had, the one that most of them have now; `moved`, by code, tells the others.
std::vector<std::uint32_t> follow(HeldColumn& column, const CalledBefore& before,
                                  std::vector<std::uint8_t>& moved) {
  const std::vector<std::uint32_t>& now = column.class_of_codes();
  std::vector<std::map<std::uint32_t, std::size_t>> votes(before.classes);
  for (Code code = 0; code < now.size(); ++code) {
    if (column.is_taken(code)) ++votes[class_before(before, code)][now[code]];
  }
  std::vector<std::uint32_t> followed(before.classes);
  for (std::size_t i = 0; i < votes.size(); ++i) {
    const auto most =
        std::max_element(votes[i].begin(), votes[i].end(),
                         [](const auto& left, const auto& right) { return left.second < right.second; });
    if (most != votes[i].end()) followed[i] = most->first;
  }
  for (Code code = 0; code < now.size(); ++code) {
    if (now[code] == followed[class_before(before, code)]) continue;
    moved.resize(now.size());
    moved[code] = 1;
  }
  return followed;
}

/// Marks the documents of a block that move.
class Marker final {
 public:
  Marker(const Moves& moves, const Documents& documents) : moves_(moves), documents_(documents) {}

  void mark(std::size_t block) {
    const std::size_t size = documents_.size_of_block(block);
    std::fill(marked_.begin(), marked_.end(), 0);
    for (std::size_t column = 0; column < moves_.of_code.size(); ++column) {
      const auto& moved = moves_.of_code[column];
      if (moved.empty()) continue;
      documents_.read_codes(block, column, numbers_.data());
      for (std::size_t i = 0; i < size; ++i) marked_[i] |= moved[numbers_[i]];
    }
    documents_.read_classes(block, numbers_.data());
    for (std::size_t i = 0; i < size; ++i) {
      const auto there = static_cast<std::uint8_t>(numbers_[i] != 0 ? 1 : 0);
      marked_[i] = static_cast<std::uint8_t>((marked_[i] | moves_.of_class[numbers_[i]]) & there);
    }
  }
  void append_to(std::size_t block, std::vector<Slot>& found) const {
    for (std::size_t i = 0; i < kBlock; ++i) {
      if (marked_[i] != 0) found.push_back(static_cast<Slot>(block * kBlock + i));
    }
  }

 private:
  const Moves& moves_;
  const Documents& documents_;
  std::vector<std::uint8_t> marked_ = std::vector<std::uint8_t>(kBlock);
  std::vector<std::uint32_t> numbers_ = std::vector<std::uint32_t>(kBlock);
};

}  // namespace

bool Moves::none() const {
  const auto is_empty = [](const auto& one) { return one.empty(); };
  return std::all_of(of_code.begin(), of_code.end(), is_empty) &&
         std::count(of_class.begin(), of_class.end(), 0) == std::ssize(of_class);
}

std::vector<CalledBefore> remember(std::vector<HeldColumn>& columns, const DocumentClasses& classes) {
  std::vector<CalledBefore> before(columns.size());
  for (std::size_t i = 0; i < classes.asked().size(); ++i) {
    HeldColumn& column = columns[classes.asked()[i]];
    before[classes.asked()[i]] = {true, i, column.take_class_of_codes(), column.classes().size()};
  }
  return before;
}

Moves rename_classes(const std::vector<CalledBefore>& before, std::vector<HeldColumn>& columns,
                     DocumentClasses& classes) {
  Moves moves;
  moves.of_code.resize(columns.size());
  std::vector<std::vector<std::uint32_t>> followed;
  for (const std::size_t column : classes.asked())
    followed.push_back(follow(columns[column], before[column], moves.of_code[column]));
  moves.of_class.resize(classes.size());
  for (ClassNumber number = 1; number < classes.size(); ++number)
    moves.of_class[number] = classes[number].tracked ? 0 : 1;
  classes.rename([&](const DocumentClass& known) {
    std::vector<std::uint32_t> tuple;
    for (std::size_t i = 0; i < followed.size(); ++i) {
      const CalledBefore& was = before[classes.asked()[i]];
      tuple.push_back(followed[i][was.asked ? known.tuple[was.place] : 0]);
    }
    return tuple;
  });
  for (ClassNumber number = 1; number < classes.size(); ++number)
    moves.of_class[number] &= static_cast<std::uint8_t>(classes[number].tracked ? 1 : 0);
  return moves;
}

std::optional<std::vector<Slot>> slots_that_move(const Moves& moves, const Documents& documents,
                                                 unsigned threads) {
  if (moves.none()) return std::vector<Slot>();
  std::vector<std::vector<Slot>> found(threads);
  std::atomic<std::size_t> count = 0;
  const std::size_t most = documents.size() / kFewMove;
  in_parallel(threads, [&](unsigned thread) {
    const Range part = part_of(documents.blocks(), thread, threads);
    Marker marker(moves, documents);
    for (std::size_t block = part.begin; block < part.end && count <= most; ++block) {
      const std::size_t before = found[thread].size();
      marker.mark(block);
      marker.append_to(block, found[thread]);
      count += found[thread].size() - before;
    }
  });
  if (count > most) return std::nullopt;
  for (unsigned thread = 1; thread < threads; ++thread)
    found[0].insert(found[0].end(), found[thread].begin(), found[thread].end());
  return std::move(found[0]);
}

}  // namespace headroom::worklist::impl
