#include "headroom/tryton_door.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "bus/tryton_payload.hpp"
#include "bus/tryton_sessions.hpp"

namespace headroom::cli {

using base::Result;

namespace {

std::string header(const net::Request& request, std::string_view name) {
  const std::string* value = request.headers.find(name);
  return value == nullptr ? std::string() : *value;
}

std::string escape_html(std::string_view text) {
  std::string escaped;
  for (const char character : text) {
    switch (character) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&#34;";
        break;
      default:
        escaped += character;
    }
  }
  return escaped;
}

/// As trytond's errors look: those of Werkzeug.
net::Response html_error(int status, std::string_view text) {
  const std::string_view name = net::reason_phrase(status);
  return net::make_response(
      status, "text/html; charset=utf-8",
      fmt::format("<!doctype html>\n<html lang=en>\n<title>{} {}</title>\n<h1>{}</h1>\n<p>{}</p>\n", status,
                  name, name, escape_html(text)));
}

net::Response unavailable(std::string_view why) {
  net::Response response = net::error_response(503, "unavailable", why);
  response.headers.add("Retry-After", "1");
  return response;
}

/// What stands in a path as it is, everything else as %XX.
std::string encode_path(std::string_view path) {
  std::string encoded;
  for (const char character : path) {
    const bool plain = (character >= '0' && character <= '9') || (character >= 'a' && character <= 'z') ||
                       (character >= 'A' && character <= 'Z') ||
                       std::string_view("/-._~!$&'()*+,;=:@").find(character) != std::string_view::npos;
    encoded +=
        plain ? std::string(1, character) : fmt::format("%{:02X}", static_cast<unsigned char>(character));
  }
  return encoded;
}

net::Response redirect(const TrytonSite& site, const net::Request& request) {
  const std::string location = site.url_host + encode_path(request.path).substr(1);
  const std::string shown = escape_html(location);
  net::Response response = net::make_response(
      308, "text/html; charset=utf-8",
      fmt::format(
          "<!doctype html>\n<html lang=en>\n<title>Redirecting...</title>\n<h1>Redirecting...</h1>\n<p>You "
          "should be redirected automatically to the target URL: <a href=\"{}\">{}</a>. If not, click the "
          "link.\n",
          shown, shown));
  response.headers.add("Location", location);
  // So that the address can change some time.
  response.headers.add("Cache-Control", fmt::format("private, max-age={}", site.redirect_age.count()));
  return response;
}

std::string host_url(const net::Request& request) {
  return fmt::format("{}://{}/", request.remote.https ? "https" : "http", header(request, "Host"));
}

net::Response unauthorized(bool by_script) {
  net::Response response = net::make_response(401, "text/plain; charset=utf-8", "");
  if (!by_script) response.headers.add("WWW-Authenticate", "Basic realm=\"Tryton\"");
  return response;
}

constexpr std::string_view kJson = "application/json";

}  // namespace

TrytonDoor::TrytonDoor(TrytonSite site, TrytonSource& source, Report report)
    : site_(std::move(site)), source_(source), report_(std::move(report)) {}

void TrytonDoor::start(Time now) {
  for (const TrytonDatabase& database : named_databases(site_)) open(now, database, true);
}

void TrytonDoor::stop() {
  stopped_ = true;
  for (const auto& [name, database] : databases_) {
    for (const auto& [id, waiting] : database->waiting) respond(waiting, unavailable("the service stops"));
  }
  for (const Unknown& request : unknown_) respond(request.waiting, unavailable("the service stops"));
  databases_.clear();
  unknown_.clear();
  tickets_.clear();
}

TrytonDoor::Database* TrytonDoor::open(Time now, const TrytonDatabase& database, bool is_named) {
  if (databases_.size() >= site_.most_databases) return nullptr;
  auto& made = databases_[database.name];
  made = std::make_unique<Database>(site_.limits, is_named);
  made->used = now;
  source_.open(database);
  return made.get();
}

// Requests
// ---------------------------------------------------------------------------------------------------------

TrytonDoor::Ticket TrytonDoor::handle(Time now, const net::Request& request, Reply reply) {
  Unknown asked;
  asked.database = *request.parameters.find("database");
  asked.waiting.reply = std::move(reply);
  asked.waiting.origin = header(request, "Origin");
  asked.waiting.by_script = header(request, "X-Requested-With") == "XMLHttpRequest";
  auto session = bus::parse_tryton_authorization(header(request, "Authorization"));
  if (stopped_) {
    respond(asked.waiting, unavailable("the service stops"));
  } else if (!session) {
    respond(asked.waiting, unauthorized(asked.waiting.by_script));
  } else {
    asked.session = std::move(*session);
    asked.waiting.prepared = prepare(request, asked.poll);
    return begin(now, std::move(asked));
  }
  return 0;
}

TrytonDoor::Ticket TrytonDoor::begin(Time now, Unknown request) {
  const Ticket ticket = request.waiting.ticket = ++last_ticket_;
  tickets_[ticket] = {request.database, 0};
  enter(now, std::move(request));
  return tickets_.contains(ticket) ? ticket : 0;
}

void TrytonDoor::verify(Time now, const std::string& database, const bus::TrytonSession& session,
                        Reply reply) {
  Unknown asked;
  asked.database = database;
  asked.session = session;
  asked.waiting.reply = std::move(reply);
  if (stopped_) return respond(asked.waiting, unavailable("the service stops"));
  if (!site_.allow_subscribe)
    return respond(asked.waiting, html_error(501, "There is no bus for clients here."));
  asked.waiting.prepared = net::make_response(204, "text/plain", "");
  (void)begin(now, std::move(asked));
}

bool TrytonDoor::hold(const std::string& database, const bus::TrytonSession& session) {
  const auto found = databases_.find(database);
  return found != databases_.end() && found->second->polls.hold(session);
}

void TrytonDoor::release(const std::string& database, const bus::TrytonSession& session) {
  const auto found = databases_.find(database);
  if (found != databases_.end()) found->second->polls.release(session);
}

bool TrytonDoor::may_hold(Time now, const std::string& database, const bus::TrytonSession& session,
                          const std::string& channel) {
  const auto found = databases_.find(database);
  return found != databases_.end() && found->second->polls.may_hold(now, session, channel);
}

/// What is answered once the session holds; nothing when it is a poll.
std::optional<net::Response> TrytonDoor::prepare(const net::Request& request, bus::TrytonPoll& poll) const {
  if (!site_.allow_subscribe)
    return html_error(501, "The server does not support the action requested by the browser.");
  if (!site_.url_host.empty() && site_.url_host != host_url(request)) return redirect(site_, request);
  if (header(request, "Content-Type").find("json") == std::string::npos)
    return html_error(400, "Not a JSON request");
  if (request.headers.find("Content-Encoding") != nullptr)
    return html_error(415, "The server does not support the media type transmitted in the request.");
  auto parsed = bus::parse_tryton_poll(request.body);
  if (!parsed) return html_error(400, parsed.error().message());
  poll = std::move(*parsed);
  return std::nullopt;
}

void TrytonDoor::enter(Time now, Unknown request) {
  const auto known = databases_.find(request.database);
  if (known != databases_.end()) return poll(now, known->first, *known->second, std::move(request));
  if (is_served(site_, request.database) == Served::kMatched) return find_out(now, std::move(request));
  tickets_.erase(request.waiting.ticket);
  // A client that is told so does not ask again.
  respond(request.waiting, html_error(501, "The bus of this database is not served here."));
}

/// Anybody can make names up, so the server is asked which databases it has, once in a while.
void TrytonDoor::find_out(Time now, Unknown request) {
  const std::string name = request.database;
  const bool exists = existing_.contains(name);
  if (exists) {
    Database* made = open(now, {name, site_.uri, name}, false);
    if (made != nullptr) return poll(now, name, *made, std::move(request));
  }
  const bool is_recent = listed_at_ && now - *listed_at_ < kListEvery;
  if (!exists && !is_recent && unknown_.size() < kMostUnknown) {
    unknown_.push_back(std::move(request));
    if (!std::exchange(listing_, true)) source_.list(site_.uri);
    return;
  }
  tickets_.erase(request.waiting.ticket);
  respond(request.waiting, !exists && is_recent ? html_error(404, "There is no such database.")
                                                : unavailable("too many databases"));
}

void TrytonDoor::listed(Time now, const Result<std::vector<std::string>>& names) {
  listing_ = false;
  std::vector<Unknown> requests = std::exchange(unknown_, {});
  if (names) {
    existing_ = {names->begin(), names->end()};
    listed_at_ = now;
    for (Unknown& request : requests) enter(now, std::move(request));
    return;
  }
  for (const Unknown& request : requests) {
    tickets_.erase(request.waiting.ticket);
    respond(request.waiting, unavailable("the database does not answer"));
  }
}

void TrytonDoor::poll(Time now, const std::string& name, Database& database, Unknown request) {
  database.used = now;
  const auto wish = request.waiting.prepared ? bus::TrytonWish::kAuthorization : bus::TrytonWish::kMessages;
  const Ticket ticket = request.waiting.ticket;
  const auto id = database.polls.open(now, request.session, std::move(request.poll), wish);
  if (!id) {
    tickets_.erase(ticket);
    return respond(request.waiting, unavailable("too many clients wait"));
  }
  tickets_[ticket] = {name, *id};
  database.waiting.emplace(*id, std::move(request.waiting));
  pump(now, name, database);
}

void TrytonDoor::gone(Ticket ticket) {
  const auto found = tickets_.find(ticket);
  if (found == tickets_.end()) return;
  const auto [name, id] = found->second;
  tickets_.erase(found);
  std::erase_if(unknown_, [&](const Unknown& request) { return request.waiting.ticket == ticket; });
  const auto database = databases_.find(name);
  if (database == databases_.end()) return;
  database->second->polls.close(id);
  database->second->waiting.erase(id);
}

// Answers
// ---------------------------------------------------------------------------------------------------------

/// Gives out what was decided, and asks what there is to ask.
void TrytonDoor::pump(Time now, const std::string& name, Database& database) {
  if (database.listening) {
    const auto sessions = database.polls.next_check(now);
    if (!sessions.empty()) {
      source_.ask(name, std::string(bus::kTrytonSessionStatement),
                  bus::tryton_session_parameters(sessions, site_.session_age));
    }
  }
  for (const bus::TrytonAnswer& decided : database.polls.take_answers()) answer(database, decided);
  if (associate_ != nullptr) inform(now, name, database);
}

/// Who has ended is gone before the next message is told.
void TrytonDoor::inform(Time now, const std::string& name, Database& database) {
  for (const bus::TrytonSession& session : database.polls.take_ended()) associate_->ended(name, session);
  if (database.polls.are_held_fresh(now)) associate_->tell(name);
}

void TrytonDoor::answer(Database& database, const bus::TrytonAnswer& decided) {
  const auto found = database.waiting.find(decided.poll);
  if (found == database.waiting.end()) return;
  const Waiting waiting = std::move(found->second);
  database.waiting.erase(found);
  tickets_.erase(waiting.ticket);
  switch (decided.outcome) {
    case bus::TrytonOutcome::kMessage:
      return respond(waiting, net::make_response(200, kJson, decided.message->body));
    case bus::TrytonOutcome::kNothing:
      return respond(waiting, net::make_response(200, kJson, std::string(bus::kTrytonNothing)));
    case bus::TrytonOutcome::kUnauthorized:
      return respond(waiting, unauthorized(waiting.by_script));
    case bus::TrytonOutcome::kAuthorized:
      return respond(waiting, *waiting.prepared);
    case bus::TrytonOutcome::kUnavailable:
      return respond(waiting, unavailable("the session could not be looked up in the database"));
  }
}

/// A page gets to read an answer of its own host, as with trytond.
void TrytonDoor::respond(const Waiting& waiting, net::Response response) {
  if (!waiting.origin.empty()) {
    response.headers.add("Access-Control-Allow-Origin", waiting.origin);
    response.headers.add("Vary", "Origin");
  }
  waiting.reply(std::move(response));
}

// What comes from the databases
// ---------------------------------------------------------------------------------------------------------

void TrytonDoor::notified(Time now, const std::string& name, const std::vector<std::string>& payloads) {
  const auto database = databases_.find(name);
  if (database == databases_.end()) return;
  for (const std::string& payload : payloads) {
    auto message = bus::parse_tryton_payload(payload);
    if (message) {
      if (associate_ != nullptr) associate_->heard(name, *message);
      database->second->polls.publish(now, std::make_shared<const bus::TrytonMessage>(std::move(*message)));
    } else {
      ++database->second->malformed;
    }
  }
  pump(now, name, *database->second);
}

void TrytonDoor::answered(Time now, const std::string& name, const Result<sql::PostgresRows>& answer) {
  const auto database = databases_.find(name);
  if (database == databases_.end()) return;
  const bool was_failing = std::exchange(database->second->failing, !answer);
  if (answer) {
    database->second->polls.checked(now, bus::read_tryton_sessions(*answer));
    if (was_failing) report_(name, "");
  } else {
    database->second->polls.check_failed();
    // While it listens, it is the statement that fails: no table of sessions, or no right to read it.
    if (database->second->listening && !was_failing) report_(name, answer.error().message());
  }
  pump(now, name, *database->second);
}

void TrytonDoor::changed(const std::string& name, const std::string& problem, std::uint64_t losses) {
  const auto database = databases_.find(name);
  if (database == databases_.end()) return;
  database->second->listening = problem.empty();
  database->second->losses = losses;
  report_(name, problem);
  if (!database->second->named && problem.find("does not exist") != std::string::npos) drop(name);
}

void TrytonDoor::drop(const std::string& name) {
  const auto database = databases_.find(name);
  for (const auto& [id, waiting] : database->second->waiting) {
    tickets_.erase(waiting.ticket);
    respond(waiting, html_error(404, "There is no such database."));
  }
  const std::vector<bus::TrytonSession> held = database->second->polls.held();
  report_(name, "");
  databases_.erase(database);
  existing_.erase(name);
  source_.close(name);
  for (const bus::TrytonSession& session : held) associate_->ended(name, session);
}

void TrytonDoor::ticked(Time now) {
  std::vector<std::string> idle;
  for (const auto& [name, database] : databases_) {
    database->polls.tick(now);
    pump(now, name, *database);
    if (!database->waiting.empty() || database->polls.has_held()) database->used = now;
    if (!database->named && now - database->used > kIdle) idle.push_back(name);
  }
  for (const std::string& name : idle) drop(name);
}

std::vector<TrytonFigures> TrytonDoor::figures() const {
  std::vector<TrytonFigures> all;
  for (const auto& [name, database] : databases_) {
    const auto& history = database->polls.history();
    all.push_back({name, database->listening, database->losses, database->malformed,
                   database->polls.waiting(), history.size(), history.bytes(), history.pushed_out(),
                   database->polls.held().size(), 0, 0, database->polls.counts()});
  }
  return all;
}

}  // namespace headroom::cli
