#include "headroom/tryton_bus_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace headroom::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TrytonSiteFacts site() {
  TrytonSiteFacts facts;
  facts.section.uri = "postgresql://localhost/";
  facts.section.databases = {"*"};
  facts.bus.enabled = true;
  return facts;
}

/// "severity line text" of each finding.
std::vector<std::string> found(const TrytonSiteFacts& facts) {
  std::vector<std::string> texts;
  for (const auto& [file, finding] : check_tryton_site(facts)) {
    texts.push_back((finding.severity == Severity::kError ? "error " : "warning ") +
                    std::to_string(finding.line) + ' ' + finding.text);
  }
  return texts;
}

std::string example() {
  std::ostringstream text;
  text << std::ifstream("../../examples/nginx/tryton.conf").rdbuf();
  return text.str();
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

TEST(TrytonBusCheck, FindsNothingInTheExample) {
  TrytonSiteFacts facts = site();
  facts.nginx_conf = example();
  facts.trytond_conf = "[database]\nuri = postgresql://localhost/\n";
  facts.wal_level = "logical";
  EXPECT_THAT(found(facts), IsEmpty());
}

TEST(TrytonBusCheck, SaysThatUrlHostCanNotServeSaoAndWhy) {
  TrytonSiteFacts facts = site();
  facts.trytond_conf = "[bus]\nallow_subscribe = True\nurl_host = http://bus.example/\n";
  EXPECT_THAT(found(facts),
              ElementsAre(HasSubstr("warning 3 [bus] url_host serves the desktop client and can't")));
  EXPECT_THAT(check_tryton_site(facts).at(0).finding.remedy, HasSubstr("location ~ ^/[^/]+/bus$"));
  facts.trytond_conf = "[bus]\nurl_host = http://bus.example/\n";
  EXPECT_THAT(found(facts),
              ElementsAre(HasSubstr("error 2 [bus] url_host has no effect"), HasSubstr("can't serve SAO")));
}

TEST(TrytonBusCheck, SaysWhatTrytondsOwnBusCosts) {
  TrytonSiteFacts facts = site();
  facts.trytond_conf = "[bus]\nallow_subscribe = yes\nclass = my.Bus\n";
  EXPECT_THAT(found(facts),
              ElementsAre(HasSubstr("warning 2 [bus] allow_subscribe"), HasSubstr("warning 3 [bus] class")));
}

TEST(TrytonBusCheck, FindsWhatIsMissingInNginx) {
  TrytonSiteFacts facts = site();
  facts.nginx_conf = replaced(example(), "~ ^/[^/]+/bus$", "/elsewhere");
  EXPECT_THAT(found(facts), ElementsAre(HasSubstr("no location for the bus")));
  facts.nginx_conf = replaced(example(), "proxy_read_timeout 330s", "proxy_read_timeout 5m");
  EXPECT_THAT(found(facts), ElementsAre(HasSubstr("of 300 s ends a poll that waits 300 s")));
  facts.nginx_conf = replaced(example(), "proxy_read_timeout 330s;", "");
  EXPECT_THAT(found(facts), ElementsAre(HasSubstr("of 60 s")));
  facts.nginx_conf = replaced(example(), "$http_host", "$host");
  EXPECT_THAT(found(facts), ElementsAre(HasSubstr("Host is not passed on")));
}

TEST(TrytonBusCheck, FindsWhatKeepsCustomJsFromTheBus) {
  TrytonSiteFacts facts = site();
  facts.nginx_conf = replaced(example(), "ssl http2", "ssl");
  EXPECT_THAT(found(facts), IsEmpty()) << "one connection of a browser needs no HTTP/2";
  facts.bus.enabled = false;
  EXPECT_THAT(found(facts), ElementsAre(HasSubstr("only when [bus] is enabled"), HasSubstr("no HTTP/2")));
  facts.bus.enabled = true;
  facts.nginx_conf = replaced(example(), "= /custom.js", "= /other.js");
  EXPECT_THAT(found(facts), ElementsAre(HasSubstr("no location for custom.js")));
  facts.nginx_conf = replaced(example(), "^/bus/bus\\.worker", "^/elsewhere");
  EXPECT_THAT(found(facts), ElementsAre(HasSubstr("no script for its worker")));
  facts.nginx_conf = replaced(example(), "= /bus/ws", "= /elsewhere");
  EXPECT_THAT(found(facts), ElementsAre(HasSubstr("no location for /bus/ws")));
  facts.nginx_conf = replaced(example(), "proxy_set_header Upgrade", "proxy_set_header Else");
  EXPECT_THAT(found(facts), ElementsAre(HasSubstr("passes no Upgrade on")));
  facts.nginx_conf = replaced(example(), "proxy_read_timeout 90s", "proxy_read_timeout 20s");
  EXPECT_THAT(found(facts), ElementsAre(HasSubstr("of 20 s ends a WebSocket")));
}

TEST(TrytonBusCheck, SaysThatAnOutboxNeedsItsBroker) {
  TrytonSiteFacts facts = site();
  facts.trytond_conf = "[bus]\nclass = headroom.trytond.Bus\n";
  EXPECT_THAT(found(facts),
              ElementsAre(HasSubstr("error 2 [bus] class = headroom.trytond.Bus writes an outbox")));
  facts.bus.broker = "postgresql";
  EXPECT_THAT(found(facts), IsEmpty());
}

TEST(TrytonBusCheck, ReadsAnyTextAsNginxs) {
  TrytonSiteFacts facts = site();
  for (const std::string& text : {std::string(), std::string("}}}{{{;;\"'#"), std::string(10'000, '{'),
                                  std::string("server { location \"/bus"), std::string("a #\n{")}) {
    facts.nginx_conf = text;
    EXPECT_THAT(found(facts), ElementsAre(HasSubstr("no location for the bus"))) << text.substr(0, 20);
  }
}

TEST(TrytonBusCheck, SaysOfThisServiceWhatKeepsClientsAway) {
  TrytonSiteFacts facts;
  EXPECT_THAT(found(facts), ElementsAre(HasSubstr("names no database")));
  facts = site();
  facts.section.allow_subscribe = false;
  facts.section.url_host = "http://bus.example/";
  EXPECT_THAT(found(facts),
              ElementsAre(HasSubstr("allow_subscribe = false"), HasSubstr("SAO can't go there")));
  facts = site();
  facts.section.uri = "sqlite://";
  EXPECT_THAT(found(facts), ElementsAre(HasSubstr("expected postgresql://")));
  facts = site();
  facts.wal_level = "replica";
  EXPECT_THAT(found(facts), ElementsAre(HasSubstr("wal_level is replica")));
}

}  // namespace
}  // namespace headroom::cli
