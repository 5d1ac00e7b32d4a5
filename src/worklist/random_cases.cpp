// Random cases in any number, from any seed, without sanitizers:
//
//   worklist_cases [--sqlite CASES] [--mariadb CASES] [--postgres CASES] [--live CASES] [--seed FIRST]
//
// --sqlite counts in SQLite, by every way (joined for a part of the users), and compares with counting in
// memory; --mariadb does so in a MariaDB server of its own. --postgres compares with what row-level security
// of a PostgreSQL server of its own shows each user.
// --live keeps counters in memory through fifty changes of each case. The first case that differs is made
// smaller and printed with its seed; status
// 1. Status 2: misused.

#include <malloc.h>

#include <charconv>
#include <chrono>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "tests/servers/mariadb.hpp"
#include "tests/servers/postgresql.hpp"
#include "worklist/case_database.hpp"
#include "worklist/changing_case.hpp"

namespace headroom::worklist {
namespace {

constexpr int kRounds = 5;

struct Wanted {
  std::uint64_t sqlite = 0;
  std::uint64_t mariadb = 0;
  std::uint64_t postgres = 0;
  std::uint64_t live = 0;
  std::uint64_t seed = 1;
};

bool read_number(std::string_view text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

bool read_arguments(int count, char** arguments, Wanted& wanted) {
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string_view name = arguments[i];
    std::uint64_t* target = nullptr;
    if (name == "--sqlite") target = &wanted.sqlite;
    if (name == "--mariadb") target = &wanted.mariadb;
    if (name == "--postgres") target = &wanted.postgres;
    if (name == "--live") target = &wanted.live;
    if (name == "--seed") target = &wanted.seed;
    if (target == nullptr || !read_number(arguments[i + 1], *target)) return false;
  }
  return count > 1 && count % 2 == 1;
}

/// What is wrong with a seed's case, for people; nothing when it is right.
using Trial = std::function<std::optional<std::string>(std::uint64_t seed, CaseCounts& counts)>;

/// Compares a case that stands still, and makes one that differs smaller.
Trial still(std::function<std::optional<std::string>(const RandomCase&, CaseCounts&)> compare) {
  return
      [compare = std::move(compare)](std::uint64_t seed, CaseCounts& counts) -> std::optional<std::string> {
        const RandomCase random = random_case(seed);
        if (!compare(random, counts)) return std::nullopt;
        const auto again = [&](const RandomCase& one) { return compare(one, counts); };
        const RandomCase small = shrink(random, again);
        return told(small, again(small).value_or(""));
      };
}

/// True when all are right.
bool run(std::string_view what, std::uint64_t cases, std::uint64_t first, const Trial& trial) {
  if (cases == 0) return true;
  CaseCounts counts;
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t seed = first; seed < first + cases; ++seed) {
    if (const auto wrong = trial(seed, counts)) {
      std::cout << what << ": " << *wrong << std::endl;
      return false;
    }
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  std::cout << fmt::format(
                   "{}: {} cases from seed {}, {} counts, {} of them not zero, no difference, {:.1f} s\n",
                   what, cases, first, counts.all, counts.not_zero, taken.count())
            << std::flush;
  if (counts.says_enough()) return true;
  std::cout << what << ": less than 30 % of the counts are not zero\n";
  return false;
}

bool run_sqlite(const Wanted& wanted) {
  if (wanted.sqlite == 0) return true;
  SqliteCaseFile file;
  return run("sqlite", wanted.sqlite, wanted.seed,
             still([&file](const RandomCase& random, CaseCounts& counts) {
               return file.difference(random, counts, Joined::kSome);
             }));
}

bool run_mariadb(const Wanted& wanted) {
  if (wanted.mariadb == 0) return true;
  const testing::MariaDbServer server;
  MariaDbCases database(server.url());
  return run("mariadb", wanted.mariadb, wanted.seed,
             still([&database](const RandomCase& random, CaseCounts& counts) {
               return database.difference(random, counts, Joined::kSome);
             }));
}

bool run_postgres(const Wanted& wanted) {
  if (wanted.postgres == 0) return true;
  const testing::PostgresServer server(
      {"fsync = off", "synchronous_commit = off", "full_page_writes = off", "client_min_messages = warning"});
  PostgresCases database(server.url());
  return run("postgres", wanted.postgres, wanted.seed,
             still([&database](const RandomCase& random, CaseCounts& counts) {
               return database.difference_to_policy(random, counts);
             }));
}

bool run_live(const Wanted& wanted) {
  return run("live", wanted.live, wanted.seed, [](std::uint64_t seed, CaseCounts& counts) {
    return difference_of_changes(seed, kRounds, counts);
  });
}

int main_of(int count, char** arguments) {
  // Statements of SQLite come and go: the memory stays here.
  ::mallopt(M_TRIM_THRESHOLD, 1 << 28);
  ::mallopt(M_MMAP_THRESHOLD, 1 << 28);
  Wanted wanted;
  if (!read_arguments(count, arguments, wanted)) {
    std::cerr << "usage: worklist_cases [--sqlite CASES] [--mariadb CASES] [--postgres CASES] [--live CASES] "
                 "[--seed FIRST]\n";
    return 2;
  }
  return run_sqlite(wanted) && run_live(wanted) && run_mariadb(wanted) && run_postgres(wanted) ? 0 : 1;
}

}  // namespace
}  // namespace headroom::worklist

int main(int count, char** arguments) {
  try {
    return headroom::worklist::main_of(count, arguments);
  } catch (const std::exception& error) {
    std::cerr << "worklist_cases: " << error.what() << '\n';
    return 1;
  }
}
