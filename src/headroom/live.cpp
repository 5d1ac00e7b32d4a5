#include "headroom/live.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "headroom/status.hpp"

namespace headroom::cli {
namespace {

using base::fail;
using base::Result;
using nlohmann::json;

double seconds(base::Microseconds span) {
  return static_cast<double>(span.count()) / 1e6;
}

/// The newest of the calls that began within `kRecent`.
Result<std::vector<perf::CallSummary>> recent_calls(perf::Store& store, base::UtcTime now) {
  perf::Filter filter;
  filter.since = now - LiveSource::kRecent;
  const auto count = store.calls(filter, {0, 1});
  if (!count) return fail(count.error());
  const std::uint64_t first = count->total > LiveSource::kCalls ? count->total - LiveSource::kCalls : 0;
  auto page = store.calls(filter, {first, LiveSource::kCalls});
  if (!page) return fail(std::move(page.error()));
  std::ranges::reverse(page->calls);
  return std::move(page->calls);
}

json method_json(const perf::MethodRate& rate) {
  return {{"database", rate.database}, {"method", rate.method},        {"kind", perf::name(rate.kind)},
          {"number", rate.number},     {"errors", rate.errors},        {"per_second", rate.per_second},
          {"busy", rate.busy},         {"avg", seconds(rate.average)}, {"sql", seconds(rate.sql_average)}};
}

json call_json(const perf::CallSummary& call) {
  return {{"id", call.id},
          {"database", call.database},
          {"session", call.session},
          {"#", call.rank},
          {"method", call.method},
          {"user", call.user},
          {"status", perf::name(call.status)},
          {"start", base::to_iso(call.start)},
          {"time", seconds(call.wall)},
          {"sql", seconds(call.sql)},
          {"statements", call.statements},
          {"repeated", call.most_repeated}};
}

}  // namespace

Result<void> LiveSource::read_store(perf::OpenStore& open, base::UtcTime now, std::int64_t now_ns,
                                    LiveView& view) {
  perf::Filter hours;
  hours.since = now - std::chrono::hours{1};
  auto counts = open.store->counts(hours);
  if (!counts) return fail(std::move(counts.error()));
  window_.add({now_ns, std::move(*counts)});
  auto calls = recent_calls(*open.store, now);
  if (!calls) return fail(std::move(calls.error()));
  view.calls = std::move(*calls);
  const auto info = open.store->info();
  if (!info) return fail(info.error());
  for (const perf::ProcessInfo& process : info->processes) view.drops += process.dropped_records;
  return {};
}

LiveView LiveSource::look(base::UtcTime now, std::int64_t now_ns) {
  LiveView view;
  view.at = now;
  view.running = perf::running_calls(state_);
  view.running_total = view.running.size();
  if (blocking_) view.blocking = blocking_->look(view.running, Asked::kWhoWaits, now_ns);
  if (view.running.size() > kRunning) view.running.resize(kRunning);
  const auto read = with_store_([&](perf::OpenStore& open) { return read_store(open, now, now_ns, view); });
  if (!read) view.problem = read.error().message();
  view.methods = window_.busiest(kMethods);
  view.per_second = window_.per_second();
  return view;
}

void LiveSource::rest() {
  if (blocking_) blocking_->rest();
}

std::string live_json(const LiveView& view) {
  json running = json::array();
  for (const perf::RunningCall& call : view.running) {
    running.push_back(running_json(call));
    const std::string blocker = blocked_by(view.blocking, call);
    running.back()["blocked_by"] = blocker.empty() ? json() : json(blocker);
  }
  json methods = json::array();
  for (const perf::MethodRate& rate : view.methods) methods.push_back(method_json(rate));
  json calls = json::array();
  for (const perf::CallSummary& call : view.calls) calls.push_back(call_json(call));
  const json whole{{"at", base::to_iso(view.at)},
                   {"running", std::move(running)},
                   {"running_total", view.running_total},
                   {"blocking", blocking_json(view.blocking)},
                   {"methods", std::move(methods)},
                   {"per_second", view.per_second},
                   {"calls", std::move(calls)},
                   {"drops", view.drops},
                   {"problem", view.problem.empty() ? json() : json(view.problem)}};
  return whole.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace headroom::cli
