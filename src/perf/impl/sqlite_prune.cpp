// Pruning. The oldest calls go in small transactions, so that writers wait some milliseconds at a time; each
// takes its calls out of the sums. Pages that become free are given back to the file system step by step
// (auto_vacuum is incremental), and the -wal, which counts as much as the file, is truncated in between.
// Interned texts go when the last day of their use is before the oldest row that is left.

#include "perf/impl/sqlite_prune.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <vector>

#include <fmt/format.h>
#include <sys/stat.h>

#include "perf/impl/sqlite_rows.hpp"

namespace headroom::perf {

namespace {

constexpr std::int64_t kCallsPerStep = 500;
constexpr std::int64_t kPagesPerStep = 1000;
constexpr int kStepsPerCheckpoint = 20;
/// A process sends a statement's text once, so texts outlive the calls that used them.
constexpr std::int64_t kStatementDays = 30;
constexpr std::int64_t kNoEnd = std::numeric_limits<std::int64_t>::max();

struct Victim {
  std::int64_t n = 0;
  std::int64_t session = 0;
};

class Pruner final {
 public:
  explicit Pruner(SqliteDatabase& database) : database_(database) {}

  /// Deletes up to a step's number of calls that started before `end`, oldest first. Returns how many.
  std::int64_t delete_calls(std::int64_t end) {
    SqliteTransaction transaction(database_, SqliteTransaction::Kind::kWrite);
    const auto victims = find(end);
    for (const auto& victim : victims) remove(victim.n);
    subtract();
    transaction.commit();
    return static_cast<std::int64_t>(victims.size());
  }

  void delete_texts(std::int64_t hour, std::int64_t seen) {
    SqliteTransaction transaction(database_, SqliteTransaction::Kind::kWrite);
    database_.prepared("DELETE FROM method_count WHERE hour < ?1").bind(1, hour).run();
    database_.prepared("DELETE FROM process WHERE seen < ?1").bind(1, seen).run();
    const auto day = oldest_day(hour / 24);
    for (const char* table : {"method", "account", "backtrace"}) {
      database_.prepared(fmt::format("DELETE FROM {} WHERE used < ?1", table)).bind(1, day).run();
    }
    database_.prepared("DELETE FROM statement WHERE used < ?1").bind(1, day - kStatementDays).run();
    transaction.commit();
  }

  /// Gives free pages back; in WAL mode the file shrinks at the next checkpoint.
  void vacuum() {
    while (database_.integer("PRAGMA freelist_count") > 0) {
      database_.prepared(fmt::format("PRAGMA incremental_vacuum({})", kPagesPerStep)).run();
      checkpoint();
    }
  }

  /// Does nothing while a reader needs the -wal.
  void checkpoint() {
    const SqliteCursor cursor(database_.prepared("PRAGMA wal_checkpoint(TRUNCATE)"));
    cursor->step();
  }

  /// The file's size once its free pages are given back.
  [[nodiscard]] std::uint64_t used_bytes() {
    const auto pages = database_.integer("PRAGMA page_count") - database_.integer("PRAGMA freelist_count");
    return static_cast<std::uint64_t>(pages * database_.integer("PRAGMA page_size"));
  }

 private:
  std::vector<Victim> find(std::int64_t end) {
    std::vector<Victim> victims;
    const SqliteCursor cursor(
        database_
            .prepared("SELECT n, session, method, wall, statements FROM call INDEXED BY call_by_start "
                      "WHERE start < ?1 ORDER BY start, rank LIMIT ?2")
            .bind(1, end)
            .bind(2, kCallsPerStep));
    while (cursor->step()) {
      const Victim victim{cursor->integer(0), cursor->integer(1)};
      victims.push_back(victim);
      add(sessions_[victim.session], 1, cursor->integer(3));
      add(methods_[{victim.session, cursor->integer(2)}], 1, cursor->integer(3));
      PackedTotals totals(cursor->bytes(4));
      for (PackedTotal total; totals.next(total);) {
        add(statements_[{victim.session, total.statement}], total.count, total.time.count());
      }
    }
    return victims;
  }

  static void add(Sum& sum, std::int64_t number, std::int64_t time) {
    sum.number += number;
    sum.time += time;
  }

  void remove(std::int64_t n) {
    database_.prepared("DELETE FROM call WHERE n = ?1").bind(1, n).run();
    database_.prepared("DELETE FROM part WHERE n >= ?1 AND n < ?2")
        .bind(1, n * kPartsPerCall)
        .bind(2, (n + 1) * kPartsPerCall)
        .run();
  }

  void subtract() {
    for (const auto& [n, sum] : sessions_) subtract_session(n, sum);
    subtract_from("session_method", "method", "calls", methods_);
    subtract_from("session_statement", "statement", "number", statements_);
    sessions_.clear();
  }

  void subtract_session(std::int64_t n, const Sum& sum) {
    database_
        .prepared(
            "UPDATE session SET calls = calls - ?2, time = time - ?3, "
            "first = coalesce((SELECT min(start) FROM call WHERE session = ?1), first) WHERE n = ?1")
        .bind(1, n)
        .bind(2, sum.number)
        .bind(3, sum.time)
        .run();
    database_.prepared("DELETE FROM session WHERE n = ?1 AND calls <= 0").bind(1, n).run();
  }

  using Sums = std::map<std::pair<std::int64_t, std::int64_t>, Sum>;

  void subtract_from(std::string_view table, std::string_view key, std::string_view number, Sums& sums) {
    const auto update =
        fmt::format("UPDATE {0} SET {2} = {2} - ?3, time = time - ?4 WHERE session = ?1 AND {1} = ?2", table,
                    key, number);
    const auto remove =
        fmt::format("DELETE FROM {0} WHERE session = ?1 AND {1} = ?2 AND {2} <= 0", table, key, number);
    for (const auto& [keys, sum] : sums) {
      database_.prepared(update)
          .bind(1, keys.first)
          .bind(2, keys.second)
          .bind(3, sum.number)
          .bind(4, sum.time)
          .run();
      database_.prepared(remove).bind(1, keys.first).bind(2, keys.second).run();
    }
    sums.clear();
  }

  /// The day of the oldest row that may refer to an interned text.
  std::int64_t oldest_day(std::int64_t otherwise) {
    auto day = otherwise;
    const SqliteCursor cursor(database_.prepared("SELECT start FROM call ORDER BY start, rank LIMIT 1"));
    if (cursor->step()) day = std::min(day, day_of(UtcTime(Microseconds(cursor->integer(0)))));
    return day;
  }

  SqliteDatabase& database_;
  std::map<std::int64_t, Sum> sessions_;
  Sums methods_;
  Sums statements_;
};

std::uint64_t size_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

}  // namespace

std::uint64_t file_bytes(const std::filesystem::path& path) {
  return size_of(path.string()) + size_of(path.string() + "-wal");
}

Pruned prune_file(SqliteDatabase& database, const std::filesystem::path& path, const Retention& retention,
                  UtcTime now) {
  Pruned pruned;
  pruned.bytes_before = file_bytes(path);
  Pruner pruner(database);
  const auto cutoff = now - retention.age;
  const auto end = cutoff.time_since_epoch().count();
  int steps = 0;
  const auto delete_before = [&](std::int64_t time) {
    const auto deleted = pruner.delete_calls(time);
    pruned.calls += static_cast<std::uint64_t>(deleted);
    if (++steps % kStepsPerCheckpoint == 0) pruner.checkpoint();
    return deleted > 0;
  };
  while (delete_before(end)) {
  }
  while (pruner.used_bytes() > retention.bytes && delete_before(kNoEnd)) {
  }
  pruner.delete_texts(std::chrono::floor<std::chrono::hours>(cutoff).time_since_epoch().count(), end);
  pruner.vacuum();
  pruner.checkpoint();
  pruned.bytes_after = file_bytes(path);
  return pruned;
}

}  // namespace headroom::perf
