// What is SQLite's own: the file, who may open it, and what happens when it is foreign, damaged, full or
// gone.

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <random>

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perf/impl/sqlite_append.hpp"
#include "perf/impl/sqlite_schema.hpp"
#include "perf/sqlite_store.hpp"
#include "perf/store_conformance.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr uid_t kWriter = 64001;
constexpr uid_t kReader = 64002;
constexpr gid_t kGroup = 64003;

std::string read_bytes(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// Every file of a folder with its bytes: what "left untouched" compares.
std::map<std::string, std::string> contents(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file()) files[entry.path().filename()] = read_bytes(entry.path());
  }
  return files;
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

Batch batch_of(std::vector<CallRecord> calls) {
  Batch batch;
  batch.calls = std::move(calls);
  return batch;
}

/// Runs `work` in a process of its own; true when it returned true and nothing crashed.
bool in_process(const std::function<bool()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work() ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// As another user, when the test runs as root; otherwise as the one who runs it.
bool as_user(uid_t user, std::vector<gid_t> groups, const std::function<bool()>& work) {
  return in_process([&] {
    if (::geteuid() == 0) {
      if (::setgroups(groups.size(), groups.data()) != 0 || ::setgid(user) != 0 || ::setuid(user) != 0)
        return false;
    }
    return work();
  });
}

class SqliteFileTest : public testing::Test {
 protected:
  SqliteFileTest() : path_(folder_.path() + "/perf.sqlite") {}

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }
  [[nodiscard]] Result<OpenStore> open(OpenMode mode) const { return open_sqlite_store(path_, mode); }
  [[nodiscard]] bool write(const std::string& id) const {
    auto store = open(OpenMode::kWrite);
    return store && store->store->append(batch_of({plain_call(id, 1)}));
  }
  [[nodiscard]] std::uint64_t count(OpenMode mode = OpenMode::kRead) const {
    auto store = open(mode);
    if (!store) return 0;
    const auto page = store->store->calls({}, {});
    return page ? page->total : 0;
  }
  void run_sql(const std::string& sql) const {
    SqliteDatabase(sqlite_uri(path_, ""), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE).execute(sql);
  }
  void expect_refused_untouched(std::string_view reason) const {
    const auto before = contents(folder());
    for (const auto mode : {OpenMode::kRead, OpenMode::kWrite}) {
      const auto opened = open(mode);
      ASSERT_FALSE(opened);
      EXPECT_EQ(opened.error().code(), ErrorCode::kProtocol) << opened.error().message();
      EXPECT_THAT(opened.error().message(), HasSubstr(reason));
      EXPECT_THAT(opened.error().message(), HasSubstr(path_));
    }
    EXPECT_EQ(contents(folder()), before);
  }

 private:
  ScratchFolder folder_;
  std::string path_;
};

}  // namespace

TEST_F(SqliteFileTest, a_missing_file_is_made_for_writing_only) {
  const auto opened = open(OpenMode::kRead);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(contents(folder()), IsEmpty());
  EXPECT_TRUE(open(OpenMode::kWrite));
  EXPECT_TRUE(open(OpenMode::kRead));
}

TEST_F(SqliteFileTest, a_store_that_is_changed_must_be_there) {
  const auto refused = open(OpenMode::kChange);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(contents(folder()), IsEmpty());
  ASSERT_TRUE(open(OpenMode::kWrite));
  auto changed = open(OpenMode::kChange);
  ASSERT_TRUE(changed);
  EXPECT_TRUE(changed->control->add_rule(Rule{}));
}

TEST_F(SqliteFileTest, the_umask_does_not_decide_who_reads_it) {
  const auto deep = folder() + "/new/state";
  EXPECT_TRUE(in_process([&] {
    ::umask(0077);
    auto store = open_sqlite_store(deep + "/perf.sqlite", OpenMode::kWrite);
    if (!store || !store->store->append(batch_of({plain_call("a", 1)}))) return false;
    return mode_of(deep + "/perf.sqlite-wal") == 0660 && mode_of(deep + "/perf.sqlite-shm") == 0660;
  }));
  EXPECT_EQ(mode_of(deep), 02770U);
  EXPECT_EQ(mode_of(deep + "/perf.sqlite"), 0660U);
  EXPECT_EQ(mode_of(deep + "/perf.sqlite-wal"), 0660U) << "it stays for readers";
  EXPECT_EQ(mode_of(deep + "/perf.sqlite-shm"), 0660U);
}

TEST_F(SqliteFileTest, another_user_of_the_group_reads_it_while_no_writer_is_open) {
  ASSERT_EQ(::chmod(folder().c_str(), 02770), 0);
  ASSERT_TRUE(::geteuid() != 0 || ::chown(folder().c_str(), kWriter, kGroup) == 0);
  EXPECT_TRUE(as_user(kWriter, {kGroup}, [&] {
    ::umask(0077);
    return write("a");
  }));
  EXPECT_TRUE(as_user(kReader, {kGroup}, [&] { return count() == 1; }));
  EXPECT_TRUE(as_user(kReader, {kGroup}, [&] { return write("b"); })) << "trace rules come from people";
  EXPECT_TRUE(as_user(kWriter, {kGroup}, [&] { return write("c") && count() == 3; }));
  if (::geteuid() != 0) return;
  EXPECT_TRUE(as_user(kReader, {}, [&] {
    const auto opened = open(OpenMode::kRead);
    return !opened && opened.error().code() == ErrorCode::kDenied;
  })) << "strangers are kept out";
}

TEST_F(SqliteFileTest, who_may_read_but_not_write_reads_it_with_and_without_a_writer) {
  ASSERT_EQ(::chmod(folder().c_str(), 0755), 0);
  ASSERT_TRUE(::geteuid() != 0 || ::chown(folder().c_str(), kWriter, kGroup) == 0);
  ASSERT_TRUE(as_user(kWriter, {kGroup}, [&] { return write("a"); }));
  for (const char* suffix : {"", "-wal", "-shm"}) ASSERT_EQ(::chmod((path() + suffix).c_str(), 0644), 0);
  const auto reads = [&](std::uint64_t expected) {
    return as_user(kReader, {}, [&] {
      auto writer = open(OpenMode::kWrite);
      const bool refused = ::geteuid() != kReader || (!writer && writer.error().code() == ErrorCode::kDenied);
      return refused && count() == expected;
    });
  };
  EXPECT_TRUE(reads(1)) << "nobody has it open";
  {
    auto writer = open(OpenMode::kWrite);
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->store->append(batch_of({plain_call("b", 2)})));
    EXPECT_TRUE(reads(2)) << "a writer has it open";
  }
  ::unlink((path() + "-wal").c_str());
  ::unlink((path() + "-shm").c_str());
  EXPECT_TRUE(reads(2)) << "restored from a backup: no -wal, no -shm, and no right to make them";
}

TEST_F(SqliteFileTest, a_file_of_another_application_is_refused_and_left_untouched) {
  run_sql("CREATE TABLE theirs(x); INSERT INTO theirs VALUES(1)");
  expect_refused_untouched("another application");
}

TEST_F(SqliteFileTest, a_file_that_is_no_database_is_refused_and_left_untouched) {
  std::ofstream(path()) << std::string(100000, 'x');
  expect_refused_untouched("not a database");
}

TEST_F(SqliteFileTest, an_empty_file_is_no_store_yet_and_becomes_one_when_somebody_writes) {
  std::ofstream{path()};
  const auto reader = open_store("sqlite://" + path(), OpenMode::kRead);
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(reader.error().message(), HasSubstr("empty"));
  EXPECT_TRUE(write("a"));
  EXPECT_TRUE(open_store("sqlite://" + path(), OpenMode::kRead));
}

TEST_F(SqliteFileTest, a_newer_schema_is_refused_and_left_untouched) {
  ASSERT_TRUE(write("a"));
  run_sql("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)");
  expect_refused_untouched("schema 99 is newer");
}

TEST_F(SqliteFileTest, a_header_that_is_cut_is_refused_and_left_untouched) {
  ASSERT_TRUE(write("a"));
  std::filesystem::resize_file(path(), 60);
  expect_refused_untouched("");
}

TEST_F(SqliteFileTest, what_is_no_file_is_refused_at_once) {
  ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
  const auto opened = open(OpenMode::kRead);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kProtocol);
}

TEST_F(SqliteFileTest, an_older_schema_is_brought_up_to_date_and_keeps_its_data) {
  ASSERT_TRUE(write("a"));
  std::vector<const char*> steps(schema_steps().begin(), schema_steps().end());
  steps.push_back("CREATE TABLE added(x); INSERT INTO added VALUES(7)");
  EXPECT_THROW((void)connect_sqlite_file(path(), OpenMode::kRead, steps), SqliteError) << "a reader can't";
  const auto connection = connect_sqlite_file(path(), OpenMode::kWrite, steps);
  EXPECT_EQ(connection.database->integer("PRAGMA user_version"), static_cast<std::int64_t>(steps.size()));
  EXPECT_EQ(connection.database->integer("SELECT x FROM added"), 7);
  EXPECT_EQ(connection.database->integer("SELECT count(*) FROM call"), 1);
}

TEST_F(SqliteFileTest, a_migration_that_fails_changes_nothing) {
  ASSERT_TRUE(write("a"));
  std::vector<const char*> steps(schema_steps().begin(), schema_steps().end());
  steps.push_back("CREATE TABLE added(x)");
  steps.push_back("INSERT INTO nowhere VALUES(1)");
  EXPECT_THROW((void)connect_sqlite_file(path(), OpenMode::kWrite, steps), SqliteError);
  EXPECT_EQ(count(OpenMode::kWrite), 1U);
}

TEST_F(SqliteFileTest, processes_that_make_it_at_once_share_one_file) {
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(write(fmt::format("p{}", i)) ? 0 : 1);
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(count(), 6U);
  EXPECT_THAT(contents(folder()), SizeIs(3)) << "the file, -wal and -shm, no scratch file";
}

TEST_F(SqliteFileTest, the_wal_of_a_removed_store_is_not_replayed_into_a_new_one) {
  std::string wal;
  {
    auto store = open(OpenMode::kWrite);
    ASSERT_TRUE(store->store->append(batch_of({plain_call("old", 1)})));
    wal = read_bytes(path() + "-wal");
  }
  ASSERT_FALSE(wal.empty());
  ::unlink(path().c_str());
  std::ofstream(path() + "-wal", std::ios::binary) << wal;
  EXPECT_EQ(count(OpenMode::kWrite), 0U);
  EXPECT_TRUE(write("new"));
  EXPECT_EQ(count(), 1U);
}

TEST_F(SqliteFileTest, a_file_that_is_deleted_while_open_is_made_again) {
  auto store = open(OpenMode::kWrite);
  auto reader = open(OpenMode::kRead);
  ASSERT_TRUE(store->store->append(batch_of({plain_call("a", 1)})));
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((path() + suffix).c_str());
  const auto gone = reader->store->calls({}, {});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code(), ErrorCode::kNotFound);
  ASSERT_TRUE(store->store->append(batch_of({plain_call("b", 2)})));
  const auto page = reader->store->calls({}, {});
  ASSERT_TRUE(page) << page.error().message();
  ASSERT_THAT(page->calls, SizeIs(1));
  EXPECT_EQ(page->calls[0].id, "b");
}

TEST_F(SqliteFileTest, a_file_that_is_replaced_while_open_is_opened_again) {
  auto store = open(OpenMode::kWrite);
  ASSERT_TRUE(store->store->append(batch_of({plain_call("a", 1)})));
  const auto other = folder() + "/other.sqlite";
  {
    auto second = open_sqlite_store(other, OpenMode::kWrite);
    ASSERT_TRUE(second->store->append(batch_of({plain_call("x", 1), plain_call("y", 2)})));
  }
  for (const char* suffix : {"-wal", "-shm"}) ::unlink((path() + suffix).c_str());
  std::filesystem::rename(other, path());
  const auto page = store->store->calls({}, {});
  ASSERT_TRUE(page) << page.error().message();
  EXPECT_EQ(page->total, 2U);
}

TEST_F(SqliteFileTest, a_lock_that_is_held_too_long_is_a_retryable_error_and_readers_do_not_wait) {
  auto store = open(OpenMode::kWrite);
  auto reader = open(OpenMode::kRead);
  SqliteDatabase holder(sqlite_uri(path(), ""), SQLITE_OPEN_READWRITE);
  holder.execute("BEGIN IMMEDIATE");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(reader->store->calls({}, {}));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  const auto appended = store->store->append(batch_of({plain_call("a", 1)}));
  ASSERT_FALSE(appended);
  EXPECT_EQ(appended.error().code(), ErrorCode::kTimedOut);
  EXPECT_TRUE(appended.error().retryable());
  holder.execute("ROLLBACK");
  EXPECT_TRUE(store->store->append(batch_of({plain_call("a", 1)})));
}

TEST_F(SqliteFileTest, a_full_store_says_so_and_goes_on_when_there_is_room) {
  auto connection = connect_sqlite_file(path(), OpenMode::kWrite, schema_steps());
  auto& database = *connection.database;
  database.execute(fmt::format("PRAGMA max_page_count = {}", database.integer("PRAGMA page_count") + 2));
  auto call = plain_call("big", 1);
  for (int i = 0; i < 60000; ++i) call.error += static_cast<char>(i % 251);
  call.request = Body{call.error, 1};
  std::mt19937_64 noise(1);
  for (int i = 0; i < 9000; ++i) call.request->text += fmt::format("{:x}", noise());
  try {
    append_batch(database, batch_of({call}));
    FAIL() << "it fitted";
  } catch (const SqliteError& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.what();
    EXPECT_THAT(error.what(), HasSubstr("no space"));
  }
  database.execute("PRAGMA max_page_count = 100000");
  append_batch(database, batch_of({call}));
  EXPECT_EQ(database.integer("SELECT count(*) FROM call"), 1);
}

TEST_F(SqliteFileTest, a_write_that_the_system_refuses_loses_nothing_that_was_stored) {
  ASSERT_TRUE(write("before"));
  EXPECT_TRUE(in_process([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    auto store = open(OpenMode::kWrite);
    const rlimit small{1 << 16, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &small);
    auto call = plain_call("a", 2);
    call.error = std::string(1 << 10, 'x');
    bool refused = false;
    for (int i = 0; i < 200 && !refused; ++i) {
      call.summary.id = fmt::format("a{}", i);
      call.summary.method = std::string(5000, static_cast<char>('a' + i % 26)) + call.summary.id;
      refused = !store->store->append(batch_of({call}));
    }
    const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &none);
    return refused && store->store->append(batch_of({call}));
  }));
  auto store = open(OpenMode::kRead);
  EXPECT_THAT(store->store->load({"before"})->calls, SizeIs(1));
}

TEST_F(SqliteFileTest, a_damaged_page_anywhere_is_an_error_and_never_a_crash) {
  {
    auto store = open(OpenMode::kWrite);
    std::vector<CallRecord> calls;
    for (int i = 0; i < 150; ++i) calls.push_back(full_record(fmt::format("c{}", i)));
    ASSERT_TRUE(store->store->append(batch_of(std::move(calls))));
  }
  const auto whole = read_bytes(path());
  int errors = 0;
  for (std::size_t page = 1; page * 8192 < whole.size(); ++page) {
    for (const char* suffix : {"-wal", "-shm"}) ::unlink((path() + suffix).c_str());
    auto damaged = whole;
    for (std::size_t i = 0; i < 8192 && page * 8192 + i < damaged.size(); i += 3) {
      damaged[page * 8192 + i] = static_cast<char>(0xA5 ^ (i & 0xFF));
    }
    std::ofstream(path(), std::ios::binary | std::ios::trunc) << damaged;
    auto store = open(OpenMode::kRead);
    if (!store) {
      ++errors;
      continue;
    }
    Filter filter;
    filter.user = "admin";
    const auto note = [&](const auto& result) { errors += result.has_value() ? 0 : 1; };
    note(store->store->sessions({}));
    note(store->store->totals({}, GroupBy::kTable));
    note(store->store->totals(filter, GroupBy::kFingerprint));
    note(store->store->totals(filter, GroupBy::kMethod));
    note(store->store->calls(filter, {}));
    note(store->store->load({"c0", "c50", "c149"}));
    note(store->store->info());
    note(store->control->rules(99));
  }
  EXPECT_GT(errors, 0);
}

TEST_F(SqliteFileTest, pruning_gives_the_space_back_and_forgets_texts_that_nothing_uses) {
  auto store = open(OpenMode::kWrite);
  for (int batch = 0; batch < 10; ++batch) {
    std::vector<CallRecord> calls;
    for (int i = 0; i < 100; ++i) {
      calls.push_back(full_record(fmt::format("c{}.{}", batch, i)));
      calls.back().summary.method = fmt::format("method{}", i);
    }
    ASSERT_TRUE(store->store->append(batch_of(std::move(calls))));
  }
  const auto pruned =
      store->control->prune({std::chrono::hours(1), 1ULL << 40}, base::utc_now() + std::chrono::hours(2));
  ASSERT_TRUE(pruned) << pruned.error().message();
  EXPECT_EQ(pruned->calls, 1000U);
  EXPECT_LT(pruned->bytes_after, pruned->bytes_before / 2);
  SqliteDatabase database(sqlite_uri(path(), ""), SQLITE_OPEN_READWRITE);
  for (const char* table :
       {"call", "part", "session", "session_method", "session_statement", "method", "account", "backtrace"}) {
    EXPECT_EQ(database.integer(fmt::format("SELECT count(*) FROM {}", table)), 0) << table;
  }
  EXPECT_TRUE(store->store->append(batch_of({full_record("again")})));
  EXPECT_THAT(store->store->load({"again"})->calls, SizeIs(1));
}

TEST_F(SqliteFileTest, a_path_with_signs_that_a_uri_reads_is_taken_as_it_is) {
  const auto odd = folder() + "/a b?mode=ro#x%41&.sqlite";
  ASSERT_TRUE(open_store("sqlite://" + odd, OpenMode::kWrite));
  EXPECT_TRUE(std::filesystem::exists(odd));
}

}  // namespace headroom::perf
