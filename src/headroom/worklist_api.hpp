#pragma once

// The work lists over HTTP; docs/api.md describes it for its users. Each question is held until it can be
// answered: rights, counters and statements are all waited for without a thread.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "headroom/worklist_service.hpp"
#include "net/held.hpp"
#include "net/http.hpp"
#include "net/router.hpp"

namespace headroom::cli {

/// Who somebody is, by what he brings along.
struct WorklistProof {
  std::string user;
  bool is_admin = false;  ///< may ask for others
};

/// What a user brings along is judged by whoever knows: the bus its tokens, Tryton its sessions.
/// Threads: the I/O thread. Errors: denied (wrong, or revoked), timed_out (it has ended), others: not known
/// now, come again.
struct WorklistAuthority {
  template <typename T>
  using Done = std::function<void(base::Result<T>)>;
  /// A token of the bus; null: there is no bus.
  std::function<base::Result<WorklistProof>(std::string_view token)> token;
  /// `Session ...` as it stands in the header; null: no sessions prove anything here.
  std::function<void(std::string_view header, Done<WorklistProof> done)> session;

  /// By the header Authorization; empty: there was none.
  void prove(const std::string& header, Done<WorklistProof> done) const;
};

class WorklistResults;

/// Lifetime: everything outlives the router.
struct WorklistDoors {
  WorklistService& service;
  const WorklistAuthority& authority;
  std::shared_ptr<WorklistResults> results = nullptr;  ///< made by `add_worklist_api`
};

/// A request on its way: whose counts are asked for is known, and what he may see.
struct WorklistExchange {
  std::weak_ptr<net::HeldRequest> held;
  net::Request request;
  WorklistService::UserPointer user;

  void answer(net::Response response) const;
};

/// One address as a user asks it ("/worklist/counts") and as an administrator does
/// ("/api/worklist/users/{user}/counts").
struct WorklistSide {
  std::string path;
  bool own = false;
};
[[nodiscard]] std::vector<WorklistSide> worklist_sides(std::string_view tail);

/// The refusal of a request that may not come by this side, for its `check`.
[[nodiscard]] net::CheckHead worklist_check(const WorklistSide& side);

/// Finds out who asks for whom and reads the rights, or answers with the refusal.
void identify(const WorklistDoors& doors, const WorklistSide& side,
              const std::shared_ptr<WorklistExchange>& exchange,
              std::function<void(const std::shared_ptr<WorklistExchange>&)> then);

/// All of it.
void add_worklist_api(net::Router& router, const WorklistDoors& doors);

}  // namespace headroom::cli
