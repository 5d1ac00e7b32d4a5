#include "bus/postgres_broker.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "bus/hub.hpp"
#include "bus/impl/postgres_client.hpp"
#include "bus/impl/posting.hpp"
#include "bus/sql/scripts.hpp"

namespace headroom::bus {

namespace {

using base::ErrorCode;
using base::fail;

/// Tickets of several nodes, and of one that was started anew, are never the same.
std::int64_t first_ticket() {
  std::random_device random;
  constexpr std::uint64_t kMask = (std::uint64_t{1} << 62U) - 1;
  return static_cast<std::int64_t>((std::uint64_t{random()} << 32U | random()) & kMask) + 1;
}

PostgresTime as_time(std::int64_t monotonic_ns) {
  return PostgresTime(std::chrono::nanoseconds{monotonic_ns});
}

Result<void> check(const Publication& publication, const ChannelRule& rule) {
  if (publication.data.size() > rule.message_bytes) {
    return fail(ErrorCode::kTooLarge,
                fmt::format("a message of {} bytes is too large for channel {}; {} are accepted",
                            publication.data.size(), publication.channel, rule.message_bytes));
  }
  for (const std::string* text : {&publication.channel, &publication.id, &publication.data}) {
    if (text->find('\0') != std::string::npos)
      return fail(ErrorCode::kInvalidArgument, "a message and its channel hold no zero bytes");
  }
  return {};
}

/// What a hub announces goes to the client's thread.
class CrowdExchange final : public PresenceExchange {
 public:
  CrowdExchange(PostgresClient& client, Crowd crowd) : client_(client), crowd_(crowd) {}
  void announce(const PresenceWord& word, const Now& /*now*/) override { client_.say(crowd_, word); }
  void ask(std::string_view node, const Now& /*now*/) override { client_.ask_node(crowd_, node); }

 private:
  PostgresClient& client_;
  Crowd crowd_;
};

class SharedRevocations final : public RevocationExchange {
 public:
  explicit SharedRevocations(PostgresClient& client) : client_(client) {}
  void announce(const Revocation& revocation) override { client_.revoke(revocation); }

 private:
  PostgresClient& client_;
};

/// What a hub shares with those of other nodes.
struct Shared {
  Shared(Hub& given, PostgresClient& client)
      : hub(given), users(client, Crowd::kUsers), members(client, Crowd::kMembers), revocations(client) {
    hub.presence().use(users);
    hub.members().use(members);
    hub.use(revocations);
  }
  PresenceTable& table(Crowd crowd) { return crowd == Crowd::kUsers ? hub.presence() : hub.members(); }
  void take(const TalkNews& news, PostgresClient& client);
  void take(const TalkNews::Word& word, const Now& now);

  Hub& hub;
  CrowdExchange users;
  CrowdExchange members;
  SharedRevocations revocations;
};

void Shared::take(const TalkNews& news, PostgresClient& client) {
  const Now now = read_clocks();
  for (const Crowd crowd : {Crowd::kUsers, Crowd::kMembers}) {
    if (news.name_all.at(index_of(crowd))) table(crowd).announce_whole();
  }
  for (const TalkNews::Word& word : news.words) take(word, now);
  if (!news.revoked.empty()) (void)hub.revoke(news.revoked, now);
  if (!news.tell_revoked) return;
  // What is kept already is passed over later.
  for (const Revocation& one : hub.revocations()) client.revoke(one);
}

void Shared::take(const TalkNews::Word& word, const Now& now) {
  if (!word.left) return table(word.crowd).heard(word.node, word.word, now);
  for (const Crowd crowd : {Crowd::kUsers, Crowd::kMembers}) table(crowd).node_left(word.node, now);
}

}  // namespace

std::string postgres_schema() {
  return fmt::format("BEGIN;\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\nCOMMIT;\n", sql_scripts::kRoles,
                     sql_scripts::kTables, sql_scripts::kPublish, sql_scripts::kRead, sql_scripts::kSequence,
                     sql_scripts::kLog, sql_scripts::kNodes, sql_scripts::kRights);
}

/// Lives on the hub's thread. What the client's thread tells is posted, and finds it through `alive`.
struct PostgresBroker::Impl {
  template <typename T>
  struct Waiting {
    T done;
    std::int64_t deadline_ns = 0;
  };
  template <typename T>
  using Table = std::map<std::int64_t, Waiting<T>>;  // by number, which is also by deadline

  Impl(const ChannelRules& rules_given, Post post_given) : rules(&rules_given), post(std::move(post_given)) {}

  void take(const ReaderNews& news);
  void take(const StreamRow& row, const std::string& epoch, const Now& now);
  void lose(const Now& now);
  void refuse(std::int64_t ticket, Error error);
  void keep_used(std::vector<std::string> doomed) const;
  void inquired(std::int64_t number, Result<HistoryPage> page);
  void talked(const TalkNews& news);
  void inquire(Inquiry inquiry, const Now& now, Done<HistoryPage> done);
  PostgresEvents events();

  /// Posts a function that runs only while the broker is there.
  template <typename Function>
  void post_to(Function function) {
    post_while_there(post, self, std::move(function));
  }

  template <typename T>
  static void expire(Table<T>& table, const Now& now) {
    while (!table.empty() && table.begin()->second.deadline_ns <= now.monotonic_ns) {
      const T done = std::move(table.begin()->second.done);
      table.erase(table.begin());
      done(fail(ErrorCode::kTimedOut, "the database did not answer in time; it may have kept the message"));
    }
  }

  const ChannelRules* rules;
  Post post;
  PostgresBrokerOptions options;
  BrokerListener* listener = nullptr;
  BrokerState state = BrokerState::kAvailable;
  bool came_up = false;  ///< the stream was read once
  std::int64_t started_ns = 0;
  Table<Done<Published>> publishes;
  Table<Done<HistoryPage>> inquiries;
  std::set<std::string, std::less<>> subscribed;
  std::int64_t next_ticket = first_ticket();
  std::int64_t next_number = 1;
  std::shared_ptr<Impl*> alive = std::make_shared<Impl*>(this);
  /// For the client's thread, which may not read `alive` while the hub's thread ends it.
  const std::weak_ptr<Impl*> self = alive;
  std::optional<Shared> shared;
  std::unique_ptr<PostgresClient> client;  ///< last: its thread ends first
};

PostgresEvents PostgresBroker::Impl::events() {
  PostgresEvents told;
  told.news = [this](ReaderNews news) { post_to([news = std::move(news)](Impl& impl) { impl.take(news); }); };
  told.lost = [this] { post_to([](Impl& impl) { impl.lose(read_clocks()); }); };
  told.refused = [this](std::int64_t ticket, Error error) {
    post_to([ticket, error = std::move(error)](Impl& impl) { impl.refuse(ticket, error); });
  };
  told.inquired = [this](std::int64_t number, Result<HistoryPage> page) {
    post_to([number, page = std::move(page)](Impl& impl) { impl.inquired(number, page); });
  };
  told.doomed = [this](std::vector<std::string> channels) {
    post_to([channels = std::move(channels)](Impl& impl) { impl.keep_used(channels); });
  };
  told.talked = [this](TalkNews news) {
    post_to([news = std::move(news)](Impl& impl) { impl.talked(news); });
  };
  return told;
}

void PostgresBroker::Impl::talked(const TalkNews& news) {
  client->talk_taken();
  if (shared) shared->take(news, *client);
}

void PostgresBroker::Impl::keep_used(std::vector<std::string> doomed) const {
  std::erase_if(doomed, [this](const std::string& channel) { return !subscribed.contains(channel); });
  if (!doomed.empty()) client->keep(std::move(doomed));
}

/// Whoever listens compares its positions when the state becomes available again, so a history that is
/// another, or of which something was missed, is told as a short loss.
void PostgresBroker::Impl::take(const ReaderNews& news) {
  const Now now = read_clocks();
  client->news_taken();
  const bool is_first = !std::exchange(came_up, came_up || news.available) && news.available;
  if (!news.available || (news.compare && !is_first)) lose(now);
  const std::weak_ptr<Impl*> here = alive;
  for (const StreamRow& row : news.rows) {
    take(row, news.epoch, now);
    if (here.expired()) return;
  }
  if (news.available && state == BrokerState::kLost) {
    state = BrokerState::kAvailable;
    listener->state(state, now);
  }
}

void PostgresBroker::Impl::take(const StreamRow& row, const std::string& epoch, const Now& now) {
  const bool is_told = row.data != nullptr && subscribed.contains(row.channel);
  const auto found = publishes.find(row.ticket);
  Done<Published> done;
  if (found != publishes.end()) {
    done = std::move(found->second.done);
    publishes.erase(found);
  }
  const std::weak_ptr<Impl*> here = alive;
  if (done) done(Published{{row.offset, epoch}, row.data == nullptr});
  if (is_told && !here.expired()) listener->message(row.channel, epoch, Message{row.offset, row.data}, now);
}

void PostgresBroker::Impl::lose(const Now& now) {
  if (state == BrokerState::kLost) return;
  state = BrokerState::kLost;
  listener->state(state, now);
}

void PostgresBroker::Impl::refuse(std::int64_t ticket, Error error) {
  const auto found = publishes.find(ticket);
  if (found == publishes.end()) return;
  const Done<Published> done = std::move(found->second.done);
  publishes.erase(found);
  done(fail(std::move(error)));
}

void PostgresBroker::Impl::inquired(std::int64_t number, Result<HistoryPage> page) {
  const auto found = inquiries.find(number);
  if (found == inquiries.end()) return;
  const Done<HistoryPage> done = std::move(found->second.done);
  inquiries.erase(found);
  done(std::move(page));
}

void PostgresBroker::Impl::inquire(Inquiry inquiry, const Now& now, Done<HistoryPage> done) {
  if (inquiries.size() >= options.queued_inquiries)
    return done(fail(ErrorCode::kOverloaded, "too many questions wait for the database; ask again later"));
  inquiry.number = next_number++;
  const std::int64_t within = std::chrono::nanoseconds(options.answer_within).count();
  inquiries.emplace(inquiry.number, Waiting<Done<HistoryPage>>{std::move(done), now.monotonic_ns + within});
  client->inquire(std::move(inquiry));
}

PostgresBroker::PostgresBroker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

PostgresBroker::~PostgresBroker() {
  impl_->alive.reset();
}

Result<std::unique_ptr<PostgresBroker>> PostgresBroker::make(PostgresBrokerOptions options,
                                                             const ChannelRules& rules, Post post) {
  std::int64_t longest = kRepeatWindowNs;
  for (const ChannelRule& rule : rules.all()) longest = std::max(longest, rule.history_age_ns);
  options.retention =
      std::max(options.retention, std::chrono::ceil<std::chrono::seconds>(std::chrono::nanoseconds{longest}));
  auto impl = std::make_unique<Impl>(rules, std::move(post));
  impl->options = options;
  auto client = PostgresClient::make(options, impl->events());
  if (!client) return fail(std::move(client.error()).within("[bus] postgresql"));
  impl->client = std::move(*client);
  return std::unique_ptr<PostgresBroker>(new PostgresBroker(std::move(impl)));
}

void PostgresBroker::start(BrokerListener& listener, const Now& now) {
  impl_->listener = &listener;
  impl_->started_ns = now.monotonic_ns;
  impl_->client->start();
}

void PostgresBroker::share(Hub& hub) {
  impl_->shared.emplace(hub, *impl_->client);
  impl_->client->talk();
}

void PostgresBroker::leave() {
  constexpr std::chrono::milliseconds kPatience{1'000};
  impl_->client->leave(kPatience);
}

void PostgresBroker::publish(Publication publication, const Now& now, Done<Published> done) {
  if (auto checked = check(publication, impl_->rules->find(publication.channel)); !checked)
    return done(fail(std::move(checked.error())));
  if (impl_->publishes.size() >= impl_->options.queued_publishes)
    return done(fail(ErrorCode::kOverloaded, "too many messages wait for the database; publish again later"));
  const std::int64_t ticket = impl_->next_ticket++;
  const std::int64_t deadline =
      now.monotonic_ns + std::chrono::nanoseconds(impl_->options.answer_within).count();
  // The thread refuses what it never sent; a second later the rest is given up here.
  constexpr std::int64_t kGraceNs = 1'000'000'000;
  impl_->publishes.emplace(ticket, Impl::Waiting<Done<Published>>{std::move(done), deadline + kGraceNs});
  impl_->client->publish({ticket, as_time(deadline), std::move(publication)});
}

void PostgresBroker::subscribe(std::string_view channel, const Now& now, Done<Position> done) {
  impl_->subscribed.emplace(channel);
  Inquiry inquiry;
  inquiry.channel = channel;
  impl_->inquire(std::move(inquiry), now, [done = std::move(done)](Result<HistoryPage> page) {
    if (!page) return done(fail(std::move(page.error())));
    done(std::move(page->position));
  });
}

void PostgresBroker::unsubscribe(std::string_view channel, const Now& /*now*/) {
  const auto found = impl_->subscribed.find(channel);
  if (found != impl_->subscribed.end()) impl_->subscribed.erase(found);
}

void PostgresBroker::history(std::string_view channel, const HistoryQuery& query, const Now& now,
                             Done<HistoryPage> done) {
  Inquiry inquiry;
  inquiry.kind = Inquiry::Kind::kHistory;
  inquiry.channel = channel;
  if (query.since != nullptr) inquiry.since = *query.since;
  inquiry.limit = query.limit;
  inquiry.bytes = query.bytes;
  inquiry.rule = impl_->rules->find(channel);
  impl_->inquire(std::move(inquiry), now, std::move(done));
}

void PostgresBroker::tick(const Now& now) {
  // A database that is there is reached sooner.
  constexpr std::int64_t kComeUpNs = 1'000'000'000;
  if (!impl_->came_up && now.monotonic_ns - impl_->started_ns > kComeUpNs) impl_->lose(now);
  const std::weak_ptr<Impl*> here = impl_->alive;
  Impl::expire(impl_->publishes, now);
  if (!here.expired()) Impl::expire(impl_->inquiries, now);
}

PostgresBrokerCounts PostgresBroker::counts() const {
  return impl_->client->counts();
}

}  // namespace headroom::bus
