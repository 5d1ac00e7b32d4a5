// The SQLite store: connections, errors, rules. Its parts: impl/sqlite_schema (the file), impl/sqlite_append,
// impl/sqlite_query, impl/sqlite_prune.
//
// A connection is made again when the path leads to another file than the one that is open (it was deleted or
// replaced; one stat per question tells), and after errors that say that the file or the connection is
// broken.

#include "perf/sqlite_store.hpp"

#include <algorithm>
#include <limits>
#include <new>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "perf/impl/sqlite_append.hpp"
#include "perf/impl/sqlite_database.hpp"
#include "perf/impl/sqlite_prune.hpp"
#include "perf/impl/sqlite_query.hpp"
#include "perf/impl/sqlite_schema.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;
using base::fail;

/// The file's path and, while it is good, a connection to it.
class SqliteFile final {
 public:
  SqliteFile(std::filesystem::path path, OpenMode mode) : path_(std::move(path)), mode_(mode) {}

  /// Runs `use` with a connection; whatever it throws becomes an error that names the file.
  template <typename Use>
  auto run(Use use) -> Result<decltype(use(std::declval<SqliteDatabase&>()))> {
    using Value = decltype(use(std::declval<SqliteDatabase&>()));
    try {
      const Release release(*this);
      if constexpr (std::is_void_v<Value>) {
        use(connected());
        return {};
      } else {
        return use(connected());
      }
    } catch (const SqliteError& error) {
      if (breaks_connection(error)) connection_ = {};
      return fail(error.code(), fmt::format("store {}: {}", path_.string(), error.what()));
    } catch (const std::bad_alloc&) {
      connection_ = {};
      return fail(ErrorCode::kUnavailable, fmt::format("store {}: out of memory", path_.string()));
    }
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// How many connections there were until now.
  [[nodiscard]] std::uint64_t connections() const { return connections_; }

 private:
  /// Closes a connection that holds no locks as soon as the question is answered.
  class Release final {
   public:
    explicit Release(SqliteFile& file) : file_(file) {}
    ~Release() {
      if (file_.connection_.snapshot) file_.connection_ = {};
    }
    Release(const Release&) = delete;
    Release& operator=(const Release&) = delete;

   private:
    SqliteFile& file_;
  };

  struct Identity {
    dev_t device = 0;
    ino_t file = 0;
    bool operator==(const Identity&) const = default;
  };

  static bool breaks_connection(const SqliteError& error) {
    return error.sqlite_code() != SQLITE_BUSY && error.code() != ErrorCode::kTooLarge &&
           error.code() != ErrorCode::kNotFound;
  }

  [[nodiscard]] Identity identity() const {
    struct stat status {};
    return ::stat(path_.c_str(), &status) == 0 ? Identity{status.st_dev, status.st_ino} : Identity{};
  }

  SqliteDatabase& connected() {
    if (connection_.database && identity() == identity_) return *connection_.database;
    connection_ = {};
    auto connection = connect_sqlite_file(path_, mode_, schema_steps());
    identity_ = identity();
    connection_ = std::move(connection);
    ++connections_;
    return *connection_.database;
  }

  std::filesystem::path path_;
  OpenMode mode_;
  SqliteConnection connection_;
  std::uint64_t connections_ = 0;
  Identity identity_;
};

class SqliteStore final : public Store {
 public:
  explicit SqliteStore(SqliteFile file) : file_(std::move(file)) {}

  Result<void> append(const Batch& batch) override {
    kept_ = {};
    return file_.run([&](SqliteDatabase& database) { append_batch(database, batch); });
  }
  Result<std::vector<SessionRow>> sessions(const Filter& filter) override {
    return file_.run([&](SqliteDatabase& database) { return read_sessions(database, filter); });
  }
  Result<std::vector<TotalRow>> totals(const Filter& filter, GroupBy group) override {
    return file_.run([&](SqliteDatabase& database) { return read_totals(database, filter, group); });
  }
  Result<CallPage> calls(const Filter& filter, const Page& page, const CallOrder& order) override {
    return file_.run([&](SqliteDatabase& database) {
      if (order == CallOrder{}) return read_calls(database, filter, page);
      // Another connection counts its versions anew.
      if (std::exchange(kept_on_, file_.connections()) != file_.connections()) kept_ = {};
      return read_sorted_calls(database, filter, page, order, kept_);
    });
  }
  Result<Batch> load(const std::vector<std::string>& ids) override {
    return file_.run([&](SqliteDatabase& database) { return read_records(database, ids); });
  }
  Result<std::vector<MethodCount>> counts(const Filter& filter) override {
    return file_.run([&](SqliteDatabase& database) { return read_counts(database, filter); });
  }
  Result<CallSamples> samples(const Filter& filter, std::uint64_t most) override {
    return file_.run([&](SqliteDatabase& database) { return read_samples(database, filter, most); });
  }
  Result<StoreInfo> info() override {
    return file_.run([&](SqliteDatabase& database) { return read_info(database); });
  }

 private:
  StoreInfo read_info(SqliteDatabase& database) {
    const SqliteTransaction transaction(database, SqliteTransaction::Kind::kRead);
    StoreInfo info;
    info.url = fmt::format("sqlite://{}", file_.path().string());
    info.kind = "sqlite";
    info.schema = static_cast<std::uint32_t>(database.integer("PRAGMA user_version"));
    info.calls = static_cast<std::uint64_t>(database.integer("SELECT coalesce(sum(calls), 0) FROM session"));
    info.bytes = file_bytes(file_.path());
    if (info.calls > 0) {
      info.oldest =
          UtcTime(Microseconds(database.integer("SELECT start FROM call ORDER BY start, rank LIMIT 1")));
    }
    info.processes = read_processes(database, base::utc_now() - std::chrono::hours(1));
    return info;
  }

  SqliteFile file_;
  KeptOrder kept_;
  std::uint64_t kept_on_ = 0;
};

class SqliteControl final : public StoreControl {
 public:
  explicit SqliteControl(SqliteFile file) : file_(std::move(file)) {}

  Result<RuleSet> rules(std::uint64_t known_version) override {
    return file_.run([&](SqliteDatabase& database) { return read_rules(database, known_version); });
  }
  Result<std::string> add_rule(const Rule& rule) override {
    return file_.run([&](SqliteDatabase& database) { return insert_rule(database, rule); });
  }
  Result<void> remove_rule(std::string_view id) override {
    return file_.run([&](SqliteDatabase& database) { delete_rule(database, id); });
  }
  Result<Retention> retention() override {
    return file_.run([](SqliteDatabase& database) { return read_retention(database); });
  }
  Result<void> set_retention(const Retention& retention) override {
    return file_.run([&](SqliteDatabase& database) {
      SqliteTransaction transaction(database, SqliteTransaction::Kind::kWrite);
      set_meta(database, kAge, retention.age.count());
      set_meta(database, kBytes, clamped(retention.bytes));
      transaction.commit();
    });
  }
  Result<Pruned> prune(const Retention& retention, UtcTime now, Microseconds budget) override {
    return file_.run(
        [&](SqliteDatabase& database) { return prune_file(database, file_.path(), retention, now, budget); });
  }

 private:
  static constexpr const char* kSelectVersion = "SELECT value FROM meta WHERE key = 'rules_version'";
  static constexpr const char* kNextVersion = "UPDATE meta SET value = value + 1 WHERE key = 'rules_version'";

  static constexpr const char* kAge = "retention_age";  // microseconds
  static constexpr const char* kBytes = "retention_bytes";

  static std::int64_t clamped(std::uint64_t number) {
    return static_cast<std::int64_t>(
        std::min<std::uint64_t>(number, std::numeric_limits<std::int64_t>::max()));
  }

  static std::int64_t meta(SqliteDatabase& database, std::string_view key, std::int64_t otherwise) {
    const SqliteCursor cursor(database.prepared("SELECT value FROM meta WHERE key = ?1").bind(1, key));
    return cursor->step() ? cursor->integer(0) : otherwise;
  }

  static void set_meta(SqliteDatabase& database, std::string_view key, std::int64_t value) {
    database.prepared("INSERT INTO meta VALUES(?1, ?2) ON CONFLICT DO UPDATE SET value = ?2")
        .bind(1, key)
        .bind(2, value)
        .run();
  }

  static Retention read_retention(SqliteDatabase& database) {
    const SqliteTransaction transaction(database, SqliteTransaction::Kind::kRead);
    const Retention defaults;
    Retention retention;
    retention.age = Microseconds(meta(database, kAge, defaults.age.count()));
    retention.bytes = static_cast<std::uint64_t>(meta(database, kBytes, clamped(defaults.bytes)));
    return retention;
  }

  static RuleSet read_rules(SqliteDatabase& database, std::uint64_t known_version) {
    RuleSet set;
    set.version = static_cast<std::uint64_t>(database.integer(kSelectVersion));
    if (set.version == known_version) return set;
    const SqliteTransaction transaction(database, SqliteTransaction::Kind::kRead);
    set.version = static_cast<std::uint64_t>(database.integer(kSelectVersion));
    const SqliteCursor cursor(database.prepared("SELECT n, json FROM rule ORDER BY n"));
    while (cursor->step()) {
      auto rule = rule_from_json(cursor->bytes(1));
      if (!rule) throw SqliteError(ErrorCode::kProtocol, 0, rule.error().message());
      rule->id = fmt::format("r{}", cursor->integer(0));
      set.rules.push_back(*std::move(rule));
    }
    return set;
  }

  static std::string insert_rule(SqliteDatabase& database, const Rule& rule) {
    const auto json = to_json(rule);
    SqliteTransaction transaction(database, SqliteTransaction::Kind::kWrite);
    database.prepared("INSERT INTO rule(json) VALUES(?1)").bind(1, json).run();
    auto id = fmt::format("r{}", database.last_row());
    database.prepared(kNextVersion).run();
    transaction.commit();
    return id;
  }

  static void delete_rule(SqliteDatabase& database, std::string_view id) {
    SqliteTransaction transaction(database, SqliteTransaction::Kind::kWrite);
    database.prepared("DELETE FROM rule WHERE 'r' || n = ?1").bind(1, id).run();
    if (database.changes() == 0) {
      throw SqliteError(ErrorCode::kNotFound, 0, fmt::format("there is no rule '{:.40}'", id));
    }
    database.prepared(kNextVersion).run();
    transaction.commit();
  }

  SqliteFile file_;
};

}  // namespace

Result<OpenStore> open_sqlite_store(const std::filesystem::path& path, OpenMode mode) {
  SqliteFile records(path, mode);
  if (auto ready = records.run([](SqliteDatabase&) {}); !ready) return fail(std::move(ready).error());
  OpenStore open;
  open.store = std::make_unique<SqliteStore>(std::move(records));
  open.control = std::make_unique<SqliteControl>(SqliteFile(path, mode));
  return open;
}

}  // namespace headroom::perf
