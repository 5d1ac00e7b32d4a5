#include "headroom/tryton_channels.hpp"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "bus/tryton_payload.hpp"

namespace headroom::cli {

using base::Error;
using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

/// Stands between a name and its database, and in no database's name here: the last one divides them.
constexpr char kAt = '@';

TrytonDoor::Time time_of(const bus::Now& now) {
  return TrytonDoor::Time(std::chrono::nanoseconds(now.monotonic_ns));
}

std::string name_in(std::string_view name, std::string_view database) {
  return fmt::format("{}{}{}", name, kAt, database);
}

/// What a token says.
struct Claim {
  std::string database;
  bus::TrytonSession session;
};

std::optional<Claim> read_claim(std::string_view token) {
  const std::size_t first = token.find(' ');
  const std::size_t last = token.rfind(' ');
  if (first == std::string_view::npos || first == last) return std::nullopt;
  auto session =
      bus::parse_tryton_authorization(fmt::format("{}{}", TrytonChannels::kScheme, token.substr(last)));
  const std::string_view database = token.substr(first + 1, last - first - 1);
  if (!session || database.empty() || database.find(kAt) != std::string_view::npos) return std::nullopt;
  return Claim{std::string(database), std::move(*session)};
}

bool comes_again(const Error& error) {
  const auto code = error.code();
  return code == ErrorCode::kUnavailable || code == ErrorCode::kTimedOut || code == ErrorCode::kOverloaded;
}

}  // namespace

/// Of one connection: its session is looked up as long as this lives.
class TrytonChannels::SessionRights final : public bus::Rights {
 public:
  SessionRights(const std::shared_ptr<TrytonChannels*>& owner, std::string database,
                bus::TrytonSession session)
      : owner_(owner), database_(std::move(database)), session_(std::move(session)) {}
  ~SessionRights() override {
    if (const auto owner = owner_.lock()) (*owner)->door_.release(database_, session_);
  }
  SessionRights(const SessionRights&) = delete;
  SessionRights& operator=(const SessionRights&) = delete;

  bool may_read(std::string_view channel, const bus::Now& now) override {
    const auto owner = owner_.lock();
    const std::size_t at = channel.rfind(kAt);
    if (owner == nullptr || at == std::string_view::npos || channel.substr(at + 1) != database_) return false;
    return (*owner)->door_.may_hold(time_of(now), database_, session_, std::string(channel.substr(0, at)));
  }
  bool may_see(std::string_view user) override {
    const std::size_t at = user.rfind(kAt);
    return at != std::string_view::npos && user.substr(at + 1) == database_;
  }

 private:
  std::weak_ptr<TrytonChannels*> owner_;
  std::string database_;
  bus::TrytonSession session_;
};

TrytonChannels::TrytonChannels(TrytonDoor& door, bus::Hub& hub, Clock clock)
    : door_(door), hub_(hub), clock_(std::move(clock)), self_(std::make_shared<TrytonChannels*>(this)) {}

TrytonChannels::~TrytonChannels() = default;

// Tokens
// ---------------------------------------------------------------------------------------------------------

void TrytonChannels::authenticate(std::string_view token, const bus::Now& now, bus::Done<bus::Grant> done) {
  auto claim = read_claim(token);
  if (!claim)
    return done(fail(ErrorCode::kDenied, "the token is no session of Tryton: Session DATABASE AUTH"));
  auto answered = [this, claim = *claim, done = std::move(done)](const net::Response& response) {
    done(grant(claim.database, claim.session, response.status));
  };
  door_.verify(time_of(now), claim->database, claim->session, std::move(answered));
}

Result<bus::Grant> TrytonChannels::grant(const std::string& database, const bus::TrytonSession& session,
                                         int status) {
  if (status == 401) return fail(ErrorCode::kTimedOut, "the session does not hold");
  if (status != 204 && status != 503)
    return fail(ErrorCode::kDenied, "there is no bus of this database for clients");
  if (status == 503 || !door_.hold(database, session))
    return fail(ErrorCode::kUnavailable, "the session could not be looked up");
  bus::Grant made;
  made.rights = std::make_shared<SessionRights>(self_, database, session);
  made.user = name_in(std::to_string(session.user), database);
  made.session = name_in(session.digest, database);
  // Whoever is disconnected may come back by a session that trytond still holds.
  made.issued_unix_s = clock_().unix_s;
  return made;
}

void TrytonChannels::ended(const std::string& database, const bus::TrytonSession& session) {
  hub_.end_session(name_in(session.digest, database), clock_());
}

// Messages
// ---------------------------------------------------------------------------------------------------------

void TrytonChannels::heard(const std::string& database, const bus::TrytonMessage& message) {
  Database& one = databases_[database];
  Waiting waiting;
  waiting.publication.channel = name_in(message.channel, database);
  waiting.publication.data = message.message();
  // Every node that listens publishes it; the bus keeps one of an id.
  if (message.id.size() <= bus::kMostPublicationIdBytes) waiting.publication.id = message.id;
  waiting.heard_ns = clock_().monotonic_ns;
  if (database.find(kAt) != std::string::npos || !bus::check_channel(waiting.publication.channel)) {
    ++one.dropped;
    return;
  }
  wait(one, std::move(waiting));
}

void TrytonChannels::wait(Database& database, Waiting message) {
  database.waiting.push_back(std::move(message));
  if (database.waiting.size() <= kMostWaiting) return;
  database.waiting.pop_front();
  ++database.dropped;
}

void TrytonChannels::tell(const std::string& database) {
  const auto found = databases_.find(database);
  if (found == databases_.end() || found->second.waiting.empty()) return;
  const bus::Now now = clock_();
  if (now.monotonic_ns < found->second.not_before_ns) return;
  for (Waiting& message : std::exchange(found->second.waiting, {}))
    publish(found->first, found->second, std::move(message), now);
}

void TrytonChannels::publish(const std::string& name, Database& database, Waiting message,
                             const bus::Now& now) {
  bus::Publication publication = message.publication;
  auto kept = [self = std::weak_ptr(self_), name,
               message = std::move(message)](const Result<bus::Published>& published) {
    const auto owner = self.lock();
    if (owner != nullptr && !published)
      (*owner)->not_kept((*owner)->databases_[name], message, published.error());
  };
  ++database.told;
  hub_.publish(std::move(publication), now, std::move(kept));
}

void TrytonChannels::not_kept(Database& database, Waiting message, const Error& error) {
  --database.told;
  const std::int64_t now_ns = clock_().monotonic_ns;
  if (!comes_again(error) || now_ns - message.heard_ns > kRepeatFor.count()) {
    ++database.dropped;
    return;
  }
  database.not_before_ns = now_ns + kRepeatAfter.count();
  wait(database, std::move(message));
}

void TrytonChannels::count(std::vector<TrytonFigures>& figures) const {
  for (TrytonFigures& one : figures) {
    const auto found = databases_.find(one.database);
    if (found == databases_.end()) continue;
    one.told = found->second.told;
    one.told_dropped = found->second.dropped;
  }
}

}  // namespace headroom::cli
