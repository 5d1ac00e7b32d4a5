// Writes a small, fixed history into a store, for tests in other languages:
//
//   perf_sample_store URL                    what the golden files of the reports show, at its fixed times
//   perf_sample_store URL --slow DATABASE    one call whose slow statements are the lines of standard input
//   perf_sample_store URL --now NUMBER       so many calls that begin now

#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>

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

int write(const std::string& url, const Batch& batch) {
  auto open = open_store(url, OpenMode::kWrite);
  if (!open) {
    fmt::print(stderr, "{}\n", open.error().message());
    return 1;
  }
  const auto appended = open->store->append(batch);
  if (!appended) fmt::print(stderr, "{}\n", appended.error().message());
  return appended ? 0 : 1;
}

}  // namespace
}  // namespace headroom::perf

int main(int count, char** arguments) {
  using namespace headroom::perf;
  if (count == 2) return write(arguments[1], sample_batch());
  if (count == 4 && std::string_view(arguments[2]) == "--slow")
    return write(arguments[1], slow_batch(arguments[3]));
  if (count == 4 && std::string_view(arguments[2]) == "--now")
    return write(arguments[1], recent_batch(std::atoi(arguments[3])));
  fmt::print(stderr, "usage: perf_sample_store URL [--slow DATABASE | --now NUMBER]\n");
  return 2;
}
