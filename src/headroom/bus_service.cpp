#include "headroom/bus_service.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "headroom/bus_api.hpp"
#include "headroom/bus_poll.hpp"
#include "headroom/bus_socket.hpp"
#include "headroom/bus_stream.hpp"
#include "net/access.hpp"
#include "net/secret_file.hpp"

namespace headroom::cli {

using base::fail;
using base::Result;

namespace {

constexpr std::chrono::milliseconds kTickEvery{100};
constexpr std::size_t kLargestSecretFile = 4096;

bus::HubLimits hub_limits(const BusSection& section) {
  bus::HubLimits limits;
  const auto rate = static_cast<double>(section.connections_per_second);
  limits.admission.all = {rate, rate};
  limits.admission.connections = static_cast<std::size_t>(section.connections);
  limits.admission.connections_per_address = limits.admission.connections;
  limits.subscriptions = static_cast<std::size_t>(section.subscriptions);
  limits.queue_bytes = static_cast<std::size_t>(section.queue_size);
  return limits;
}

/// For whoever looks at who orders the messages in the database.
std::string node_name() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  return fmt::format("{}:{}", host.data(), ::getpid());
}

bus::PresenceLimits presence_limits(const BusSection& section) {
  bus::PresenceLimits limits;
  limits.away_after_ns = std::chrono::nanoseconds(section.away_after).count();
  return limits;
}

}  // namespace

Result<std::vector<bus::SigningKey>> read_signing_keys(const BusSection& section) {
  std::vector<bus::SigningKey> keys;
  for (const std::string& file : section.secret_files) {
    auto text = net::read_secret_file(file, kLargestSecretFile);
    if (!text) return fail(std::move(text.error()).within("[bus] secret_files"));
    auto key = bus::SigningKey::from_text(std::string_view(*text).substr(0, text->find_first_of("\r\n")));
    if (!key) return fail(std::move(key.error()).within("[bus] secret_files: " + file));
    keys.push_back(std::move(*key));
  }
  return keys;
}

bus::RedisBrokerOptions redis_options(const BusSection& section) {
  bus::RedisBrokerOptions options;
  options.url = section.url;
  options.shards = static_cast<std::size_t>(section.shards);
  return options;
}

Result<std::unique_ptr<BusService>> BusService::create(const BusSection& section) {
  auto rules = channel_rules(section);
  if (!rules) return fail(std::move(rules.error()));
  auto keys = read_signing_keys(section);
  if (!keys) return fail(std::move(keys.error()));
  std::unique_ptr<BusService> service(new BusService(section, std::move(*rules), std::move(*keys)));
  if (auto opened = service->open_broker(); !opened) return fail(std::move(opened.error()));
  return service;
}

BusService::BusService(const BusSection& section, bus::ChannelRules rules, std::vector<bus::SigningKey> keys)
    : section_(section),
      keys_(std::move(keys)),
      rules_(std::move(rules)),
      authority_(keys_),
      authorities_(authority_) {}

bus::PostgresSource postgres_source(const BusSection& section) {
  return section.source == "logical" ? bus::PostgresSource::kLog : bus::PostgresSource::kOutbox;
}

Result<void> BusService::open_broker() {
  Result<void> opened;
  if (section_.broker == "postgresql") {
    opened = open_postgres();
  } else if (section_.broker == "redis") {
    opened = open_redis();
  } else {
    auto broker = std::make_unique<bus::MemoryBroker>(rules_, bus::random_epoch());
    memory_ = broker.get();
    broker_ = std::move(broker);
  }
  if (!opened) return opened;
  hub_ = std::make_unique<bus::Hub>(hub_limits(section_), rules_, *broker_, authorities_, keys_,
                                    presence_limits(section_));
  tail_.emplace(*hub_);
  return {};
}

Result<void> BusService::open_postgres() {
  bus::PostgresBrokerOptions options;
  options.url = section_.database;
  options.node = node_name();
  options.source = postgres_source(section_);
  auto broker = bus::PostgresBroker::make(std::move(options), rules_,
                                          [this](std::function<void()> work) { post(std::move(work)); });
  if (!broker) return fail(std::move(broker.error()).within("[bus] database"));
  postgres_ = broker->get();
  broker_ = std::move(*broker);
  return {};
}

/// A server that is away now is waited for.
Result<void> BusService::open_redis() {
  const bus::RedisBrokerOptions options = redis_options(section_);
  auto checked = bus::check_redis_broker(options);
  if (!checked && !checked.error().retryable()) return fail(std::move(checked.error()).within("[bus] url"));
  auto broker =
      bus::RedisBroker::make(options, rules_, [this](std::function<void()> work) { post(std::move(work)); });
  if (!broker) return fail(std::move(broker.error()).within("[bus] url"));
  redis_ = broker->get();
  broker_ = std::move(*broker);
  return open_exchanges();
}

/// What services tell each other beside messages.
Result<void> BusService::open_exchanges() {
  const auto posted = [this](std::function<void()> work) { post(std::move(work)); };
  bus::RedisPresenceOptions said;
  said.url = section_.url;
  said.node = fmt::format("{}:{}", node_name(), bus::random_epoch());
  said.lease_ns = presence_limits(section_).lease_ns;
  auto presence = bus::RedisPresence::make(said, posted);
  if (!presence) return fail(std::move(presence.error()).within("[bus] url"));
  presence_ = std::move(*presence);
  said.key = bus::kRedisMembers;
  auto members = bus::RedisPresence::make(said, posted);
  if (!members) return fail(std::move(members.error()).within("[bus] url"));
  members_ = std::move(*members);
  auto revocations = bus::RedisRevocations::make(section_.url, posted);
  if (!revocations) return fail(std::move(revocations.error()).within("[bus] url"));
  revocations_ = std::move(*revocations);
  return {};
}

bus::MemoryCounts BusService::memory() const {
  return memory_ == nullptr ? bus::MemoryCounts() : memory_->counts();
}

std::optional<bus::PostgresBrokerCounts> BusService::postgres() const {
  if (postgres_ == nullptr) return std::nullopt;
  return postgres_->counts();
}

std::optional<bus::RedisBrokerCounts> BusService::redis() const {
  if (redis_ == nullptr) return std::nullopt;
  return redis_->counts();
}

std::optional<bus::ExchangeCounts> BusService::presence_exchange() const {
  if (postgres_ != nullptr) return postgres_->counts().presence;
  if (presence_ == nullptr) return std::nullopt;
  return presence_->counts();
}

std::string BusService::problem() const {
  if (postgres_ != nullptr) return postgres_->counts().problem;
  return redis_ == nullptr ? std::string() : redis_->counts().problem;
}

std::chrono::milliseconds BusService::history_age(std::string_view channel) const {
  const std::chrono::nanoseconds age(rules_.find(channel).history_age_ns);
  return std::chrono::ceil<std::chrono::milliseconds>(age);
}

void BusService::add_routes(net::Router& router) {
  add_bus_socket(router, *this);
  add_bus_stream(router, *this);
  add_bus_poll(router, *this);
  add_bus_api(router, *this);
  add_bus_tail(router, *tail_);
}

void BusService::start(net::Server& server) {
  {
    const std::lock_guard lock(server_mutex_);
    server_ = &server;
  }
  server.post([this] {
    broker_->start(*hub_, bus::read_clocks());
    if (postgres_ != nullptr) postgres_->share(*hub_);
    if (presence_) presence_->start(hub_->presence());
    if (members_) members_->start(hub_->members());
    if (revocations_) revocations_->start(*hub_);
  });
  server.repeat(kTickEvery, [this] {
    const bus::Now now = bus::read_clocks();
    broker_->tick(now);
    hub_->tick(now);
    if (!hub_->drained()) return;
    const std::lock_guard lock(mutex_);
    drained_ = true;
    drained_changed_.notify_all();
  });
}

void BusService::post(std::function<void()> work) {
  const std::lock_guard lock(server_mutex_);
  if (server_ != nullptr) server_->post(std::move(work));
}

void BusService::leave_server() {
  const std::lock_guard lock(server_mutex_);
  server_ = nullptr;
}

void BusService::drain(net::Server& server, std::chrono::milliseconds patience) {
  server.leave_shared();  // or those who come back would come here again
  const auto window = std::chrono::duration_cast<std::chrono::milliseconds>(section_.reconnect_window);
  server.post([this, window] { hub_->stop(window.count(), bus::read_clocks()); });
  std::unique_lock lock(mutex_);
  drained_changed_.wait_for(lock, patience, [this] { return drained_; });
  if (postgres_ != nullptr) postgres_->leave();
  if (presence_) presence_->leave();
  if (members_) members_->leave();
}

std::optional<net::Response> BusService::check_origin(const net::Request& request) const {
  if (!net::comes_from_another_site(request)) return std::nullopt;
  const std::string* origin = request.headers.find("Origin");
  if (origin != nullptr && std::ranges::find(section_.origins, *origin) != section_.origins.end())
    return std::nullopt;
  return net::error_response(403, "denied",
                             "a page of this origin may not use the bus; [bus] origins lists those that may");
}

std::string bus_address(const net::Request& request) {
  return bus::counted_address(request.remote.address);
}

}  // namespace headroom::cli
