#include "perf/live.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace headroom::perf {
namespace {

using Key = std::tuple<std::string_view, std::string_view, CallKind>;
using HourKey = std::tuple<std::string_view, std::string_view, CallKind, std::int64_t>;

HourKey key_of(const MethodCount& count) {
  return {count.database, count.method, count.kind, count.hour};
}

/// What a method did between two looks.
struct Growth {
  std::uint64_t number = 0;
  std::uint64_t errors = 0;
  Microseconds time{0};
  Microseconds sql{0};

  void add(const MethodCount& now, const MethodCount* before) {
    // Counts that shrank were pruned, or the store is another one: then nothing is known of the growth.
    const MethodCount nothing;
    const MethodCount& from = before == nullptr ? nothing : *before;
    if (now.count < from.count || now.errors < from.errors || now.time < from.time || now.sql < from.sql)
      return;
    number += now.count - from.count;
    errors += now.errors - from.errors;
    time += now.time - from.time;
    sql += now.sql - from.sql;
  }
};

MethodRate rate_of(const Key& key, const Growth& growth, double seconds) {
  MethodRate rate;
  rate.database = std::get<0>(key);
  rate.method = std::get<1>(key);
  rate.kind = std::get<2>(key);
  rate.number = growth.number;
  rate.errors = growth.errors;
  rate.per_second = static_cast<double>(growth.number) / seconds;
  rate.busy = static_cast<double>(growth.time.count()) / 1e6 / seconds;
  const auto number = static_cast<std::int64_t>(growth.number);
  rate.average = growth.time / number;
  rate.sql_average = growth.sql / number;
  return rate;
}

}  // namespace

void LiveWindow::add(LiveSample sample) {
  if (!samples_.empty() && sample.at_ns <= samples_.back().at_ns) return;
  const std::int64_t span_ns = base::Nanoseconds(span_).count();
  const std::int64_t edge = sample.at_ns - span_ns;
  if (!samples_.empty() && sample.at_ns - samples_.back().at_ns > 2 * span_ns) samples_.clear();
  samples_.push_back(std::move(sample));
  while (samples_.size() > 2 && samples_[1].at_ns <= edge) samples_.pop_front();
}

std::vector<MethodRate> LiveWindow::rates() const {
  if (samples_.size() < 2) return {};
  const LiveSample& from = samples_.front();
  const LiveSample& to = samples_.back();
  std::map<HourKey, const MethodCount*> before;
  for (const MethodCount& count : from.counts) before.emplace(key_of(count), &count);
  std::map<Key, Growth> growths;
  for (const MethodCount& count : to.counts) {
    const auto known = before.find(key_of(count));
    growths[{count.database, count.method, count.kind}].add(count,
                                                            known == before.end() ? nullptr : known->second);
  }
  const double seconds = static_cast<double>(to.at_ns - from.at_ns) / 1e9;
  std::vector<MethodRate> rates;
  for (const auto& [key, growth] : growths) {
    if (growth.number > 0) rates.push_back(rate_of(key, growth, seconds));
  }
  return rates;
}

std::vector<MethodRate> LiveWindow::busiest(std::size_t most) const {
  std::vector<MethodRate> found = rates();
  std::ranges::stable_sort(found, std::greater{}, &MethodRate::busy);
  if (found.size() > most) found.resize(most);
  return found;
}

double LiveWindow::per_second() const {
  double sum = 0;
  for (const MethodRate& rate : rates()) sum += rate.per_second;
  return sum;
}

}  // namespace headroom::perf
