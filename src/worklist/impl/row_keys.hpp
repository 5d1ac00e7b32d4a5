#pragma once

// From the key of a document to its slot, a small number by which its columns are held.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "worklist/impl/value_table.hpp"

namespace headroom::worklist::impl {

/// Whole numbers that lie close together need no memory: keys are cut into pages, and a page's slots lie side
/// by side, taken or not. Where pages stay thin, and for texts, a table leads from keys to slots.
class RowKeys final {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::size_t kPage = 1'024;

  explicit RowKeys(Type type);

  /// Of the key, whether a document has it or not; kNone: it has none.
  [[nodiscard]] std::uint32_t find(const Value& key) const;
  /// Fetches what `find` will look at first.
  void prefetch(const Value& key) const {
    if (!paged_) table_.prefetch(key);
  }
  /// Errors: kNone: no slot is left.
  std::uint32_t add(const Value& key);
  /// Its document is gone.
  void remove(std::uint32_t slot);
  /// One more than the last slot.
  [[nodiscard]] std::size_t slots() const;
  [[nodiscard]] Value key(std::uint32_t slot) const;
  [[nodiscard]] std::size_t bytes() const;

  /// Whether one page more for so many documents would waste more than a table takes.
  [[nodiscard]] bool is_thin(std::size_t documents) const;
  /// Goes over to a table. `taken` are the slots of documents, ascending; the document of taken[i] has slot i
  /// afterwards.
  void make_table(const std::vector<std::uint32_t>& taken);

 private:
  [[nodiscard]] static std::int64_t page_of(std::int64_t key) { return key >> 10; }
  [[nodiscard]] static std::uint32_t place_of(std::int64_t key) {
    return static_cast<std::uint32_t>(key & static_cast<std::int64_t>(kPage - 1));
  }

  Type type_;
  bool paged_;
  ValueTable pages_{Type::kInteger};
  ValueTable table_;
};

}  // namespace headroom::worklist::impl
