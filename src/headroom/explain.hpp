#pragma once

// `headroom explain`: the plan of a stored statement, asked of the database that it was sent to.

#include <chrono>
#include <map>
#include <string>

#include "base/result.hpp"
#include "perf/report.hpp"
#include "perf/store.hpp"
#include "sql/explain.hpp"

namespace headroom::cli {

/// `[perf.databases]`: the name that records carry to the URL of the database. URLs hold passwords: they are
/// never printed, logged or answered.
using Databases = std::map<std::string, std::string>;

struct ExplainRequest {
  std::string session;
  std::string rank;         ///< of a slow statement, as `headroom query` numbers them
  std::string fingerprint;  ///< in place of a rank: hexadecimal
  std::string url;          ///< in place of the configuration's
  sql::ExplainOptions options;
};

/// A plan with the statement that it is about.
struct Explained {
  std::string database;
  sql::Plan plan;
  /// Why the plan is not that of the statement as it ran; empty when it is.
  std::string note;
};

/// Finds the statement and asks for its plan. A statement of which a value was removed is explained for any
/// values.
/// Errors: as make_report and sql::explain; invalid_argument when neither rank nor fingerprint is given;
/// not_found when no URL of the database is known.
[[nodiscard]] base::Result<Explained> make_explanation(perf::Store& store, const ExplainRequest& request,
                                                       const Databases& databases);

/// {"database", "note", "plan": {"dialect", ..., "nodes": [...]}, "worst_scan", "text"}
[[nodiscard]] std::string explained_json(const Explained& explained);

/// What is asked about a statement as it was stored: itself, or its normalised text where values are gone.
[[nodiscard]] sql::ExplainQuestion question_of(const std::string& stored);

}  // namespace headroom::cli
