#include "headroom/bus_poll.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "headroom/bus_lines.hpp"
#include "headroom/bus_service.hpp"
#include "net/held.hpp"

namespace headroom::cli {
namespace {

/// 200 for what the bus has to say; a client that is sent away gets what HTTP has for it too, with the same
/// body.
int status_of(bus::DisconnectCode code) {
  using bus::DisconnectCode;
  switch (code) {
    case DisconnectCode::kTokenExpired:
    case DisconnectCode::kTokenRevoked:
    case DisconnectCode::kTokenInvalid:
      return 401;
    case DisconnectCode::kProtocol:
    case DisconnectCode::kUnsupported:
      return 400;
    case DisconnectCode::kRateLimited:
      return 429;
    case DisconnectCode::kOverloaded:
    case DisconnectCode::kBrokerLost:
      return 503;
    default:
      return 200;
  }
}

/// An answer begins so; what does not is a push, which is what a poll waits for.
bool is_answer(std::string_view object) {
  return object.starts_with(R"({"id":)");
}

/// One poll. It is answered at the first tick after a push, so that what comes together is given together.
class BusPoll final : public net::HeldHandler,
                      public bus::Peer,
                      public std::enable_shared_from_this<BusPoll> {
 public:
  BusPoll(const std::shared_ptr<net::HeldRequest>& request, BusService& service)
      : request_(request), service_(service), hub_(service.hub()), at_door_(service.doors().polls) {}

  void begin(const std::vector<std::string_view>& commands, const std::string& address) {
    const bus::Now now = bus::read_clocks();
    bus::Hub::Opened opened = hub_.open(*this, address, now);
    session_ = opened.session;
    if (opened.refused) return close(*opened.refused);
    for (const std::string_view command : commands) {
      if (!over_) hub_.received(session_, command, now);
    }
  }
  void expired(net::Expiry why) override {
    if (over_) return;
    leave();
    if (why == net::Expiry::kStopping) add(bus::disconnect_push({bus::DisconnectCode::kGoingAway, {}, {}}));
    answer(200);
  }
  void closed(net::HeldEnd /*end*/) override { leave(); }

  void send(const wire::Frame& frame) override {
    const std::string_view object = wire::payload_of(frame);
    add(object);
    if (!is_answer(object)) answer_soon();
  }
  [[nodiscard]] std::size_t queued_bytes() const override { return objects_.size(); }
  void close(const bus::Disconnect& disconnect) override {
    over_ = true;
    add(bus::disconnect_push(disconnect));
    answer(status_of(disconnect.code));
  }

 private:
  void add(std::string_view object) { objects_.append(objects_.empty() ? "[" : ",\n").append(object); }
  void answer_soon() {
    if (std::exchange(answering_, true)) return;
    service_.post([poll = weak_from_this()] {
      const auto self = poll.lock();
      if (self == nullptr || self->over_) return;
      self->leave();
      self->answer(200);
    });
  }
  void answer(int status) {
    const auto request = request_.lock();
    if (request == nullptr) return;
    net::Response response = net::make_response(
        status, "application/json", objects_.empty() ? "[]\n" : std::exchange(objects_, {}) + "]\n");
    if (status == 429 || status == 503) response.headers.add("Retry-After", "1");
    request->answer(std::move(response));
  }
  void leave() {
    if (!std::exchange(over_, true)) hub_.closed(session_, bus::read_clocks());
  }

  std::weak_ptr<net::HeldRequest> request_;
  BusService& service_;
  bus::Hub& hub_;
  bus::SessionId session_;
  AtDoor at_door_;
  std::string objects_;
  bool answering_ = false;
  bool over_ = false;
};

/// The held request owns its handler alone; a poll that waits for its turn must know whether it is there
/// still.
class Holder final : public net::HeldHandler {
 public:
  explicit Holder(std::shared_ptr<BusPoll> poll) : poll_(std::move(poll)) {}
  void expired(net::Expiry why) override { poll_->expired(why); }
  void closed(net::HeldEnd end) override { poll_->closed(end); }

 private:
  std::shared_ptr<BusPoll> poll_;
};

}  // namespace

void add_bus_poll(net::Router& router, BusService& service) {
  const bus::HubLimits limits;
  net::HeldRoute route;
  route.method = "POST";
  route.pattern = "/bus/poll";
  route.access = net::Access::kOwn;
  route.check = [&service](net::Request& request) { return service.check_origin(request); };
  route.limits.body_bytes = limits.message_bytes;
  route.limits.deadline = std::chrono::duration_cast<std::chrono::milliseconds>(service.section().poll_wait);
  route.open = [&service](const std::shared_ptr<net::HeldRequest>& request,
                          const net::Request& asked) -> std::unique_ptr<net::HeldHandler> {
    const auto commands = bus_lines(asked.body);
    if (auto refusal = check_bus_lines(commands)) {
      request->answer(std::move(*refusal));
      return nullptr;
    }
    auto poll = std::make_shared<BusPoll>(request, service);
    poll->begin(commands, bus_address(asked));
    return std::make_unique<Holder>(std::move(poll));
  };
  router.add(std::move(route));
}

}  // namespace headroom::cli
