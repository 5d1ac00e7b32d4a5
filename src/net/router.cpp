#include "net/router.hpp"

#include <algorithm>
#include <stdexcept>

#include "net/held.hpp"
#include "net/target.hpp"
#include "net/websocket.hpp"

namespace headroom::net {
namespace {

bool is_parameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

bool fits(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
  return std::equal(pattern.begin(), pattern.end(), path.begin(), path.end(),
                    [](const std::string& wanted, const std::string& given) {
                      return is_parameter(wanted) || wanted == given;
                    });
}

Parameters take_parameters(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
  Parameters parameters;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (is_parameter(pattern[i])) parameters.add(pattern[i].substr(1, pattern[i].size() - 2), path[i]);
  }
  return parameters;
}

void add_allowed(std::string& allow, std::string_view method) {
  if (!allow.empty()) allow.append(", ");
  allow.append(method);
  if (method == "GET") allow.append(", HEAD");
}

}  // namespace

void Router::add(Route route) {
  auto target = parse_target(route.pattern);
  const bool whole = route.handler && !route.method.empty() && (route.access != Access::kOwn || route.check);
  if (!target || !whole) throw std::logic_error("bad route " + route.pattern);
  Entry entry{std::move(route), std::move(target->segments), 0};
  entry.literals = static_cast<std::size_t>(std::count_if(entry.segments.begin(), entry.segments.end(),
                                                          [](const auto& s) { return !is_parameter(s); }));
  const auto same = [&](const Entry& other) {
    return other.route.method == entry.route.method && other.route.pattern == entry.route.pattern;
  };
  if (std::any_of(entries_.begin(), entries_.end(), same)) {
    throw std::logic_error("route added twice: " + entry.route.method + " " + entry.route.pattern);
  }
  entries_.push_back(std::move(entry));
}

void Router::add(WebSocketRoute route) {
  if (!route.open) throw std::logic_error("bad route " + route.pattern);
  auto shared = std::make_shared<const WebSocketRoute>(std::move(route));
  Route made;
  made.method = "GET";
  made.pattern = shared->pattern;
  made.access = shared->access;
  made.check = shared->check;
  made.run_on = RunOn::kEventLoop;
  made.handler = [shared](const Request& request) { return websocket_handshake(request, *shared); };
  made.websocket = std::move(shared);
  add(std::move(made));
}

void Router::add(HeldRoute route) {
  if (!route.open) throw std::logic_error("bad route " + route.pattern);
  auto shared = std::make_shared<const HeldRoute>(std::move(route));
  Route made;
  made.method = shared->method;
  made.pattern = shared->pattern;
  made.access = shared->access;
  made.check = shared->check;
  made.run_on = RunOn::kEventLoop;
  made.body_bytes = shared->limits.body_bytes;
  made.handler = [](const Request&) { return error_response(500, "internal", "not held"); };
  made.held = std::move(shared);
  add(std::move(made));
}

void Router::set_fallback(Route route, std::vector<std::string> reserved) {
  if (fallback_ || !route.handler || route.method != "GET") throw std::logic_error("bad fallback route");
  fallback_ = std::move(route);
  reserved_ = std::move(reserved);
}

bool Router::falls_back(std::string_view method, const std::vector<std::string>& segments) const {
  if (!fallback_ || method != fallback_->method) return false;
  return segments.empty() ||
         std::find(reserved_.begin(), reserved_.end(), segments.front()) == reserved_.end();
}

Match Router::match(std::string_view method, const std::vector<std::string>& segments) const {
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  Match match;
  const Entry* best = nullptr;
  for (const Entry& entry : entries_) {
    if (!fits(entry.segments, segments)) continue;
    add_allowed(match.allow, entry.route.method);
    if (entry.route.method == wanted && (best == nullptr || entry.literals > best->literals)) best = &entry;
  }
  if (best == nullptr && match.allow.empty() && falls_back(wanted, segments)) return {&*fallback_, {}, {}};
  if (best == nullptr) return match;
  return {&best->route, take_parameters(best->segments, segments), {}};
}

}  // namespace headroom::net
