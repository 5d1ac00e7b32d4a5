#pragma once

// The door of Tryton's bus: POST /<database>/bus as trytond 6.0 answers it. It translates requests into polls
// and their outcomes into answers; who waits and who gets what is decided by bus::TrytonPolls.
//
// The order of the refusals is trytond's: 401, 501, 308, 400. What it does not know here is answered
// otherwise: Basic credentials are refused (trytond checks the password and then answers 400), and a broken
// body gets 400 where trytond may answer 500.
//
// Source: trytond 6.0, trytond/bus.py, wsgi.py and protocols/.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "bus/tryton_polls.hpp"
#include "headroom/tryton_section.hpp"
#include "net/http.hpp"
#include "sql/rows.hpp"

namespace headroom::cli {

/// Where notifications come from and sessions are looked up; what it finds comes back to the door later.
class TrytonSource {
 public:
  virtual ~TrytonSource() = default;
  /// Begins to listen.
  virtual void open(const TrytonDatabase& database) = 0;
  virtual void close(const std::string& database) = 0;
  /// One question at a time for each database.
  virtual void ask(const std::string& database, std::string statement,
                   std::vector<std::string> parameters) = 0;
  /// Asks the server of that URI which databases it has.
  virtual void list(const std::string& uri) = 0;
};

/// Whoever serves clients of another protocol by Tryton's sessions. It may call the door from within.
class TrytonAssociate {
 public:
  virtual ~TrytonAssociate() = default;
  /// A message of the database, in their order; it is not for clients before `tell`.
  virtual void heard(const std::string& database, const bus::TrytonMessage& message) = 0;
  /// A session that was held has ended.
  virtual void ended(const std::string& database, const bus::TrytonSession& session) = 0;
  /// Every session that is held is known to hold: what was heard may be told. Called again and again.
  virtual void tell(const std::string& database) = 0;
};

/// What goes on in one database.
struct TrytonFigures {
  std::string database;
  bool listening = false;
  std::uint64_t losses = 0;     ///< connections that broke
  std::uint64_t malformed = 0;  ///< notifications that are no message
  std::size_t waiting = 0;
  std::size_t kept = 0;
  std::size_t kept_bytes = 0;
  std::uint64_t pushed_out = 0;
  std::size_t held = 0;            ///< sessions by which connections of another protocol live
  std::uint64_t told = 0;          ///< messages given to those
  std::uint64_t told_dropped = 0;  ///< messages that could not be
  bus::TrytonPollCounts counts;
};

/// Guarantees: every request is answered exactly once unless its client has gone. Databases that are named
/// are listened to from `start`; those that a glob matches from their first poll, until nobody polled them
/// for half an hour, so that they can be dropped. Threads: none. Lifetime: `source` outlives it.
class TrytonDoor {
 public:
  using Time = bus::TrytonPolls::Time;
  using Reply = std::function<void(net::Response)>;
  /// Of a request that waits; 0 of one that was answered at once.
  using Ticket = std::uint64_t;

  static constexpr std::chrono::seconds kListEvery{2};
  static constexpr std::chrono::minutes kIdle{30};
  static constexpr std::size_t kMostUnknown = 1'000;

  /// `report` hears of each database whether it listens: an empty problem is good news.
  using Report = std::function<void(const std::string& database, const std::string& problem)>;

  TrytonDoor(TrytonSite site, TrytonSource& source, Report report);

  /// Before `start`; outlives the door.
  void join(TrytonAssociate& associate) { associate_ = &associate; }
  void start(Time now);
  /// Answers those that wait with 503; the door takes no more.
  void stop();

  [[nodiscard]] Ticket handle(Time now, const net::Request& request, Reply reply);
  /// The client has gone.
  void gone(Ticket ticket);

  /// Asks whether a session holds: 204, or the status that its poll would get.
  void verify(Time now, const std::string& database, const bus::TrytonSession& session, Reply reply);
  /// Those of bus::TrytonPolls, of that database.
  [[nodiscard]] bool hold(const std::string& database, const bus::TrytonSession& session);
  void release(const std::string& database, const bus::TrytonSession& session);
  [[nodiscard]] bool may_hold(Time now, const std::string& database, const bus::TrytonSession& session,
                              const std::string& channel);

  void notified(Time now, const std::string& database, const std::vector<std::string>& payloads);
  void answered(Time now, const std::string& database, const base::Result<sql::PostgresRows>& answer);
  void changed(const std::string& database, const std::string& problem, std::uint64_t losses);
  void listed(Time now, const base::Result<std::vector<std::string>>& names);
  void ticked(Time now);

  [[nodiscard]] std::vector<TrytonFigures> figures() const;

 private:
  /// A request whose answer is due later, as far as the answer needs it.
  struct Waiting {
    Ticket ticket = 0;
    Reply reply;
    std::string origin;
    bool by_script = false;                 ///< X-Requested-With: a browser must not ask for a password
    std::optional<net::Response> prepared;  ///< once the session holds, whatever there is to read
  };
  struct Database {
    Database(const bus::TrytonPollLimits& limits, bool is_named) : polls(limits), named(is_named) {}

    bus::TrytonPolls polls;
    bool named;
    bool listening = false;
    bool failing = false;  ///< sessions can't be looked up
    Time used;
    std::map<bus::TrytonPollId, Waiting> waiting;
    std::uint64_t losses = 0;
    std::uint64_t malformed = 0;
  };
  struct Unknown {
    std::string database;
    bus::TrytonSession session;
    bus::TrytonPoll poll;
    Waiting waiting;
  };

  [[nodiscard]] std::optional<net::Response> prepare(const net::Request& request,
                                                     bus::TrytonPoll& poll) const;
  [[nodiscard]] Ticket begin(Time now, Unknown request);
  void enter(Time now, Unknown request);
  void find_out(Time now, Unknown request);
  Database* open(Time now, const TrytonDatabase& database, bool is_named);
  void poll(Time now, const std::string& name, Database& database, Unknown request);
  void pump(Time now, const std::string& name, Database& database);
  void answer(Database& database, const bus::TrytonAnswer& answer);
  void inform(Time now, const std::string& name, Database& database);
  void drop(const std::string& name);
  static void respond(const Waiting& waiting, net::Response response);

  TrytonSite site_;
  TrytonSource& source_;
  Report report_;
  TrytonAssociate* associate_ = nullptr;
  bool stopped_ = false;
  Ticket last_ticket_ = 0;
  std::map<std::string, std::unique_ptr<Database>> databases_;
  std::map<Ticket, std::pair<std::string, bus::TrytonPollId>> tickets_;
  // Names that a glob matches.
  std::set<std::string> existing_;
  std::optional<Time> listed_at_;
  bool listing_ = false;
  std::vector<Unknown> unknown_;
};

}  // namespace headroom::cli
