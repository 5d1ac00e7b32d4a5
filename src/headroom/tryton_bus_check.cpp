#include "headroom/tryton_bus_check.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "headroom/ini.hpp"

namespace headroom::cli {

namespace {

constexpr std::string_view kLocation =
    "location ~ ^/[^/]+/bus$ {\n  proxy_pass http://127.0.0.1:7400;\n  proxy_set_header Host $http_host;\n  "
    "proxy_read_timeout 330s;\n}";

constexpr std::string_view kScriptLocations =
    "location = /custom.js {\n  proxy_pass http://127.0.0.1:7400/bus/custom.js;\n}\nlocation ~ "
    "^/bus/bus\\.worker-[0-9a-f]+\\.js$ {\n  proxy_pass http://127.0.0.1:7400;\n}";
constexpr std::string_view kSocketLocation =
    "location = /bus/ws {\n  proxy_pass http://127.0.0.1:7400;\n  proxy_http_version 1.1;\n  "
    "proxy_set_header "
    "Host $http_host;\n  proxy_set_header Upgrade $http_upgrade;\n  proxy_set_header Connection "
    "\"upgrade\";\n}";
constexpr std::string_view kOutboxClass = "headroom.trytond.Bus";
constexpr std::int64_t kNginxTimeout = 60;  ///< its own default, in seconds
constexpr std::int64_t kPing = 25;          ///< seconds between two pings of a WebSocket

bool is_true(std::string_view value) {
  std::string lower(value);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::array<std::string_view, 4> kTrue{"1", "yes", "true", "on"};
  return std::ranges::find(kTrue, lower) != kTrue.end();
}

/// A directive of nginx with its words, or a block with those before its brace.
struct Directive {
  std::vector<std::string> words;
  std::size_t line = 0;
  std::vector<Directive> block;

  [[nodiscard]] const Directive* find(std::string_view name) const {
    const auto found =
        std::ranges::find_if(block, [&](const Directive& one) { return one.words.front() == name; });
    return found == block.end() ? nullptr : &*found;
  }
};

/// Reads nginx's files as far as is needed here: words, quotes, comments, blocks to a depth of 16. What is
/// broken ends the reading; nginx -t says more about it.
class NginxReader {
 public:
  explicit NginxReader(std::string_view text) : text_(text) {}
  [[nodiscard]] std::vector<Directive> read() { return read_block(0); }

 private:
  static constexpr int kDeepest = 16;

  std::vector<Directive> read_block(int depth) {
    std::vector<Directive> block;
    Directive directive;
    while (at_ < text_.size()) {
      skip_blanks();
      if (at_ >= text_.size()) break;
      const char character = text_[at_];
      if (character == '}' || depth > kDeepest) {
        ++at_;
        break;
      }
      if (character == ';' || character == '{') {
        ++at_;
        if (character == '{') directive.block = read_block(depth + 1);
        if (!directive.words.empty()) block.push_back(std::move(directive));
        directive = {};
        continue;
      }
      if (directive.words.empty()) directive.line = line_;
      directive.words.push_back(take_word());
    }
    return block;
  }

  void skip_blanks() {
    while (at_ < text_.size()) {
      if (text_[at_] == '#') at_ = std::min(text_.find('\n', at_), text_.size());
      if (at_ >= text_.size() || std::string_view(" \t\r\n").find(text_[at_]) == std::string_view::npos)
        return;
      line_ += text_[at_] == '\n' ? 1 : 0;
      ++at_;
    }
  }

  std::string take_word() {
    if (text_[at_] == '"' || text_[at_] == '\'') {
      const std::size_t end = std::min(text_.find(text_[at_], at_ + 1), text_.size());
      std::string word(text_.substr(at_ + 1, end - at_ - 1));
      at_ = std::min(end + 1, text_.size());
      return word;
    }
    const std::size_t end = std::min(text_.find_first_of(" \t\r\n;{", at_ + 1), text_.size());
    std::string word(text_.substr(at_, end - at_));
    at_ = end;
    return word;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

/// Seconds of nginx's "330s", "6m", "330"; nothing for another form.
std::optional<std::int64_t> nginx_seconds(std::string_view text) {
  std::int64_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc()) return std::nullopt;
  const std::string_view unit(read.ptr, static_cast<std::size_t>(text.data() + text.size() - read.ptr));
  if (unit.empty() || unit == "s") return number;
  if (unit == "m") return number * 60;
  if (unit == "h") return number * 3600;
  return std::nullopt;
}

class Check {
 public:
  explicit Check(const TrytonSiteFacts& facts) : facts_(facts) {}

  std::vector<TrytonSiteFinding> run() {
    headroom();
    if (facts_.trytond_conf) trytond(*facts_.trytond_conf);
    if (facts_.nginx_conf) nginx(*facts_.nginx_conf);
    if (facts_.wal_level) database(*facts_.wal_level);
    return std::move(findings_);
  }

 private:
  void add(TrytonSiteFile file, Severity severity, std::size_t line, std::string text,
           std::string_view remedy = "") {
    findings_.push_back({file, {severity, line, std::move(text), std::string(remedy)}});
  }

  void headroom() {
    const auto file = TrytonSiteFile::kHeadroomToml;
    if (!facts_.section.is_open()) {
      add(file, Severity::kError, 0, "[bus.tryton] names no database: the bus of none is served",
          "[bus.tryton]\nconfig = \"/etc/tryton/trytond.conf\"\ndatabases = [\"*\"]");
    } else if (const auto site = tryton_site(facts_.section); !site) {
      add(file, Severity::kError, 0, site.error().message());
    }
    if (!facts_.section.allow_subscribe)
      add(file, Severity::kError, 0,
          "[bus.tryton] allow_subscribe = false: clients are told that there is no bus",
          "allow_subscribe = true");
    if (!facts_.section.url_host.empty()) {
      add(file, Severity::kWarning, 0,
          fmt::format(
              "[bus.tryton] url_host sends whoever comes by another address to {}, and SAO can't go there",
              facts_.section.url_host),
          "url_host = \"\"");
    }
  }

  void trytond(std::string_view text) {
    std::vector<IniProblem> problems;
    const IniFile file = parse_ini(text, problems);
    for (const IniProblem& problem : problems)
      add(TrytonSiteFile::kTrytondConf, Severity::kError, problem.line, problem.text);
    const IniSection* bus = file.find("bus");
    const IniEntry* allow = bus == nullptr ? nullptr : bus->find("allow_subscribe");
    const IniEntry* host = bus == nullptr ? nullptr : bus->find("url_host");
    const bool allowed = allow != nullptr && is_true(allow->value);
    if (host != nullptr && !host->value.empty()) {
      url_host(*host, allowed);
    } else if (allowed) {
      add(TrytonSiteFile::kTrytondConf, Severity::kWarning, allow->line,
          "[bus] allow_subscribe: each client that reaches trytond's own bus blocks one of its threads for "
          "five "
          "minutes; behind nginx none does, and without it none can",
          "allow_subscribe = False");
    }
    if (const IniEntry* other = bus == nullptr ? nullptr : bus->find("class");
        other != nullptr && !other->value.empty())
      bus_class(*other);
  }

  void bus_class(const IniEntry& entry) {
    if (entry.value != kOutboxClass)
      return add(TrytonSiteFile::kTrytondConf, Severity::kWarning, entry.line,
                 fmt::format("[bus] class = {}: only what it sends by NOTIFY on the channel bus is heard",
                             entry.value));
    if (!facts_.bus.enabled || facts_.bus.broker != "postgresql")
      add(TrytonSiteFile::kTrytondConf, Severity::kError, entry.line,
          fmt::format(
              "[bus] class = {} writes an outbox, and nobody reads it: in headroom.toml [bus] broker is "
              "another, or [bus] is off",
              entry.value),
          "broker = \"postgresql\"\ndatabase = \"postgresql://node@127.0.0.1/DATABASE\"");
  }

  /// trytond looks at allow_subscribe before it redirects, and a browser leaves its Authorization header out
  /// of a request that is redirected to another origin.
  void url_host(const IniEntry& host, bool allowed) {
    const auto file = TrytonSiteFile::kTrytondConf;
    if (!allowed)
      add(file, Severity::kError, host.line,
          "[bus] url_host has no effect without allow_subscribe: trytond answers 501 before it redirects",
          "allow_subscribe = True");
    add(file, Severity::kWarning, host.line,
        "[bus] url_host serves the desktop client and can't serve SAO: browsers drop the Authorization "
        "header when "
        "they follow a redirect to another origin, so SAO gets 401 there; give it a location on its own "
        "address",
        kLocation);
  }

  void nginx(std::string_view text) {
    const std::vector<Directive> all = NginxReader(text).read();
    std::vector<const Directive*> servers;
    find_servers(all, servers);
    const auto serves = [](const Directive* server) { return find_location(*server) != nullptr; };
    const auto found = std::ranges::find_if(servers, serves);
    if (found == servers.end()) {
      return add(
          TrytonSiteFile::kNginxConf, Severity::kError, servers.empty() ? 0 : servers.front()->line,
          "no location for the bus: SAO polls /DATABASE/bus at its own address, and that goes to trytond",
          kLocation);
    }
    location(**found, *find_location(**found));
  }

  static void find_servers(const std::vector<Directive>& block, std::vector<const Directive*>& servers) {
    for (const Directive& directive : block) {
      if (directive.words.front() == "server" && !directive.block.empty() && directive.words.size() == 1)
        servers.push_back(&directive);
      if (directive.words.front() == "http") find_servers(directive.block, servers);
    }
  }

  /// The first that passes on what it is for, by what stands last before its brace.
  template <typename IsFor>
  [[nodiscard]] static const Directive* find_location(const Directive& server, IsFor is_for) {
    const auto found = std::ranges::find_if(server.block, [&](const Directive& one) {
      return one.words.front() == "location" && one.words.size() > 1 && is_for(one.words.back()) &&
             one.find("proxy_pass") != nullptr;
    });
    return found == server.block.end() ? nullptr : &*found;
  }

  /// The one whose expression names the polls of the bus.
  [[nodiscard]] static const Directive* find_location(const Directive& server) {
    return find_location(server, [](const std::string& path) {
      return path.find("/bus") != std::string::npos && path.find("/bus/") == std::string::npos;
    });
  }

  [[nodiscard]] static const Directive* find_below_bus(const Directive& server, std::string_view what) {
    return find_location(server, [what](const std::string& path) {
      return path == "/bus/" || path.find(what) != std::string::npos;
    });
  }

  /// Whether the tabs of a browser share one WebSocket.
  bool custom_script(const Directive& server) {
    const auto file = TrytonSiteFile::kNginxConf;
    const Directive* script = find_location(server, [](const auto& path) { return path == "/custom.js"; });
    if (script == nullptr) {
      if (facts_.bus.enabled)
        add(file, Severity::kWarning, server.line,
            "no location for custom.js: each tab of SAO polls, though all could share one connection",
            kScriptLocations);
      return false;
    }
    if (!facts_.bus.enabled) {
      add(file, Severity::kWarning, script->line,
          "custom.js comes from here only when [bus] is enabled in headroom.toml: until then each tab of SAO "
          "polls",
          "[bus]\nenabled = true");
      return false;
    }
    if (find_below_bus(server, "bus.worker") == nullptr && find_below_bus(server, "bus\\.worker") == nullptr)
      add(file, Severity::kError, script->line,
          "custom.js finds no script for its worker: there is no location for /bus/bus.worker-VERSION.js",
          kScriptLocations);
    const Directive* socket = find_below_bus(server, "/bus/ws");
    if (socket == nullptr) {
      add(file, Severity::kError, script->line,
          "custom.js finds no bus: there is no location for /bus/ws, so SAO hears nothing", kSocketLocation);
    } else {
      check_socket(server, *socket);
    }
    return true;
  }

  void check_socket(const Directive& server, const Directive& socket) {
    const auto file = TrytonSiteFile::kNginxConf;
    const Directive& headers = socket.find("proxy_set_header") != nullptr ? socket : server;
    const bool upgrades = std::ranges::any_of(headers.block, [](const Directive& one) {
      return one.words.size() == 3 && one.words[0] == "proxy_set_header" && one.words[1] == "Upgrade";
    });
    if (!upgrades)
      add(file, Severity::kError, socket.line,
          "the location of /bus/ws passes no Upgrade on: no WebSocket opens", kSocketLocation);
    check_host(headers, socket);
    const auto seconds = read_timeout(server, socket);
    if (seconds && *seconds <= kPing)
      add(file, Severity::kError, socket.line,
          fmt::format("proxy_read_timeout of {} s ends a WebSocket between two pings ({} s)", *seconds,
                      kPing),
          "proxy_read_timeout 90s;");
  }

  /// Nothing for a form that is not known here.
  [[nodiscard]] static std::optional<std::int64_t> read_timeout(const Directive& server,
                                                                const Directive& location) {
    const Directive* timeout = location.find("proxy_read_timeout");
    if (timeout == nullptr) timeout = server.find("proxy_read_timeout");
    if (timeout == nullptr || timeout->words.size() < 2) return kNginxTimeout;
    return nginx_seconds(timeout->words[1]);
  }

  void check_host(const Directive& headers, const Directive& location) {
    if (sets_host(headers)) return;
    add(TrytonSiteFile::kNginxConf, Severity::kError, location.line,
        "Host is not passed on with its port: the Origin that a browser sends fits no other, and is "
        "refused (403)",
        "proxy_set_header Host $http_host;");
  }

  void location(const Directive& server, const Directive& location) {
    const auto file = TrytonSiteFile::kNginxConf;
    const auto seconds = read_timeout(server, location);
    const std::int64_t wait = wait_seconds();
    if (seconds && *seconds <= wait) {
      const Directive* timeout = location.find("proxy_read_timeout");
      if (timeout == nullptr) timeout = server.find("proxy_read_timeout");
      add(file, Severity::kError, (timeout == nullptr ? location : *timeout).line,
          fmt::format("proxy_read_timeout of {} s ends a poll that waits {} s with 504", *seconds, wait),
          fmt::format("proxy_read_timeout {}s;", wait + 30));
    }
    check_host(location.find("proxy_set_header") != nullptr ? location : server, location);
    const bool is_shared = custom_script(server);
    const bool has_http2 = std::ranges::any_of(server.block, [](const Directive& one) {
      return (one.words.front() == "listen" && std::ranges::find(one.words, "http2") != one.words.end()) ||
             one.words == std::vector<std::string>{"http2", "on"};
    });
    if (!has_http2 && !is_shared)
      add(file, Severity::kWarning, server.line,
          "no HTTP/2: a browser opens about six connections to one address, each tab of SAO holds one, and "
          "the "
          "seventh hangs",
          "listen 443 ssl http2;");
  }

  [[nodiscard]] static bool sets_host(const Directive& block) {
    return std::ranges::any_of(block.block, [](const Directive& one) {
      return one.words.size() == 3 && one.words[0] == "proxy_set_header" && one.words[1] == "Host" &&
             (one.words[2] == "$http_host" || one.words[2] == "$host:$server_port");
    });
  }

  [[nodiscard]] std::int64_t wait_seconds() const {
    const auto site = tryton_site(facts_.section);
    if (!site) return 300;
    return std::chrono::duration_cast<std::chrono::seconds>(site->limits.wait).count();
  }

  void database(std::string_view wal_level) {
    if (wal_level == "logical") return;
    add(TrytonSiteFile::kDatabase, Severity::kWarning, 0,
        fmt::format(
            "wal_level is {}: trytond's own notifications need no more, but what is committed while the "
            "connection is away is lost to them; a history of every commit without a table needs logical",
            wal_level),
        "wal_level = logical");
  }

  const TrytonSiteFacts& facts_;
  std::vector<TrytonSiteFinding> findings_;
};

}  // namespace

std::vector<TrytonSiteFinding> check_tryton_site(const TrytonSiteFacts& facts) {
  return Check(facts).run();
}

}  // namespace headroom::cli
