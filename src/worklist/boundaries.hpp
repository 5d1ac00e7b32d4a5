#pragma once

// Documents by a date or time of theirs, so that those whose class changes as time goes by are found without
// looking at the others.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "worklist/criterion.hpp"

namespace headroom::worklist {

/// Documents (by slots, small numbers) in buckets of their values, which are in order: of dates a bucket is a
/// day, of times an hour. What a document left is forgotten later: a caller says what holds now.
/// Memory: 4 to 12 bytes a document. Threads: none; one at a time.
class Boundaries final {
 public:
  /// The value of a document now; nothing: it has none.
  using Holds = std::function<std::optional<std::int64_t>(std::uint32_t slot)>;

  /// Type is kDate or kTime.
  explicit Boundaries(Type type);

  /// Cost: O(log buckets).
  void put(std::int64_t value, std::uint32_t slot);
  /// The document had this value until now; `holds` says already what it has. Cost: as `put`, on average.
  void remove(std::int64_t value, const Holds& holds);
  /// The smallest value from `from` on that a document has. Cost: O(documents of a bucket).
  [[nodiscard]] std::optional<std::int64_t> first_from(std::int64_t from, const Holds& holds) const;
  /// Each document with a value within [from, to], some more than once. Cost: O(documents of the buckets).
  void visit(std::int64_t from, std::int64_t to, const Holds& holds,
             const std::function<void(std::uint32_t slot)>& told) const;
  void clear() { buckets_.clear(); }
  [[nodiscard]] std::size_t bytes() const;

 private:
  struct Bucket {
    std::vector<std::uint32_t> slots;
    std::size_t left = 0;  ///< of them, about
  };

  [[nodiscard]] std::int64_t bucket_of(std::int64_t value) const;
  void forget_left(std::int64_t number, Bucket& bucket, const Holds& holds) const;

  std::int64_t width_;
  std::map<std::int64_t, Bucket> buckets_;
};

/// When the value of an operand changes next by time alone, at the latest: not before `now` + 1 us. Nothing:
/// it never does, or only where a document has the value `next`, which is given for times that move with now.
/// What is told may be too early (a midnight at which nothing changes), never too late.
[[nodiscard]] std::optional<base::UtcTime> next_change(
    Type type, const Operand& operand, base::UtcTime now,
    const std::function<std::optional<std::int64_t>(std::int64_t from)>& first_from);

}  // namespace headroom::worklist
