#include "headroom/tryton_bus.hpp"

#include <chrono>
#include <optional>
#include <utility>

#include "net/access.hpp"

namespace headroom::cli {

namespace {

TrytonDoor::Time now() {
  return std::chrono::steady_clock::now();
}

/// Tells the door when its client has gone. What is not answered when the service stops, the server answers.
class Waiter final : public net::HeldHandler {
 public:
  Waiter(TrytonDoor& door, TrytonDoor::Ticket ticket) : door_(door), ticket_(ticket) {}
  void expired(net::Expiry /*why*/) override {}
  void closed(net::HeldEnd /*end*/) override { door_.gone(ticket_); }

 private:
  TrytonDoor& door_;
  TrytonDoor::Ticket ticket_;
};

/// trytond's sessions are no business of this server's own sign-in; a page of another site is refused, as
/// trytond refuses it.
std::optional<net::Response> check(const net::Request& request) {
  if (!net::comes_from_another_site(request)) return std::nullopt;
  return net::error_response(403, "denied", "a page of another site may not poll the bus");
}

}  // namespace

TrytonBus::TrytonBus(TrytonSite site, TrytonDoor::Report report)
    : feed_(*this), door_(std::move(site), feed_, std::move(report)) {}

TrytonBus::~TrytonBus() = default;

void TrytonBus::join(BusService& bus) {
  channels_ = std::make_unique<TrytonChannels>(door_, bus.hub());
  door_.join(*channels_);
  bus.accept(TrytonChannels::kScheme, *channels_);
}

std::vector<TrytonFigures> TrytonBus::figures() const {
  std::vector<TrytonFigures> all = door_.figures();
  if (channels_) channels_->count(all);
  return all;
}

void TrytonBus::prove(const std::string& database, std::string_view header,
                      std::function<void(base::Result<std::int32_t>)> done) {
  const auto session = bus::parse_tryton_authorization(header);
  if (!session)
    return done(base::fail(base::ErrorCode::kDenied, "the header Authorization names no session of Tryton"));
  auto answered = [done = std::move(done), user = session->user](const net::Response& response) {
    if (response.status == 204) return done(user);
    if (response.status == 503)
      return done(base::fail(base::ErrorCode::kUnavailable, "the session could not be looked up"));
    done(base::fail(base::ErrorCode::kDenied, response.status == 401
                                                  ? "the session does not hold"
                                                  : "there is no bus of this database for clients"));
  };
  door_.verify(now(), database, *session, std::move(answered));
}

void TrytonBus::add_route(net::Router& router) {
  net::HeldRoute route;
  route.method = "POST";
  route.pattern = "/{database}/bus";
  route.access = net::Access::kOwn;
  route.check = [](net::Request& request) { return check(request); };
  route.open = [this](const std::shared_ptr<net::HeldRequest>& held, const net::Request& request) {
    return hold(held, request);
  };
  router.add(std::move(route));
}

std::unique_ptr<net::HeldHandler> TrytonBus::hold(const std::shared_ptr<net::HeldRequest>& held,
                                                  const net::Request& request) {
  TrytonDoor::Reply reply = [weak = std::weak_ptr(held)](net::Response response) {
    if (const auto waiting = weak.lock()) waiting->answer(std::move(response));
  };
  const TrytonDoor::Ticket ticket = door_.handle(now(), request, std::move(reply));
  if (ticket == 0) return nullptr;
  return std::make_unique<Waiter>(door_, ticket);
}

void TrytonBus::start(net::Server& server) {
  server_ = &server;
  server.post([this] { door_.start(now()); });
  feed_.start();
}

void TrytonBus::stop() {
  if (server_ == nullptr) return;
  feed_.stop();
  server_->post([this] { door_.stop(); });
}

void TrytonBus::notified(const std::string& database, std::vector<std::string> payloads) {
  server_->post(
      [this, database, payloads = std::move(payloads)] { door_.notified(now(), database, payloads); });
}

void TrytonBus::answered(const std::string& database, base::Result<sql::PostgresRows> answer) {
  server_->post([this, database, answer = std::move(answer)] { door_.answered(now(), database, answer); });
}

void TrytonBus::changed(const std::string& database, const std::string& problem, std::uint64_t losses) {
  server_->post([this, database, problem, losses] { door_.changed(database, problem, losses); });
}

void TrytonBus::listed(base::Result<std::vector<std::string>> names) {
  server_->post([this, names = std::move(names)] { door_.listed(now(), names); });
}

void TrytonBus::ticked() {
  server_->post([this] { door_.ticked(now()); });
}

}  // namespace headroom::cli
