#pragma once

// For tests: a random case that changes, and counters in memory that follow it.

#include <cstdint>
#include <optional>
#include <string>

#include "worklist/live_counters.hpp"
#include "worklist/random_case.hpp"

namespace headroom::worklist {

/// Always the same for the same seed.
class ChangingCase final {
 public:
  explicit ChangingCase(std::uint64_t seed);
  ChangingCase(const ChangingCase&) = delete;
  ChangingCase& operator=(const ChangingCase&) = delete;

  /// A document or a row that documents look up comes, changes or goes; sometimes there are other lists, or
  /// it is later.
  void change();
  /// It is a moment before the next change that time alone makes, which the counters are not told; then it is
  /// that moment. What differs in between, told.
  [[nodiscard]] std::optional<std::string> wait(CaseCounts& counts);
  /// The first difference to counting document by document, told.
  [[nodiscard]] std::optional<std::string> difference(CaseCounts& counts) const;

  [[nodiscard]] const LiveCounters& counters() const { return counters_; }
  [[nodiscard]] std::size_t documents() const { return random_.rows.size(); }

 private:
  void set_lists();
  void go_on(base::Microseconds time);
  void put(std::int64_t key);
  /// Some documents at once, old and new ones, and one of them twice at times.
  void put_several();
  /// In random_, and the row that says so.
  [[nodiscard]] std::vector<Value> change_row(std::int64_t key);
  void remove(std::size_t place);
  void change_looked_up();
  void put_looked_up(std::vector<Value> row);
  void remove_looked_up(const Value& key);

  RandomCase random_;
  const base::UtcTime start_ = random_.now;
  Definitions definitions_;
  CaseChanges changes_;
  LiveCounters counters_;
  std::int64_t next_key_ = 1;
  std::string broken_;  ///< a call that was refused, or not refused
};

/// Rounds of ten changes and a comparison. The first difference, told.
[[nodiscard]] std::optional<std::string> difference_of_changes(std::uint64_t seed, int rounds,
                                                               CaseCounts& counts);

}  // namespace headroom::worklist
