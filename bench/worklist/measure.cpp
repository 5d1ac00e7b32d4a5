#include "bench/worklist/measure.hpp"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "worklist/count.hpp"

namespace headroom::bench {

using nlohmann::json;
using worklist::CountedList;
using worklist::LiveCounters;
using worklist::User;

namespace {

constexpr std::size_t kChanges = 2'000'000;
constexpr std::size_t kBatch = 100'000;
constexpr std::size_t kTransaction = 1'000;
constexpr int kRounds = 7;

double milliseconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

double quantile(std::vector<double> values, double part) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1,
                         static_cast<std::size_t>(part * static_cast<double>(values.size())))];
}

/// Bytes of this process that are in memory and its own.
std::size_t resident() {
  ::malloc_trim(0);
  std::ifstream status("/proc/self/statm");
  std::size_t all = 0;
  std::size_t in_memory = 0;
  std::size_t shared = 0;
  status >> all >> in_memory >> shared;
  return (in_memory - shared) * 4'096;
}

std::vector<CountedList> counted_lists(const World& world) {
  std::vector<CountedList> lists;
  for (const List& list : world.lists()) lists.push_back(World::counted(list));
  return lists;
}

std::vector<User> users_of(const World& world) {
  std::vector<User> users;
  for (const Person& person : world.people()) users.push_back(World::user(person));
  return users;
}

void expect_same(const LiveCounters& counters, const World& world,
                 const std::vector<std::vector<std::uint64_t>>& expected, std::string_view what) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (counters.count(World::user(world.people()[i])).value() != expected[i])
      throw std::runtime_error(fmt::format("wrong counts {}, user {}", what, i));
  }
}

/// Loads all documents; the time of `put` alone.
double load(const World& world, Keys keys, LiveCounters& counters) {
  double taken = 0;
  std::vector<std::vector<worklist::Value>> rows;
  for (std::uint64_t at = 0; at < world.sizes().documents; at += rows.size()) {
    rows.clear();
    for (std::uint64_t i = at; i < std::min(at + kBatch, world.sizes().documents); ++i)
      rows.push_back(World::row(World::key(keys, i), world.document(i)));
    taken += milliseconds([&] {
      for (const auto& row : rows) {
        if (!counters.put(row)) throw std::runtime_error("a document was refused");
      }
    });
  }
  return taken;
}

using Rows = std::vector<std::vector<worklist::Value>>;

/// As they come out of a log: in transactions.
void put_in_transactions(LiveCounters& counters, const Rows& rows) {
  for (std::size_t at = 0; at < rows.size(); at += kTransaction) {
    if (!counters.put_all(std::span(rows).subspan(at, std::min(kTransaction, rows.size() - at))))
      throw std::runtime_error("a document was refused");
  }
}

void put_one_by_one(LiveCounters& counters, const Rows& rows) {
  for (const auto& row : rows) {
    if (!counters.put(row)) throw std::runtime_error("a document was refused");
  }
}

/// Documents get the values of others, and then their own again: afterwards all is as before. Changes a
/// second; rows are made beforehand.
double change(const World& world, Keys keys, LiveCounters& counters,
              void (*put)(LiveCounters& counters, const Rows& rows)) {
  double taken = 0;
  const std::uint64_t documents = world.sizes().documents;
  const std::uint64_t changes = std::min<std::uint64_t>(kChanges, 2 * documents) / 2;
  Rows rows;
  for (const std::uint64_t from : {documents, std::uint64_t{0}}) {
    for (std::uint64_t at = 0; at < changes; at += rows.size()) {
      rows.clear();
      for (std::uint64_t i = at; i < std::min(at + kBatch, changes); ++i) {
        const std::uint64_t number = i * 7'919 % documents;
        rows.push_back(World::row(World::key(keys, number), world.document(from + number)));
      }
      taken += milliseconds([&] { put(counters, rows); });
    }
  }
  return 2000.0 * static_cast<double>(changes) / taken;
}

std::vector<double> one_by_one(const LiveCounters& counters, const std::vector<User>& users) {
  std::vector<double> times;
  for (const User& user : users) {
    times.push_back(milliseconds([&] {
      if (counters.count(user).value().empty()) throw std::runtime_error("no lists");
    }));
  }
  return times;
}

double median_of(int rounds, const std::function<void()>& work) {
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) times.push_back(milliseconds(work));
  return quantile(times, 0.5);
}

/// The time to replace one list by another, each time another one.
double change_of_definition(World& world, LiveCounters& counters, std::vector<CountedList> lists) {
  std::vector<double> times;
  for (int i = 0; i < kRounds; ++i) {
    lists[static_cast<std::size_t>(i) % lists.size()] = World::counted(world.make_list());
    times.push_back(milliseconds([&] { counters.set_lists(lists); }));
  }
  return *std::max_element(times.begin(), times.end());
}

/// Other lists altogether.
double rebuild(LiveCounters& counters, const std::vector<CountedList>& lists) {
  std::vector<double> times;
  for (int i = 0; i < kRounds; ++i) {
    counters.set_lists({});
    times.push_back(milliseconds([&] { counters.set_lists(lists); }));
  }
  return quantile(times, 0.5);
}

}  // namespace

std::vector<std::vector<std::uint64_t>> add_up(const World& world, std::size_t sample) {
  const std::size_t users = std::min(sample, world.people().size());
  const std::size_t cells = World::kTypes * World::kStates;
  std::vector<std::vector<std::uint64_t>> visible(users, std::vector<std::uint64_t>(cells));
  std::vector<std::vector<bool>> has(users, std::vector<bool>(World::kUids));
  for (std::size_t user = 0; user < users; ++user) {
    for (const std::uint32_t uid : world.people()[user].uids) has[user][uid] = true;
  }
  for (std::uint64_t i = 0; i < world.sizes().documents; ++i) {
    const Document document = world.document(i);
    for (std::size_t user = 0; user < users; ++user) {
      if (has[user][document.uid] || document.owner == world.people()[user].id)
        ++visible[user][document.type * World::kStates + document.state];
    }
  }
  std::vector<std::vector<std::uint64_t>> counts(users);
  for (std::size_t user = 0; user < users; ++user) {
    for (const List& list : world.lists()) {
      std::uint64_t count = 0;
      for (const std::uint32_t type : list.types) {
        for (const std::uint32_t state : list.states) count += visible[user][type * World::kStates + state];
      }
      counts[user].push_back(count);
    }
  }
  return counts;
}

std::string measure_live(World& world, Keys keys, unsigned threads, std::size_t sample) {
  const auto expected = add_up(world, sample);
  const worklist::Catalog catalog = World::catalog(keys);
  const auto lists = counted_lists(world);
  const auto users = users_of(world);
  const std::size_t before = resident();
  LiveCounters counters(catalog, threads);
  counters.set_lists(lists);
  json figures;
  figures["load"] = load(world, keys, counters);
  expect_same(counters, world, expected, "after loading");
  figures["resident"] = resident() - before;
  const LiveCounters::Size size = counters.size();
  figures["size"] = {{"documents", size.documents},
                     {"classes", size.classes},
                     {"values", size.values},
                     {"bytes", size.bytes}};
  const auto times = one_by_one(counters, users);
  figures["count"] = {{"median", quantile(times, 0.5)}, {"p99", quantile(times, 0.99)}};
  figures["count_all"] = median_of(kRounds, [&] {
    if (counters.count(std::span(users)).value().size() != users.size())
      throw std::runtime_error("users lost");
  });
  figures["changes_a_second"] = change(world, keys, counters, put_in_transactions);
  figures["changes_one_by_one"] = change(world, keys, counters, put_one_by_one);
  expect_same(counters, world, expected, "after changes");
  figures["definition"] = change_of_definition(world, counters, lists);
  counters.set_lists(lists);
  expect_same(counters, world, expected, "after another definition");
  figures["rebuild"] = rebuild(counters, lists);
  expect_same(counters, world, expected, "after everything was rebuilt");
  figures["resident_in_the_end"] = resident() - before;
  return figures.dump();
}

std::string measure_sql(World& world, const std::string& url, const std::string& way, std::size_t sample,
                        std::size_t rounds) {
  const auto chosen = worklist::parse_way(way);
  if (!chosen) throw std::runtime_error(chosen.error().message());
  const auto definitions = worklist::read_definitions(world.yaml(), "bench", base::utc_now());
  if (!definitions) throw std::runtime_error(definitions.error().message());
  auto reader = sql::open_reader(url, {std::chrono::minutes{5}});
  if (!reader) throw std::runtime_error(reader.error().message());
  json told = json::array();
  for (std::size_t i = 0; i < std::min(sample, world.people().size()); ++i) {
    const User user = World::user(world.people()[i]);
    const worklist::Question question{*definitions, user, base::utc_now(), (*reader)->dialect(), *chosen};
    std::vector<std::uint64_t> counts;
    std::vector<double> times;
    for (std::size_t round = 0; round < rounds; ++round) {
      counts.clear();
      times.push_back(milliseconds([&] {
        const auto counted = worklist::count(**reader, question);
        if (!counted) throw std::runtime_error(counted.error().message());
        for (const worklist::Count& one : *counted) counts.push_back(one.count);
      }));
    }
    told.push_back({{"counts", counts}, {"times", times}});
  }
  return told.dump();
}

}  // namespace headroom::bench
