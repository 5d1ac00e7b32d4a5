// The daemon: joins the HTTP server with the analyzer, and keeps the store in order.
//
// Threads: the main one waits for signals; one is the server's I/O thread; two do duties: looking at the
// store (health, metrics, calls of killed processes; every few seconds) and pruning (rarely, may take long).
// Requests run on the server's workers. Each takes its own store out of a pool, so none waits for another.
//
// Signals are blocked in every thread and fetched by the main one with sigwait: there is no handler, hence
// nothing that a handler may not do. The first signal stops gracefully; systemd, or an impatient person, has
// SIGKILL.

#include "headroom/serve.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "headroom/api.hpp"
#include "headroom/api_questions.hpp"
#include "headroom/bus_counts.hpp"
#include "headroom/bus_metrics.hpp"
#include "headroom/bus_service.hpp"
#include "headroom/commands.hpp"
#include "headroom/live_feed.hpp"
#include "headroom/otlp.hpp"
#include "headroom/serve_health.hpp"
#include "headroom/serve_metrics.hpp"
#include "headroom/serve_pages.hpp"
#include "headroom/serve_repeater.hpp"
#include "headroom/serve_status.hpp"
#include "headroom/serve_stores.hpp"
#include "headroom/session_api.hpp"
#include "headroom/status.hpp"
#include "headroom/tryton_bus.hpp"
#include "headroom/version.hpp"
#include "headroom/worklist_api.hpp"
#include "headroom/worklist_authority.hpp"
#include "headroom/worklist_push.hpp"
#include "headroom/worklist_service.hpp"
#include "net/service_manager.hpp"
#include "perf/scoreboard.hpp"

namespace headroom::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::chrono::seconds kLookEvery{5};
constexpr std::chrono::minutes kPruneEvery{10};
/// systemd waits for 90 s; clients that are sent away take much less.
constexpr std::chrono::seconds kDrainPatience{15};

/// The signals that end the service; blocked before the first thread starts, so that all inherit it.
class EndSignals {
 public:
  EndSignals() {
    sigemptyset(&set_);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set_, number);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~EndSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

  [[nodiscard]] int wait() const {
    int number = 0;
    while (sigwait(&set_, &number) != 0) {
    }
    return number;
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
};

/// Each client that waits is an open file: as many as the administrator allows, and a word when that is too
/// few for `clients`.
void allow_open_files(std::size_t clients) {
  constexpr rlim_t kOthers = 256;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur >= clients + kOthers) return;
  spdlog::warn(
      "only {} files may be open at once, {} are needed for [bus] connections: raise the limit (ulimit -n, "
      "LimitNOFILE)",
      files.rlim_cur, clients + kOthers);
}

/// Everything that serves; made whole or not at all.
class Service {
 public:
  Service(const Invocation& invocation, StoreChoice choice)
      : configuration_(invocation.configuration),
        choice_(std::move(choice)),
        read_(choice_.url, perf::OpenMode::kRead, static_cast<std::size_t>(configuration_.serve.workers) + 1),
        write_(choice_.url, perf::OpenMode::kWrite, 2),
        health_(base::utc_now()),
        blocking_(std::make_shared<BlockingWatch>(configuration_.perf.databases)),
        live_(LiveSource(
            configuration_.perf.state, [this](const LiveSource::UseStore& use) { return read_.with(use); },
            blocking_)) {}

  Result<void> listen() {
    auto options = server_options(configuration_.serve);
    if (!options) return fail(std::move(options.error()));
    sign_in_ = options->access.sign_in;
    if (configuration_.bus.enabled) {
      auto bus = BusService::create(configuration_.bus);
      if (!bus) return fail(std::move(bus.error()));
      bus_ = std::move(*bus);
      options->limits.lasting += static_cast<std::size_t>(configuration_.bus.connections);
      listen_for_bus(configuration_.bus, *options);
    }
    options->observe = [this](const net::Observation& seen) {
      metrics_.observe(seen);
      spdlog::debug("{} {} {} {} {} us", seen.address, seen.method, seen.path, seen.status,
                    seen.duration.count());
    };
    if (auto opened = open_tryton_bus(*options); !opened) return opened;
    if (auto opened = open_worklists(); !opened) return opened;
    auto server = net::Server::create(std::move(*options), routes());
    if (!server) return fail(std::move(server.error()));
    server_ = std::move(*server);
    if (bus_) bus_->start(*server_);  // before the first client
    if (worklists_) worklists_->start(*server_);
    if (configuration_.otlp.endpoint.empty()) return {};
    auto exporter = OtlpExporter::create(configuration_.otlp, read_, base::utc_now());
    if (!exporter) return fail(std::move(exporter.error()));
    exporter_ = std::move(*exporter);
    return {};
  }

  /// Returns when a signal came and everything has stopped.
  void run(const EndSignals& signals, const net::ServiceManager& manager) {
    bool finished = true;
    std::thread thread([&] { finished = server_->run(); });
    {
      look_around();  // once before READY, so that the first answers tell the truth
      const Repeater look(kLookEvery, [this] { look_around(); });
      const Repeater prune(kPruneEvery, [this] { prune_store(); });
      std::optional<Repeater> otlp;
      if (exporter_) otlp.emplace(OtlpExporter::kEvery, [this] { send_traces(); });
      live_.start(*server_);
      if (tryton_bus_) tryton_bus_->start(*server_);
      announce(manager);
      spdlog::info("{}: stopping", strsignal(signals.wait()));
      (void)manager.notify("STOPPING=1");
      live_.stop();
      if (worklists_) worklists_->stop();
      if (bus_) bus_->drain(*server_, kDrainPatience);
      if (tryton_bus_) tryton_bus_->stop();
      server_->stop();
      thread.join();
      if (bus_) bus_->leave_server();
    }
    if (finished) return;
    spdlog::warn("a request did not end in time; leaving without it");
    std::_Exit(EXIT_SUCCESS);  // its thread cannot be joined
  }

 private:
  /// Only where databases are named for it.
  Result<void> open_tryton_bus(net::ServerOptions& options) {
    const TrytonBusSection& section = configuration_.tryton_bus;
    if (!section.is_open()) return {};
    auto site = tryton_site(section);
    if (!site) return fail(std::move(site.error()));
    options.limits.lasting += site->limits.polls;
    if (bus_) site->limits.kept_elsewhere = bus_->history_age("client:");
    tryton_bus_ = std::make_unique<TrytonBus>(
        std::move(*site), [this](const std::string& database, const std::string& problem) {
          const auto duty = "Tryton's bus of " + database;
          report(duty, problem.empty() ? Result<void>() : fail(ErrorCode::kUnavailable, problem));
        });
    if (bus_) tryton_bus_->join(*bus_);
    return {};
  }

  Result<void> open_worklists() {
    const WorklistSection& section = configuration_.worklist;
    if (!section.live) return {};
    if (!section.tryton.empty() && tryton_bus_ == nullptr) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("[worklist] tryton = \"{}\": [bus.tryton] serves no database", section.tryton));
    }
    auto worklists = WorklistService::create(section);
    if (!worklists) return fail(std::move(worklists.error()));
    worklists_ = std::move(*worklists);
    worklist_authority_ = worklist_authority(bus_.get(), tryton_bus_.get(), section.tryton);
    if (!section.push) return {};
    if (!bus_)
      return fail(ErrorCode::kInvalidArgument, "[worklist] push = true needs [bus]: set enabled there");
    bus_counts_ = std::make_unique<BusCounts>(bus_->hub(), section.tryton);
    worklist_push_ = std::make_unique<WorklistPush>(*worklists_, *bus_counts_);
    return {};
  }

  net::Router routes() {
    net::Router router;
    net::Route health;
    health.method = "GET";
    health.pattern = "/health";
    health.access = net::Access::kPublic;
    health.run_on = net::RunOn::kEventLoop;
    health.handler = [this](const net::Request& request) {
      return health_.response(base::utc_now(), request.caller.role != net::Role::kNobody);
    };
    router.add(std::move(health));
    net::Route metrics;
    metrics.method = "GET";
    metrics.pattern = "/metrics";
    metrics.run_on = net::RunOn::kEventLoop;
    metrics.handler = [this](const net::Request&) {
      if (tryton_bus_) metrics_.set_tryton_bus(tryton_bus_->figures());
      std::string text = metrics_.text(*server_);
      if (bus_)
        text += bus_metrics(bus_->hub().counts(), bus_->memory(), bus_->postgres(), bus_->redis(),
                            bus_->presence_exchange());
      return net::make_response(200, "text/plain; version=0.0.4; charset=utf-8", text);
    };
    router.add(std::move(metrics));
    add_pages(router, pages_);
    // SAO loads it where it is there, and then polls no more.
    if (!bus_ || !tryton_bus_) add_absent_page(router, "/bus/custom.js", "the bus of Tryton is not on");
    add_session_api(router, sign_in_);
    if (bus_) bus_->add_routes(router);
    live_.add_route(router);
    if (tryton_bus_) tryton_bus_->add_route(router);
    if (worklists_) add_worklist_api(router, {*worklists_, worklist_authority_});
    add_question_api(router, {read_, configuration_, *blocking_});
    add_perf_api(router, {read_, write_, configuration_.perf.state, [this] { return status(); }});
    return router;
  }

  Result<std::string> status() {
    std::string text = status_json(service_status(configuration_, choice_, read_), base::utc_now());
    while (text.ends_with('\n')) text.pop_back();
    return text;
  }

  /// Logs a failure when it begins and when it is over, not at every turn.
  void report(std::string_view duty, const Result<void>& outcome) {
    if (!outcome) metrics_.duty_failed(duty);
    const std::string error = outcome ? std::string() : outcome.error().message();
    if (!health_.set(duty, error)) return;
    if (outcome) {
      spdlog::info("{}: works again", duty);
    } else {
      spdlog::warn("{}: {}", duty, error);
    }
  }

  Result<void> measure_store() {
    const Status status = service_status(configuration_, choice_, read_);
    if (!status.store_error.empty()) return fail(ErrorCode::kUnavailable, status.store_error);
    metrics_.set_store(status.store);
    health_.set_warnings(find_problems(status, base::utc_now()));
    perf::Filter recent;
    recent.since = base::utc_now() - std::chrono::hours(1);
    const auto counts = read_.with([&](perf::OpenStore& open) { return open.store->counts(recent); });
    if (!counts) return fail(counts.error());
    metrics_.add_counts(*counts);
    return {};
  }

  Result<void> sweep() {
    std::error_code ignored;
    if (!std::filesystem::is_directory(configuration_.perf.state, ignored)) return {};
    const auto swept = write_.with([&](perf::OpenStore& open) {
      return perf::sweep_scoreboards(configuration_.perf.state, *open.store);
    });
    if (!swept) return fail(swept.error());
    metrics_.swept(*swept);
    return {};
  }

  /// Opening it for writing makes a store that is not there yet, so that a new installation is complete at
  /// once.
  Result<void> open_and_measure_store() {
    auto opened = write_.with([](perf::OpenStore&) { return Result<void>(); });
    if (!opened) return opened;
    return measure_store();
  }

  void look_around() {
    look_at_store();
    report("passwords", reload_passwords(configuration_.serve, *sign_in_));
  }

  void look_at_store() {
    const auto measured = open_and_measure_store();
    if (!measured) metrics_.set_store_away();
    report("store", measured);
    if (measured) report("killed calls", sweep());
    health_.looked(base::utc_now());
  }

  void prune_store() {
    const auto pruned = write_.with([&](perf::OpenStore& open) -> Result<perf::Pruned> {
      auto retention = settle_retention(*open.control, configuration_.perf);
      if (!retention) return fail(std::move(retention.error()));
      return open.control->prune(*retention, base::utc_now());
    });
    if (pruned) metrics_.pruned(pruned->calls);
    report("retention", pruned ? Result<void>() : Result<void>(fail(pruned.error())));
  }

  void send_traces() {
    const auto sent = exporter_->tick(base::utc_now());
    // A receiver that is away is no fault of this service: it is logged and counted, and health stays.
    const std::string problem = sent ? std::string() : sent.error().message();
    if (problem != traces_problem_)
      spdlog::log(sent ? spdlog::level::info : spdlog::level::warn, "traces: {}",
                  sent ? "sent again" : problem);
    traces_problem_ = problem;
    metrics_.set_otlp(exporter_->counts(), exporter_->queued());
  }

  void announce(const net::ServiceManager& manager) const {
    std::string where;
    for (const net::Endpoint& endpoint : server_->endpoints()) where.append(" ").append(endpoint.text());
    spdlog::info("headroom {} (process {}) serves on{}; store {} ({})", kVersion, ::getpid(), where,
                 perf::without_password(choice_.url), choice_.source);
    if (auto told =
            manager.notify(fmt::format("READY=1\nMAINPID={}\nSTATUS=Serving on{}", ::getpid(), where));
        !told) {
      spdlog::warn("{}", told.error().message());
    }
  }

  const Configuration configuration_;
  const StoreChoice choice_;
  StorePool read_;
  StorePool write_;
  ServeHealth health_;
  ServeMetrics metrics_;
  const net::StaticFiles pages_{embedded_pages()};
  std::shared_ptr<net::SignIn> sign_in_;
  const std::shared_ptr<BlockingWatch> blocking_;  ///< one for all who ask, so that none asks too often
  LiveFeed live_;
  std::unique_ptr<BusService> bus_;  ///< none unless [bus] is enabled
  std::string traces_problem_;
  std::unique_ptr<OtlpExporter> exporter_;  ///< none unless [otlp] names a receiver
  std::unique_ptr<TrytonBus> tryton_bus_;   ///< none unless [bus.tryton] names databases
  WorklistAuthority worklist_authority_;
  std::unique_ptr<WorklistService> worklists_;  ///< none unless [worklist] is live
  std::unique_ptr<BusCounts> bus_counts_;       ///< none unless [worklist] pushes
  std::unique_ptr<WorklistPush> worklist_push_;
  /// Last: its workers use all of the above.
  std::unique_ptr<net::Server> server_;
};

Result<net::Endpoint> endpoint_of(std::string_view key, const std::string& text) {
  auto endpoint = net::parse_endpoint(text);
  if (!endpoint) return fail(std::move(endpoint.error()).within(fmt::format("[serve] {}", key)));
  return endpoint;
}

}  // namespace

Result<net::ServerOptions> server_options(const ServeSection& section) {
  net::ServerOptions options;
  auto listen = endpoint_of("listen", section.listen);
  if (!listen) return fail(std::move(listen.error()));
  options.listen.push_back(std::move(*listen));
  if (!section.socket.empty()) {
    auto socket = endpoint_of("socket", "unix:" + section.socket);
    if (!socket) return fail(std::move(socket.error()));
    options.listen.push_back(std::move(*socket));
  }
  auto sign_in = make_sign_in(section);
  if (!sign_in) return fail(std::move(sign_in.error()));
  options.access.sign_in = std::move(*sign_in);
  const bool can_prove = options.access.sign_in->has_token() || options.access.sign_in->has_passwords();
  if (!options.listen.front().is_local() && !can_prove) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("[serve] listen = \"{}\" is not a loopback address: set [serve] token_file or "
                            "password_file too",
                            section.listen));
  }
  options.access.hosts = section.hosts;
  options.access.proxies = section.proxies;
  options.limits.workers = static_cast<std::size_t>(section.workers);
  return options;
}

void listen_for_bus(const BusSection& section, net::ServerOptions& options) {
  if (section.listen.empty()) return;
  net::Endpoint endpoint = net::parse_endpoint(section.listen).value();  // checked when it was read
  endpoint.shared = true;
  options.listen.push_back(std::move(endpoint));
}

Result<Exit> serve(const Invocation& invocation) {
  const net::ServiceManager manager = net::ServiceManager::from_environment();
  auto choice = chosen_store(invocation);
  if (!choice) return fail(std::move(choice.error()));
  const EndSignals signals;
  const BusSection& bus = invocation.configuration.bus;
  allow_open_files(bus.enabled ? static_cast<std::size_t>(bus.connections) : 0);
  Service service(invocation, std::move(*choice));
  if (auto listening = service.listen(); !listening) return fail(std::move(listening.error()));
  service.run(signals, manager);
  return Exit::kFine;
}

void add_serve_command(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand(
      "serve", "Serve the pages, health, metrics and the reports as JSON, and keep the store in order");
  command->group("Store");
  command->footer(
      "Examples:\n  headroom serve\n  headroom serve --listen 127.0.0.1:7500\n  curl "
      "http://127.0.0.1:7400/health");
  auto listen = std::make_shared<std::string>();
  command->add_option("--listen", *listen, "ADDRESS:PORT in place of [serve] listen");
  add_password_commands(*command, invocation);
  command->callback([command, &invocation, listen] {
    if (!command->get_subcommands().empty()) return;
    invocation.run = [listen](Invocation& run) {
      if (!listen->empty()) run.configuration.serve.listen = *listen;
      return serve(run);
    };
  });
}

}  // namespace headroom::cli
