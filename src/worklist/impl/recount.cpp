#include "worklist/impl/recount.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <span>
#include <utility>

#include "worklist/impl/large_array.hpp"
#include "worklist/impl/parallel.hpp"

namespace headroom::worklist::impl {

namespace {

/// What one thread reads blocks into.
struct Block {
  std::vector<ClassNumber> classes = std::vector<ClassNumber>(kBlock);
  std::vector<Code> codes = std::vector<Code>(kBlock);
  std::vector<std::uint32_t> places = std::vector<std::uint32_t>(kBlock);
  std::vector<std::uint32_t> words = std::vector<std::uint32_t>(kBlock);
  std::size_t size = 0;  ///< of its documents
};

/// `work(thread, number of the block, block)` for each block, whose classes are read.
template <typename Work>
void walk(const Documents& documents, unsigned threads, Work work) {
  in_parallel(threads, [&](unsigned thread) {
    const Range part = part_of(documents.blocks(), thread, threads);
    Block block;
    for (std::size_t number = part.begin; number < part.end; ++number) {
      block.size = documents.size_of_block(number);
      documents.read_classes(number, block.classes.data());
      work(thread, number, block);
    }
  });
}

// Classes
// ---------------------------------------------------------------------------------------------------------

/// The place in the class index of each document.
class PlaceReader final {
 public:
  explicit PlaceReader(const Counted& counted)
      : documents_(counted.documents), asked_(counted.classes.asked()) {
    for (std::size_t i = 0; i < asked_.size(); ++i) {
      tables_.push_back(counted.columns[asked_[i]].class_of_codes());
      for (std::uint32_t& one : tables_.back()) one <<= counted.classes.index().shift(i);
    }
  }

  void read(std::size_t number, Block& block) const {
    std::fill(block.places.begin(), block.places.end(), 0);
    for (std::size_t i = 0; i < asked_.size(); ++i) {
      documents_.read_codes(number, asked_[i], block.codes.data());
      for (std::size_t k = 0; k < block.size; ++k) block.places[k] |= tables_[i][block.codes[k]];
    }
  }

 private:
  const Documents& documents_;
  const std::vector<std::size_t>& asked_;
  std::vector<std::vector<std::uint32_t>> tables_;  ///< by asked column and code: what it adds to a place
};

void make_classes_that_occur(const Counted& counted, const PlaceReader& reader, unsigned threads) {
  const ClassIndex& index = counted.classes.index();
  std::vector<std::vector<std::uint8_t>> seen(threads, std::vector<std::uint8_t>(index.places()));
  walk(counted.documents, threads, [&](unsigned thread, std::size_t number, Block& block) {
    reader.read(number, block);
    for (std::size_t i = 0; i < block.size; ++i) {
      if (block.classes[i] != 0) seen[thread][block.places[i]] = 1;
    }
  });
  const std::size_t asked = counted.classes.asked().size();
  for (std::size_t place = 0; place < seen.front().size(); ++place) {
    if (std::none_of(seen.begin(), seen.end(), [place](const auto& one) { return one[place] != 0; }))
      continue;
    std::vector<std::uint32_t> tuple;
    for (std::size_t i = 0; i < asked; ++i) tuple.push_back(index.number(i, place));
    counted.classes.make(std::move(tuple));
  }
}

void class_by_index(const Counted& counted, unsigned threads) {
  const PlaceReader reader(counted);
  make_classes_that_occur(counted, reader, threads);
  counted.documents.reserve_classes(counted.classes.size());
  const ClassIndex& index = counted.classes.index();
  walk(counted.documents, threads, [&](unsigned, std::size_t number, Block& block) {
    reader.read(number, block);
    for (std::size_t i = 0; i < block.size; ++i)
      block.classes[i] = block.classes[i] == 0 ? 0 : index.at(block.places[i]);
    counted.documents.write_classes(number, block.classes.data());
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

// Levels
// ---------------------------------------------------------------------------------------------------------

/// How many documents each class has, and of those that are counted each code of each level.
struct Tally {
  explicit Tally(const Counted& counted) : of_class(counted.classes.size()) {
    for (const Level& level : counted.levels) of_code.emplace_back(counted.columns[level.column].codes());
  }

  std::vector<std::uint32_t> of_class;
  std::vector<std::vector<std::uint32_t>> of_code;  ///< by level; then where the next one stands
};

/// Levels, one after the other: keys of documents are sorted by the level's codes, and then counted code by
/// code, each in near memory.
class LevelPasses final {
 public:
  LevelPasses(const Counted& counted, unsigned threads)
      : counted_(counted),
        threads_(threads),
        is_tracked_(counted.classes.size()),
        tallies_(threads, Tally(counted)) {
    for (ClassNumber number = 1; number < is_tracked_.size(); ++number)
      is_tracked_[number] = counted.classes[number].tracked ? 1 : 0;
  }

  void run() {
    take_tallies();
    const std::size_t documents = add_totals();
    const Standing most = largest();
    std::size_t words = 0;
    for (std::size_t level = 0; level < counted_.levels.size(); ++level) {
      counted_.counts.clear(level, most);
      words = std::max(words, std::size_t{counted_.counts.keys(level).words()});
    }
    // Each thread has a place for those that are not counted.
    const LargeArray sorted(words * (documents + threads_));
    for (std::size_t level = 0; level < counted_.levels.size(); ++level) {
      const std::vector<std::size_t> begin = divide(level);
      sort(level, sorted.data());
      count(level, sorted.data(), begin);
    }
  }

 private:
  void take_tallies() {
    walk(counted_.documents, threads_, [&](unsigned thread, std::size_t number, Block& block) {
      Tally& tally = tallies_[thread];
      for (std::size_t i = 0; i < block.size; ++i) ++tally.of_class[block.classes[i]];
      for (std::size_t level = 0; level < counted_.levels.size(); ++level) {
        read_codes(level, number, block);
        for (std::size_t i = 0; i < block.size; ++i) ++tally.of_code[level][block.codes[i]];
      }
    });
  }

  /// Of all documents that are counted.
  [[nodiscard]] std::size_t add_totals() const {
    std::size_t documents = 0;
    for (const Tally& tally : tallies_) {
      for (ClassNumber number = 1; number < is_tracked_.size(); ++number) {
        if (is_tracked_[number] == 0) continue;
        counted_.classes.add(number, tally.of_class[number]);
        documents += tally.of_class[number];
      }
    }
    return documents;
  }

  [[nodiscard]] Standing largest() const {
    Standing most{static_cast<ClassNumber>(counted_.classes.size() - 1)};
    for (std::size_t i = 0; i < counted_.levels.size(); ++i)
      most[i + 1] = static_cast<Code>(counted_.columns[counted_.levels[i].column].codes() - 1);
    return most;
  }

  /// 0 where a document is not counted.
  void read_codes(std::size_t level, std::size_t number, Block& block) const {
    counted_.documents.read_codes(number, counted_.levels[level].column, block.codes.data());
    for (std::size_t i = 0; i < block.size; ++i)
      block.codes[i] = is_tracked_[block.classes[i]] != 0 ? block.codes[i] : 0;
  }

  /// Where the keys of each code begin, and the end. A thread's stand behind those of the threads before it.
  [[nodiscard]] std::vector<std::size_t> divide(std::size_t level) {
    const std::size_t codes = tallies_.front().of_code[level].size();
    std::vector<std::size_t> begin(codes + 1);
    std::uint32_t end = 0;
    for (Code code = 1; code < codes; ++code) {
      begin[code] = end;
      for (Tally& tally : tallies_) end += std::exchange(tally.of_code[level][code], end);
    }
    begin[codes] = end;
    for (unsigned thread = 0; thread < threads_; ++thread) tallies_[thread].of_code[level][0] = end + thread;
    return begin;
  }

  void sort(std::size_t level, std::uint32_t* sorted) {
    const CellKeys keys = counted_.counts.keys(level);
    walk(counted_.documents, threads_, [&](unsigned thread, std::size_t number, Block& block) {
      read_codes(level, number, block);
      std::vector<std::uint32_t>& next = tallies_[thread].of_code[level];
      for (std::size_t i = 0; i < block.size; ++i) {
        const Code code = block.codes[i];
        block.places[i] = next[code];
        // Those that are not counted stay where they are, over one another: asking of each costs more.
        next[code] += code != 0 ? 1 : 0;
      }
      for (std::uint32_t word = 0; word < keys.words(); ++word) {
        read_words(level, number, keys, word, block);
        for (std::size_t i = 0; i < block.size; ++i)
          sorted[std::size_t{block.places[i]} * keys.words() + word] = block.words[i];
      }
    });
  }

  /// A word of the key of each document.
  void read_words(std::size_t level, std::size_t number, const CellKeys& keys, std::uint32_t word,
                  Block& block) const {
    std::fill(block.words.begin(), block.words.end(), 0);
    for (std::size_t place = 0; place <= level; ++place) {
      if (keys.word(place) != word) continue;
      const std::vector<std::uint32_t>& numbers = place == 0 ? block.classes : block.codes;
      if (place > 0)
        counted_.documents.read_codes(number, counted_.levels[place - 1].column, block.codes.data());
      for (std::size_t i = 0; i < block.size; ++i) block.words[i] |= numbers[i] << keys.shift(place);
    }
  }

  void count(std::size_t level, const std::uint32_t* sorted, const std::vector<std::size_t>& begin) const {
    const std::size_t words = counted_.counts.keys(level).words();
    std::atomic<Code> next = 0;
    in_parallel(threads_, [&](unsigned) {
      std::vector<std::uint32_t> scratch(is_tracked_.size());
      for (Code code = next++; code + 1 < begin.size(); code = next++) {
        const std::span keys(sorted + begin[code] * words, (begin[code + 1] - begin[code]) * words);
        counted_.counts.assign(level, code, keys, scratch);
      }
    });
  }

  const Counted& counted_;
  unsigned threads_;
  std::vector<std::uint8_t> is_tracked_;  ///< by class
  std::vector<Tally> tallies_;            ///< by thread
};

}  // namespace

void recount(Counted counted, unsigned threads) {
  counted.classes.clear();
  if (counted.classes.index().is_array()) {
    class_by_index(counted, threads);
  } else {
    class_one_by_one(counted);
  }
  LevelPasses(counted, threads).run();
}

}  // namespace headroom::worklist::impl
