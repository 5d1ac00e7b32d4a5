#pragma once

// The routes under /api/perf that answer questions over many calls: what changed, what is worth changing,
// plans, files for other tools, who waits for whom. docs/api.md describes them for their users.

#include "headroom/blocking_watch.hpp"
#include "headroom/configuration.hpp"
#include "headroom/serve_stores.hpp"
#include "net/router.hpp"

namespace headroom::cli {

/// Lifetime: what it refers to outlives the router.
struct QuestionContext {
  StorePool& read;
  const Configuration& configuration;
  BlockingWatch& blocking;
};

void add_question_api(net::Router& router, const QuestionContext& context);

}  // namespace headroom::cli
