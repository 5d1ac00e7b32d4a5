#include "headroom/api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/clock.hpp"
#include "headroom/api_parameters.hpp"
#include "headroom/few_at_once.hpp"
#include "headroom/rule_check.hpp"
#include "headroom/stack.hpp"
#include "headroom/status.hpp"
#include "perf/profile_tree.hpp"
#include "perf/scoreboard.hpp"

namespace headroom::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using nlohmann::json;

constexpr std::chrono::seconds kReportDeadline{30};

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

net::Response json_response(int status, std::string body) {
  return net::make_response(status, "application/json", std::move(body) + "\n");
}

net::Response answer(const Result<std::string>& body, int status = 200) {
  return body ? json_response(status, *body) : net::error_response(body.error());
}

/// What only some reports take.
void read_argument(ParameterReader& reader, perf::ReportRequest& request) {
  const std::string& report = request.report;
  if (report == "method" || report == "table") reader.read("order", request.argument);
  if (report == "query") reader.read("rank", request.argument);
  if (report == "call" || report == "profile" || report == "db" || report == "io") {
    std::optional<std::uint64_t> number;
    reader.read("call", number, std::numeric_limits<std::int64_t>::max());
    if (number) request.argument = fmt::to_string(*number);
  }
  if (report == "repeat") {
    std::uint64_t number = request.filter.most_repeated_at_least;
    reader.read("at_least", number, std::numeric_limits<std::uint32_t>::max());
    request.filter.most_repeated_at_least = static_cast<std::uint32_t>(number);
  }
}

/// These hold values of the business: what was sent and answered, and what was bound to statements.
bool shows_values(const perf::ReportRequest& request) {
  return request.report == "io" || request.report == "db" || request.report == "query";
}

net::Response get_report(const ApiContext& context, const net::Request& request) {
  auto wanted = parse_report_request(*request.parameters.find("report"), request.query, base::utc_now());
  if (!wanted) return net::error_response(wanted.error());
  if (shows_values(*wanted) && request.caller.role < net::Role::kLocal)
    return net::error_response(403, "denied", "a viewer may not see bodies and bound values");
  return answer(context.read.with([&](perf::OpenStore& open) -> Result<std::string> {
    const auto report = perf::make_report(*open.store, *wanted);
    if (!report) return fail(report.error());
    return report_body(*wanted, *report);
  }));
}

/// A whole call tree, for whoever draws it; the report `profile` only adds it up by function.
net::Response get_profile_tree(const ApiContext& context, const net::Request& request) {
  auto wanted = parse_report_request("profile", request.query, base::utc_now());
  if (!wanted) return net::error_response(wanted.error());
  return answer(
      context.read.with([&](perf::OpenStore& open) { return perf::profile_trees(*open.store, *wanted); }));
}

net::Response get_rules(const ApiContext& context) {
  return answer(context.read.with([](perf::OpenStore& open) -> Result<std::string> {
    const auto rules = open.control->rules(0);
    if (!rules) return fail(rules.error());
    json list = json::array();
    for (const perf::Rule& rule : rules->rules) list.push_back(json::parse(perf::to_json(rule)));
    const auto info = open.store->info();
    if (!info) return fail(info.error());
    json of_files = json::array();
    for (const FileRule& one : file_rules(info->processes, base::utc_now())) {
      of_files.push_back({{"rule", json::parse(perf::to_json(one.rule))},
                          {"processes", one.processes},
                          {"hosts", one.hosts}});
    }
    return dump({{"version", rules->version}, {"rules", list}, {"of_files", of_files}});
  }));
}

net::Response post_rule(const ApiContext& context, const net::Request& request) {
  if (!net::is_json(request))
    return net::error_response(415, "unsupported", "the body must be of type application/json");
  auto rule = parse_rule(request.body, base::utc_now());
  if (!rule) return net::error_response(rule.error());
  if (!request.caller.user.empty()) rule->author = request.caller.user;
  const auto added = context.write.with([&](perf::OpenStore& open) { return open.control->add_rule(*rule); });
  if (!added) return net::error_response(added.error());
  net::Response response = json_response(201, dump({{"id", *added}}));
  response.headers.add("Location", "/api/perf/rules/" + *added);
  return response;
}

net::Response delete_rule(const ApiContext& context, const net::Request& request) {
  const std::string& id = *request.parameters.find("id");
  const auto removed =
      context.write.with([&](perf::OpenStore& open) { return open.control->remove_rule(id); });
  if (!removed) return net::error_response(removed.error());
  net::Response response;
  response.status = 204;
  return response;
}

net::Response get_running(const ApiContext& context) {
  json list = json::array();
  for (const perf::RunningCall& call : perf::running_calls(context.state)) list.push_back(running_json(call));
  return json_response(200, dump({{"running", list}}));
}

/// Each asks another process, and may wait for it.
struct Stacks;

net::Response get_stack(const ApiContext& context, const net::Request& request) {
  std::string which;
  std::uint64_t limit = kUsualStacks;
  ParameterReader reader(request.query, base::utc_now());
  reader.read("which", which);
  reader.read("limit", limit, kMostStacks);
  if (const auto finished = reader.finish("stack"); !finished) return net::error_response(finished.error());
  const FewAtOnce<Stacks> slot;
  if (!slot.taken())
    return net::error_response({ErrorCode::kOverloaded, "other stacks are being asked for; try again"});
  auto calls = choose_calls(perf::running_calls(context.state), which, limit == 0 ? kMostStacks : limit);
  if (!calls) return net::error_response(calls.error());
  return json_response(200, stacks_json(take_stacks(std::move(*calls))));
}

net::Route route(std::string method, std::string pattern, net::Handler handler) {
  net::Route made;
  made.method = std::move(method);
  made.pattern = std::move(pattern);
  made.access = made.method == "GET" ? net::Access::kRead : net::Access::kWrite;
  made.deadline = kReportDeadline;
  made.handler = std::move(handler);
  return made;
}

Result<void> read_strings(const json& object, const char* key, std::vector<std::string>& target) {
  if (!object.contains(key)) return {};
  for (const json& entry : object.at(key)) target.push_back(entry.get<std::string>());
  if (object.at(key).is_array() && !target.empty()) return {};
  return fail(ErrorCode::kInvalidArgument, fmt::format("{}: expected a list of strings, one at least", key));
}

Result<std::optional<base::Microseconds>> read_span(const json& object, const char* key) {
  if (!object.contains(key)) return std::optional<base::Microseconds>();
  const auto span = base::parse_duration(object.at(key).get<std::string>());
  if (!span) return fail(base::Error(span.error()).within(key));
  if (span->count() < 0)
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: must not be negative", key));
  return std::optional(*span);
}

Result<void> check_rule_keys(const json& object) {
  static constexpr std::array<std::string_view, 11> kKeys{"users",       "database", "methods", "profile",
                                                          "sample",      "db",       "io",      "query",
                                                          "slower_than", "one_in",   "for"};
  for (const auto& [key, value] : object.items()) {
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("unknown key '{}'; a rule has {}", key, fmt::join(kKeys, ", ")));
    }
  }
  return {};
}

Result<void> read_spans(const json& object, base::UtcTime now, perf::Rule& rule) {
  const auto query = read_span(object, "query");
  if (!query) return fail(query.error());
  rule.query = *query;
  const auto slower_than = read_span(object, "slower_than");
  if (!slower_than) return fail(slower_than.error());
  rule.slower_than = slower_than->value_or(base::Microseconds{0});
  const auto lifetime = read_span(object, "for");
  if (!lifetime) return fail(lifetime.error());
  rule.expires = now + lifetime->value_or(std::chrono::hours{1});
  return {};
}

/// May throw json::exception for a value of a wrong type.
Result<perf::Rule> rule_of(const json& object, base::UtcTime now) {
  perf::Rule rule;
  std::vector<std::string> users;
  const std::array<std::pair<const char*, std::vector<std::string>*>, 6> lists{{{"users", &users},
                                                                                {"methods", &rule.methods},
                                                                                {"profile", &rule.profile},
                                                                                {"sample", &rule.sample},
                                                                                {"db", &rule.db},
                                                                                {"io", &rule.io}}};
  for (const auto& [key, target] : lists) {
    if (auto read = read_strings(object, key, *target); !read) return fail(std::move(read.error()));
  }
  for (const std::string& user : users) rule.users.push_back(perf::UserPattern::parse(user));
  rule.database = object.value("database", "");
  if (object.contains("database")) {
    if (auto given = check_not_empty("database", rule.database); !given)
      return fail(std::move(given.error()));
  }
  const auto one_in = object.value("one_in", std::int64_t{1});
  if (one_in < 1 || one_in > std::numeric_limits<std::uint32_t>::max()) {
    return fail(ErrorCode::kInvalidArgument, "one_in: expected a number from 1");
  }
  rule.one_in = static_cast<std::uint32_t>(one_in);
  rule.created = now;
  rule.author = "api";
  if (auto read = read_spans(object, now, rule); !read) return fail(std::move(read.error()));
  if (auto checked = check_rule(rule); !checked) return fail(std::move(checked.error()));
  return rule;
}

}  // namespace

Result<perf::ReportRequest> parse_report_request(std::string_view report, const net::Parameters& query,
                                                 base::UtcTime now) {
  const auto& names = perf::report_names();
  if (std::find(names.begin(), names.end(), report) == names.end()) {
    return fail(ErrorCode::kNotFound, fmt::format("no report '{}'; there are {}, and running, rules, status",
                                                  report, fmt::join(names, ", ")));
  }
  perf::ReportRequest request;
  request.report = report;
  ParameterReader reader(query, now);
  reader.read("session", request.session);
  reader.read_filter(request.filter);
  reader.read("since", request.filter.since);
  reader.read("until", request.filter.until);
  reader.read("sort", request.sort);
  reader.read("contains", request.contains);
  reader.read_page(request.page);
  read_argument(reader, request);
  if (auto finished = reader.finish(report); !finished) return fail(std::move(finished.error()));
  return request;
}

Result<perf::Rule> parse_rule(std::string_view body, base::UtcTime now) {
  const json object = json::parse(body.begin(), body.end(), nullptr, false);
  if (!object.is_object()) return fail(ErrorCode::kInvalidArgument, "the body must be a JSON object");
  if (auto checked = check_rule_keys(object); !checked) return fail(std::move(checked.error()));
  try {
    return rule_of(object, now);
  } catch (const json::exception& error) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("a field has a wrong type: {}", error.what()));
  }
}

std::string report_body(const perf::ReportRequest& request, const perf::Report& report) {
  json columns = json::array();
  for (const perf::Column& column : report.table.columns) {
    columns.push_back({{"name", column.name}, {"format", perf::name(column.format)}});
  }
  json head{{"report", request.report},
            {"columns", columns},
            {"total", report.total},
            {"offset", request.page.offset},
            {"limit", request.page.limit}};
  if (!report.note.empty()) head["note"] = report.note;
  if (!report.text.empty()) head["text"] = report.text;
  std::string body = dump(head);
  body.pop_back();  // the object goes on with its rows
  return body + ",\"rows\":" + perf::to_json(report) + "}";
}

void add_perf_api(net::Router& router, const ApiContext& context) {
  router.add(
      route("GET", "/api/perf/status", [context](const net::Request&) { return answer(context.status()); }));
  router.add(
      route("GET", "/api/perf/running", [context](const net::Request&) { return get_running(context); }));
  net::Route stack = route("GET", "/api/perf/stack",
                           [context](const net::Request& request) { return get_stack(context, request); });
  stack.access = net::Access::kPrivate;
  router.add(std::move(stack));
  router.add(route("GET", "/api/perf/rules", [context](const net::Request&) { return get_rules(context); }));
  router.add(route("POST", "/api/perf/rules",
                   [context](const net::Request& request) { return post_rule(context, request); }));
  router.add(route("DELETE", "/api/perf/rules/{id}",
                   [context](const net::Request& request) { return delete_rule(context, request); }));
  router.add(route("GET", "/api/perf/profile/tree",
                   [context](const net::Request& request) { return get_profile_tree(context, request); }));
  router.add(route("GET", "/api/perf/{report}",
                   [context](const net::Request& request) { return get_report(context, request); }));
}

}  // namespace headroom::cli
