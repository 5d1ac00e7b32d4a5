#include "headroom/otlp.hpp"

#include <fmt/format.h>

#include "headroom/version.hpp"

namespace headroom::cli {

using base::fail;
using base::Result;

namespace {

constexpr std::uint64_t kPage = 1'000;
constexpr std::uint64_t kMostPages = 100;  // of one look

}  // namespace

OtlpExporter::OtlpExporter(const OtlpSection& section, StorePool& store, HttpSender sender, base::UtcTime now)
    : store_(store),
      sender_(std::move(sender)),
      resource_{section.service, std::string(kVersion)},
      queue_(static_cast<std::size_t>(section.queue), now) {}

Result<std::unique_ptr<OtlpExporter>> OtlpExporter::create(const OtlpSection& section, StorePool& store,
                                                           base::UtcTime now) {
  auto target = parse_http_target(section.endpoint);
  if (!target) return fail(std::move(target.error()).within("[otlp] endpoint"));
  std::optional<HttpHeader> header;
  if (!section.header.empty()) {
    auto parsed = parse_http_header(section.header);
    if (!parsed) return fail(std::move(parsed.error()).within("[otlp] header"));
    header = std::move(*parsed);
  }
  auto sender = HttpSender::create(std::move(*target), std::move(header), section.ca_file);
  if (!sender) return fail(std::move(sender.error()).within("[otlp] ca_file"));
  return std::unique_ptr<OtlpExporter>(new OtlpExporter(section, store, std::move(*sender), now));
}

Result<void> OtlpExporter::look() {
  perf::Filter filter;
  {
    const std::lock_guard lock(mutex_);
    filter.since = queue_.look_from();
  }
  return store_.with([&](perf::OpenStore& open) -> Result<void> {
    for (std::uint64_t page = 0; page < kMostPages; ++page) {
      const auto calls = open.store->calls(filter, {page * kPage, kPage});
      if (!calls) return fail(calls.error());
      const std::lock_guard lock(mutex_);
      queue_.offer(calls->calls);
      if (calls->calls.size() < kPage) break;
    }
    return {};
  });
}

OtlpOutcome OtlpExporter::post(const perf::Batch& batch) const {
  std::map<std::uint64_t, perf::StatementInfo> statements;
  for (const perf::StatementInfo& info : batch.statements) statements.emplace(info.fingerprint, info);
  const std::string body = perf::to_otlp_json(batch.calls, statements, resource_);
  const auto answer = sender_.post_json(body, kTimeout);
  if (answer) return otlp_outcome(answer->status, answer->retry_after, answer->body);
  OtlpOutcome outcome;
  outcome.error = answer.error().message();
  return outcome;
}

Result<bool> OtlpExporter::send(base::UtcTime now) {
  std::vector<std::string> ids;
  {
    const std::lock_guard lock(mutex_);
    ids = queue_.next(now);
  }
  if (ids.empty()) return false;
  const auto batch = store_.with([&](perf::OpenStore& open) { return open.store->load(ids); });
  if (!batch) return fail(batch.error());
  OtlpOutcome outcome{OtlpOutcome::Kind::kTaken, 0, {}, {}};
  if (!batch->calls.empty()) outcome = post(*batch);
  const std::lock_guard lock(mutex_);
  queue_.finished(ids.size(), batch->calls.size(), outcome, now);
  failure_ = outcome.error;
  return outcome.error.empty();
}

Result<void> OtlpExporter::tick(base::UtcTime now) {
  if (auto looked = look(); !looked) return looked;
  const auto stop = std::chrono::steady_clock::now() + kTimeout;
  while (std::chrono::steady_clock::now() < stop) {
    const auto sent = send(now);
    if (!sent) return fail(sent.error());
    if (!*sent) break;
  }
  if (!failure_.empty()) return fail(base::ErrorCode::kUnavailable, failure_);
  return {};
}

OtlpQueue::Counts OtlpExporter::counts() const {
  const std::lock_guard lock(mutex_);
  return queue_.counts();
}

std::size_t OtlpExporter::queued() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

}  // namespace headroom::cli
