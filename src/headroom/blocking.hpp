#pragma once

// Who waits for whose lock in the database, with the calls of Headroom that are behind its sessions.
//
// A call's scoreboard slot names the server's processes that its statements went to, and since when. The
// database tells which of its sessions waits for which. What joins both is the number of the server's
// process; a session whose transaction is younger than what the call last sent there is somebody else's by
// now, who got the connection out of the pool.

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "perf/report.hpp"
#include "perf/scoreboard.hpp"
#include "sql/blocking.hpp"

namespace headroom::cli {

/// A session of the database that takes part in a wait, with its call if it is one of ours.
struct Party {
  std::string database;  ///< as records name it
  sql::Session session;
  std::size_t depth = 0;  ///< in the tree: 0 holds and waits for nobody
  std::optional<perf::RunningCall> call;
};

/// Shape: a tree in its order, holders before those that wait for them; the oldest transaction first.
struct BlockingView {
  std::vector<Party> parties;
  std::size_t answered = 0;           ///< databases that told
  std::vector<std::string> problems;  ///< one line each about a database that told nothing, or not all
};

/// The sessions of one database as a tree. Of several blockers a session stands below the first; in a circle
/// the oldest transaction comes first. Threads: pure. Cost: O(sessions * (calls + sessions)).
[[nodiscard]] std::vector<Party> join_calls(const std::string& database,
                                            const std::vector<sql::Session>& sessions,
                                            const std::vector<perf::RunningCall>& running);

/// "model.sale.sale.write of admin (process 4711)", "psql of postgres (backend 812, idle in transaction)".
[[nodiscard]] std::string party_name(const Party& party);

/// What a running call waits for, in words; empty when it waits for no lock of another session.
[[nodiscard]] std::string blocked_by(const BlockingView& view, const perf::RunningCall& call);

/// {"sessions": [...], "problems": [...]}, as docs/api.md describes it.
[[nodiscard]] nlohmann::json blocking_json(const BlockingView& view);

/// A row for each session, those that wait indented below those that they wait for; the problems as its note.
[[nodiscard]] perf::Report blocking_report(const BlockingView& view);

}  // namespace headroom::cli
