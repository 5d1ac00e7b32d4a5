// Writes a small, fixed history into a store, for tests in other languages:
//
//   perf_sample_store URL                    what the golden files of the reports show, at its fixed times
//   perf_sample_store URL --slow DATABASE    one call whose slow statements are the lines of standard input
//   perf_sample_store URL --now NUMBER       so many calls that begin now
//   perf_sample_store URL --many NUMBER      so many calls of one session, whose times are a permutation
//   perf_sample_store URL --hostile          names and texts of a mebibyte, with markup and control
//   characters

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "perf/report_sample.hpp"
#include "perf/store.hpp"
#include "sql/statement.hpp"

namespace headroom::perf {
namespace {

CallRecord call_of(const std::string& database, const std::string& id) {
  CallRecord record;
  record.summary.id = fmt::format("{}-{}-{}", id, ::getpid(), base::utc_now().time_since_epoch().count());
  record.summary.database = database;
  record.summary.session = "71aa";
  record.summary.user = "admin";
  record.summary.method = "model.sale.sale.read";
  record.summary.start = base::utc_now();
  record.summary.wall = std::chrono::milliseconds(40);
  return record;
}

Batch slow_batch(const std::string& database) {
  Batch batch;
  CallRecord record = call_of(database, "slow");
  record.summary.has = Has::kQuery;
  for (std::string line; std::getline(std::cin, line);) {
    const StatementInfo info = sql::analyze(line);
    batch.statements.push_back(info);
    record.slow.push_back(
        {info.fingerprint, {}, std::chrono::milliseconds(700), 1, line, "dispatcher.py:1 a\nsale.py:2 b"});
    record.statements.push_back(
        {info.fingerprint, 1, std::chrono::milliseconds(700), std::chrono::milliseconds(700), 1, ""});
  }
  batch.calls.push_back(std::move(record));
  return batch;
}

Batch recent_batch(int number) {
  Batch batch;
  for (int i = 0; i < number; ++i) batch.calls.push_back(call_of("shop", fmt::format("now{}", i)));
  return batch;
}

/// Call number `i` of `all`. Times differ, and follow one another as `i * 7919 % all` does, in steps of 10
/// us.
CallRecord one_of_many(std::uint64_t i, std::uint64_t all) {
  CallRecord record = call_of("shop", fmt::format("many{}", i));
  record.summary.session = "0123456789abcdef";
  record.summary.method = fmt::format("model.module{}.thing.read", i % 50);
  record.summary.start = base::utc_now() - std::chrono::hours(24) + std::chrono::milliseconds(i);
  record.summary.wall = Microseconds(10 * static_cast<std::int64_t>(i * 7919 % all) + 10);
  record.summary.statements = static_cast<std::uint32_t>(i % 97);
  return record;
}

std::vector<Batch> many_batches(std::uint64_t all) {
  constexpr std::uint64_t kAtOnce = 10'000;
  std::vector<Batch> batches;
  for (std::uint64_t i = 0; i < all; ++i) {
    if (i % kAtOnce == 0) batches.emplace_back();
    batches.back().calls.push_back(one_of_many(i, all));
  }
  return batches;
}

constexpr std::size_t kLongestName = 1U << 20;

/// It begins with what would be markup, or would steer a terminal. As long as a store takes.
std::string hostile(std::string_view begin, std::size_t size = kLongestName) {
  std::string text(begin);
  text += "<img src=x onerror=\"document.title=1\"><script>document.title=2</script>\x1b[31m\u202e\xff";
  while (text.size() < size) text += "\u5546<b>";
  return text.substr(0, size);
}

CallRecord hostile_call(int number) {
  CallRecord record = call_of("shop", fmt::format("hostile{}", number));
  CallSummary& call = record.summary;
  call.session = "0123456789abcdef";
  call.method = hostile("model.a.");
  call.user = hostile("user ", 50'000);
  call.status = CallStatus::kException;
  call.statements = 40;
  call.most_repeated = 20;
  call.sql = std::chrono::milliseconds(30);
  call.has = Has::kDb | Has::kQuery | Has::kIo | Has::kProfile | Has::kConflict;
  record.error = hostile("error ", 50'000);
  record.attempts = {{std::chrono::milliseconds(20), 20, hostile("attempt ", 50'000)},
                     {std::chrono::milliseconds(20), 20, ""}};
  call.attempts = 2;
  record.statements = {
      {1, 20, std::chrono::milliseconds(15), std::chrono::milliseconds(1), 1, hostile("a.py:1 ")},
      {2, 20, std::chrono::milliseconds(15), std::chrono::milliseconds(1), 1, hostile("b.py:1 ")}};
  for (int i = 0; i < 20; ++i) {
    record.events.push_back({1, Microseconds(i), Microseconds(700), 1, hostile("[\"", 50'000)});
  }
  record.slow = {{1, {}, std::chrono::milliseconds(700), 1, hostile("SELECT "), hostile("a.py:1 ")}};
  record.exact_profile = Profile{Profile::Kind::kExact,
                                 {{"", "", 0}, {hostile("function ", 50'000), hostile("file ", 50'000), 1}},
                                 {{0, 0, 1, base::Nanoseconds(5), {}}, {0, 1, 1, base::Nanoseconds(9), {}}},
                                 0,
                                 0,
                                 0};
  record.request = Body{hostile("{"), 1U << 20, false};
  record.response = Body{hostile("<html>"), 1U << 20, false};
  return record;
}

Batch hostile_batch() {
  Batch batch;
  for (const std::uint64_t fingerprint : {1U, 2U}) {
    batch.statements.push_back({fingerprint,
                                sql::StatementKind::kSelect,
                                {hostile("table ")},
                                hostile("SELECT * FROM table WHERE a = $1 AND ")});
  }
  for (int i = 0; i < 40; ++i) batch.calls.push_back(hostile_call(i));
  // What is large and of its own is kept of few, so that the file stays small; the names are in all.
  for (std::size_t i = 3; i < batch.calls.size(); ++i) {
    CallRecord& record = batch.calls[i];
    record.request.reset();
    record.response.reset();
    record.exact_profile.reset();
    record.events.clear();
    record.error.clear();
    record.attempts.clear();
    record.summary.has = Has::kQuery;
    record.slow.front().sql = "SELECT 1";
    record.slow.front().backtrace.clear();
  }
  MethodCount count;
  count.database = hostile("database ");
  count.method = hostile("model.a.");
  count.hour = std::chrono::floor<std::chrono::hours>(base::utc_now()).time_since_epoch().count();
  count.count = 40;
  batch.counts = {count};
  return batch;
}

int write(const std::string& url, const std::vector<Batch>& batches) {
  auto open = open_store(url, OpenMode::kWrite);
  if (!open) {
    fmt::print(stderr, "{}\n", open.error().message());
    return 1;
  }
  for (const Batch& batch : batches) {
    const auto appended = open->store->append(batch);
    if (!appended) fmt::print(stderr, "{}\n", appended.error().message());
    if (!appended) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace headroom::perf

int main(int count, char** arguments) {
  using namespace headroom::perf;
  const std::string_view what = count > 2 ? arguments[2] : "";
  if (count == 2) return write(arguments[1], {sample_batch()});
  if (count == 4 && what == "--slow") return write(arguments[1], {slow_batch(arguments[3])});
  if (count == 4 && what == "--now") return write(arguments[1], {recent_batch(std::atoi(arguments[3]))});
  if (count == 4 && what == "--many")
    return write(arguments[1], many_batches(std::strtoull(arguments[3], nullptr, 10)));
  if (count == 3 && what == "--hostile") return write(arguments[1], {hostile_batch()});
  fmt::print(stderr,
             "usage: perf_sample_store URL [--slow DATABASE | --now NUMBER | --many NUMBER | --hostile]\n");
  return 2;
}
