#include "headroom/worklist_events.hpp"

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "headroom/worklist_changes.hpp"
#include "net/held.hpp"

namespace headroom::cli {

using base::ErrorCode;
using base::Result;
using nlohmann::json;
using worklist::LiveCounts;

namespace {

using Time = std::chrono::steady_clock::time_point;

/// More than that waits for the client already: it is told the rest when that is gone.
constexpr std::size_t kMostQueued = 64 * 1024;
constexpr std::chrono::milliseconds kLookAgainAfter{100};
/// Whether the token or session still holds.
constexpr std::chrono::seconds kProveEvery{5};

wire::Frame event_of(std::string_view name, const json& data) {
  return std::make_shared<const std::string>(fmt::format(
      "event: {}\ndata: {}\n\n", name, data.dump(-1, ' ', false, json::error_handler_t::replace)));
}

/// One client. Threads: the I/O thread.
class Stream final : public std::enable_shared_from_this<Stream> {
 public:
  Stream(const WorklistDoors& doors, const WorklistSide& side, std::shared_ptr<WorklistExchange> exchange)
      : doors_(doors), side_(side), exchange_(std::move(exchange)) {}

  void begin() {
    worklist::LiveService* live = doors_.service.live();
    const auto held = exchange_->held.lock();
    if (live == nullptr || held == nullptr || is_over_) return refuse(held);
    net::Response head = net::make_response(200, "text/event-stream; charset=utf-8", {});
    head.headers.add("X-Accel-Buffering", "no");
    head.headers.add("Cache-Control", "no-store");
    held->begin(std::move(head));
    proved_at_ = rights_at_ = std::chrono::steady_clock::now();
    watcher_ = live->watch(exchange_->user, [weak = weak_from_this(), mailbox = mailbox_,
                                             &service = doors_.service](Result<LiveCounts> news) {
      if (!mailbox->put(std::move(news))) return;
      service.post([weak] {
        if (const auto stream = weak.lock()) stream->deliver();
      });
    });
  }

  void end() {
    if (std::exchange(is_over_, true)) return;
    if (doors_.service.live() != nullptr) doors_.service.live()->unwatch(watcher_);
  }

  /// Goes on with what is due, once it has begun.
  void tick(Time now) {
    if (is_over_ || watcher_ == 0) return;
    if (is_late_) deliver();
    if (side_.own && now - proved_at_ >= kProveEvery) prove(now);
    if (now - rights_at_ >= doors_.service.section().rights_age) read_rights(now);
  }

 private:
  void refuse(const std::shared_ptr<net::HeldRequest>& held) {
    if (held == nullptr || is_over_) return;
    held->answer(
        net::error_response(409, "conflict", "no list is counted live, so nothing is told of changes"));
  }

  void deliver() {
    const auto held = exchange_->held.lock();
    if (held == nullptr || is_over_) return;
    is_late_ = held->queued_bytes() > kMostQueued;
    if (is_late_) return;
    const auto news = mailbox_->take();
    if (!news) return;
    if (!*news) return finish(news->error());
    tell(*held, **news);
  }

  void tell(net::HeldRequest& held, const LiveCounts& news) {
    if (state_ != news.status.text()) {
      state_ = news.status.text();
      held.send(event_of("state", {{"state", name(news.status.state)}, {"text", state_}}));
    }
    if (news.counts == nullptr) return;
    auto changed = changes_.take(doors_.service.lists().live.definitions, *news.counts);
    if (!changed) return;
    held.send(event_of("counts", {{"lsn", sql::lsn_text(news.status.applied)},
                                  {"state", name(news.status.state)},
                                  {"counts", std::move(*changed)}}));
  }

  void finish(const base::Error& error) {
    const auto held = exchange_->held.lock();
    end();
    if (held == nullptr) return;
    held->send(event_of("end", {{"code", base::name(error.code())}, {"message", error.message()}}));
    held->end();
  }

  void prove(Time now) {
    proved_at_ = now;
    const std::string* header = exchange_->request.headers.find("Authorization");
    doors_.authority.prove(header == nullptr ? std::string() : *header,
                           [weak = weak_from_this()](const Result<WorklistProof>& proof) {
                             const auto stream = weak.lock();
                             if (stream != nullptr && !proof) stream->not_proved(proof.error());
                           });
  }
  void not_proved(const base::Error& error) {
    const bool is_wrong = error.code() == ErrorCode::kDenied || error.code() == ErrorCode::kTimedOut;
    if (is_wrong) finish(error);
  }

  void read_rights(Time now) {
    rights_at_ = now;
    doors_.service.find_user(exchange_->user->id,
                             [weak = weak_from_this()](const Result<WorklistService::UserPointer>& user) {
                               const auto stream = weak.lock();
                               if (stream != nullptr) stream->take_rights(user);
                             });
  }
  /// Rights that can't be read now stay those of before until they can; a user who is gone sees no more.
  void take_rights(const Result<WorklistService::UserPointer>& user) {
    if (is_over_) return;
    if (!user) {
      if (user.error().code() == ErrorCode::kNotFound) finish(user.error());
      return;
    }
    if (*user == exchange_->user) return;
    exchange_->user = *user;
    doors_.service.live()->change(watcher_, *user);
  }

  WorklistDoors doors_;
  WorklistSide side_;
  std::shared_ptr<WorklistExchange> exchange_;
  std::shared_ptr<WorklistMailbox> mailbox_ = std::make_shared<WorklistMailbox>();
  WorklistChanges changes_;
  worklist::LiveService::Watcher watcher_ = 0;
  std::string state_;
  Time proved_at_{};
  Time rights_at_{};
  bool is_late_ = false;
  bool is_over_ = false;
};

/// Those that are open. Threads: the I/O thread.
struct Streams {
  std::vector<std::weak_ptr<Stream>> all;

  void tick() {
    const Time now = std::chrono::steady_clock::now();
    std::erase_if(all, [](const auto& one) { return one.expired(); });
    for (const auto& one : all) {
      if (const auto stream = one.lock()) stream->tick(now);
    }
  }
};

/// The held request owns its handler alone.
class Holder final : public net::HeldHandler {
 public:
  explicit Holder(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}
  void expired(net::Expiry /*why*/) override { stream_->end(); }
  void closed(net::HeldEnd /*end*/) override { stream_->end(); }

 private:
  std::shared_ptr<Stream> stream_;
};

net::HeldRoute events_route(const WorklistDoors& doors, const WorklistSide& side,
                            const std::shared_ptr<Streams>& streams) {
  net::HeldRoute route;
  route.pattern = side.path;
  route.access = side.own ? net::Access::kOwn : net::Access::kPrivate;
  route.check = worklist_check(side);
  route.limits.queue_bytes = 4 * 1024 * 1024;  // the first message of the most lists that a file may have
  route.limits.queue_pieces = 4096;
  route.limits.ping_piece = std::make_shared<const std::string>(":\n\n");
  route.open = [doors, side, streams](const std::shared_ptr<net::HeldRequest>& held, net::Request request) {
    const auto exchange =
        std::make_shared<WorklistExchange>(WorklistExchange{held, std::move(request), nullptr});
    const auto stream = std::make_shared<Stream>(doors, side, exchange);
    streams->all.push_back(stream);
    identify(doors, side, exchange, [weak = std::weak_ptr(stream)](const auto& /*identified*/) {
      if (const auto identified = weak.lock()) identified->begin();
    });
    return std::make_unique<Holder>(stream);
  };
  return route;
}

}  // namespace

void add_worklist_events(net::Router& router, const WorklistDoors& doors) {
  const auto streams = std::make_shared<Streams>();
  for (const WorklistSide& side : worklist_sides("events")) router.add(events_route(doors, side, streams));
  doors.service.repeat(kLookAgainAfter, [streams] { streams->tick(); });
}

}  // namespace headroom::cli
