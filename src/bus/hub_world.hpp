#pragma once

// A hub over the memory broker with clients that are a test's own: time passes when the test says so.

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bus/hub.hpp"
#include "bus/memory_broker.hpp"
#include "bus/token.hpp"

namespace headroom::bus {

/// One client: what it was sent, in order, and how it was closed.
class TestPeer final : public Peer {
 public:
  void send(const wire::Frame& frame) override {
    if (stuck) queued_ += frame->size();
    sent.emplace_back(wire::payload_of(frame));
  }
  [[nodiscard]] std::size_t queued_bytes() const override { return queued_; }
  void close(const Disconnect& disconnect) override { closed = disconnect; }
  /// The next object; empty when nothing came.
  std::string next() {
    if (sent.empty()) return "";
    std::string text = std::move(sent.front());
    sent.pop_front();
    return text;
  }

  std::deque<std::string> sent;
  std::optional<Disconnect> closed;
  bool stuck = false;  ///< it takes nothing: what is sent stays queued
  SessionId session;

 private:
  std::size_t queued_ = 0;
};

/// Everything that a hub needs. Channels "room:" may be read and written by every user.
class HubWorld {
 public:
  static constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";

  static constexpr Now kBegin{1'000'000'000'000, 1'800'000'000};

  explicit HubWorld(const HubLimits& limits = {}, std::vector<ChannelRule> rules = {room_rule()},
                    const Now& begin = kBegin, const PresenceLimits& presence = {})
      : begin_(begin),
        now_(begin),
        rules_(ChannelRules::make(std::move(rules)).value()),
        broker_(rules_, "epoch"),
        authority_({key()}),
        hub_(limits, rules_, broker_, authority_, {key()}, presence) {
    broker_.start(hub_, now_);
    hub_.tick(now_);
  }

  static ChannelRule room_rule() {
    ChannelRule rule;
    rule.prefix = "room:";
    rule.subscribe = Who::kUsers;
    rule.publish = Who::kUsers;
    rule.joins = true;
    return rule;
  }
  static SigningKey key() { return SigningKey::from_text(kSecret).value(); }

  /// A token of that user that lives for an hour from now, and with which all users are seen.
  [[nodiscard]] std::string token(std::string_view user) const {
    Grant grant;
    grant.user = user;
    grant.session = "of " + grant.user;
    grant.presence = {"*"};
    grant.issued_unix_s = now_.unix_s;
    grant.expires_unix_s = now_.unix_s + 3600;
    return write_token(grant, key());
  }

  std::unique_ptr<TestPeer> open(std::string_view address = "192.0.2.1") {
    auto peer = std::make_unique<TestPeer>();
    const Hub::Opened opened = hub_.open(*peer, address, now_);
    peer->session = opened.session;
    if (opened.refused) peer->closed = opened.refused;
    return peer;
  }
  /// One that has connected; the answer is taken.
  std::unique_ptr<TestPeer> connect(std::string_view user) {
    auto peer = open();
    say(*peer, R"({"id":1,"connect":{"token":")" + token(user) + "\"}}");
    peer->sent.clear();
    return peer;
  }
  void say(const TestPeer& peer, std::string_view text) { hub_.received(peer.session, text, now_); }
  std::string ask(TestPeer& peer, std::string_view text) {
    say(peer, text);
    return peer.next();
  }
  void leave(const TestPeer& peer) { hub_.closed(peer.session, now_); }

  Result<Published> publish(std::string_view channel, std::string_view data, std::string_view id = "") {
    std::optional<Result<Published>> answer;
    hub_.publish({std::string(channel), std::string(data), std::string(id)}, now_,
                 [&answer](Result<Published> published) { answer = std::move(published); });
    if (!answer) return base::fail(ErrorCode::kInternal, "the memory broker answers at once");
    return std::move(*answer);
  }

  /// Lets time pass, in steps as a server's timer does.
  void pass(std::chrono::milliseconds span) {
    constexpr std::chrono::milliseconds kStep{100};
    for (std::chrono::milliseconds passed{0}; passed < span; passed += kStep) {
      elapsed_ += kStep;
      now_.monotonic_ns = begin_.monotonic_ns + std::chrono::nanoseconds(elapsed_).count();
      now_.unix_s = begin_.unix_s + std::chrono::duration_cast<std::chrono::seconds>(elapsed_).count();
      broker_.tick(now_);
      hub_.tick(now_);
    }
  }

  [[nodiscard]] Hub& hub() { return hub_; }
  [[nodiscard]] MemoryBroker& broker() { return broker_; }
  [[nodiscard]] const Now& now() const { return now_; }

 private:
  std::chrono::milliseconds elapsed_{0};
  Now begin_;
  Now now_;
  ChannelRules rules_;
  MemoryBroker broker_;
  TokenAuthority authority_;
  Hub hub_;
};

}  // namespace headroom::bus
