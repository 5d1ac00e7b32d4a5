#pragma once

// Documents that change their class by time alone.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "worklist/boundaries.hpp"
#include "worklist/impl/documents.hpp"
#include "worklist/impl/held_column.hpp"

namespace headroom::worklist::impl {

/// A criterion that speaks of today or now.
struct TimedCriterion {
  std::size_t list = 0;
  Criterion criterion;
};

[[nodiscard]] bool is_timed(const Criterion& criterion);

/// For each column that such criteria ask, where its documents lie in time.
class TimedDocuments final {
 public:
  /// Lifetime: both outlive it.
  TimedDocuments(const std::vector<HeldColumn>& columns, const Documents& documents)
      : columns_(columns), documents_(documents), asked_(columns.size()) {}

  /// Of the column. Documents that are there are entered.
  void set(std::size_t column, std::vector<TimedCriterion> criteria);
  [[nodiscard]] const std::vector<TimedCriterion>& criteria(std::size_t column) const {
    return asked_[column].criteria;
  }
  [[nodiscard]] bool has(std::size_t column) const { return asked_[column].times.has_value(); }

  /// The document has another code there than it had; it is there, or is not any more.
  void change(Slot slot, std::size_t column, Code before);
  /// Documents have other slots.
  void enter_anew();

  /// Appends documents with a value between where the column's criteria were and where they are. False: no
  /// criterion is elsewhere.
  [[nodiscard]] bool passed(std::size_t column, base::UtcTime before, base::UtcTime now,
                            std::vector<Slot>& found) const;
  [[nodiscard]] std::optional<base::UtcTime> next_change(base::UtcTime now) const;

  [[nodiscard]] std::size_t bytes() const;

 private:
  struct Asked {
    std::vector<TimedCriterion> criteria;
    std::optional<Boundaries> times;  ///< where there are any
  };

  [[nodiscard]] Boundaries::Holds holder(std::size_t column) const;
  void enter_all(std::size_t column);

  const std::vector<HeldColumn>& columns_;
  const Documents& documents_;
  std::vector<Asked> asked_;  ///< by column
};

}  // namespace headroom::worklist::impl
