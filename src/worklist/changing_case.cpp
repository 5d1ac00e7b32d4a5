#include "worklist/changing_case.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace headroom::worklist {

namespace {

/// Most cases with one: threads cost more than so few documents.
unsigned threads_of(std::uint64_t seed) {
  return seed % 10 == 0 ? 3 : 1;
}

}  // namespace

ChangingCase::ChangingCase(std::uint64_t seed)
    : random_(random_case(seed)),
      changes_(random_, seed + 1'000'000),
      counters_(random_.catalog, threads_of(seed)) {
  set_lists();
  // The rows that documents look up come before them, or behind.
  const bool is_before = seed % 2 == 0;
  const auto places = random_.places;
  for (const auto& place : places) {
    if (is_before) put_looked_up(place);
  }
  if (!counters_.put_all(random_.rows)) broken_ = "a document was refused";
  for (const auto& place : places) {
    if (!is_before) put_looked_up(place);
  }
  next_key_ = static_cast<std::int64_t>(random_.rows.size()) + 1;
}

void ChangingCase::change() {
  const std::size_t kind = changes_.below(random_.catalog.look_ups.empty() ? 21 : 28);
  if (kind > 20) return change_looked_up();
  if (kind == 20) return put_several();
  if (kind < 7 || random_.rows.empty()) return put(next_key_++);
  const std::size_t place = changes_.below(random_.rows.size());
  if (kind < 14) return put(std::get<std::int64_t>(random_.rows[place].front()));
  if (kind < 18) return remove(place);
  if (kind == 19) return go_on(std::chrono::minutes{60 * changes_.below(80) + changes_.below(3)});
  random_.lists = changes_.lists();
  set_lists();
}

void ChangingCase::go_on(base::Microseconds time) {
  random_.now += time;
  counters_.advance(random_.now);
}

std::optional<std::string> ChangingCase::wait(CaseCounts& counts) {
  const auto next = counters_.next_change();
  if (!next) return std::nullopt;
  if (*next <= random_.now) return told(random_, "the next change by time is not in the future");
  const base::UtcTime before = std::exchange(random_.now, *next - base::Microseconds{1});
  if (auto told = difference(counts)) {
    return fmt::format("from {} on, the change at {} comes too late: {}", before.time_since_epoch().count(),
                       next->time_since_epoch().count(), *told);
  }
  go_on(base::Microseconds{1});
  return difference(counts);
}

std::optional<std::string> ChangingCase::difference(CaseCounts& counts) const {
  if (!broken_.empty()) return told(random_, broken_);
  const auto expected = count_in_memory(definitions_, {random_.documents()}, random_.users, random_.now);
  if (!expected) return expected.error().message();
  for (std::size_t user = 0; user < random_.users.size(); ++user) {
    const auto counted = counters_.count(random_.users[user]);
    if (!counted) return counted.error().message();
    counts.add((*expected)[user]);
    const auto [right, wrong] =
        std::mismatch((*expected)[user].begin(), (*expected)[user].end(), counted->begin());
    if (right == (*expected)[user].end()) continue;
    return told(random_, fmt::format("user {}, list {}: {} in place of {}", random_.users[user].id,
                                     right - (*expected)[user].begin(), *wrong, *right));
  }
  if (counters_.size().documents != documents())
    return told(random_, fmt::format("{} documents in place of {}", counters_.size().documents, documents()));
  return std::nullopt;
}

void ChangingCase::set_lists() {
  std::vector<TimedList> lists;
  for (const CaseList& list : random_.lists) lists.push_back({list.criteria, list.roles});
  counters_.set_lists(lists, random_.now);
  // As they were read at first: what time alone makes impossible is no error, but counts nothing.
  auto definitions = read_definitions(random_.yaml(), "case", start_);
  if (!definitions) {
    broken_ = definitions.error().message();
  } else {
    definitions_ = std::move(*definitions);
  }
}

void ChangingCase::put(std::int64_t key) {
  if (!counters_.put(change_row(key))) broken_ = "a document was refused";
}

void ChangingCase::put_several() {
  std::vector<std::vector<Value>> rows;
  for (std::size_t i = 0; i < 12; ++i) {
    const bool is_new = changes_.below(3) == 0 || random_.rows.empty();
    rows.push_back(change_row(
        is_new ? next_key_++
               : std::get<std::int64_t>(random_.rows[changes_.below(random_.rows.size())].front())));
  }
  if (!counters_.put_all(rows)) broken_ = "a document was refused";
}

std::vector<Value> ChangingCase::change_row(std::int64_t key) {
  const auto found = std::find_if(random_.rows.begin(), random_.rows.end(),
                                  [key](const std::vector<Value>& row) { return row.front() == Value{key}; });
  const auto place = static_cast<std::size_t>(found - random_.rows.begin());
  if (place == random_.rows.size()) random_.rows.emplace_back();
  random_.rows[place] = changes_.row(key);
  return random_.rows[place];
}

void ChangingCase::change_looked_up() {
  const std::size_t kind = changes_.below(8);
  const auto key = static_cast<std::int64_t>(changes_.below(5)) + 1;
  if (kind > 2) return put_looked_up(changes_.place(key));
  if (kind > 0) return remove_looked_up(key);
  random_.places.clear();
  for (std::size_t i = 0; i < random_.catalog.look_ups.size(); ++i) counters_.clear_look_up(i);
}

void ChangingCase::put_looked_up(std::vector<Value> row) {
  std::erase_if(random_.places, [&row](const std::vector<Value>& one) { return one[0] == row[0]; });
  for (std::size_t i = 0; i < random_.catalog.look_ups.size(); ++i) {
    const auto seen = random_.looked_up(i, row);
    if (!counters_.put_look_up(i, seen)) broken_ = "a row of a look-up was refused";
    if (counters_.look_up_row(i, row[0]) != seen) broken_ = "a row of a look-up is another one";
  }
  random_.places.push_back(std::move(row));
}

void ChangingCase::remove_looked_up(const Value& key) {
  const bool is_there =
      std::erase_if(random_.places, [&key](const std::vector<Value>& one) { return one[0] == key; }) > 0;
  for (std::size_t i = 0; i < random_.catalog.look_ups.size(); ++i) {
    if (counters_.remove_look_up(i, key) != is_there) broken_ = "a row of a look-up went not once";
  }
}

void ChangingCase::remove(std::size_t place) {
  const Value key = random_.rows[place].front();
  if (!counters_.remove(key) || counters_.remove(key)) broken_ = "a document went not once";
  random_.rows.erase(random_.rows.begin() + static_cast<std::ptrdiff_t>(place));
}

std::optional<std::string> difference_of_changes(std::uint64_t seed, int rounds, CaseCounts& counts) {
  ChangingCase changing(seed);
  for (int round = 0; round < rounds; ++round) {
    auto told = changing.difference(counts);
    if (!told) told = changing.wait(counts);
    if (told) return fmt::format("round {}: {}", round, *told);
    for (int i = 0; i < 10; ++i) changing.change();
  }
  return changing.difference(counts);
}

}  // namespace headroom::worklist
