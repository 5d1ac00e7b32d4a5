#pragma once

// A subscriber that comes back by itself, as the browser's package does: when and as often as the server
// says, from the position that it has reached.

#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "dialect.hpp"
#include "link.hpp"
#include "wire/websocket.hpp"

namespace bench {

/// What all clients have seen together.
struct Returns {
  std::uint64_t connected = 0;  ///< subscriptions that were answered
  std::uint64_t recovered = 0;
  std::uint64_t lost = 0;     ///< told so
  std::uint64_t refused = 0;  ///< no connection, or sent away before it was subscribed
  std::uint64_t missed = 0;   ///< messages that never came
  std::uint64_t twice = 0;    ///< messages that came again
};

class ReturningClient {
 public:
  ReturningClient(const Dialect& dialect, std::uint16_t port, std::size_t number, Returns& returns)
      : dialect_(dialect), port_(port), number_(number), random_(number + 1), returns_(returns) {}

  /// Begins to connect; false when it was refused at once.
  [[nodiscard]] bool begin();
  /// Its descriptor can be read or written.
  void ready(bool readable, std::int64_t now_ns);
  [[nodiscard]] int descriptor() const { return link_.descriptor(); }
  [[nodiscard]] bool connecting() const { return stage_ == Stage::kConnecting; }
  [[nodiscard]] bool there() const { return stage_ == Stage::kThere; }
  /// When it comes back; only while it is away.
  [[nodiscard]] std::optional<std::int64_t> due_ns() const;
  /// The number of the newest message, and when the subscription was answered last.
  [[nodiscard]] std::uint64_t last() const { return last_; }
  [[nodiscard]] std::int64_t there_ns() const { return there_ns_; }
  /// It is away from now on, for as long as its tries say.
  void stay_away(std::int64_t now_ns);

 private:
  enum class Stage : std::uint8_t { kAway, kConnecting, kUpgrading, kSubscribing, kThere };

  void read(std::string_view bytes, std::int64_t now_ns);
  std::string_view read_upgrade(std::string_view bytes, std::int64_t now_ns);
  void take(const headroom::wire::Event& event, std::int64_t now_ns);
  void take_text(std::string_view text, std::int64_t now_ns);
  void take_answer(std::string_view text, std::int64_t now_ns);
  void take_message(std::string_view text);
  void leave(std::int64_t wait_ns, std::int64_t now_ns);
  void send(headroom::wire::Opcode opcode, std::string_view payload);
  [[nodiscard]] std::string subscription() const;
  /// What a close frame asks for, or what is usual.
  std::int64_t wait_after(const headroom::wire::Event& event);
  std::int64_t growing();

  const Dialect& dialect_;
  std::uint16_t port_;
  std::size_t number_;
  std::minstd_rand random_;
  Returns& returns_;
  Link link_;
  headroom::wire::FrameReader reader_{headroom::wire::Sender::kServer, 1024 * 1024};
  std::string head_;
  std::string epoch_;
  std::uint64_t offset_ = 0;
  std::uint64_t last_ = 0;
  std::int64_t due_ns_ = 0;
  std::int64_t there_ns_ = 0;
  unsigned tries_ = 0;
  Stage stage_ = Stage::kAway;
};

}  // namespace bench
