#include "headroom/otlp_queue.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace headroom::cli {

namespace {

using nlohmann::json;

/// The number of spans that an otherwise successful answer rejects; proto3's JSON may write it as a string.
void read_partial_success(std::string_view body, OtlpOutcome& outcome) {
  const json answer = json::parse(body.begin(), body.end(), nullptr, false);
  if (!answer.is_object() || !answer.contains("partialSuccess")) return;
  const json& partial = answer["partialSuccess"];
  if (!partial.is_object()) return;
  const json rejected = partial.value("rejectedSpans", json(0));
  if (rejected.is_number_unsigned()) outcome.rejected = rejected.get<std::uint64_t>();
  if (rejected.is_string()) {
    const auto text = rejected.get<std::string>();
    std::from_chars(text.data(), text.data() + text.size(), outcome.rejected);
  }
  if (outcome.rejected > 0) outcome.error = fmt::format("{} spans rejected", outcome.rejected);
}

}  // namespace

OtlpOutcome otlp_outcome(int status, std::string_view retry_after, std::string_view body) {
  OtlpOutcome outcome;
  if (status >= 200 && status < 300) {
    outcome.kind = OtlpOutcome::Kind::kTaken;
    read_partial_success(body, outcome);
    return outcome;
  }
  outcome.error = fmt::format("the receiver answered {}", status);
  const bool later = status == 429 || status == 502 || status == 503 || status == 504;
  outcome.kind = later ? OtlpOutcome::Kind::kRetry : OtlpOutcome::Kind::kRefused;
  std::int64_t seconds = 0;
  const auto [end, error] =
      std::from_chars(retry_after.data(), retry_after.data() + retry_after.size(), seconds);
  if (error == std::errc{} && end == retry_after.data() + retry_after.size() && seconds > 0)
    outcome.retry_after = std::chrono::seconds(std::min<std::int64_t>(seconds, 3600));
  return outcome;
}

base::UtcTime OtlpQueue::look_from() const {
  return std::max(start_, newest_ - kLookBack);
}

void OtlpQueue::offer(const std::vector<perf::CallSummary>& calls) {
  for (const perf::CallSummary& call : calls) {
    if (call.start < look_from() || !seen_.try_emplace(call.id, call.start).second) continue;
    newest_ = std::max(newest_, call.start);
    ids_.push_back(call.id);
  }
  while (ids_.size() > most_) {
    ids_.pop_front();
    ++counts_.dropped;
  }
  const base::UtcTime from = look_from();
  std::erase_if(seen_, [from](const auto& entry) { return entry.second < from; });
}

std::vector<std::string> OtlpQueue::next(base::UtcTime now) const {
  if (now < not_before_) return {};
  const auto number = static_cast<std::ptrdiff_t>(std::min(kBatch, ids_.size()));
  return {ids_.begin(), ids_.begin() + number};
}

void OtlpQueue::finished(std::size_t number, std::size_t found, const OtlpOutcome& outcome,
                         base::UtcTime now) {
  if (outcome.kind == OtlpOutcome::Kind::kRetry) {
    pause_ = std::min(kLongestPause, pause_.count() == 0 ? std::chrono::seconds{1} : pause_ * 2);
    not_before_ = now + std::max(pause_, outcome.retry_after);
    ++counts_.retries;
    return;
  }
  pause_ = std::chrono::seconds{0};
  counts_.rejected += outcome.rejected;
  (outcome.kind == OtlpOutcome::Kind::kTaken ? counts_.sent : counts_.refused) += found;
  ids_.erase(ids_.begin(), ids_.begin() + static_cast<std::ptrdiff_t>(std::min(number, ids_.size())));
}

}  // namespace headroom::cli
