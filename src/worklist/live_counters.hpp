#pragma once

// The counts of one catalog's lists in memory, kept current change by change.
//
// A document is held as codes: for each column the place of its value in the column's dictionary. What lists
// ask is held per column as classes of values, so that a code leads to a class by one look-up. The classes of
// all columns together are the document's class: only those that occur are made, each knows the lists that
// its documents are in, and a document with none of them is of a class that is never counted.
//
// Who may see how many documents of a class is held in levels, one for each security column, security uids
// first. Level i counts, for each value of its column, documents by their class and by what they have in the
// columns of the levels before. So a user's count is a sum over the values that he is granted, level by
// level, that leaves out what a level before has granted: each document once, and never the product of all
// uids with all owners. The first level needs no exclusion, and is an array by class.
//
// Rejected: bitmaps (100 to 1000 times slower here than counters), a table by uid and owner (as large as the
// documents), and counting by user at each change (users times classes).

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "worklist/classes.hpp"
#include "worklist/user.hpp"

namespace headroom::worklist {

/// A list as it is counted: its criteria at one moment, and the roles that it wants.
struct CountedList {
  std::vector<ColumnTest> tests;
  std::set<std::string> roles;
};

/// The lists of a catalog at a moment, in the order of `Definitions::lists`.
[[nodiscard]] std::vector<CountedList> counted_lists(const Definitions& definitions, std::size_t catalog,
                                                     base::UtcTime now);

/// Lifetime: the catalog outlives it. Threads: none, one at a time; `count` does not change it.
class LiveCounters final {
 public:
  /// Of the lists; beyond it `set_lists` refuses. 2^32 - 1 classes, values of a column and documents fit.
  static constexpr std::size_t kMostLists = 10'000;

  explicit LiveCounters(const Catalog& catalog);

  /// What is counted from now on; documents stay. Cost: O(documents x columns that lists ask for), about
  /// 50 ns a document, and O(values) for each column.
  void set_lists(std::vector<CountedList> lists);

  /// A new document, or a new state of one. `row` has a value for each column of the catalog. Cost:
  /// O(columns) hash look-ups. Errors: too_large: 2^32 - 1 documents.
  [[nodiscard]] Result<void> put(std::span<const Value> row);
  /// False when there was none. Cost: as `put`.
  bool remove(const Value& key);
  /// All documents.
  void clear();
  /// A document as it was put; nothing when there is none. Cost: O(columns).
  [[nodiscard]] std::optional<std::vector<Value>> row(const Value& key) const;

  /// The user's count of each list; guards are not asked. Errors: as scope_of.
  /// Cost: O(classes x uids of the user + documents' classes of his own ones), for each different set of
  /// roles.
  [[nodiscard]] Result<std::vector<std::uint64_t>> count(const User& user) const;

  struct Size {
    std::size_t documents = 0;
    std::size_t classes = 0;  ///< of documents
    std::size_t values = 0;   ///< in dictionaries
  };
  [[nodiscard]] Size size() const;

 private:
  using Code = std::uint32_t;
  using Slot = std::uint32_t;

  struct HashValue {
    std::size_t operator()(const Value& value) const { return std::hash<Value>{}(value); }
  };
  struct HashCodes {
    std::size_t operator()(const std::vector<Code>& codes) const;
  };

  /// The values that a column had until now, and their classes. Code 0 is NULL.
  struct ColumnValues {
    std::vector<Value> values{Value{}};
    std::unordered_map<Value, Code, HashValue> codes;
    bool asked = false;  ///< by a list
    ValueClasses classes;
    std::vector<ClassId> class_of_code;
    std::vector<Code> code_of_slot;
  };

  /// Documents that all lists treat alike.
  struct DocumentClass {
    std::vector<std::uint32_t> lists;
  };

  /// A security column: documents by its value.
  struct Level {
    std::size_t security = 0;  ///< of Catalog::security
    /// By code and document class; of the first level.
    std::vector<std::vector<std::uint32_t>> counts;
    /// By code; the key is the document's class and its codes in the levels before. Of the others.
    std::vector<std::unordered_map<std::vector<Code>, std::uint32_t, HashCodes>> cells;
  };

  enum class Change : std::int8_t { kLess = -1, kMore = 1 };

  [[nodiscard]] Code code_of(ColumnValues& column, const Value& value);
  [[nodiscard]] std::uint32_t class_of_slot(Slot slot);
  [[nodiscard]] std::uint32_t make_class(const std::vector<ClassId>& classes);
  void classify_columns();
  void classify_column(std::size_t place);
  /// Keys have values of their own: they are held as codes only while a list asks for them.
  [[nodiscard]] bool is_held(std::size_t column) const {
    return column != catalog_.key || columns_[column].asked;
  }
  void hold_keys();
  void recount();
  void apply(Slot slot, Change change);
  [[nodiscard]] Code code_at(const Level& level, Slot slot) const;
  [[nodiscard]] std::vector<std::uint64_t> class_counts(const Scope& scope) const;
  void add_first_level(const std::vector<Code>& granted, std::vector<std::uint64_t>& counts) const;
  void add_level(std::size_t place, const std::vector<std::vector<Code>>& granted,
                 std::vector<std::uint64_t>& counts) const;
  [[nodiscard]] std::vector<Code> granted_codes(const Scope& scope, const Level& level) const;

  const Catalog& catalog_;
  std::vector<CountedList> lists_;
  std::vector<std::size_t> asked_;  ///< columns that lists ask for
  /// By list and place in `asked_`: whose test of the column it is; none: it asks nothing of it.
  std::vector<std::vector<std::optional<std::size_t>>> tests_;
  std::vector<ColumnValues> columns_;
  std::unordered_map<Value, Slot, HashValue> slots_;
  std::vector<Slot> free_;
  std::vector<std::uint32_t> class_of_slot_;
  std::unordered_map<std::vector<Code>, std::uint32_t, HashCodes> known_classes_;
  std::vector<DocumentClass> classes_;
  std::vector<std::uint64_t> total_;  ///< by document class
  std::vector<Level> levels_;
};

}  // namespace headroom::worklist
