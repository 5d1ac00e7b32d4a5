#pragma once

// For tests: random schemas with documents, lists and users, and what the comparing tests do with them.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sql/reader.hpp"
#include "worklist/evaluate.hpp"
#include "worklist/plan.hpp"

namespace headroom::worklist {

/// A list of a case: the criteria of each column.
struct CaseList {
  std::vector<Criterion> criteria;
  std::set<std::string> roles;
};

/// A schema with one table "document", which may look up the table "place" by one column or by two; at least
/// 20 lists and 5 users.
struct RandomCase {
  std::uint64_t seed = 0;
  base::UtcTime now;
  Catalog catalog;
  std::vector<CaseList> lists;
  std::vector<User> users;
  std::vector<std::vector<Value>> rows;    ///< of the table: its own columns
  std::vector<std::vector<Value>> places;  ///< rows of "place": its columns

  /// worklists.yaml, as it is read back.
  [[nodiscard]] std::string yaml() const;
  [[nodiscard]] Result<Definitions> definitions() const;
  /// A document, and all of them, with the values of the look-up.
  [[nodiscard]] std::vector<Value> document(std::size_t row) const;
  [[nodiscard]] Documents documents() const;
  /// The columns of "place": its key, then what is looked up there.
  [[nodiscard]] std::vector<Column> place_columns() const;
  /// What a look-up reads of a row of "place": its key, then the columns that are looked up there by it.
  [[nodiscard]] std::vector<Value> looked_up(std::size_t look_up, const std::vector<Value>& place) const;
  /// Makes and fills the tables; one statement each. MariaDB's in sql_mode ANSI_QUOTES, NO_BACKSLASH_ESCAPES.
  [[nodiscard]] std::vector<std::string> statements(sql::Dialect dialect) const;
  /// What a list asks, in PostgreSQL's words, by another hand than the planner's.
  [[nodiscard]] std::string condition(const CaseList& list) const;
};

/// The same for the same seed.
[[nodiscard]] RandomCase random_case(std::uint64_t seed);

/// Changes of a case, always the same for the same seed.
class CaseChanges final {
 public:
  CaseChanges(const RandomCase& random, std::uint64_t seed);
  ~CaseChanges();
  CaseChanges(const CaseChanges&) = delete;
  CaseChanges& operator=(const CaseChanges&) = delete;

  /// Of the table.
  [[nodiscard]] std::vector<Value> row(std::int64_t key);
  /// Of "place".
  [[nodiscard]] std::vector<Value> place(std::int64_t key);
  [[nodiscard]] std::vector<CaseList> lists();
  [[nodiscard]] std::size_t below(std::size_t end);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A difference, told; nothing when there is none.
using Comparison = std::function<std::optional<std::string>(const RandomCase&)>;

/// How much was compared: zeros alone would prove little.
struct CaseCounts {
  std::size_t all = 0;
  std::size_t not_zero = 0;

  void add(const std::vector<std::uint64_t>& counts);
  [[nodiscard]] bool says_enough() const { return not_zero * 10 >= all * 3; }
};

/// For whom the joined and the merged way are asked, whose statements take most of the time: for every user,
/// or joined for one user of every fourth case, merged for one user of every second case.
enum class Joined : std::uint8_t { kEveryUser, kSome };

/// Compares all ways, with these passes in place of theirs where given, with counting in memory, for every
/// user.
[[nodiscard]] std::optional<std::string> difference(
    const RandomCase& random, sql::Reader& reader, CaseCounts& counts, Joined joined,
    const std::function<std::vector<Pass>(Way)>& passes = passes_of);

/// A smaller case that differs as well: without lists, users, documents and criteria that do not matter.
[[nodiscard]] RandomCase shrink(RandomCase failing, const Comparison& compare);

/// The case for people: seed, yaml, documents, users.
[[nodiscard]] std::string told(const RandomCase& random, const std::string& difference);

}  // namespace headroom::worklist
