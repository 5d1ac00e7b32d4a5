#include "worklist/impl/recount.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "worklist/impl/parallel.hpp"

namespace headroom::worklist::impl {

namespace {

// Classes
// ---------------------------------------------------------------------------------------------------------

/// The place in the class index of each document, block by block.
class PlaceReader final {
 public:
  explicit PlaceReader(const Counted& counted)
      : documents_(counted.documents), asked_(counted.classes.asked()) {
    for (std::size_t i = 0; i < asked_.size(); ++i) {
      tables_.push_back(counted.columns[asked_[i]].class_of_codes());
      for (std::uint32_t& one : tables_.back()) one <<= counted.classes.index().shift(i);
    }
  }

  void read(std::size_t block, std::vector<Code>& codes, std::vector<std::uint32_t>& places) const {
    const std::size_t size = documents_.size_of_block(block);
    std::fill(places.begin(), places.end(), 0);
    for (std::size_t i = 0; i < asked_.size(); ++i) {
      documents_.read_codes(block, asked_[i], codes.data());
      for (std::size_t k = 0; k < size; ++k) places[k] |= tables_[i][codes[k]];
    }
  }

 private:
  const Documents& documents_;
  const std::vector<std::size_t>& asked_;
  std::vector<std::vector<std::uint32_t>> tables_;  ///< by asked column and code: what it adds to a place
};

/// `told(thread, slot, place)` of each document.
template <typename Told>
void walk_places(const Counted& counted, unsigned threads, Told told) {
  const PlaceReader reader(counted);
  in_parallel(threads, [&](unsigned thread) {
    const Range part = part_of(counted.documents.blocks(), thread, threads);
    std::vector<std::uint32_t> numbers(kBlock);
    std::vector<std::uint32_t> places(kBlock);
    for (std::size_t block = part.begin; block < part.end; ++block) {
      reader.read(block, numbers, places);
      counted.documents.read_classes(block, numbers.data());
      const std::size_t size = counted.documents.size_of_block(block);
      for (std::size_t i = 0; i < size; ++i) {
        if (numbers[i] != 0) told(thread, static_cast<Slot>(block * kBlock + i), places[i]);
      }
    }
  });
}

void make_classes_that_occur(const Counted& counted, unsigned threads) {
  const ClassIndex& index = counted.classes.index();
  const std::size_t asked = counted.classes.asked().size();
  std::vector<std::vector<std::uint8_t>> seen(threads, std::vector<std::uint8_t>(index.places()));
  walk_places(counted, threads,
              [&seen](unsigned thread, Slot, std::uint32_t place) { seen[thread][place] = 1; });
  for (std::size_t place = 0; place < seen.front().size(); ++place) {
    if (std::none_of(seen.begin(), seen.end(), [place](const auto& one) { return one[place] != 0; }))
      continue;
    std::vector<std::uint32_t> tuple;
    for (std::size_t i = 0; i < asked; ++i) tuple.push_back(index.number(i, place));
    counted.classes.make(std::move(tuple));
  }
}

void class_by_index(const Counted& counted, unsigned threads) {
  make_classes_that_occur(counted, threads);
  counted.documents.reserve_classes(counted.classes.size());
  const ClassIndex& index = counted.classes.index();
  walk_places(counted, threads, [&](unsigned, Slot slot, std::uint32_t place) {
    counted.documents.set_class(slot, index.at(place));
  });
}

void class_one_by_one(const Counted& counted) {
  for (Slot slot = 0; slot < counted.documents.slots(); ++slot) {
    if (!counted.documents.is_there(slot)) continue;
    counted.documents.set_class(slot, counted.classes.class_of([&](std::size_t column) {
      return counted.documents.code(slot, column);
    }));
  }
}

void count_totals(const Counted& counted) {
  std::vector<std::uint64_t> totals(counted.classes.size());
  std::vector<ClassNumber> numbers(kBlock);
  for (std::size_t block = 0; block < counted.documents.blocks(); ++block) {
    counted.documents.read_classes(block, numbers.data());
    for (std::size_t i = 0; i < counted.documents.size_of_block(block); ++i) totals[numbers[i]] += 1;
  }
  for (ClassNumber number = 1; number < totals.size(); ++number) {
    if (counted.classes[number].tracked) counted.classes.add(number, totals[number]);
  }
}

// Levels
// ---------------------------------------------------------------------------------------------------------

/// One level: its documents sorted by their codes, then counted code by code.
class LevelPass final {
 public:
  LevelPass(const Counted& counted, std::size_t level, unsigned threads)
      : counted_(counted),
        level_(level),
        threads_(threads),
        codes_(counted.columns[counted.levels[level].column].codes()),
        is_tracked_(counted.classes.size()) {
    for (ClassNumber number = 1; number < is_tracked_.size(); ++number)
      is_tracked_[number] = counted.classes[number].tracked ? 1 : 0;
  }

  void run() {
    sort();
    counted_.counts.clear(level_, codes_);
    const std::size_t words = LevelCounts::words(level_);
    std::atomic<Code> next = 0;
    in_parallel(threads_, [&](unsigned) {
      LevelCounts::Scratch scratch{std::vector<std::uint32_t>(is_tracked_.size()),
                                   CellTable(static_cast<std::uint32_t>(words))};
      for (Code code = next++; code < codes_; code = next++) {
        counted_.counts.assign(
            level_, code,
            std::span(keys_.get() + begin_[code] * words, (begin_[code + 1] - begin_[code]) * words),
            scratch);
      }
    });
  }

 private:
  /// `told(slot, class, code)` of the documents of a thread's part that the level counts.
  template <typename Told>
  void visit_part(unsigned thread, Told told) const {
    const Range part = part_of(counted_.documents.blocks(), thread, threads_);
    std::vector<ClassNumber> numbers(kBlock);
    std::vector<Code> codes(kBlock);
    for (std::size_t block = part.begin; block < part.end; ++block) {
      counted_.documents.read_classes(block, numbers.data());
      counted_.documents.read_codes(block, counted_.levels[level_].column, codes.data());
      const std::size_t size = counted_.documents.size_of_block(block);
      for (std::size_t i = 0; i < size; ++i) {
        if (codes[i] != 0 && is_tracked_[numbers[i]] != 0)
          told(static_cast<Slot>(block * kBlock + i), numbers[i], codes[i]);
      }
    }
  }

  /// Each thread's documents of a code stand behind those of the threads before it.
  void sort() {
    std::vector<std::vector<std::size_t>> next(threads_, std::vector<std::size_t>(codes_));
    in_parallel(threads_, [&](unsigned thread) {
      visit_part(thread, [&](Slot, ClassNumber, Code code) { ++next[thread][code]; });
    });
    begin_.assign(codes_ + 1, 0);
    std::size_t end = 0;
    for (Code code = 0; code < codes_; ++code) {
      begin_[code] = end;
      for (auto& of_thread : next) end += std::exchange(of_thread[code], end);
    }
    begin_[codes_] = end;
    const std::size_t words = LevelCounts::words(level_);
    keys_ = std::make_unique_for_overwrite<std::uint32_t[]>(end * words);
    in_parallel(threads_, [&](unsigned thread) {
      visit_part(thread, [&](Slot slot, ClassNumber number, Code code) {
        std::uint32_t* key = keys_.get() + next[thread][code]++ * words;
        *key = number;
        for (std::size_t i = 0; i < level_; ++i)
          key[i + 1] = counted_.documents.code(slot, counted_.levels[i].column);
      });
    });
  }

  const Counted& counted_;
  std::size_t level_;
  unsigned threads_;
  std::size_t codes_;
  std::vector<std::uint8_t> is_tracked_;   ///< by class
  std::unique_ptr<std::uint32_t[]> keys_;  ///< one behind the other, those of a code together
  std::vector<std::size_t> begin_;         ///< by code, and the end of the last
};

}  // namespace

void recount(Counted counted, unsigned threads) {
  counted.classes.clear();
  if (counted.classes.index().is_array()) {
    class_by_index(counted, threads);
  } else {
    class_one_by_one(counted);
  }
  count_totals(counted);
  for (std::size_t i = 0; i < counted.levels.size(); ++i) LevelPass(counted, i, threads).run();
}

}  // namespace headroom::worklist::impl
