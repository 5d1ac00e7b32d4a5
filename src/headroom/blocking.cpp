#include "headroom/blocking.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include <fmt/format.h>

#include "base/clock.hpp"

namespace headroom::cli {
namespace {

using nlohmann::json;
using perf::Cell;
using perf::Format;
using perf::Shown;

/// What passes between the server's clock and the scoreboard's reading.
constexpr base::Microseconds kSlack = std::chrono::seconds{1};
constexpr std::size_t kNamed = 3;
/// A tree deeper than that is not indented further.
constexpr std::size_t kDeepest = 20;

bool can_be_of(const sql::Session& session, const perf::Backend& backend) {
  if (backend.process != session.process) return false;
  return !session.transaction_age || *session.transaction_age + kSlack >= backend.age;
}

/// The call that used the session last.
const perf::RunningCall* call_of(const std::string& database, const sql::Session& session,
                                 const std::vector<perf::RunningCall>& running) {
  const perf::RunningCall* found = nullptr;
  base::Microseconds least = base::Microseconds::max();
  for (const perf::RunningCall& call : running) {
    if (call.summary.database != database) continue;
    for (const perf::Backend& backend : call.backends) {
      if (!can_be_of(session, backend) || backend.age >= least) continue;
      found = &call;
      least = backend.age;
    }
  }
  return found;
}

/// Puts sessions into the order of the tree.
class Tree {
 public:
  Tree(const std::string& database, const std::vector<sql::Session>& sessions,
       const std::vector<perf::RunningCall>& running)
      : database_(database), sessions_(sessions), running_(running) {
    for (const sql::Session& session : sessions) known_.insert(session.process);
    for (const sql::Session& session : sessions) {
      for (const std::int32_t blocker : session.waits_for) waiting_for_[blocker].push_back(&session);
    }
  }

  std::vector<Party> take() {
    for (const sql::Session& session : sessions_) {
      const bool waits =
          std::ranges::any_of(session.waits_for, [this](auto blocker) { return known_.contains(blocker); });
      if (!waits) add_with_those_below(session);
    }
    for (const sql::Session& session : sessions_) add_with_those_below(session);  // circles
    return std::move(parties_);
  }

 private:
  void add_with_those_below(const sql::Session& root) {
    std::vector<std::pair<const sql::Session*, std::size_t>> open{{&root, 0}};
    while (!open.empty()) {
      const auto [session, depth] = open.back();
      open.pop_back();
      if (!placed_.insert(session->process).second) continue;
      Party party{database_, *session, depth, std::nullopt};
      if (const auto* call = call_of(database_, *session, running_)) party.call = *call;
      parties_.push_back(std::move(party));
      const auto below = waiting_for_.find(session->process);
      if (below == waiting_for_.end()) continue;
      for (auto one = below->second.rbegin(); one != below->second.rend(); ++one)
        open.emplace_back(*one, depth + 1);
    }
  }

  const std::string& database_;
  const std::vector<sql::Session>& sessions_;
  const std::vector<perf::RunningCall>& running_;
  std::set<std::int32_t> known_;
  std::map<std::int32_t, std::vector<const sql::Session*>> waiting_for_;
  std::set<std::int32_t> placed_;
  std::vector<Party> parties_;
};

std::string session_name(const sql::Session& session) {
  if (session.process == 0) return "a prepared transaction";
  std::string name = session.application.empty() ? "a session" : session.application;
  if (!session.user.empty()) name += " of " + session.user;
  name += fmt::format(" (backend {}", session.process);
  if (!session.client.empty()) name += " from " + session.client;
  if (!session.state.empty() && session.state != "active") name += ", " + session.state;
  return name + ")";
}

std::string call_name(const perf::RunningCall& call) {
  std::string name = call.summary.method;
  if (!call.summary.user.empty()) name += " of " + call.summary.user;
  return name + fmt::format(" (process {})", call.process);
}

const Party* party_of(const BlockingView& view, const std::string& database, std::int32_t process) {
  const auto found = std::ranges::find_if(view.parties, [&](const Party& party) {
    return party.database == database && party.session.process == process;
  });
  return found == view.parties.end() ? nullptr : &*found;
}

std::string blocker_names(const BlockingView& view, const Party& waiting) {
  std::string names;
  std::size_t named = 0;
  for (const std::int32_t blocker : waiting.session.waits_for) {
    if (++named > kNamed) break;
    const Party* party = party_of(view, waiting.database, blocker);
    names += names.empty() ? "" : ", ";
    names += party != nullptr ? party_name(*party) : fmt::format("backend {}", blocker);
  }
  if (named > kNamed) names += fmt::format(" and {} more", waiting.session.waits_for.size() - kNamed);
  return names;
}

json text_json(const std::string& text) {
  return text.empty() ? json() : json(text);
}

json seconds_json(const std::optional<std::chrono::microseconds>& span) {
  return span ? json(static_cast<double>(span->count()) / 1e6) : json();
}

/// Of a call of ours the text as it was sent, in which the values never were.
const std::string& statement_of(const Party& party) {
  const bool ours = party.call && !party.call->statement.empty();
  return ours ? party.call->statement : party.session.statement;
}

json call_json(const perf::RunningCall& call) {
  return {{"id", call.summary.id},
          {"method", call.summary.method},
          {"user", call.summary.user},
          {"session", call.summary.session},
          {"host", call.host},
          {"process", call.process},
          {"thread", call.thread},
          {"activity", perf::name(call.activity)},
          {"seconds", static_cast<double>(call.summary.wall.count()) / 1e6}};
}

json party_json(const Party& party) {
  const sql::Session& session = party.session;
  return {{"database", party.database},
          {"backend", session.process},
          {"depth", party.depth},
          {"name", party_name(party)},
          {"waits_for", session.waits_for},
          {"waiting", seconds_json(session.waiting)},
          {"lock", text_json(session.lock)},
          {"transaction", seconds_json(session.transaction_age)},
          {"state", text_json(session.state)},
          {"state_seconds", seconds_json(session.state_age)},
          {"application", text_json(session.application)},
          {"role", text_json(session.user)},
          {"client", text_json(session.client)},
          {"statement", text_json(statement_of(party))},
          {"call", party.call ? call_json(*party.call) : json()}};
}

Cell span_cell(const std::optional<std::chrono::microseconds>& span) {
  return span ? Cell(*span) : Cell();
}

std::string backends_text(const std::vector<std::int32_t>& backends) {
  return fmt::format("{}", fmt::join(backends, " "));
}

}  // namespace

std::vector<Party> join_calls(const std::string& database, const std::vector<sql::Session>& sessions,
                              const std::vector<perf::RunningCall>& running) {
  return Tree(database, sessions, running).take();
}

std::string party_name(const Party& party) {
  return party.call ? call_name(*party.call) : session_name(party.session);
}

std::string blocked_by(const BlockingView& view, const perf::RunningCall& call) {
  for (const Party& party : view.parties) {
    const bool own =
        party.call && party.call->summary.id == call.summary.id && party.call->process == call.process;
    if (own && !party.session.waits_for.empty()) return blocker_names(view, party);
  }
  return {};
}

json blocking_json(const BlockingView& view) {
  json sessions = json::array();
  for (const Party& party : view.parties) sessions.push_back(party_json(party));
  return {{"sessions", std::move(sessions)}, {"problems", view.problems}};
}

perf::Report blocking_report(const BlockingView& view) {
  perf::Report report;
  report.table.columns = {{"who"},
                          {"waiting", Format::kSeconds},
                          {"transaction", Format::kSeconds},
                          {"state", Format::kText, Shown::kWhereItFits},
                          {"backend", Format::kCount},
                          {"waits for", Format::kText},
                          {"lock", Format::kText, Shown::kWhereItFits},
                          {"database", Format::kText, Shown::kWhereItFits},
                          {"statement", Format::kLongText, Shown::kWhereItFits}};
  for (const Party& party : view.parties) {
    const sql::Session& session = party.session;
    report.table.rows.push_back({std::string(2 * std::min(party.depth, kDeepest), ' ') + party_name(party),
                                 span_cell(session.waiting), span_cell(session.transaction_age),
                                 session.state, static_cast<std::int64_t>(session.process),
                                 backends_text(session.waits_for), session.lock, party.database,
                                 statement_of(party)});
  }
  report.total = report.table.rows.size();
  report.note = fmt::format("{}", fmt::join(view.problems, "; "));
  if (report.note.empty() && view.parties.empty()) report.note = "nobody waits for a lock";
  return report;
}

}  // namespace headroom::cli
