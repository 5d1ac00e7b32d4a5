#pragma once

// The bytes in which a record and its parts are kept: msgpack maps whose fields have short names, with
// default values left out. A reader skips fields that it does not know, so that fields may be added without a
// new version; the version grows only when the meaning of a field changes.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "perf/record.hpp"

namespace headroom::perf {

/// A whole record, profiles and bodies included. Cost: about 10 us for a call with 8 fingerprints.
[[nodiscard]] std::string encode(const CallRecord& record);
[[nodiscard]] std::string encode(const CallSummary& summary);
[[nodiscard]] std::string encode(const Profile& profile);
[[nodiscard]] std::string encode(const Body& body);
[[nodiscard]] std::string encode(const StatementInfo& statement);
[[nodiscard]] std::string encode(const MethodCount& count);
[[nodiscard]] std::string encode(const ProcessInfo& process);

enum class Totals : std::uint8_t { kInside, kApart };
/// What a record holds besides its summary, its profiles and its bodies, which a store may keep apart; with
/// kApart also without `statements`.
[[nodiscard]] std::string encode_detail(const CallRecord& record, Totals totals = Totals::kInside);

// Errors of every function below: protocol, when the bytes are none of ours, cut or of a newer version. Any
// bytes may be given; memory and stack stay bounded by their length.

[[nodiscard]] base::Result<CallRecord> decode(std::string_view bytes);
[[nodiscard]] base::Result<CallSummary> decode_summary(std::string_view bytes);
[[nodiscard]] base::Result<Profile> decode_profile(std::string_view bytes);
[[nodiscard]] base::Result<Body> decode_body(std::string_view bytes);
[[nodiscard]] base::Result<StatementInfo> decode_statement(std::string_view bytes);
[[nodiscard]] base::Result<MethodCount> decode_count(std::string_view bytes);
[[nodiscard]] base::Result<ProcessInfo> decode_process(std::string_view bytes);
/// Fills all fields of `record` that `encode_detail` takes; the others stay as they are.
[[nodiscard]] base::Result<void> decode_detail(std::string_view bytes, CallRecord& record);

}  // namespace headroom::perf
