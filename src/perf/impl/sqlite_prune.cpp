// Pruning. The oldest calls go in small transactions, so that writers wait some milliseconds at a time; each
// takes its calls out of the sums. Counts go hour by hour; for size, what is oldest goes first, be it an hour
// of counts or calls. Pages that become free are given back to the file system step by step (auto_vacuum is
// incremental), and the -wal, which counts as much as the file, is truncated in between. Interned texts go
// when the last day of their use is before the oldest row that is left.

#include "perf/impl/sqlite_prune.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <optional>
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

std::int64_t hour_of(UtcTime time) {
  return std::chrono::floor<std::chrono::hours>(time).time_since_epoch().count();
}

/// Says when the time is up. The first step is always allowed, so that pruning gets somewhere.
class Deadline final {
 public:
  explicit Deadline(Microseconds budget) : budget_(budget) {}
  [[nodiscard]] bool over() const {
    return std::chrono::floor<Microseconds>(std::chrono::steady_clock::now() - begin_) >= budget_;
  }

 private:
  Microseconds budget_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

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

  /// Deletes the counts of the oldest hour, if it is before `end`.
  bool delete_hour(std::int64_t end) {
    const auto oldest = oldest_hour();
    if (!oldest || *oldest >= end) return false;
    database_.prepared("DELETE FROM method_count WHERE hour = ?1").bind(1, *oldest).run();
    return true;
  }

  /// Deletes the oldest that there is: an hour of counts that is before every call, or calls.
  std::int64_t delete_oldest(bool& any) {
    const auto call = oldest_call();
    any = delete_hour(call ? hour_of(*call) : kNoEnd);
    if (any) return 0;
    const auto deleted = delete_calls(kNoEnd);
    any = deleted > 0;
    return deleted;
  }

  void delete_texts(std::int64_t hour, std::int64_t seen) {
    SqliteTransaction transaction(database_, SqliteTransaction::Kind::kWrite);
    database_.prepared("DELETE FROM process WHERE seen < ?1").bind(1, seen).run();
    const auto day = oldest_day(hour / 24);
    for (const char* table : {"method", "account", "backtrace"}) {
      database_.prepared(fmt::format("DELETE FROM {} WHERE used < ?1", table)).bind(1, day).run();
    }
    database_.prepared("DELETE FROM statement WHERE used < ?1").bind(1, day - kStatementDays).run();
    transaction.commit();
  }

  /// Gives some free pages back; in WAL mode the file shrinks at the next checkpoint.
  bool vacuum() {
    if (database_.integer("PRAGMA freelist_count") == 0) return false;
    database_.prepared(fmt::format("PRAGMA incremental_vacuum({})", kPagesPerStep)).run();
    checkpoint();
    return true;
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
    const auto call = oldest_call();
    return call ? std::min(otherwise, day_of(*call)) : otherwise;
  }

  std::optional<UtcTime> oldest_call() {
    const SqliteCursor cursor(database_.prepared("SELECT start FROM call ORDER BY start, rank LIMIT 1"));
    if (!cursor->step()) return std::nullopt;
    return UtcTime(Microseconds(cursor->integer(0)));
  }

  std::optional<std::int64_t> oldest_hour() {
    const SqliteCursor cursor(database_.prepared("SELECT hour FROM method_count ORDER BY hour LIMIT 1"));
    if (!cursor->step()) return std::nullopt;
    return cursor->integer(0);
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
                  UtcTime now, Microseconds budget) {
  const Deadline deadline(budget);
  Pruned pruned;
  pruned.bytes_before = file_bytes(path);
  Pruner pruner(database);
  const auto cutoff = now - retention.age;
  const auto end = cutoff.time_since_epoch().count();
  int steps = 0;
  // Repeats a step, which says whether there was anything to do, until the time is up.
  const auto repeat = [&](auto step) {
    while (!pruned.more && step()) {
      if (++steps % kStepsPerCheckpoint == 0) pruner.checkpoint();
      pruned.more = deadline.over();
    }
  };
  const auto counted = [&](std::int64_t deleted) {
    pruned.calls += static_cast<std::uint64_t>(deleted);
    return deleted > 0;
  };
  repeat([&] { return counted(pruner.delete_calls(end)); });
  repeat([&] { return pruner.delete_hour(hour_of(cutoff)); });
  repeat([&] {
    bool any = false;
    if (pruner.used_bytes() > retention.bytes) counted(pruner.delete_oldest(any));
    return any;
  });
  if (!pruned.more) pruner.delete_texts(hour_of(cutoff), end);
  repeat([&] { return pruner.vacuum(); });
  if (!pruned.more) pruner.checkpoint();
  pruned.bytes_after = file_bytes(path);
  return pruned;
}

}  // namespace headroom::perf
