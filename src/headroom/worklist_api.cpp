#include "headroom/worklist_api.hpp"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "bus/message.hpp"
#include "headroom/api_parameters.hpp"
#include "headroom/worklist_events.hpp"
#include "headroom/worklist_fragment.hpp"
#include "headroom/worklist_results.hpp"
#include "net/access.hpp"
#include "net/held.hpp"
#include "worklist/action.hpp"

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;
using nlohmann::json;

namespace {

using Exchange = std::shared_ptr<WorklistExchange>;

constexpr std::uint64_t kMostDocuments = 10'000;
constexpr std::uint64_t kUsualUsers = 20;
constexpr std::uint64_t kMostFoundUsers = 200;
constexpr std::size_t kMostRightsBody = 8 * 1024 * 1024;
constexpr std::chrono::milliseconds kLongestWait{10'000};
/// Beside the wait for a position and the statement: the connection to the database, and its queue.
constexpr std::chrono::milliseconds kSlack{5'000};

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

net::Response json_response(int status, const json& body) {
  return net::make_response(status, "application/json", dump(body) + "\n");
}

std::string header(const net::Request& request, std::string_view name) {
  const std::string* value = request.headers.find(name);
  return value == nullptr ? std::string() : *value;
}

net::Response unauthorized(std::string_view message) {
  net::Response response = net::error_response(401, "unauthorized", message);
  response.headers.add("WWW-Authenticate", "Bearer realm=\"headroom worklist\"");
  return response;
}

/// Of a proof: whether to come again with the same one.
net::Response refusal(const base::Error& error) {
  const bool is_wrong = error.code() == ErrorCode::kDenied || error.code() == ErrorCode::kTimedOut;
  return is_wrong ? unauthorized(error.message()) : net::error_response(error);
}

/// Nothing happens when the client has gone; what is late the server answers.
class Waiting final : public net::HeldHandler {
 public:
  void expired(net::Expiry /*why*/) override {}
  void closed(net::HeldEnd /*end*/) override {}
};

// What is asked
// ---------------------------------------------------------------------------------------------------------

struct Asked {
  WorklistWish wish;
  bool all = false;
  std::chrono::milliseconds age{0};  ///< numbers of statements may be so old
  FragmentGroup group = FragmentGroup::kCategory;
};

/// `usual` where it is not given.
std::chrono::milliseconds read_span(ParameterReader& reader, std::string_view name,
                                    std::chrono::milliseconds usual, std::chrono::milliseconds most) {
  std::string text;
  reader.read(name, text);
  if (text.empty()) return usual;
  const auto span = base::parse_duration(text);
  if (span && *span >= base::Microseconds{0} && *span <= most)
    return std::chrono::duration_cast<std::chrono::milliseconds>(*span);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(most).count();
  reader.reject(name, {ErrorCode::kInvalidArgument,
                       fmt::format("'{:.40}' is no span; expected one from 0s to {}s", text, seconds)});
  return usual;
}

/// `user` is read by `identify`, where the address does not say who is meant.
void pass_user(const net::Request& request, ParameterReader& reader) {
  std::string user;
  if (request.parameters.find("user") == nullptr) reader.read("user", user);
}

/// `is_fragment`: with what is asked of one too.
Result<Asked> read_asked(const net::Request& request, bool is_fragment = false) {
  ParameterReader reader(request.query, base::utc_now());
  Asked asked;
  std::string lsn;
  std::string way = "any";
  pass_user(request, reader);
  reader.read("all", asked.all);
  reader.read("lsn", lsn);
  asked.wish.wait = read_span(reader, "wait", asked.wish.wait, kLongestWait);
  asked.age = read_span(reader, "age", asked.age, WorklistResults::kOldest);
  reader.read("way", way);
  if (!lsn.empty()) {
    const auto parsed = sql::parse_lsn(lsn);
    if (!parsed) reader.reject("lsn", parsed.error());
    asked.wish.after = parsed ? *parsed : sql::Lsn{0};
  }
  if (way != "any" && way != "live")
    reader.reject("way", {ErrorCode::kInvalidArgument, fmt::format("'{:.40}': expected any or live", way)});
  asked.wish.only_live = way == "live";
  if (is_fragment) {
    std::string group = "category";
    reader.read("group", group);
    const auto parsed = parse_fragment_group(group);
    if (!parsed) reader.reject("group", parsed.error());
    asked.group = parsed.value_or(FragmentGroup::kCategory);
  }
  if (auto finished = reader.finish("counts"); !finished) return fail(std::move(finished.error()));
  return asked;
}

Result<std::size_t> list_of(const worklist::Definitions& definitions, const net::Request& request) {
  return definitions.find_list(*request.parameters.find("workflow") + "/" + *request.parameters.find("list"));
}

// What is answered
// ---------------------------------------------------------------------------------------------------------

bool is_shown(const WorklistNumber& number, bool all) {
  return number.count.fate != worklist::Fate::kHidden && (all || number.count.count > 0);
}

json list_json(const worklist::Definitions& definitions, const WorklistNumber& number, base::UtcTime now) {
  const auto action = worklist::action_of(definitions, number.list, number.count.count, now);
  return {{"list", action.list}, {"count", action.count},       {"way", number.is_live ? "live" : "sql"},
          {"name", action.name}, {"category", action.category}, {"url", action.url}};
}

/// The lists alone: the same text as long as no number changes.
json lists_json(const worklist::Definitions& definitions, const WorklistNumbers& numbers, bool all) {
  const base::UtcTime now = base::utc_now();
  json lists = json::array();
  for (const WorklistNumber& one : numbers.lists) {
    if (is_shown(one, all)) lists.push_back(list_json(definitions, one, now));
  }
  return lists;
}

json head_json(const Exchange& exchange, WorklistService& service, const WorklistNumbers& numbers,
               const std::optional<std::chrono::milliseconds>& kept = std::nullopt) {
  json head{
      {"user", exchange->user->id}, {"state", nullptr},   {"lsn", nullptr},
      {"age_ms", nullptr},          {"kept_ms", nullptr}, {"application", service.section().application}};
  if (kept) head["kept_ms"] = kept->count();
  if (numbers.freshness) {
    head["state"] = name(numbers.freshness->state);
    head["lsn"] = sql::lsn_text(numbers.freshness->applied);
    if (numbers.freshness->behind) head["age_ms"] = numbers.freshness->behind->count();
  } else if (service.live() != nullptr) {
    head["state"] = name(service.live()->status().state);
  }
  return head;
}

/// What is made, or 304 when the client has these numbers already: `told` is the same as long as they are.
template <typename Make>
net::Response fresh_response(const Exchange& exchange, const json& head, const std::string& told, Make make) {
  const std::string tag = fmt::format("W/\"{:016x}\"", std::hash<std::string>{}(told));
  const json& state = head["state"];
  const json& lsn = head["lsn"];
  const json& age = head["age_ms"];
  net::Response response;
  response.status = 304;
  if (header(exchange->request, "If-None-Match") != tag) response = make();
  response.headers.add("ETag", tag);
  response.headers.add("Cache-Control", "private, no-cache");
  if (state.is_string()) response.headers.add("X-Headroom-State", state.get<std::string>());
  if (lsn.is_string()) response.headers.add("X-Headroom-LSN", lsn.get<std::string>());
  if (age.is_number()) response.headers.add("X-Headroom-Age-Ms", fmt::to_string(age.get<std::int64_t>()));
  return response;
}

net::Response numbers_response(const Exchange& exchange, const json& head, std::string_view key, json value) {
  const std::string told = dump(value);
  return fresh_response(exchange, head, told, [&] {
    json body = head;
    body[std::string(key)] = std::move(value);
    return json_response(200, body);
  });
}

net::Response fragment_response(WorklistService& service, const Exchange& exchange, const Asked& asked,
                                const WorklistResult& result) {
  const base::UtcTime now = base::utc_now();
  std::vector<worklist::Action> lists;
  for (const WorklistNumber& one : result.numbers.lists) {
    if (is_shown(one, asked.all))
      lists.push_back(worklist::action_of(service.definitions(), one.list, one.count.count, now));
  }
  const std::string html = worklist_fragment(lists, asked.group);
  return fresh_response(exchange, head_json(exchange, service, result.numbers, result.kept), html,
                        [&] { return net::make_response(200, "text/html; charset=utf-8", html); });
}

void answer_fragment(const WorklistDoors& doors, const Exchange& exchange) {
  const auto asked = read_asked(exchange->request, true);
  if (!asked) return exchange->answer(net::error_response(asked.error()));
  doors.results->count(
      exchange->user, asked->wish, asked->age,
      [&service = doors.service, exchange, asked = *asked](const Result<WorklistResult>& result) {
        exchange->answer(result ? fragment_response(service, exchange, asked, *result)
                                : net::error_response(result.error()));
      });
}

void answer_counts(const WorklistDoors& doors, const Exchange& exchange) {
  const auto asked = read_asked(exchange->request);
  if (!asked) return exchange->answer(net::error_response(asked.error()));
  doors.results->count(
      exchange->user, asked->wish, asked->age,
      [&service = doors.service, exchange, all = asked->all](const Result<WorklistResult>& result) {
        if (!result) return exchange->answer(net::error_response(result.error()));
        const WorklistNumbers& numbers = result->numbers;
        exchange->answer(numbers_response(exchange, head_json(exchange, service, numbers, result->kept),
                                          "lists", lists_json(service.definitions(), numbers, all)));
      });
}

net::Response list_response(WorklistService& service, const Exchange& exchange,
                            const WorklistNumbers& numbers) {
  const WorklistNumber& number = numbers.lists.front();
  if (number.count.fate == worklist::Fate::kHidden)
    return net::error_response(403, "denied", number.count.why);
  return numbers_response(exchange, head_json(exchange, service, numbers), "list",
                          list_json(service.definitions(), number, base::utc_now()));
}

void answer_list(const WorklistDoors& doors, const Exchange& exchange) {
  auto asked = read_asked(exchange->request);
  if (!asked) return exchange->answer(net::error_response(asked.error()));
  const auto list = list_of(doors.service.definitions(), exchange->request);
  if (!list) return exchange->answer(net::error_response(list.error()));
  asked->wish.list = *list;
  doors.service.count(exchange->user, asked->wish,
                      [&service = doors.service, exchange](const Result<WorklistNumbers>& numbers) {
                        exchange->answer(numbers ? list_response(service, exchange, *numbers)
                                                 : net::error_response(numbers.error()));
                      });
}

Result<worklist::Page> read_page(const net::Request& request) {
  ParameterReader reader(request.query, base::utc_now());
  worklist::Page page;
  pass_user(request, reader);
  reader.read("limit", page.limit, kMostDocuments);
  reader.read("after", page.after);
  if (auto finished = reader.finish("documents"); !finished) return fail(std::move(finished.error()));
  page.limit = page.limit == 0 ? kMostDocuments : page.limit;
  return page;
}

void answer_documents(const WorklistDoors& doors, const Exchange& exchange) {
  const auto page = read_page(exchange->request);
  if (!page) return exchange->answer(net::error_response(page.error()));
  const auto list = list_of(doors.service.definitions(), exchange->request);
  if (!list) return exchange->answer(net::error_response(list.error()));
  const std::string key = doors.service.definitions().lists[*list].key();
  doors.service.documents(
      exchange->user, *list, *page,
      [exchange, key, limit = page->limit](const Result<std::vector<std::string>>& documents) {
        if (!documents) return exchange->answer(net::error_response(documents.error()));
        json body{{"list", key}, {"documents", *documents}, {"next", nullptr}};
        if (documents->size() == limit) body["next"] = documents->back();
        exchange->answer(json_response(200, body));
      });
}

// For whoever runs it
// ---------------------------------------------------------------------------------------------------------

Result<WorklistPlanWish> read_plan_wish(const net::Request& request) {
  ParameterReader reader(request.query, base::utc_now());
  WorklistPlanWish wish;
  std::string way = "auto";
  reader.read("list", wish.list);
  reader.read("way", way);
  if (way != "auto") {
    const auto parsed = worklist::parse_way(way);
    if (!parsed) reader.reject("way", parsed.error());
    wish.way = parsed.value_or(worklist::Way::kJoin);
  }
  if (auto finished = reader.finish("plan"); !finished) return fail(std::move(finished.error()));
  return wish;
}

void answer_plan(const WorklistDoors& doors, const Exchange& exchange) {
  const auto wish = read_plan_wish(exchange->request);
  if (!wish) return exchange->answer(net::error_response(wish.error()));
  doors.service.plan(exchange->user, *wish, [exchange](const Result<json>& plan) {
    if (!plan) return exchange->answer(net::error_response(plan.error()));
    json body = *plan;
    body["user"] = exchange->user->id;
    exchange->answer(json_response(200, body));
  });
}

void answer_users(const WorklistDoors& doors, const Exchange& exchange) {
  ParameterReader reader(exchange->request.query, base::utc_now());
  std::string beginning;
  std::uint64_t limit = kUsualUsers;
  reader.read("beginning", beginning);
  reader.read("limit", limit, kMostFoundUsers);
  if (auto finished = reader.finish("users"); !finished)
    return exchange->answer(net::error_response(finished.error()));
  doors.service.find_users(beginning, limit + 1,
                           [exchange, limit](const Result<std::vector<std::string>>& found) {
                             if (!found) return exchange->answer(net::error_response(found.error()));
                             std::vector<std::string> users = *found;
                             const bool more = users.size() > limit;
                             if (more) users.resize(limit);
                             exchange->answer(json_response(200, {{"users", users}, {"more", more}}));
                           });
}

json status_json(WorklistService& service) {
  json body{{"state", nullptr}, {"text", "no list can be counted live"},
            {"lsn", nullptr},   {"age_ms", nullptr},
            {"documents", 0},   {"changes", 0},
            {"rebuilds", 0},    {"problem", ""},
            {"watching", 0},    {"application", service.section().application}};
  if (service.live() != nullptr) {
    const auto status = service.live()->status();
    body["state"] = name(status.state);
    body["text"] = status.text();
    body["lsn"] = sql::lsn_text(status.applied);
    if (status.behind) body["age_ms"] = status.behind->count();
    body["documents"] = status.documents;
    body["changes"] = status.changes;
    body["rebuilds"] = status.rebuilds;
    body["problem"] = status.problem;
    body["watching"] = service.live()->watching();
  }
  json lists = json::array();
  for (std::size_t i = 0; i < service.definitions().lists.size(); ++i) {
    const std::string& why = service.lists().why[i];
    lists.push_back({{"list", service.definitions().lists[i].key()},
                     {"way", why.empty() ? "live" : "sql"},
                     {"why", why}});
  }
  body["lists"] = std::move(lists);
  return body;
}

net::Response post_refresh(WorklistService& service) {
  if (service.live() == nullptr)
    return net::error_response(409, "conflict", "no list is counted live, so there is nothing to count anew");
  service.live()->rebuild();
  return json_response(202, json::object());
}

void answer_rights(const WorklistDoors& doors, const Exchange& exchange) {
  if (!net::is_json(exchange->request)) {
    return exchange->answer(
        net::error_response(415, "unsupported", "the body must be of type application/json"));
  }
  auto user = worklist::read_user(exchange->request.body);
  if (!user) return exchange->answer(net::error_response(user.error()));
  if (user->id != *exchange->request.parameters.find("user"))
    return exchange->answer(
        net::error_response(400, "invalid_argument", "the id is not that of the address"));
  doors.service.keep_user(std::move(*user), [exchange](const Result<WorklistService::UserPointer>& kept) {
    net::Response response;
    response.status = 204;
    exchange->answer(kept ? response : net::error_response(kept.error()));
  });
}

// Routes
// ---------------------------------------------------------------------------------------------------------

using Handle = void (*)(const WorklistDoors&, const Exchange&);

net::HeldRoute held_route(const WorklistDoors& doors, const WorklistSide& side, Handle handle) {
  net::HeldRoute route;
  route.pattern = side.path;
  route.access = side.own ? net::Access::kOwn : net::Access::kPrivate;
  route.check = worklist_check(side);
  route.limits.deadline =
      kLongestWait + kSlack +
      2 * std::chrono::duration_cast<std::chrono::milliseconds>(doors.service.section().timeout);
  route.open = [doors, side, handle](const std::shared_ptr<net::HeldRequest>& held, net::Request request) {
    const auto exchange =
        std::make_shared<WorklistExchange>(WorklistExchange{held, std::move(request), nullptr});
    identify(doors, side, exchange,
             [doors, handle](const Exchange& identified) { handle(doors, identified); });
    return std::make_unique<Waiting>();
  };
  return route;
}

net::Route plain_route(std::string method, std::string pattern, net::Access access, net::Handler handler) {
  net::Route route;
  route.method = std::move(method);
  route.pattern = std::move(pattern);
  route.access = access;
  route.run_on = net::RunOn::kEventLoop;
  route.handler = std::move(handler);
  return route;
}

net::HeldRoute users_route(const WorklistDoors& doors) {
  net::HeldRoute route;
  route.pattern = "/api/worklist/users";
  route.access = net::Access::kPrivate;
  route.limits.deadline =
      kSlack + 2 * std::chrono::duration_cast<std::chrono::milliseconds>(doors.service.section().timeout);
  route.open = [doors](const std::shared_ptr<net::HeldRequest>& held, net::Request request) {
    answer_users(doors,
                 std::make_shared<WorklistExchange>(WorklistExchange{held, std::move(request), nullptr}));
    return std::make_unique<Waiting>();
  };
  return route;
}

net::HeldRoute rights_route(const WorklistDoors& doors) {
  net::HeldRoute route;
  route.method = "PUT";
  route.pattern = "/api/worklist/users/{user}";
  route.access = net::Access::kWrite;
  route.limits.body_bytes = kMostRightsBody;
  route.limits.deadline =
      kSlack + 2 * std::chrono::duration_cast<std::chrono::milliseconds>(doors.service.section().timeout);
  route.open = [doors](const std::shared_ptr<net::HeldRequest>& held, net::Request request) {
    answer_rights(doors,
                  std::make_shared<WorklistExchange>(WorklistExchange{held, std::move(request), nullptr}));
    return std::make_unique<Waiting>();
  };
  return route;
}

}  // namespace

void WorklistAuthority::prove(const std::string& header, Done<WorklistProof> done) const {
  const auto begins = [&](std::string_view scheme) {
    return net::equals_ignoring_case(std::string_view(header).substr(0, scheme.size()), scheme);
  };
  constexpr std::string_view kBearer = "Bearer ";
  if (token && begins(kBearer)) return done(token(std::string_view(header).substr(kBearer.size())));
  if (session && begins("Session ")) return session(header, std::move(done));
  done(fail(
      ErrorCode::kDenied,
      token || session
          ? "this needs the header Authorization, with a token of the bus or a session that is known here"
          : "nobody can prove here who he is: enable [bus], or set [worklist] tryton"));
}

void WorklistExchange::answer(net::Response response) const {
  if (const auto request_held = held.lock()) request_held->answer(std::move(response));
}

std::vector<WorklistSide> worklist_sides(std::string_view tail) {
  return {{fmt::format("/worklist/{}", tail), true},
          {fmt::format("/api/worklist/users/{{user}}/{}", tail), false}};
}

net::CheckHead worklist_check(const WorklistSide& side) {
  if (!side.own) return nullptr;
  return [](net::Request& request) -> std::optional<net::Response> {
    if (!net::comes_from_another_site(request)) return std::nullopt;
    return net::error_response(403, "denied", "a page of another site may not ask for work lists");
  };
}

void identify(const WorklistDoors& doors, const WorklistSide& side, const Exchange& exchange,
              std::function<void(const Exchange&)> then) {
  const auto with_user = [&service = doors.service, exchange, then = std::move(then)](const std::string& id) {
    if (id.empty() || id.size() > bus::kMostUserBytes)
      return exchange->answer(net::error_response(400, "invalid_argument", "a user's id has 1 to 128 bytes"));
    service.find_user(id, [exchange, then](const Result<WorklistService::UserPointer>& user) {
      if (!user) return exchange->answer(net::error_response(user.error()));
      exchange->user = *user;
      then(exchange);
    });
  };
  if (!side.own) return with_user(*exchange->request.parameters.find("user"));
  const std::string* other = exchange->request.query.find("user");
  const std::string wanted = other == nullptr ? std::string() : *other;
  doors.authority.prove(header(exchange->request, "Authorization"), [exchange, with_user, wanted](
                                                                        const Result<WorklistProof>& proof) {
    if (!proof) return exchange->answer(refusal(proof.error()));
    if (wanted.empty() || wanted == proof->user) return with_user(proof->user);
    if (proof->is_admin) return with_user(wanted);
    exchange->answer(net::error_response(403, "denied", "a user sees his own work lists alone"));
  });
}

void add_worklist_api(net::Router& router, const WorklistDoors& given) {
  const WorklistDoors doors{given.service, given.authority, std::make_shared<WorklistResults>(given.service)};
  const std::vector<std::pair<std::string_view, Handle>> questions{
      {"counts", answer_counts},
      {"fragment", answer_fragment},
      {"lists/{workflow}/{list}", answer_list},
      {"lists/{workflow}/{list}/documents", answer_documents}};
  for (const auto& [tail, handle] : questions) {
    for (const WorklistSide& side : worklist_sides(tail)) router.add(held_route(doors, side, handle));
  }
  // What statements cost, and their texts, are for whoever runs it.
  router.add(held_route(doors, {"/api/worklist/users/{user}/plan", false}, answer_plan));
  router.add(users_route(doors));
  add_worklist_events(router, doors);
  router.add(plain_route(
      "GET", "/api/worklist", net::Access::kRead,
      [&service = doors.service](const net::Request&) { return json_response(200, status_json(service)); }));
  router.add(plain_route("POST", "/api/worklist/refresh", net::Access::kWrite,
                         [&service = doors.service](const net::Request&) { return post_refresh(service); }));
  router.add(rights_route(doors));
}

}  // namespace headroom::cli
