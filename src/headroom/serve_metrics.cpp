#include "headroom/serve_metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "headroom/method_class.hpp"
#include "headroom/version.hpp"

namespace headroom::cli {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Registry;

Family<Counter>& counter(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

Gauge& gauge(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

double seconds(base::Microseconds duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

/// What a count has grown since it was read last; a smaller one has begun anew.
double growth(std::uint64_t now, std::uint64_t& before) {
  const std::uint64_t grown = now >= before ? now - before : now;
  before = now;
  return static_cast<double>(grown);
}

struct CountSeen {
  std::uint64_t count = 0;
  std::uint64_t errors = 0;
  std::uint64_t time = 0;
  std::uint64_t sql = 0;
  std::uint64_t statements = 0;
};

struct ProcessSeen {
  std::uint64_t calls = 0;
  std::uint64_t records = 0;
  std::uint64_t dropped = 0;
  std::uint64_t errors = 0;
};

}  // namespace

struct ServeMetrics::Impl {
  using CountKey = std::tuple<std::int64_t, std::string, std::string, perf::CallKind>;
  using ProcessKey = std::tuple<std::string, std::int32_t, base::UtcTime>;

  std::string bounded_database(const std::string& name) {
    if (databases.contains(name)) return name;
    if (databases.size() >= kDatabases) return "other";
    databases.insert(name);
    return name;
  }

  void add_count(const perf::MethodCount& count) {
    CountSeen& before = counts_seen[{count.hour, count.database, count.method, count.kind}];
    const prometheus::Labels labels{{"database", bounded_database(count.database)},
                                    {"kind", std::string(perf::name(count.kind))}};
    calls.Add(labels).Increment(growth(count.count, before.count));
    call_errors.Add(labels).Increment(growth(count.errors, before.errors));
    call_seconds.Add(labels).Increment(growth(static_cast<std::uint64_t>(count.time.count()), before.time) /
                                       1e6);
    sql_seconds.Add(labels).Increment(growth(static_cast<std::uint64_t>(count.sql.count()), before.sql) /
                                      1e6);
    statements.Add(labels).Increment(growth(count.statements, before.statements));
  }

  /// The same by class of method, over all databases.
  void add_method(const perf::MethodCount& count) {
    if (count.kind == perf::CallKind::kStatic || count.kind == perf::CallKind::kBus) return;
    CountSeen& before = methods_seen[{count.hour, count.database, count.method, count.kind}];
    const std::uint64_t succeeded = count.count - std::min(count.errors, count.count);
    const MethodClass method = classes.of(count.method, succeeded);
    const prometheus::Labels labels{{"class", method.name}, {"verb", method.verb}};
    method_calls.Add(labels).Increment(growth(count.count, before.count));
    method_errors.Add(labels).Increment(growth(count.errors, before.errors));
    method_seconds.Add(labels).Increment(growth(static_cast<std::uint64_t>(count.time.count()), before.time) /
                                         1e6);
    method_sql_seconds.Add(labels).Increment(
        growth(static_cast<std::uint64_t>(count.sql.count()), before.sql) / 1e6);
  }

  void add_process(const perf::ProcessInfo& process) {
    ProcessSeen& before = processes_seen[{process.host, process.process, process.started}];
    recorder_calls.Increment(growth(process.calls, before.calls));
    recorder_records.Increment(growth(process.records, before.records));
    recorder_dropped.Increment(growth(process.dropped_records, before.dropped));
    recorder_errors.Increment(growth(process.errors, before.errors));
  }

  void add_server(const char* name, const char* help, const std::atomic<std::uint64_t>& value,
                  std::uint64_t& before) {
    auto& family = counter(registry, name, help);
    family.Add({}).Increment(growth(value, before));
  }

  /// One database of Tryton's bus; there are as many as the configuration allows.
  void add_tryton(const TrytonFigures& one) {
    const prometheus::Labels labels{{"database", bounded_database(one.database)}};
    const auto set = [&](const char* name, const char* help, double value) {
      prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(labels).Set(value);
    };
    const auto add = [&](const char* name, const char* help, std::uint64_t value) {
      auto& before = tryton_seen[one.database + '/' + name];
      counter(registry, name, help).Add(labels).Increment(growth(value, before));
    };
    set("headroom_tryton_bus_listening", "1 while the database's notifications are heard.",
        one.listening ? 1 : 0);
    set("headroom_tryton_bus_waiting", "Polls that wait.", static_cast<double>(one.waiting));
    set("headroom_tryton_bus_kept", "Messages kept.", static_cast<double>(one.kept));
    set("headroom_tryton_bus_kept_bytes", "Bytes of the messages kept.", static_cast<double>(one.kept_bytes));
    add("headroom_tryton_bus_polls_total", "Polls taken.", one.counts.polls);
    add("headroom_tryton_bus_messages_total", "Messages that the database notified.", one.counts.messages);
    add("headroom_tryton_bus_delivered_total", "Polls answered with a message.", one.counts.delivered);
    add("headroom_tryton_bus_refused_total", "Polls beyond the bound.", one.counts.refused);
    add("headroom_tryton_bus_unauthorized_total", "Polls without a session that holds.",
        one.counts.unauthorized);
    add("headroom_tryton_bus_unavailable_total", "Polls whose session could not be looked up.",
        one.counts.unavailable);
    add("headroom_tryton_bus_session_checks_total", "Look-ups of sessions, each of many.", one.counts.checks);
    add("headroom_tryton_bus_foreign_channels_total", "Client channels of another user that were asked for.",
        one.counts.foreign);
    add("headroom_tryton_bus_malformed_total", "Notifications that are no message.", one.malformed);
    add("headroom_tryton_bus_pushed_out_total", "Messages that a bound pushed out before their time.",
        one.pushed_out);
    set("headroom_tryton_bus_held_sessions", "Sessions by which connections to /bus/ws and its like live.",
        static_cast<double>(one.held));
    add("headroom_tryton_bus_told_total", "Messages given to the channels of the bus.", one.told);
    add("headroom_tryton_bus_told_dropped_total", "Messages that the channels of the bus did not take.",
        one.told_dropped);
    add("headroom_tryton_bus_losses_total", "Connections to the database that broke.", one.losses);
  }

  std::mutex mutex;
  Registry registry{Registry::InsertBehavior::Merge};
  std::set<std::string> databases;
  std::map<CountKey, CountSeen> counts_seen;
  std::map<CountKey, CountSeen> methods_seen;
  MethodClasses classes;
  std::map<ProcessKey, ProcessSeen> processes_seen;
  std::map<std::string, std::uint64_t, std::less<>> server_seen;
  std::map<std::string, std::uint64_t, std::less<>> otlp_seen;
  std::map<std::string, std::uint64_t, std::less<>> tryton_seen;

  Family<Counter>& requests = counter(registry, "headroom_http_requests_total", "Requests answered.");
  Family<prometheus::Histogram>& request_seconds = prometheus::BuildHistogram()
                                                       .Name("headroom_http_request_seconds")
                                                       .Help("Time from the head of a request to its answer.")
                                                       .Register(registry);
  Family<Counter>& calls =
      counter(registry, "headroom_calls_total", "Calls of the application, traced or not.");
  Family<Counter>& call_errors = counter(registry, "headroom_call_errors_total", "Calls that failed.");
  Family<Counter>& call_seconds = counter(registry, "headroom_call_seconds_total", "Time in calls.");
  Family<Counter>& sql_seconds =
      counter(registry, "headroom_call_sql_seconds_total", "Time of calls in SQL.");
  Family<Counter>& statements = counter(registry, "headroom_call_statements_total", "Statements of calls.");
  Family<Counter>& method_calls =
      counter(registry, "headroom_method_calls_total", "Calls by class and verb of their method.");
  Family<Counter>& method_errors =
      counter(registry, "headroom_method_errors_total", "Calls that failed, by class and verb.");
  Family<Counter>& method_seconds =
      counter(registry, "headroom_method_seconds_total", "Time in calls by class and verb.");
  Family<Counter>& method_sql_seconds =
      counter(registry, "headroom_method_sql_seconds_total", "Time in SQL by class and verb.");
  Counter& recorder_calls =
      counter(registry, "headroom_recorder_calls_total", "Calls seen by recording processes.").Add({});
  Counter& recorder_records =
      counter(registry, "headroom_recorder_records_total", "Records handed to the store.").Add({});
  Counter& recorder_dropped =
      counter(registry, "headroom_recorder_dropped_records_total", "Records lost to full buffers.").Add({});
  Counter& recorder_errors =
      counter(registry, "headroom_recorder_errors_total", "Errors inside the recorder.").Add({});
  Gauge& processes =
      gauge(registry, "headroom_recorder_processes", "Recording processes seen in the last minute.");
  Gauge& store_up = gauge(registry, "headroom_store_up", "1 when the store could be read last time.");
  Gauge& store_bytes = gauge(registry, "headroom_store_bytes", "Size of the store.");
  Gauge& store_calls = gauge(registry, "headroom_store_calls", "Records in the store.");
  Counter& pruned_calls =
      counter(registry, "headroom_pruned_calls_total", "Records deleted by retention.").Add({});
  Counter& swept_calls =
      counter(registry, "headroom_killed_calls_total", "Calls stored for processes that were killed.")
          .Add({});
  Family<Counter>& duty_failures =
      counter(registry, "headroom_duty_failures_total", "Background duties that failed.");
  Gauge& connections = gauge(registry, "headroom_http_connections", "Open connections.");
  Gauge& websockets = gauge(registry, "headroom_websockets", "Open WebSockets.");
  Gauge& queued = gauge(registry, "headroom_http_queued_requests", "Requests that wait for a worker.");
  Gauge& running = gauge(registry, "headroom_http_running_requests", "Requests that run on a worker.");
};

ServeMetrics::ServeMetrics() : impl_(std::make_unique<Impl>()) {
  prometheus::BuildGauge()
      .Name("headroom_build_info")
      .Help("Always 1; the version is its label.")
      .Register(impl_->registry)
      .Add({{"version", std::string(kVersion)}})
      .Set(1);
}

ServeMetrics::~ServeMetrics() = default;

void ServeMetrics::observe(const net::Observation& seen) {
  const std::string route(seen.route);
  impl_->requests
      .Add({{"method", std::string(seen.method)}, {"route", route}, {"status", std::to_string(seen.status)}})
      .Increment();
  static const prometheus::Histogram::BucketBoundaries kEdges{0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10};
  impl_->request_seconds.Add({{"route", route}}, kEdges).Observe(seconds(seen.duration));
}

void ServeMetrics::set_store(const perf::StoreInfo& info) {
  const std::lock_guard lock(impl_->mutex);
  impl_->store_up.Set(1);
  impl_->store_bytes.Set(static_cast<double>(info.bytes));
  impl_->store_calls.Set(static_cast<double>(info.calls));
  const base::UtcTime recently = base::utc_now() - std::chrono::minutes(1);
  std::set<Impl::ProcessKey> known;
  double live = 0;
  for (const perf::ProcessInfo& process : info.processes) {
    impl_->add_process(process);
    known.insert({process.host, process.process, process.started});
    if (process.seen >= recently) ++live;
  }
  std::erase_if(impl_->processes_seen, [&](const auto& one) { return !known.contains(one.first); });
  impl_->processes.Set(live);
}

void ServeMetrics::set_store_away() {
  impl_->store_up.Set(0);
}

void ServeMetrics::add_counts(const std::vector<perf::MethodCount>& counts) {
  const std::lock_guard lock(impl_->mutex);
  std::int64_t oldest = std::numeric_limits<std::int64_t>::max();
  for (const perf::MethodCount& count : counts) {
    impl_->add_count(count);
    impl_->add_method(count);
    oldest = std::min(oldest, count.hour);
  }
  for (auto* seen : {&impl_->counts_seen, &impl_->methods_seen})
    std::erase_if(*seen, [&](const auto& one) { return std::get<0>(one.first) < oldest; });
}

void ServeMetrics::pruned(std::uint64_t calls) {
  impl_->pruned_calls.Increment(static_cast<double>(calls));
}

void ServeMetrics::swept(std::uint64_t calls) {
  impl_->swept_calls.Increment(static_cast<double>(calls));
}

void ServeMetrics::set_otlp(const OtlpQueue::Counts& counts, std::size_t queued) {
  const std::lock_guard lock(impl_->mutex);
  const auto add = [&](const char* result, std::uint64_t value) {
    auto& family = counter(impl_->registry, "headroom_otlp_calls_total",
                           "Calls for the OpenTelemetry receiver: sent, dropped for a full queue, refused.");
    family.Add({{"result", result}}).Increment(growth(value, impl_->otlp_seen[result]));
  };
  add("sent", counts.sent);
  add("dropped", counts.dropped);
  add("refused", counts.refused);
  auto& retries =
      counter(impl_->registry, "headroom_otlp_retries_total", "Batches that were to be sent again.");
  retries.Add({}).Increment(growth(counts.retries, impl_->otlp_seen["retries"]));
  auto& rejected = counter(impl_->registry, "headroom_otlp_rejected_spans_total",
                           "Spans that the receiver left out of batches that it took.");
  rejected.Add({}).Increment(growth(counts.rejected, impl_->otlp_seen["rejected"]));
  gauge(impl_->registry, "headroom_otlp_queued_calls", "Calls that wait to be sent.")
      .Set(static_cast<double>(queued));
}

void ServeMetrics::set_tryton_bus(const std::vector<TrytonFigures>& figures) {
  const std::lock_guard lock(impl_->mutex);
  for (const TrytonFigures& one : figures) impl_->add_tryton(one);
}

void ServeMetrics::duty_failed(std::string_view duty) {
  impl_->duty_failures.Add({{"duty", std::string(duty)}}).Increment();
}

std::string ServeMetrics::text(const net::Server& server) {
  const std::lock_guard lock(impl_->mutex);
  const net::ServerStats& stats = server.stats();
  impl_->connections.Set(static_cast<double>(stats.connections_open));
  impl_->queued.Set(static_cast<double>(server.queued()));
  impl_->running.Set(static_cast<double>(server.running()));
  const auto add = [&](const char* name, const char* help, const std::atomic<std::uint64_t>& value) {
    impl_->add_server(name, help, value, impl_->server_seen[name]);
  };
  add("headroom_http_connections_total", "Connections accepted.", stats.connections);
  add("headroom_http_connections_refused_total", "Connections beyond the bound.", stats.connections_refused);
  add("headroom_http_strangers_refused_total",
      "Connections refused because their address has too many without a whole request.",
      stats.strangers_refused);
  add("headroom_http_connections_displaced_total", "Waiting connections closed to make room for new ones.",
      stats.connections_displaced);
  add("headroom_http_held_total", "Requests held until there was an answer.", stats.held);
  add("headroom_http_lasting_refused_total", "WebSockets and held requests beyond their bound.",
      stats.lasting_refused);
  add("headroom_http_accept_errors_total", "Connections that could not be accepted.", stats.accept_errors);
  add("headroom_http_bad_requests_total", "Requests that could not be read.", stats.bad_requests);
  add("headroom_http_slow_clients_total", "Connections closed for a read or write deadline.",
      stats.slow_clients);
  add("headroom_http_overflows_total", "Requests refused because the queue was full.", stats.overflows);
  add("headroom_http_late_total", "Requests that missed their deadline.", stats.late_handlers);
  impl_->websockets.Set(static_cast<double>(stats.websockets_open));
  add("headroom_websockets_total", "WebSockets opened.", stats.websockets);
  add("headroom_websockets_slow_total", "WebSockets closed because they did not take what was queued.",
      stats.slow_websockets);
  add("headroom_http_denied_total", "Requests denied for their token, host or origin.", stats.denied);
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace headroom::cli
