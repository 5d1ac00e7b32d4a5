#pragma once

// The orders of calls (store.hpp) over summaries, for stores that have no better way.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "perf/store.hpp"

namespace headroom::perf {

/// What was kept of a call beside its figures: "profile,sample,db,query,io", those that it has.
[[nodiscard]] std::string details_text(Has has);

/// The number that a key sorts by; nothing for a call without it, and for keys that are texts.
[[nodiscard]] std::optional<std::int64_t> number_of(const CallSummary& call, CallKey key);
/// The text that a key sorts by; empty for a call without it, and for keys that are numbers.
[[nodiscard]] std::string text_of(const CallSummary& call, CallKey key);

/// Cuts database, session, method and user as `shown_name` does.
void cut_names(CallSummary& call);

/// Brings the calls, which come by start and rank, into the order, and leaves those of the page. `limit` 0 is
/// all. Cost: O(calls log calls), and the keys of all.
void sort_page(std::vector<CallSummary>& calls, const CallOrder& order, const Page& page);

}  // namespace headroom::perf
