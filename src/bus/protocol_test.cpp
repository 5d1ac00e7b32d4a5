// The dialogues of docs/protocols/bus.md, replayed against the hub: what stands there is what is sent.

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "bus/hub_world.hpp"

namespace headroom::bus {
namespace {

struct Line {
  int number = 0;
  std::string text;
};
using Dialogue = std::vector<Line>;

std::vector<Dialogue> read_dialogues() {
  std::ifstream page("../../docs/protocols/bus.md");
  std::vector<Dialogue> dialogues;
  bool inside = false;
  int number = 0;
  for (std::string line; std::getline(page, line);) {
    ++number;
    if (line == "```dialogue") {
      dialogues.emplace_back();
      inside = true;
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      dialogues.back().push_back({number, line});
    }
  }
  return dialogues;
}

std::chrono::milliseconds parse_span(const std::string& text) {
  std::smatch found;
  if (!std::regex_match(text, found, std::regex("([0-9]+)(s|min)"))) return {};
  const std::chrono::seconds unit{found[2] == "min" ? 60 : 1};
  return std::stoi(found[1]) * unit;
}

class Replay {
 public:
  void line(const std::string& text) {
    const std::string rest = filled(text.size() > 3 ? text.substr(3) : "");
    if (text.starts_with("! ")) {
      act(filled(text.substr(2)));
    } else if (text[1] == '>') {
      world_.say(peer(text[0]), rest);
    } else if (text[1] == '<') {
      EXPECT_EQ(peer(text[0]).next(), rest);
    } else if (text[1] == '-') {
      expect_closed(peer(text[0]), rest);
    } else {
      ADD_FAILURE() << "unknown notation";
    }
  }
  void expect_nothing_more() {
    for (auto& [name, peer] : peers_) EXPECT_EQ(peer->next(), "") << "client " << name;
  }

 private:
  TestPeer& peer(char name) {
    auto& place = peers_[name];
    if (!place) place = world_.open();
    return *place;
  }
  /// $epoch is the broker's, any other $name a token of that user.
  std::string filled(std::string text) {
    static const std::regex kName("\\$([a-z]+)");
    for (std::smatch found; std::regex_search(text, found, kName);) {
      const std::string name = found[1];
      const auto at = static_cast<std::size_t>(found.position());
      text.replace(at, name.size() + 1, name == "epoch" ? "epoch" : world_.token(name));
    }
    return text;
  }
  void act(const std::string& text) {
    std::istringstream words(text);
    std::string verb;
    std::string object;
    words >> verb >> object >> std::ws;
    if (verb == "publish") {
      std::string data;
      std::getline(words, data);
      EXPECT_TRUE(world_.publish(object, data));
    } else if (verb == "wait") {
      ASSERT_GT(parse_span(object).count(), 0) << object;
      world_.pass(parse_span(object));
    } else if (verb == "drop") {
      world_.leave(peer(object[0]));
    } else {
      ADD_FAILURE() << "unknown act " << verb;
    }
  }
  static void expect_closed(const TestPeer& peer, const std::string& expected) {
    ASSERT_TRUE(peer.closed) << "still open";
    EXPECT_EQ(std::to_string(static_cast<int>(peer.closed->code)) + " " + reason(*peer.closed), expected);
  }

  HubWorld world_;
  std::map<char, std::unique_ptr<TestPeer>> peers_;
};

TEST(BusProtocol, IsSpokenAsThePageTells) {
  const auto dialogues = read_dialogues();
  ASSERT_GE(dialogues.size(), 6U);
  for (const Dialogue& dialogue : dialogues) {
    Replay replay;
    for (const Line& line : dialogue) {
      SCOPED_TRACE("docs/protocols/bus.md:" + std::to_string(line.number) + " " + line.text);
      replay.line(line.text);
    }
    SCOPED_TRACE("after line " + std::to_string(dialogue.back().number));
    replay.expect_nothing_more();
  }
}

}  // namespace
}  // namespace headroom::bus
