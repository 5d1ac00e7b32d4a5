#include "headroom/serve_health.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "headroom/version.hpp"

namespace headroom::cli {

bool ServeHealth::set(std::string_view duty, std::string_view error) {
  const std::lock_guard lock(mutex_);
  std::string& known = errors_[std::string(duty)];
  if (known == error) return false;
  known = error;
  return true;
}

void ServeHealth::set_warnings(std::vector<std::string> warnings) {
  const std::lock_guard lock(mutex_);
  warnings_ = std::move(warnings);
}

void ServeHealth::looked(base::UtcTime now) {
  const std::lock_guard lock(mutex_);
  looked_ = now;
}

std::vector<std::string> ServeHealth::reasons(base::UtcTime now) const {
  std::vector<std::string> reasons;
  for (const auto& [duty, error] : errors_) {
    if (!error.empty()) reasons.push_back(fmt::format("{}: {}", duty, error));
  }
  if (now - looked_ > kStaleAfter) {
    reasons.push_back(fmt::format("store: not seen since {}", base::to_iso(looked_)));
  }
  return reasons;
}

net::Response ServeHealth::response(base::UtcTime now, bool with_details) const {
  const std::lock_guard lock(mutex_);
  const std::vector<std::string> found = reasons(now);
  nlohmann::json body{{"status", found.empty() ? "ok" : "degraded"}, {"version", kVersion}};
  if (with_details) {
    body["started"] = base::to_iso(started_);
    body["reasons"] = found;
    body["warnings"] = warnings_;
  }
  return net::make_response(found.empty() ? 200 : 503, "application/json",
                            body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace headroom::cli
