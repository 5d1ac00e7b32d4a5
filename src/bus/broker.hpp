#pragma once

// Where messages get their offset, are kept, and reach every node. One interface, several implementations
// (memory, PostgreSQL, Redis), one conformance suite: broker_conformance.hpp.
//
// The contract is written so that losing is always told. A position is (offset, epoch); an implementation
// that can't prove that a stream goes on from a position begins a new epoch, and then every answer to the old
// one is `lost`. The hub does the rest: it sees gaps, asks for what is missing, and tells its clients.

#include <string>
#include <string_view>

#include "bus/message.hpp"

namespace headroom::bus {

enum class BrokerState : std::uint8_t {
  kAvailable,
  /// Nothing can be published or read; what was subscribed is caught up by the broker itself afterwards.
  kLost,
};

/// Whom a broker tells. Called on the broker's thread only, never within a call of its destructor.
class BrokerListener {
 public:
  virtual ~BrokerListener() = default;

  /// The next message of a subscribed channel. Guarantees of the caller: offsets of one channel and epoch
  /// only grow; a gap is allowed (the listener asks `history`), a message that comes again too.
  virtual void message(std::string_view channel, std::string_view epoch, const Message& message,
                       const Now& now) = 0;
  /// A subscribed channel stands at this position in a new epoch: what was before it is not continued.
  virtual void moved(std::string_view channel, const Position& position, const Now& now) = 0;
  /// kAvailable after kLost: the listener compares the positions of all its channels (`history`).
  virtual void state(BrokerState state, const Now& now) = 0;
};

/// Threads: one, that of the hub; an implementation that waits on another thread posts its answers there.
/// Every `Done` is called exactly once, within the implementation's own deadline (timed_out), also when the
/// connection is lost (unavailable); after the destructor none is called.
class Broker {
 public:
  virtual ~Broker() = default;

  /// Once, before anything else. The listener outlives the broker.
  virtual void start(BrokerListener& listener, const Now& now) = 0;

  /// Answers after the message is as durable as this broker makes it. Repeats of an id on a channel within
  /// kRepeatWindow answer the first position.
  /// Errors: unavailable, timed_out (may have been kept: repeat with the id), overloaded, too_large.
  virtual void publish(Publication publication, const Now& now, Done<Published> done) = 0;

  /// From now on the listener gets this channel's messages. Answers the position after which they come: all
  /// messages beyond it are told, before or after the answer. Subscribing twice is allowed.
  virtual void subscribe(std::string_view channel, const Now& now, Done<Position> done) = 0;
  virtual void unsubscribe(std::string_view channel, const Now& now) = 0;

  /// Messages of any channel. Guarantees: with `since`, either consecutive from since.offset + 1, or `lost`.
  /// A `since` beyond the newest offset of its epoch is `lost`.
  virtual void history(std::string_view channel, const HistoryQuery& query, const Now& now,
                       Done<HistoryPage> done) = 0;

  /// Does what is due. Called a few times a second.
  virtual void tick(const Now& now) = 0;
};

constexpr std::int64_t kRepeatWindowNs = 300'000'000'000;

}  // namespace headroom::bus
