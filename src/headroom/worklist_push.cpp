#include "headroom/worklist_push.hpp"

#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "headroom/worklist_changes.hpp"

namespace headroom::cli {

using base::Result;
using nlohmann::json;
using Time = std::chrono::steady_clock::time_point;

namespace {

constexpr std::chrono::seconds kLookEvery{1};
/// Users who have no work lists are asked for again.
constexpr std::chrono::seconds kUnknownFor{30};

}  // namespace

/// One listener.
class WorklistPush::Followed final : public std::enable_shared_from_this<Followed> {
 public:
  Followed(WorklistService& service, CountsChannel& channel, CountsChannel::Listener listener)
      : service_(service), channel_(channel), listener_(std::move(listener)) {}
  ~Followed() {
    if (service_.live() != nullptr) service_.live()->unwatch(watcher_);
  }
  Followed(const Followed&) = delete;
  Followed& operator=(const Followed&) = delete;

  void look(Time now) {
    if (now < look_at_) return;
    look_at_ = now + (user_ == nullptr ? kUnknownFor : service_.section().rights_age);
    service_.find_user(listener_.user,
                       [weak = weak_from_this()](const Result<WorklistService::UserPointer>& user) {
                         const auto followed = weak.lock();
                         if (followed != nullptr && user) followed->take_user(*user);
                       });
  }

 private:
  void take_user(const WorklistService::UserPointer& user) {
    if (user == user_) return;
    const bool is_first = std::exchange(user_, user) == nullptr;
    if (!is_first) return service_.live()->change(watcher_, user);
    look_at_ = std::chrono::steady_clock::now() + service_.section().rights_age;
    watcher_ = service_.live()->watch(user, [weak = weak_from_this(), mailbox = mailbox_,
                                             &service = service_](Result<worklist::LiveCounts> news) {
      if (!mailbox->put(std::move(news))) return;
      service.post([weak] {
        if (const auto followed = weak.lock()) followed->deliver();
      });
    });
  }

  /// An error is of the user's rights: what they are read to be next may be told again.
  void deliver() {
    const auto news = mailbox_->take();
    if (!news || !*news || (*news)->counts == nullptr) return;
    auto changed = changes_.take(service_.lists().live.definitions, *(*news)->counts);
    if (!changed) return;
    json message{{"type", "worklist"},
                 {"lsn", sql::lsn_text((*news)->status.applied)},
                 {"state", name((*news)->status.state)}};
    json whole = message;
    whole["counts"] = std::move(*changed);
    std::string text = whole.dump(-1, ' ', false, json::error_handler_t::replace);
    if (text.size() > CountsChannel::kMostBytes) {
      message["all"] = true;
      text = message.dump();
    }
    channel_.publish(listener_.channel, std::move(text));
  }

  WorklistService& service_;
  CountsChannel& channel_;
  CountsChannel::Listener listener_;
  std::shared_ptr<WorklistMailbox> mailbox_ = std::make_shared<WorklistMailbox>();
  WorklistChanges changes_;
  WorklistService::UserPointer user_;
  worklist::LiveService::Watcher watcher_ = 0;
  Time look_at_{};
};

WorklistPush::WorklistPush(WorklistService& service, CountsChannel& channel)
    : service_(service), channel_(channel) {
  if (service_.live() != nullptr) service_.repeat(kLookEvery, [this] { look(); });
}

WorklistPush::~WorklistPush() = default;

void WorklistPush::look() {
  const Time now = std::chrono::steady_clock::now();
  std::map<CountsChannel::Listener, std::shared_ptr<Followed>> still;
  for (CountsChannel::Listener& listener : channel_.listeners()) {
    const auto known = followed_.find(listener);
    auto followed = known == followed_.end() ? std::make_shared<Followed>(service_, channel_, listener)
                                             : std::move(known->second);
    followed->look(now);
    still.emplace(std::move(listener), std::move(followed));
  }
  followed_ = std::move(still);
}

}  // namespace headroom::cli
