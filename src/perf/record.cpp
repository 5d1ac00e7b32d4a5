#include "perf/record.hpp"

#include <array>
#include <cstddef>

namespace headroom::perf {

namespace {

constexpr std::array<std::string_view, 9> kKinds = {"rpc",    "login",  "task", "cron",  "route",
                                                    "report", "wizard", "bus",  "static"};
constexpr std::array<std::string_view, 7> kStatuses = {"ok",        "user_error", "warning", "concurrency",
                                                       "exception", "http_error", "killed"};

template <typename Enum, std::size_t N>
std::string_view name_of(const std::array<std::string_view, N>& names, Enum value) {
  const auto index = static_cast<std::size_t>(value);
  return index < N ? names[index] : std::string_view("unknown");
}

template <typename Enum, std::size_t N>
std::optional<Enum> value_of(const std::array<std::string_view, N>& names, std::string_view name) {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace

std::string_view name(CallKind kind) {
  return name_of(kKinds, kind);
}
std::string_view name(CallStatus status) {
  return name_of(kStatuses, status);
}
std::optional<CallKind> call_kind(std::string_view name) {
  return value_of<CallKind>(kKinds, name);
}
std::optional<CallStatus> call_status(std::string_view name) {
  return value_of<CallStatus>(kStatuses, name);
}

}  // namespace headroom::perf
