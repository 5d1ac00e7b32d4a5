#pragma once

// Values and the places that stand for them, in few bytes each.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "worklist/impl/blocks.hpp"
#include "worklist/value.hpp"

namespace headroom::worklist::impl {

/// Whether a value is one of the type. NULL is none.
[[nodiscard]] bool is_of(Type type, const Value& value);

/// Values of one type, each at a place that it keeps until it is removed; a freed place is used again.
/// Memory: 8 bytes for a value that is no text, its bytes and at most 8 for a text, and 4 bytes at 0.58 to
/// 0.88 for finding it. Cost: O(1).
class ValueTable final {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  explicit ValueTable(Type type) : type_(type) {}

  /// kNone when it is not there, or of another type.
  [[nodiscard]] std::uint32_t find(const Value& value) const;
  /// Fetches what `find` and `add` will look at first.
  void prefetch(const Value& value) const {
    if (!table_.empty() && is_of(type_, value)) __builtin_prefetch(&table_[home(held(value))]);
  }
  /// The place of a value of the type (see is_of), made where there is none; kNone: there is no room (2^32
  /// values, 16 GiB of texts).
  std::uint32_t add(const Value& value);
  void remove(std::uint32_t place);

  /// Whether a value has the place.
  [[nodiscard]] bool is_taken(std::uint32_t place) const { return taken_[place]; }
  [[nodiscard]] Value value(std::uint32_t place) const;
  /// Of types that are whole numbers: integers, dates, times.
  [[nodiscard]] std::int64_t number(std::uint32_t place) const { return numbers_[place]; }
  [[nodiscard]] std::size_t size() const { return places_ - free_.size(); }
  /// One more than the last place that was ever given.
  [[nodiscard]] std::size_t places() const { return places_; }
  [[nodiscard]] std::size_t bytes() const;

 private:
  /// What a value is held and compared as.
  struct Held {
    std::int64_t number = 0;
    std::string_view text;
  };

  [[nodiscard]] bool is_text() const { return type_ == Type::kText; }
  [[nodiscard]] static Held held(const Value& value);
  [[nodiscard]] std::uint64_t hash(const Held& held) const;
  [[nodiscard]] Held at(std::uint32_t place) const;
  [[nodiscard]] bool is_at(std::uint32_t place, const Held& held) const;
  [[nodiscard]] std::size_t home(const Held& held) const;
  /// In `table_`: of the value, or where it would be.
  [[nodiscard]] std::size_t entry_of(const Held& held) const;
  void enter(std::uint32_t place);
  void resize_table(std::size_t entries);
  /// kNone: there is no room.
  [[nodiscard]] std::uint32_t keep_text(std::string_view text);
  [[nodiscard]] std::string_view text_at(std::uint32_t reference) const;
  void drop_text(std::uint32_t place);
  void compact_texts();

  Type type_;
  std::size_t places_ = 0;
  std::vector<std::uint32_t> free_;
  std::vector<bool> taken_;
  std::vector<std::uint32_t> table_;  ///< a place + 1; 0 is empty
  Blocks<std::int64_t> numbers_;
  Blocks<std::uint32_t> references_;  ///< of texts
  std::vector<std::vector<char>> texts_;
  std::size_t text_bytes_ = 0;
  std::size_t dropped_bytes_ = 0;
};

}  // namespace headroom::worklist::impl
