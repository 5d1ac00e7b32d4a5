// `headroom bus`: publish, tail, channels, connections, presence, disconnect, check. Each is a client of the
// running service.

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.hpp"
#include "bus/publications.hpp"
#include "headroom/bus_client.hpp"
#include "headroom/bus_service.hpp"
#include "headroom/commands.hpp"
#include "headroom/output.hpp"
#include "headroom/text_file.hpp"
#include "headroom/tryton_bus_check.hpp"
#include "perf/report_text.hpp"

namespace headroom::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using nlohmann::json;
using perf::Cell;
using perf::Format;

struct BusOptions {
  std::string token_file;
  std::string channel;
  std::vector<std::string> names;
  std::string data;
  std::string id;
  bool text = false;
  std::string prefix;
  std::string after;
  bool queued = false;
  std::string user;
  std::string session;
  std::string limit = "100";
  std::string count;
  std::string history = "0";
  std::string nginx;
};

using Shared = std::shared_ptr<BusOptions>;

Result<json> ask(const Invocation& run, const BusOptions& options, std::string_view method,
                 const std::string& target, const std::string& body = {}) {
  auto access = bus_access(run.configuration, options.token_file);
  if (!access) return fail(std::move(access.error()));
  auto reply = ask_bus(*access, method, target, body);
  if (!reply) return fail(std::move(reply.error()));
  json answer = json::parse(reply->body, nullptr, false);
  if (answer.is_discarded()) return fail(ErrorCode::kProtocol, "the service answered what is no JSON");
  return answer;
}

Cell count(const json& value) {
  return value.get<std::int64_t>();
}

Result<Exit> publish(const Invocation& run, const BusOptions& options) {
  // As it is given: reading it would write its numbers anew.
  std::string body = fmt::format(R"({{"channel":{},"data":{})", perf::json_text(options.channel),
                                 options.text ? perf::json_text(options.data) : options.data);
  if (!options.id.empty()) body += fmt::format(R"(,"id":{})", perf::json_text(options.id));
  body += "}";
  if (!options.text && !bus::parse_publications(body, 1))
    return fail(ErrorCode::kInvalidArgument, "the data is not JSON; --text sends it as it stands");
  const auto answer = ask(run, options, "POST", "/bus/publish", body);
  if (!answer) return fail(answer.error());
  perf::Report report;
  report.table.columns = {{"channel"}, {"offset", Format::kCount}, {"epoch"}, {"repeated"}};
  report.table.rows.push_back({options.channel, count(answer->at("offset")),
                               answer->at("epoch").get<std::string>(),
                               std::string(answer->value("repeated", false) ? "yes" : "no")});
  return print_report(run.options, report);
}

Result<Exit> list_channels(const Invocation& run, const BusOptions& options) {
  const auto answer =
      ask(run, options, "GET",
          fmt::format("/bus/channels?limit={}&prefix={}", options.limit, percent_encoded(options.prefix)));
  if (!answer) return fail(answer.error());
  perf::Report report;
  report.table.columns = {
      {"channel"}, {"subscribers", Format::kCount}, {"offset", Format::kCount}, {"messages", Format::kCount}};
  for (const json& one : answer->at("channels")) {
    report.table.rows.push_back({one.at("channel").get<std::string>(), count(one.at("subscribers")),
                                 count(one.at("offset")), count(one.at("messages"))});
  }
  report.total = report.table.rows.size();
  if (report.table.rows.empty()) report.note = "no channel has subscribers";
  return print_report(run.options, report);
}

std::string connections_target(const BusOptions& options) {
  std::string target =
      fmt::format("/bus/connections?limit={}&order={}", options.limit, options.queued ? "queue" : "oldest");
  for (const auto& [name, value] : {std::pair("user", &options.user), std::pair("channel", &options.channel),
                                    std::pair("after", &options.after)}) {
    if (!value->empty()) target += fmt::format("&{}={}", name, percent_encoded(*value));
  }
  return target;
}

std::string joined(const json& names, std::size_t all) {
  std::string text;
  for (const json& name : names) text += (text.empty() ? "" : " ") + name.get<std::string>();
  return all > names.size() ? fmt::format("{} and {} more", text, all - names.size()) : text;
}

Result<Exit> list_connections(const Invocation& run, const BusOptions& options) {
  const auto answer = ask(run, options, "GET", connections_target(options));
  if (!answer) return fail(answer.error());
  perf::Report report;
  report.table.columns = {{"connection"},
                          {"user"},
                          {"address"},
                          {"age", Format::kSeconds},
                          {"queued", Format::kBytes},
                          {"subscriptions", Format::kCount},
                          {"channels", Format::kLongText}};
  for (const json& one : answer->at("connections")) {
    const std::chrono::seconds age(one.at("age_s").get<std::int64_t>());
    report.table.rows.push_back({one.at("connection").get<std::string>(), one.at("user").get<std::string>(),
                                 one.at("address").get<std::string>(), base::Microseconds(age),
                                 count(one.at("queued_bytes")), count(one.at("subscriptions")),
                                 joined(one.at("channels"), one.at("subscriptions").get<std::size_t>())});
  }
  report.total = answer->at("count").get<std::size_t>();
  if (report.table.rows.empty()) report.note = "nobody is connected";
  if (answer->at("next").is_string())
    report.note = "for the next ones: --after " + answer->at("next").get<std::string>();
  return print_report(run.options, report);
}

Result<Exit> show_presence(const Invocation& run, const BusOptions& options) {
  std::string target = "/bus/presence";
  for (const std::string& user : options.names)
    target += fmt::format("{}user={}", target.ends_with("presence") ? "?" : "&", percent_encoded(user));
  const auto answer = ask(run, options, "GET", target);
  if (!answer) return fail(answer.error());
  perf::Report report;
  report.table.columns = {{"user"}, {"state"}};
  for (const auto& [user, state] : answer->at("users").items())
    report.table.rows.push_back({user, state.get<std::string>()});
  return print_report(run.options, report);
}

Result<Exit> disconnect(const Invocation& run, const BusOptions& options) {
  if (options.user.empty() == options.session.empty())
    return fail(ErrorCode::kInvalidArgument, "expected either --user or --session");
  const json wanted =
      options.user.empty() ? json{{"session", options.session}} : json{{"user", options.user}};
  const auto answer = ask(run, options, "POST", "/bus/disconnect",
                          wanted.dump(-1, ' ', false, json::error_handler_t::replace));
  if (!answer) return fail(answer.error());
  perf::Report report;
  report.table.columns = {{"disconnected", Format::kCount}};
  report.table.rows.push_back({count(answer->at("disconnected"))});
  return print_report(run.options, report);
}

/// Follows channels over reconnects, and says what got lost.
class Tail {
 public:
  Tail(const Invocation& run, const BusOptions& options, std::optional<std::uint64_t> left)
      : run_(run), options_(options), left_(left) {}

  Result<Exit> follow() {
    while (!done()) {
      auto access = bus_access(run_.configuration, options_.token_file);
      if (!access) return fail(std::move(access.error()));
      auto connection = BusConnection::open(*access);
      if (!connection && !begun_) return fail(std::move(connection.error()));
      if (connection) {
        auto ended = follow_one(*connection, access->token);
        if (!ended) return fail(std::move(ended.error()));
      }
      if (done()) break;
      print_note("the connection ended; trying again");
      std::this_thread::sleep_for(kPause);
    }
    return Exit::kFine;
  }

 private:
  static constexpr std::chrono::milliseconds kPause{500};
  static constexpr std::chrono::seconds kPing{25};

  [[nodiscard]] bool done() const { return left_ && *left_ == 0; }

  /// Until the connection ends, or enough was printed. Errors: what makes no sense to try again.
  Result<void> follow_one(BusConnection& connection, const std::string& token) {
    if (auto sent = connection.send(
            json{{"id", 1}, {"connect", {{"token", token}, {"client", "headroom bus tail"}}}}.dump());
        !sent)
      return {};
    while (!done()) {
      auto event = connection.next(kPing);
      if (!event) return {};
      if (!*event) {
        if (!connection.send(R"({"id":2,"ping":{}})")) return {};
        continue;
      }
      if ((*event)->kind == wire::Event::Kind::kClose) return judge_close(**event);
      if ((*event)->kind != wire::Event::Kind::kText) continue;
      if (auto taken = take(connection, (*event)->payload); !taken) return taken;
    }
    return {};
  }

  static Result<void> judge_close(const wire::Event& event) {
    const auto code = static_cast<int>(event.code);
    if (code < 4100 || code >= 4300) return {};
    const json reason = json::parse(event.payload, nullptr, false);
    return fail(ErrorCode::kDenied,
                fmt::format("the service closed the connection ({}): {}", code,
                            reason.is_object() ? reason.value("message", reason.value("code", "")) : ""));
  }

  Result<void> take(BusConnection& connection, const std::string& text) {
    const json object = json::parse(without_data(text), nullptr, false);
    if (!object.is_object()) return fail(ErrorCode::kProtocol, "the service sent what is no object");
    if (object.contains("error"))
      return fail(ErrorCode::kDenied, object["error"].value("message", "refused"));
    if (object.contains("connect")) return ask_positions(connection);
    if (object.contains("history")) return take_history(connection, object, data_in(text));
    if (object.contains("subscribe")) return judge_subscription(object["subscribe"]["channels"].at(0));
    if (object.contains("message")) return take_message(object["message"], data_in(text));
    if (object.contains("lost"))
      print_note("messages of " + object["lost"].value("channel", "") + " were lost");
    return {};
  }

  /// First where each channel is; a channel that was followed goes on where it was.
  Result<void> ask_positions(BusConnection& connection) {
    begun_ = true;
    for (std::size_t i = 0; i < options_.names.size(); ++i) {
      const std::string& channel = options_.names[i];
      const auto known = positions_.find(channel);
      const json command =
          known == positions_.end()
              ? json{{"id", i + 10},
                     {"history", {{"channel", channel}, {"limit", std::stoi(options_.history)}}}}
              : subscription(i, known->second);
      if (auto sent = connection.send(command.dump()); !sent) return {};
    }
    return {};
  }

  [[nodiscard]] json subscription(std::size_t i, const json& since) const {
    return {{"id", i + 1000},
            {"subscribe", {{"channels", {{{"channel", options_.names[i]}, {"since", since}}}}}}};
  }

  static Result<void> check_data(std::size_t messages, const std::vector<std::string_view>& data) {
    if (messages == data.size()) return {};
    return fail(ErrorCode::kProtocol, "the service sent a message without data");
  }

  Result<void> take_message(const json& message, const std::vector<std::string_view>& data) {
    if (auto checked = check_data(1, data); !checked) return checked;
    print(message.value("channel", ""), message, data.front());
    return {};
  }

  Result<void> take_history(BusConnection& connection, const json& answer,
                            const std::vector<std::string_view>& data) {
    const std::size_t i = answer.value("id", std::size_t{10}) - 10;
    const std::string& channel = options_.names.at(i);
    const json& history = answer["history"];
    positions_[channel] = {{"offset", history.at("offset")}, {"epoch", history.at("epoch")}};
    const json& messages = history.at("messages");
    if (auto checked = check_data(messages.size(), data); !checked) return checked;
    for (std::size_t one = 0; one < messages.size(); ++one) print(channel, messages[one], data[one]);
    (void)connection.send(subscription(i, positions_[channel]).dump());
    return {};
  }

  Result<void> judge_subscription(const json& entry) {
    if (entry.contains("error")) return fail(ErrorCode::kDenied, entry["error"].value("message", "refused"));
    const std::string channel = entry.value("channel", "");
    if (entry.value("lost", false)) {
      print_note("messages of " + channel + " were lost");
      positions_[channel] = {{"offset", entry.at("offset")}, {"epoch", entry.at("epoch")}};
    }
    positions_[channel]["epoch"] = entry.at("epoch");
    return {};
  }

  void print(const std::string& channel, const json& message, std::string_view data) {
    if (done()) return;
    const auto offset = message.value("offset", std::uint64_t{0});
    if (positions_[channel].value("offset", std::uint64_t{0}) < offset)
      positions_[channel]["offset"] = offset;
    if (run_.options.json) {
      (void)print_text(fmt::format(R"({{"channel":{},"offset":{},"data":{}}})"
                                   "\n",
                                   json(channel).dump(), offset, data));
    } else {
      const std::string shown = prints_for_people(run_.options) ? harmless_json(data) : std::string(data);
      (void)print_text(fmt::format("{}\t{}\t{}\n", perf::escape_line(channel), offset, shown));
    }
    if (left_) --*left_;
  }

  const Invocation& run_;
  const BusOptions& options_;
  std::optional<std::uint64_t> left_;
  std::map<std::string, json> positions_;
  bool begun_ = false;
};

/// What `check` found.
struct BusFinding {
  std::string subject;
  std::string state;  ///< "fine", "warning", "error"
  std::string text;
};

std::vector<BusFinding> check_configuration(const BusSection& section) {
  std::vector<BusFinding> found;
  found.push_back({"[bus] enabled", section.enabled ? "fine" : "warning",
                   section.enabled ? "the bus is on" : "the bus is off"});
  if (const auto rules = channel_rules(section); !rules) {
    found.push_back({"[bus.channels]", "error", rules.error().message()});
  } else {
    for (const bus::ChannelRule& rule : rules->all()) {
      found.push_back(
          {fmt::format("channels '{}*'", rule.prefix), "fine",
           fmt::format("read by {}, written by {}, {} messages kept for {} s", bus::name(rule.subscribe),
                       bus::name(rule.publish), rule.history_messages, rule.history_age_ns / 1'000'000'000)});
    }
  }
  if (const auto keys = read_signing_keys(section); !keys) {
    found.push_back({"[bus] secret_files", "error", keys.error().message()});
  } else if (keys->empty()) {
    // A site may use Tryton's bus alone, which needs none.
    found.push_back({"[bus] secret_files", section.enabled ? "error" : "warning",
                     "none: no token can be signed or checked"});
  } else {
    found.push_back({"[bus] secret_files", "fine",
                     fmt::format("{} can be read, and only by those who may", keys->size())});
  }
  return found;
}

/// The server is asked from here, so this says as well whether it can be reached.
BusFinding check_redis(const BusSection& section) {
  const auto checked = bus::check_redis_broker(redis_options(section));
  if (!checked) return {"[bus] url", "error", checked.error().message()};
  return {"[bus] url", "fine", "the Redis server can keep the bus"};
}

std::vector<BusFinding> check_postgres(const BusSection& section) {
  std::vector<BusFinding> found;
  for (bus::PostgresFinding& one : bus::check_postgres_broker(section.database, postgres_source(section))) {
    const bool is_fine = one.severity == bus::PostgresFinding::Severity::kFine;
    const bool is_error = one.severity == bus::PostgresFinding::Severity::kError;
    found.push_back({"[bus] database",
                     is_fine    ? "fine"
                     : is_error ? "error"
                                : "warning",
                     std::move(one.text)});
  }
  return found;
}

BusFinding check_service(const Invocation& run, const BusOptions& options) {
  const auto status = ask(run, options, "GET", "/bus/status");
  if (!status) return {"service", "error", status.error().message()};
  if (!status->value("available", false))
    return {"service", "error",
            "it runs, but its broker is away: " + status->value("problem", std::string())};
  return {"service", "fine",
          fmt::format("{} of {} connections, {} channels, {} users", status->value("connections", 0),
                      status->value("most_connections", 0), status->value("channels", 0),
                      status->value("users", 0))};
}

std::string_view name(TrytonSiteFile file) {
  switch (file) {
    case TrytonSiteFile::kHeadroomToml:
      return "[bus.tryton]";
    case TrytonSiteFile::kTrytondConf:
      return "trytond.conf";
    case TrytonSiteFile::kNginxConf:
      return "nginx";
    case TrytonSiteFile::kDatabase:
      return "database";
  }
  return "";
}

BusFinding of_site(const TrytonSiteFinding& one) {
  const auto& [severity, line, text, remedy] = one.finding;
  std::string subject(name(one.file));
  if (line > 0) subject += fmt::format(":{}", line);
  return {std::move(subject), severity == Severity::kError ? "error" : "warning",
          remedy.empty() ? text : fmt::format("{}; {}", text, remedy)};
}

/// Whether Tryton's clients get here: told from the files of the site that are named.
Result<std::vector<BusFinding>> check_site(const Invocation& run, const BusOptions& options) {
  TrytonSiteFacts facts;
  facts.section = run.configuration.tryton_bus;
  facts.bus = run.configuration.bus;
  if (!facts.section.is_open()) return std::vector<BusFinding>();
  const std::string& trytond =
      run.options.trytond_config.empty() ? facts.section.config : run.options.trytond_config;
  for (const auto& [file, text] :
       {std::pair(&trytond, &facts.trytond_conf), std::pair(&options.nginx, &facts.nginx_conf)}) {
    if (file->empty()) continue;
    auto read = read_text_file(*file);
    if (!read) return fail(std::move(read.error()));
    *text = std::move(*read);
  }
  std::vector<BusFinding> found;
  for (const TrytonSiteFinding& one : check_tryton_site(facts)) found.push_back(of_site(one));
  if (found.empty()) found.push_back({"[bus.tryton]", "fine", "nothing wrong in the files that were read"});
  return found;
}

Result<Exit> check(const Invocation& run, const BusOptions& options) {
  std::vector<BusFinding> found = check_configuration(run.configuration.bus);
  if (run.configuration.bus.broker == "redis") found.push_back(check_redis(run.configuration.bus));
  if (run.configuration.bus.broker == "postgresql") {
    for (BusFinding& one : check_postgres(run.configuration.bus)) found.push_back(std::move(one));
  }
  if (run.configuration.bus.enabled) found.push_back(check_service(run, options));
  auto site = check_site(run, options);
  if (!site) return fail(std::move(site.error()));
  found.insert(found.end(), std::make_move_iterator(site->begin()), std::make_move_iterator(site->end()));
  perf::Report report;
  report.table.columns = {{"subject"}, {"state"}, {"text", Format::kLongText}};
  bool failed = false;
  for (BusFinding& one : found) {
    failed = failed || one.state == "error";
    report.table.rows.push_back({std::move(one.subject), std::move(one.state), std::move(one.text)});
  }
  const Exit printed = print_report(run.options, report);
  return failed ? Exit::kFailed : printed;
}

Result<Exit> tail(const Invocation& run, const BusOptions& options) {
  std::optional<std::uint64_t> left;
  if (!options.count.empty()) left = std::stoull(options.count);
  return Tail(run, options, left).follow();
}

/// Declares one and runs `work` when it is named.
CLI::App* add(CLI::App& group, Invocation& invocation, const Shared& options, const char* name,
              const char* help, const char* examples,
              Result<Exit> (*work)(const Invocation&, const BusOptions&)) {
  CLI::App* command = group.add_subcommand(name, help);
  command->footer(std::string("Examples:\n") + examples);
  command->add_option("--token-file", options->token_file,
                      "A file with a token; else one is signed by the first of [bus] secret_files");
  command->callback([&invocation, options, work] {
    invocation.run = [options, work](Invocation& run) { return work(run, *options); };
  });
  return command;
}

}  // namespace

void add_bus_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* group = app.add_subcommand("bus", "Publish to the bus of a running service, and look into it");
  group->group("Bus");
  group->require_subcommand(1);
  group->footer(
      "Examples:\n  headroom bus publish room:1 '{\"text\": \"hello\"}'\n  headroom bus tail room:1");
  const auto options = std::make_shared<BusOptions>();

  CLI::App* publishing =
      add(*group, invocation, options, "publish", "Publish one message and print its position",
          "  headroom bus publish room:1 '{\"text\": \"hello\"}'\n  headroom bus publish room:1 hello --text",
          publish);
  publishing->add_option("channel", options->channel, "The channel")->required();
  publishing->add_option("data", options->data, "One JSON value")->required();
  publishing->add_option("--id", options->id, "The same id within 5 minutes publishes once");
  publishing->add_flag("--text", options->text, "The data is a text, not JSON");

  CLI::App* tailing =
      add(*group, invocation, options, "tail", "Print the messages of channels as they come",
          "  headroom bus tail room:1\n  headroom bus tail room:1 room:2 --count 10 --json", tail);
  tailing->add_option("channel", options->names, "The channels")->required();
  tailing->add_option("--count", options->count, "End after so many messages")
      ->check(whole_number(1, 1'000'000'000));
  tailing->add_option("--history", options->history, "Begin with so many that are kept")
      ->check(whole_number(0, 1000));

  CLI::App* channels =
      add(*group, invocation, options, "channels", "List the channels with subscribers",
          "  headroom bus channels\n  headroom bus channels --prefix room: --limit 10", list_channels);
  channels->add_option("--prefix", options->prefix, "Those whose names begin with it");
  channels->add_option("--limit", options->limit, "At most so many, those with most subscribers first")
      ->check(whole_number(1, 1000));

  CLI::App* connected =
      add(*group, invocation, options, "connections", "List who is connected",
          "  headroom bus connections --user 7\n  headroom bus connections --queued --limit 10",
          list_connections);
  connected->add_option("--user", options->user, "Only those of this user");
  connected->add_option("--channel", options->channel, "Only those that are subscribed to this channel");
  connected->add_flag("--queued", options->queued, "Those first for whom most waits, else the oldest first");
  connected->add_option("--after", options->after, "Those that came after this connection, such as c112");
  connected->add_option("--limit", options->limit, "At most so many")->check(whole_number(1, 1000));

  CLI::App* presence =
      add(*group, invocation, options, "presence", "Say whether users are online, away or offline",
          "  headroom bus presence alice bob", show_presence);
  presence->add_option("user", options->names, "The users")->required();

  CLI::App* leaving =
      add(*group, invocation, options, "disconnect",
          "End the connections of a user or session and refuse its tokens of before",
          "  headroom bus disconnect --user alice\n  headroom bus disconnect --session 5f0c", disconnect);
  leaving->add_option("--user", options->user, "The user");
  leaving->add_option("--session", options->session, "The session (the claim sid)");

  CLI::App* checking =
      add(*group, invocation, options, "check", "Check the configuration of the bus, and whether it answers",
          "  headroom bus check\n  headroom bus check --nginx /etc/nginx/sites-enabled/tryton", check);
  checking->add_option("--nginx", options->nginx, "nginx's file of a Tryton site, for [bus.tryton]");
}

}  // namespace headroom::cli
