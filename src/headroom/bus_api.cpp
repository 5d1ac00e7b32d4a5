#include "headroom/bus_api.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "headroom/bus_publish.hpp"
#include "headroom/bus_service.hpp"
#include "net/held.hpp"

namespace headroom::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using nlohmann::json;

constexpr std::size_t kMostConnections = 1000;
constexpr std::size_t kMostUsers = 500;
constexpr std::size_t kMostListed = 1000;
constexpr std::size_t kMostOffset = 200'000;
constexpr std::size_t kMostPart = 255;
constexpr std::size_t kMostHistory = 1000;
constexpr std::size_t kMostDisconnectBody = 4096;
constexpr std::chrono::seconds kDeadline{10};

net::Response json_response(const json& body) {
  return net::make_response(200, "application/json",
                            body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
}

std::optional<std::string_view> bearer(const net::Request& request) {
  constexpr std::string_view kScheme = "Bearer ";
  const std::string* header = request.headers.find("Authorization");
  if (header == nullptr ||
      !net::equals_ignoring_case(std::string_view(*header).substr(0, kScheme.size()), kScheme))
    return std::nullopt;
  return std::string_view(*header).substr(kScheme.size());
}

net::Response unauthorized(std::string_view message) {
  net::Response response = net::error_response(401, "unauthorized", message);
  response.headers.add("WWW-Authenticate", "Bearer realm=\"headroom bus\"");
  return response;
}

/// What the token of the header proves.
Result<bus::Grant> grant_of(BusService& service, const net::Request& request) {
  const auto token = bearer(request);
  if (!token)
    return fail(ErrorCode::kDenied, "this needs the header Authorization: Bearer TOKEN, a token of the bus");
  auto grant = bus::read_token(*token, service.keys(), {}, bus::read_clocks().unix_s);
  if (grant && service.hub().is_revoked(*grant))
    return fail(ErrorCode::kDenied, "the token was revoked: its user or session was disconnected");
  return grant;
}

std::optional<net::Response> check_admin(BusService& service, const net::Request& request) {
  if (auto refusal = service.check_origin(request)) return refusal;
  const auto grant = grant_of(service, request);
  if (!grant) return unauthorized(grant.error().message());
  if (grant->admin) return std::nullopt;
  return net::error_response(403, "denied", "this needs a token with the claim admin");
}

/// Whoever may publish something; which channels, the body decides.
std::optional<net::Response> check_publisher(BusService& service, const net::Request& request) {
  if (auto refusal = service.check_origin(request)) return refusal;
  const auto grant = grant_of(service, request);
  if (!grant) return unauthorized(grant.error().message());
  if (grant->admin || !grant->publish.empty()) return std::nullopt;
  return net::error_response(403, "denied",
                             "this token may publish nowhere: it has no claim publish or admin");
}

json counts_json(BusService& service) {
  const bus::HubCounts counts = service.hub().counts();
  const bus::MemoryCounts memory = service.memory();
  return {{"broker", service.section().broker},
          {"available", counts.broker_available},
          {"problem", service.problem()},
          {"connections", counts.sessions},
          {"authenticated", counts.authenticated},
          {"most_connections", service.section().connections},
          {"doors",
           {{"websocket", service.doors().websockets},
            {"stream", service.doors().streams},
            {"poll", service.doors().polls}}},
          {"channels", counts.channels},
          {"subscriptions", counts.subscriptions},
          {"users", service.hub().presence().users()},
          {"commands", counts.commands},
          {"published", counts.published},
          {"repeated", counts.repeated},
          {"messages", counts.messages},
          {"deliveries", counts.deliveries},
          {"delivered_bytes", counts.delivered_bytes},
          {"recovered", counts.recovered},
          {"lost", counts.lost},
          {"gaps", counts.gaps},
          {"slow", counts.slow},
          {"denied", counts.denied},
          {"rate_limited", counts.rate_limited},
          {"malformed", counts.malformed},
          {"refused", counts.refused},
          {"history_channels", memory.channels},
          {"history_messages", memory.messages},
          {"history_bytes", memory.bytes}};
}

/// A number of the query within [0, most].
Result<std::size_t> number(const net::Request& request, std::string_view name, std::size_t otherwise,
                           std::size_t most) {
  const std::string* text = request.query.find(name);
  if (text == nullptr) return otherwise;
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error == std::errc() && end == text->data() + text->size() && value <= most) return value;
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{} is '{:.40}'; expected a whole number up to {}", name, *text, most));
}

/// Which part of a list is asked for.
struct Slice {
  std::size_t first = 0;
  std::size_t most = 0;
};

Result<Slice> slice_of(const net::Request& request, std::size_t most) {
  const auto first = number(request, "offset", 0, kMostOffset);
  if (!first) return fail(first.error());
  const auto limit = number(request, "limit", 100, most);
  if (!limit) return fail(limit.error());
  return Slice{*first, *limit};
}

json channel_json(BusService& service, const bus::ChannelInfo& channel, std::int64_t now_ns) {
  const bus::ChannelRule& rule = service.rules().find(channel.channel);
  const auto rate = service.rates().look(channel.channel, channel.messages, now_ns);
  return {
      {"channel", channel.channel},
      {"offset", channel.position.offset},
      {"epoch", channel.position.epoch},
      {"subscribers", channel.subscribers},
      {"messages", channel.messages},
      {"per_second", rate ? json(*rate) : json()},
      {"history", {{"messages", rule.history_messages}, {"seconds", rule.history_age_ns / 1'000'000'000}}}};
}

net::Response get_channels(BusService& service, const net::Request& request) {
  const auto slice = slice_of(request, kMostListed);
  if (!slice) return net::error_response(slice.error());
  const std::string* prefix = request.query.find("prefix");
  // One more tells whether there are more.
  const auto found = service.hub().channels(prefix == nullptr ? "" : *prefix, slice->first + slice->most + 1);
  const std::size_t end = std::min(found.size(), slice->first + slice->most);
  const std::int64_t now_ns = bus::read_clocks().monotonic_ns;
  json channels = json::array();
  for (std::size_t i = slice->first; i < end; ++i)
    channels.push_back(channel_json(service, found[i], now_ns));
  return json_response({{"channels", std::move(channels)},
                        {"more", found.size() > slice->first + slice->most},
                        {"count", service.hub().counts().channels}});
}

/// "online", "away"; without it both.
Result<bus::PresenceState> state_of(const net::Request& request) {
  const std::string* text = request.query.find("state");
  if (text == nullptr) return bus::PresenceState::kOffline;
  for (const bus::PresenceState state : {bus::PresenceState::kOnline, bus::PresenceState::kAway}) {
    if (*text == bus::name(state)) return state;
  }
  return fail(ErrorCode::kInvalidArgument, fmt::format("state is '{:.40}'; expected online or away", *text));
}

net::Response get_users(BusService& service, const net::Request& request) {
  const auto slice = slice_of(request, kMostListed);
  if (!slice) return net::error_response(slice.error());
  const auto state = state_of(request);
  if (!state) return net::error_response(state.error());
  const std::string* search = request.query.find("search");
  if (search != nullptr && search->size() > kMostPart)
    return net::error_response(
        400, "invalid_argument",
        fmt::format("search has {} bytes; expected {} at most", search->size(), kMostPart));
  const bus::PresencePage page = service.hub().presence().find(
      {search == nullptr ? std::string_view() : *search, *state, slice->first, slice->most});
  json users = json::array();
  for (const bus::PresentUser& each : page.users) {
    users.push_back(
        {{"user", each.user}, {"state", bus::name(each.state)}, {"connections", each.connections}});
  }
  return json_response({{"users", std::move(users)}, {"online", page.online}, {"away", page.away}});
}

std::string text_of_query(const net::Request& request, std::string_view name) {
  const std::string* text = request.query.find(name);
  return text == nullptr ? std::string() : *text;
}

Result<bus::ConnectionOrder> connection_order(const net::Request& request) {
  const std::string order = text_of_query(request, "order");
  if (order.empty() || order == "oldest") return bus::ConnectionOrder::kOldest;
  if (order == "queue") return bus::ConnectionOrder::kQueue;
  return fail(ErrorCode::kInvalidArgument, fmt::format("order is '{:.40}'; expected oldest or queue", order));
}

/// The number in "c12", or 0 when nothing is given.
Result<std::uint64_t> connection_after(const net::Request& request) {
  const std::string* text = request.query.find("after");
  if (text == nullptr) return 0;
  std::uint64_t number = 0;
  const char* end = text->data() + text->size();
  if (text->starts_with('c')) {
    const auto [stop, error] = std::from_chars(text->data() + 1, end, number);
    if (error == std::errc() && stop == end) return number;
  }
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("after is '{:.40}'; expected a connection such as c12", *text));
}

json connection_json(const bus::ConnectionInfo& one) {
  return {{"connection", fmt::format("c{}", one.number)},
          {"user", one.user},
          {"address", one.address},
          {"age_s", one.age_s},
          {"queued_bytes", one.queued_bytes},
          {"active", one.activity.active},
          {"idle", one.activity.idle},
          {"subscriptions", one.subscriptions},
          {"channels", one.channels}};
}

net::Response get_connections(BusService& service, const net::Request& request) {
  const auto limit = number(request, "limit", 100, kMostConnections);
  if (!limit) return net::error_response(limit.error());
  const auto order = connection_order(request);
  if (!order) return net::error_response(order.error());
  const auto after = connection_after(request);
  if (!after) return net::error_response(after.error());
  const std::string user = text_of_query(request, "user");
  const std::string channel = text_of_query(request, "channel");
  const bus::ConnectionPage page =
      service.hub().connections({user, channel, *after, *order, *limit}, bus::read_clocks());
  json connections = json::array();
  for (const bus::ConnectionInfo& one : page.connections) connections.push_back(connection_json(one));
  json next = page.more && !connections.empty() ? connections.back()["connection"] : json();
  return json_response(
      {{"connections", std::move(connections)}, {"count", page.count}, {"next", std::move(next)}});
}

net::Response get_presence(BusService& service, const net::Request& request) {
  json users = json::object();
  for (const auto& [name, user] : request.query.all()) {
    if (name != "user") continue;
    if (users.size() == kMostUsers)
      return net::error_response(400, "invalid_argument",
                                 fmt::format("more than {} users are asked for", kMostUsers));
    if (const auto checked = bus::check_user(user); !checked) return net::error_response(checked.error());
    users[user] = bus::name(service.hub().presence().state(user));
  }
  if (users.empty()) return net::error_response(400, "invalid_argument", "expected ?user=NAME, once or more");
  return json_response({{"users", std::move(users)}});
}

net::Response post_disconnect(BusService& service, const net::Request& request) {
  const json body = json::parse(request.body, nullptr, false);
  const auto named = [&](const char* key) {
    return body.is_object() && body.size() == 1 && body.contains(key) && body.at(key).is_string();
  };
  const bus::Now now = bus::read_clocks();
  if (named("user"))
    return json_response(
        {{"disconnected", service.hub().disconnect_user(body.at("user").get<std::string>(), now)}});
  if (named("session")) {
    return json_response(
        {{"disconnected", service.hub().disconnect_session(body.at("session").get<std::string>(), now)}});
  }
  return net::error_response(400, "invalid_argument", R"(expected {"user":"..."} or {"session":"..."})");
}

/// A request whose answer the hub gives, maybe later.
class Asked final : public net::HeldHandler {
 public:
  void expired(net::Expiry /*why*/) override {}
  void closed(net::HeldEnd /*end*/) override {}
};

Result<bus::Position> since_of(const net::Request& request) {
  const std::string* epoch = request.query.find("epoch");
  const auto offset = number(request, "offset", 0, bus::kMostInteger);
  if (!offset) return fail(offset.error());
  return bus::Position{*offset, epoch == nullptr ? std::string() : *epoch};
}

std::string history_text(const bus::HistoryPage& page) {
  std::string text = fmt::format(R"({{"offset":{},"epoch":"{}","lost":{},"more":{},"messages":[)",
                                 page.position.offset, page.position.epoch, page.lost, page.more);
  for (const bus::Message& message : page.messages) {
    if (text.back() != '[') text.push_back(',');
    text += fmt::format(R"({{"offset":{},"data":{}}})", message.offset, *message.data);
  }
  return text + "]}\n";
}

/// `own`: asked with a token of the bus, not by an operator of the service.
void ask_history(BusService& service, const std::shared_ptr<net::HeldRequest>& request,
                 const net::Request& asked, bool own) {
  const std::string* channel = asked.query.find("channel");
  if (channel == nullptr)
    return request->answer(net::error_response(400, "invalid_argument", "expected ?channel=NAME"));
  if (const auto checked = bus::check_channel(*channel); !checked)
    return request->answer(net::error_response(checked.error()));
  if (own && channel->starts_with(bus::kUserPrefix))
    return request->answer(
        net::error_response(403, "denied", "the channels of a user are read by that user alone"));
  const auto limit = number(asked, "limit", 100, kMostHistory);
  if (!limit) return request->answer(net::error_response(limit.error()));
  const auto since = since_of(asked);
  if (!since) return request->answer(net::error_response(since.error()));
  bus::HistoryQuery query;
  query.limit = *limit;
  if (asked.query.find("offset") != nullptr) query.since = &*since;
  service.hub().history(*channel, query, bus::read_clocks(),
                        [held = std::weak_ptr(request)](const Result<bus::HistoryPage>& page) {
                          const auto waiting = held.lock();
                          if (waiting == nullptr) return;
                          if (!page) return waiting->answer(net::error_response(page.error()));
                          waiting->answer(net::make_response(200, "application/json", history_text(*page)));
                        });
}

void ask_publish(BusService& service, const std::shared_ptr<net::HeldRequest>& request,
                 const net::Request& asked, const bus::Grant& grant) {
  auto wanted = bus::parse_publications(asked.body, kMostPublications);
  if (!wanted) return request->answer(net::error_response(wanted.error()));
  publish_all(service.hub(), std::move(*wanted), grant,
              [held = std::weak_ptr(request)](net::Response response) {
                if (const auto waiting = held.lock()) waiting->answer(std::move(response));
              });
}

/// Where the same question is asked with another proof.
struct Side {
  std::string path;
  bool own = false;
};

class Routes {
 public:
  Routes(net::Router& router, BusService& service) : router_(router), service_(service) {}

  void get(std::string_view name, net::Access access,
           net::Response (*answer)(BusService&, const net::Request&)) {
    for (const Side& side : sides(name)) {
      net::Route route;
      route.method = "GET";
      route.pattern = side.path;
      prove(route, side, access);
      route.run_on = net::RunOn::kEventLoop;
      route.handler = [&service = service_, answer](const net::Request& request) {
        return answer(service, request);
      };
      router_.add(std::move(route));
    }
  }
  void post(std::string_view name, net::Response (*answer)(BusService&, const net::Request&)) {
    for (const Side& side : sides(name)) {
      net::Route route;
      route.method = "POST";
      route.pattern = side.path;
      prove(route, side, net::Access::kWrite);
      route.run_on = net::RunOn::kEventLoop;
      route.body_bytes = kMostDisconnectBody;
      route.handler = [&service = service_, answer](const net::Request& request) {
        return answer(service, request);
      };
      router_.add(std::move(route));
    }
  }
  void history() {
    for (const Side& side : sides("history")) {
      net::HeldRoute route;
      route.pattern = side.path;
      prove(route, side, net::Access::kPrivate);
      route.limits.deadline = kDeadline;
      route.open = [&service = service_, own = side.own](const std::shared_ptr<net::HeldRequest>& request,
                                                         const net::Request& asked) {
        ask_history(service, request, asked, own);
        return std::make_unique<Asked>();
      };
      router_.add(std::move(route));
    }
  }
  void publish() {
    for (const Side& side : sides("publish")) {
      net::HeldRoute route;
      route.method = "POST";
      route.pattern = side.path;
      prove(route, side, net::Access::kWrite);
      if (side.own)
        route.check = [&service = service_](net::Request& request) {
          return check_publisher(service, request);
        };
      route.limits.deadline = kDeadline;
      route.limits.body_bytes = kMostPublishBody;
      route.open = [&service = service_, own = side.own](const std::shared_ptr<net::HeldRequest>& request,
                                                         const net::Request& asked) {
        bus::Grant grant;
        grant.admin = true;
        if (own) grant = grant_of(service, asked).value_or(bus::Grant{});
        ask_publish(service, request, asked, grant);
        return std::make_unique<Asked>();
      };
      router_.add(std::move(route));
    }
  }

 private:
  static std::vector<Side> sides(std::string_view name) {
    return {{fmt::format("/bus/{}", name), true}, {fmt::format("/api/bus/{}", name), false}};
  }
  template <typename Route>
  void prove(Route& route, const Side& side, net::Access access) {
    route.access = side.own ? net::Access::kOwn : access;
    if (side.own)
      route.check = [&service = service_](net::Request& request) { return check_admin(service, request); };
  }

  net::Router& router_;
  BusService& service_;
};

}  // namespace

void add_bus_api(net::Router& router, BusService& service) {
  Routes routes(router, service);
  routes.get("status", net::Access::kRead,
             [](BusService& asked, const net::Request&) { return json_response(counts_json(asked)); });
  routes.get("channels", net::Access::kRead, get_channels);
  routes.get("connections", net::Access::kWrite, get_connections);
  routes.get("presence", net::Access::kRead, get_presence);
  routes.get("users", net::Access::kRead, get_users);
  routes.post("disconnect", post_disconnect);
  routes.history();
  routes.publish();
}

}  // namespace headroom::cli
