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
// Codes, classes and counts are held as narrow as they are: one or two bytes for most columns, and nothing
// for keys that are whole numbers close together. All that is known of a document stands side by side: a
// change is a row, and a count or two in each level, and all of them are cache misses in a large catalog.
// README.md says which part is in which file of impl/.
//
// New definitions and a new day change few documents. What a value is called by the lists (its class) is
// compared with what it was: only documents with a value whose class parted from its kind, and those that no
// list wanted before, move; all are counted anew only where those are many.
//
// What a document has through look-ups is held with it, as codes like its own; the look-ups' rows are held
// beside, and a row that changes takes its documents to their new classes at once (impl/look_ups.hpp).
//
// Rejected: bitmaps (100 to 1000 times slower here than counters), a table by uid and owner (as large as the
// documents), and counting by user at each change (users times classes).

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "worklist/user.hpp"

namespace headroom::worklist {

/// A list as it is counted: its criteria at one moment, and the roles that it wants.
struct CountedList {
  std::vector<ColumnTest> tests;
  std::set<std::string> roles;
};

/// A list whose criteria may speak of today and now.
struct TimedList {
  std::vector<Criterion> criteria;
  std::set<std::string> roles;
};

/// The lists of a catalog, in the order of `Definitions::lists`.
[[nodiscard]] std::vector<TimedList> timed_lists(const Definitions& definitions, std::size_t catalog);

/// Lifetime: the catalog outlives it. Threads: one at a time; several may call what does not change it.
/// Within a call, as many run as it was made with.
class LiveCounters final {
 public:
  /// Of the lists. 2^32 - 2 classes, values of a column and documents fit.
  static constexpr std::size_t kMostLists = 10'000;

  explicit LiveCounters(const Catalog& catalog, unsigned threads = 1);
  ~LiveCounters();
  LiveCounters(const LiveCounters&) = delete;
  LiveCounters& operator=(const LiveCounters&) = delete;

  /// What is counted from now on; documents stay. Cost: O(values and lists of each column), and for the
  /// documents 2 ns each where few change their class, else 30 ns each.
  void set_lists(std::vector<CountedList> lists);
  /// The same, and time may go on: see `advance`.
  void set_lists(const std::vector<TimedList>& lists, base::UtcTime now);
  /// It is another time now: documents whose class it changes move, the others are not looked at. The number
  /// of those that moved. Cost: O(lists x values that they name + documents between where a criterion's time
  /// was and where it is).
  std::size_t advance(base::UtcTime now);
  /// When a count may change next by time alone: `advance` is to be called then. It may be a midnight at
  /// which nothing changes, and is never too late. Nothing: no list speaks of now, or nothing comes.
  [[nodiscard]] std::optional<base::UtcTime> next_change() const;

  /// A new document, or a new state of one. `row` has a value for each of the table's own columns
  /// (Catalog::own_columns); those of look-ups come by their rows. Cost: O(columns) hash look-ups. Errors:
  /// too_large (2^32 - 2 documents or values of a column), invalid_argument (a value of another type than its
  /// column, a key that is NULL).
  [[nodiscard]] Result<void> put(std::span<const Value> row);
  /// Several, one after the other as `put` would: half of the time where their documents are far apart in
  /// memory, since what they lead to is fetched for many at once. Errors: of the first that is refused; those
  /// before it are counted, those behind it are not.
  [[nodiscard]] Result<void> put_all(std::span<const std::vector<Value>> rows);
  /// False when there was none. Cost: as `put`.
  bool remove(const Value& key);
  /// All documents; rows of look-ups stay.
  void clear();
  /// A document as it was put, and what it has through look-ups; nothing when there is none. Cost:
  /// O(columns).
  [[nodiscard]] std::optional<std::vector<Value>> row(const Value& key) const;

  // Rows of look-ups, by Catalog::look_ups. They may come before their documents or behind them; a document
  // has NULL as long as there is none. Where a row changes, its documents are counted otherwise when the call
  // returns. Memory: 8 bytes for each document and each column that look-ups are by, and a row takes what a
  // document with its columns would.

  /// A new row, or a new state of one. `row` has its key and then a value for each of the catalog's columns
  /// that are looked up there, in their order. One whose key is NULL is nobody's. Cost: O(columns) where the
  /// row is the same, and O(its documents) where it is another one. Errors: as `put`.
  [[nodiscard]] Result<void> put_look_up(std::size_t look_up, std::span<const Value> row);
  /// False when there was none. Cost: O(its documents).
  bool remove_look_up(std::size_t look_up, const Value& key);
  /// All rows. Cost: O(documents).
  void clear_look_up(std::size_t look_up);
  /// A row as it was put; nothing when there is none.
  [[nodiscard]] std::optional<std::vector<Value>> look_up_row(std::size_t look_up, const Value& key) const;
  /// Each row as it was put, in no order.
  void visit_look_up(std::size_t look_up, const std::function<void(std::span<const Value>)>& told) const;
  /// The documents that have the key in the column that the look-up is by, as `row` has them; nothing when
  /// they are more than `most`. Cost: O(most).
  [[nodiscard]] std::optional<std::vector<std::vector<Value>>> documents_of(std::size_t look_up,
                                                                            const Value& key,
                                                                            std::size_t most) const;

  /// The user's count of each list; guards are not asked. Errors: as scope_of.
  /// Cost: O(classes x uids of the user + classes of the documents of his own), for each different set of
  /// roles.
  [[nodiscard]] Result<std::vector<std::uint64_t>> count(const User& user) const;
  /// By user; with all threads.
  [[nodiscard]] Result<std::vector<std::vector<std::uint64_t>>> count(std::span<const User> users) const;

  struct Size {
    std::size_t documents = 0;
    std::size_t classes = 0;  ///< of documents
    std::size_t values = 0;   ///< in dictionaries
    std::size_t look_up_rows = 0;
    std::size_t bytes = 0;  ///< of everything that grows with documents and rows, about
  };
  [[nodiscard]] Size size() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom::worklist
