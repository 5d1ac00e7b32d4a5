// The module headroom._native: what is called once per process is here, through pybind11; what is called per
// call or per statement is in call.cpp, cursor.cpp and hook.cpp, through the C API.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>

#include <fmt/format.h>

#include "call.hpp"
#include "call_stack.hpp"
#include "cursor.hpp"
#include "hook.hpp"
#include "process.hpp"

namespace py = pybind11;

namespace headroom::native {

namespace {

template <typename T>
T value_or(const py::dict& settings, const char* key, T fallback) {
  return settings.contains(key) && !settings[key].is_none() ? settings[key].cast<T>() : fallback;
}

/// A number within bounds; the adapter keeps to them, so another is its mistake.
template <typename T>
T bounded(const py::dict& settings, const char* key, T least, T most) {
  const auto number = settings[key].cast<double>();
  if (number >= static_cast<double>(least) && number <= static_cast<double>(most))
    return static_cast<T>(number);
  throw py::value_error(fmt::format("start: {} is {}, but it takes {} to {}", key, number, least, most));
}

std::size_t bytes_or(const py::dict& settings, const char* key, std::size_t least, std::size_t most,
                     std::size_t fallback) {
  return settings.contains(key) && !settings[key].is_none() ? bounded(settings, key, least, most) : fallback;
}

std::optional<base::Microseconds> seconds(const py::dict& settings, const char* key) {
  if (!settings.contains(key) || settings[key].is_none()) return std::nullopt;
  constexpr std::chrono::duration<double> kLongest = perf::RecorderSettings::kLongestTime;
  return base::Microseconds{static_cast<std::int64_t>(bounded(settings, key, 0.0, kLongest.count()) * 1e6)};
}

perf::Rule to_rule(const py::dict& settings) {
  using Strings = std::vector<std::string>;
  perf::Rule rule;
  rule.id = "config";
  for (const auto& user : value_or(settings, "users", Strings{}))
    rule.users.push_back(perf::UserPattern::parse(user));
  rule.database = value_or(settings, "database", std::string());
  rule.methods = value_or(settings, "methods", Strings{});
  rule.profile = value_or(settings, "profile", Strings{});
  rule.sample = value_or(settings, "sample", Strings{});
  rule.db = value_or(settings, "db", Strings{});
  rule.io = value_or(settings, "io", Strings{});
  rule.query = seconds(settings, "query");
  rule.slower_than = seconds(settings, "slower_than").value_or(base::Microseconds{0});
  rule.one_in = std::max(1U, value_or(settings, "one_in", 1U));
  rule.created = base::utc_now();
  rule.author = "configuration";
  return rule;
}

std::string host_name() {
  std::array<char, 65> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

perf::RecorderSettings to_settings(const py::dict& settings) {
  perf::RecorderSettings to;
  to.broker = settings["broker"].cast<std::string>();
  to.state = settings["state"].cast<std::string>();
  to.host = value_or(settings, "host", host_name());
  to.role = value_or(settings, "role", std::string());
  to.version = value_or(settings, "version", std::string());
  to.secrets = value_or(settings, "secrets", std::vector<std::string>{});
  to.body_limit = bytes_or(settings, "body_limit", 0, to.kLargestBody, to.body_limit);
  to.buffer_limit = bytes_or(settings, "buffer_limit", to.kLeastBuffer, to.kLargestBuffer, to.buffer_limit);
  to.flush_interval = seconds(settings, "flush_interval").value_or(to.flush_interval);
  to.coroutine = value_or(settings, "coroutine", false);
  if (settings.contains("rules")) {
    for (const auto& rule : settings["rules"]) to.rules.push_back(to_rule(py::cast<py::dict>(rule)));
  }
  return to;
}

py::dict start(const py::dict& settings) {
  perf::RecorderSettings wanted = to_settings(settings);
  allow_call_stacks();
  wanted.take_stack = take_call_stack;
  py::dict answer;
  answer["store"] = perf::without_password(wanted.broker);
  std::string error;
  {
    const py::gil_scoped_release without_lock;
    error = start_recorder(std::move(wanted));
  }
  answer["error"] = error;
  return answer;
}

base::Microseconds timeout_of(double timeout) {
  return base::Microseconds{static_cast<std::int64_t>(std::clamp(timeout, 0.0, 3600.0) * 1e6)};
}

bool flush(double timeout) {
  auto* const own = recorder();
  const py::gil_scoped_release without_lock;
  return own == nullptr || own->flush(timeout_of(timeout));
}

bool stop(double timeout) {
  auto* const own = recorder();
  const py::gil_scoped_release without_lock;
  return own == nullptr || own->stop(timeout_of(timeout));
}

void database_opened(const std::string& name) {
  if (auto* const own = recorder()) own->know_database(name);
}

py::dict status() {
  py::dict answer;
  auto* const own = recorder();
  if (own == nullptr) return answer;
  const perf::RecorderStatus now = own->status();
  answer["calls"] = now.process.calls;
  answer["records"] = now.process.records;
  answer["dropped_records"] = now.process.dropped_records;
  answer["errors"] = now.process.errors;
  answer["last_error"] = now.process.last_error;
  answer["rules_version"] = now.process.rules_version;
  answer["queued"] = now.queued;
  answer["store_error"] = now.store_error;
  return answer;
}

}  // namespace

}  // namespace headroom::native

PYBIND11_MODULE(_native, module) {
  using namespace headroom::native;
  module.doc() = "The native part of Headroom inside the application server; see _native.pyi.";
  module.def("start", start, py::arg("settings"));
  module.def("flush", flush, py::arg("timeout"));
  module.def("stop", stop, py::arg("timeout"));
  module.def("database_opened", database_opened, py::arg("name"));
  module.def("status", status);
  if (!add_call_type(module.ptr()) || !add_hooks(module.ptr()) || !add_cursor_class(module.ptr())) {
    throw py::error_already_set();
  }
}
