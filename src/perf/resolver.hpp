#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "perf/active_call.hpp"
#include "perf/record.hpp"
#include "perf/redact.hpp"

namespace headroom::perf {

/// Makes the record that is stored out of a finished call: parses texts, sums by fingerprint, removes
/// secrets. Threads: one (the recorder's); needs no interpreter lock. Cost: a parse per text not seen before,
/// else about 1 us a text; redaction per body, slow statement and event.
class Resolver {
 public:
  struct Settings {
    std::vector<std::string> secrets;    ///< names of fields, besides the built-in ones
    std::size_t body_limit = 64U << 10;  ///< of a redacted body
    std::string host;
    std::int32_t process = 0;
  };
  explicit Resolver(Settings settings);

  /// Adds the call, and every statement that this store has not been told yet, to the batch.
  void add(FinishedCall call, Batch& batch);
  /// The store may have forgotten (a new file): statements are told again.
  void forget_told() { told_.clear(); }

 private:
  std::uint64_t fingerprint_of(StatementText& text, Batch& batch);
  void add_totals(const FinishedCall& call, CallRecord& record, Batch& batch);
  void add_events(const FinishedCall& call, const KnownSecrets& secrets, CallRecord& record, Batch& batch);
  void add_slow(const FinishedCall& call, const KnownSecrets& secrets, CallRecord& record, Batch& batch);

  Settings settings_;
  Redactor redactor_;
  std::unordered_set<std::uint64_t> told_;
};

/// Puts parameters (SQL literals) in the place of placeholders, as `sql::tokenize` finds them. Names are
/// taken in order of appearance. What has no parameter stays.
[[nodiscard]] std::string bind_parameters(std::string_view text, const std::vector<std::string>& parameters);

}  // namespace headroom::perf
