#include "net/http.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <iterator>
#include <nlohmann/json.hpp>

namespace headroom::net {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

std::string http_date(std::int64_t unix_seconds) {
  const auto seconds = static_cast<std::time_t>(unix_seconds);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  static constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
                     kDays.at(static_cast<std::size_t>(parts.tm_wday)), parts.tm_mday,
                     kMonths.at(static_cast<std::size_t>(parts.tm_mon)), parts.tm_year + 1900, parts.tm_hour,
                     parts.tm_min, parts.tm_sec);
}

void append_header(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ");
  std::transform(value.begin(), value.end(), std::back_inserter(head),
                 [](char c) { return c == '\r' || c == '\n' || c == '\0' ? ' ' : c; });
  head.append("\r\n");
}

bool may_have_body(int status) {
  return status >= 200 && status != 204 && status != 304;
}

// No page of this server is meant to be framed, sniffed, cached or referred from; a handler that serves pages
// sets its own Content-Security-Policy.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kSecurityHeaders{{
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Referrer-Policy", "no-referrer"},
    {"Cache-Control", "no-store"},
}};

constexpr auto kReasons = std::to_array<std::pair<int, std::string_view>>({
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
});

const std::string* find_exact(const Pairs& pairs, std::string_view name) {
  const auto found =
      std::find_if(pairs.begin(), pairs.end(), [&](const auto& pair) { return pair.first == name; });
  return found == pairs.end() ? nullptr : &found->second;
}

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view name(Role role) {
  static constexpr std::array<std::string_view, 4> kNames{"nobody", "viewer", "local", "administrator"};
  return kNames.at(static_cast<std::size_t>(role));
}

std::optional<Role> parse_role(std::string_view text) {
  if (text == name(Role::kViewer)) return Role::kViewer;
  if (text == name(Role::kAdministrator)) return Role::kAdministrator;
  return std::nullopt;
}

const std::string* Headers::find(std::string_view name) const {
  const auto found = std::find_if(all_.begin(), all_.end(),
                                  [&](const auto& pair) { return equals_ignoring_case(pair.first, name); });
  return found == all_.end() ? nullptr : &found->second;
}

std::size_t Headers::count(std::string_view name) const {
  return static_cast<std::size_t>(std::count_if(
      all_.begin(), all_.end(), [&](const auto& pair) { return equals_ignoring_case(pair.first, name); }));
}

void Headers::add(std::string name, std::string value) {
  all_.emplace_back(std::move(name), std::move(value));
}

void Headers::set(std::string_view name, std::string value) {
  std::erase_if(all_, [&](const auto& pair) { return equals_ignoring_case(pair.first, name); });
  all_.emplace_back(name, std::move(value));
}

const std::string* Parameters::find(std::string_view name) const {
  return find_exact(all_, name);
}

void Parameters::add(std::string name, std::string value) {
  all_.emplace_back(std::move(name), std::move(value));
}

Response make_response(int status, std::string_view content_type, std::string body) {
  Response response;
  response.status = status;
  response.headers.add("Content-Type", std::string(content_type));
  response.body = std::move(body);
  return response;
}

Response error_response(int status, std::string_view code, std::string_view message) {
  const nlohmann::json body{{"error", {{"code", code}, {"message", message}}}};
  return make_response(status, "application/json",
                       body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

Response error_response(const base::Error& error) {
  Response response = error_response(error.http_status(), base::name(error.code()), error.message());
  if (response.status == 503) response.headers.add("Retry-After", "5");
  return response;
}

bool is_json(const Request& request) {
  const std::string* type = request.headers.find("Content-Type");
  return type != nullptr && equals_ignoring_case(type->substr(0, type->find(';')), "application/json");
}

std::string_view reason_phrase(int status) {
  const auto found =
      std::find_if(kReasons.begin(), kReasons.end(), [&](const auto& one) { return one.first == status; });
  return found == kReasons.end() ? "Unknown" : found->second;
}

std::string_view method_class(std::string_view method) {
  static constexpr std::array<std::string_view, 9> kKnown{"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                                          "CONNECT", "OPTIONS", "TRACE", "PATCH"};
  const auto found = std::find(kKnown.begin(), kKnown.end(), method);
  return found == kKnown.end() ? "other" : *found;
}

std::string serialize_head(const Response& response, const WireOptions& options, std::int64_t unix_seconds) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status));
  append_header(head, "Date", http_date(unix_seconds));
  for (const auto& [name, value] : response.headers.all()) append_header(head, name, value);
  for (const auto& [name, value] : kSecurityHeaders) {
    if (response.headers.find(name) == nullptr) append_header(head, name, value);
  }
  if (may_have_body(response.status) && options.with_length)
    append_header(head, "Content-Length", std::to_string(response.content().size()));
  if (response.headers.find("Connection") == nullptr)
    append_header(head, "Connection", options.keep_alive ? "keep-alive" : "close");
  return head.append("\r\n");
}

}  // namespace headroom::net
