#include "perf/resolver.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "sql/token.hpp"

namespace headroom::perf {

namespace {

constexpr std::size_t kTold = 65'536;
constexpr std::size_t kSqlLimit = 16U << 10;
constexpr std::size_t kParametersLimit = 4U << 10;
constexpr std::size_t kErrorLimit = 4U << 10;

Microseconds to_us(base::Nanoseconds time) {
  return std::chrono::duration_cast<Microseconds>(time);
}

std::string join(const Backtrace& backtrace) {
  std::string text;
  for (const auto& line : backtrace) {
    if (!text.empty()) text += '\n';
    text += *line;
  }
  return text;
}

}  // namespace

std::string bind_parameters(std::string_view text, const std::vector<std::string>& parameters) {
  std::string bound;
  std::size_t copied = 0;
  std::size_t next = 0;
  for (const sql::Token& token : sql::tokenize(text)) {
    if (token.kind != sql::TokenKind::kPlaceholder || next >= parameters.size()) continue;
    const auto at = static_cast<std::size_t>(token.text.data() - text.data());
    bound.append(text.substr(copied, at - copied)).append(parameters[next++]);
    copied = at + token.text.size();
  }
  return bound.append(text.substr(copied));
}

Resolver::Resolver(Settings settings) : settings_(std::move(settings)), redactor_(settings_.secrets) {}

std::uint64_t Resolver::fingerprint_of(StatementText& text, Batch& batch) {
  const auto known = text.fingerprint.load(std::memory_order_relaxed);
  if (known != 0 && told_.contains(known)) return known;
  auto statement = sql::analyze(text.text);
  const auto fingerprint = statement.fingerprint;
  text.fingerprint.store(fingerprint, std::memory_order_relaxed);
  if (told_.size() >= kTold) told_.clear();
  if (told_.insert(fingerprint).second) batch.statements.push_back(std::move(statement));
  return fingerprint;
}

void Resolver::add_totals(const FinishedCall& call, CallRecord& record, Batch& batch) {
  std::unordered_map<std::uint64_t, std::size_t> places;
  for (const auto& total : call.totals) {
    const auto fingerprint = fingerprint_of(*total.text, batch);
    const auto [place, fresh] = places.try_emplace(fingerprint, record.statements.size());
    if (fresh) record.statements.push_back({fingerprint, 0, {}, {}, 0, {}});
    StatementTotal& sum = record.statements[place->second];
    sum.count += total.count;
    sum.time += to_us(total.time);
    sum.longest = std::max(sum.longest, to_us(total.longest));
    sum.rows += total.rows;
    if (sum.backtrace.empty()) sum.backtrace = join(total.backtrace);
    record.summary.most_repeated = std::max(record.summary.most_repeated, sum.count);
  }
}

void Resolver::add_events(const FinishedCall& call, const KnownSecrets& secrets, CallRecord& record,
                          Batch& batch) {
  for (const auto& event : call.events) {
    record.events.push_back(
        {fingerprint_of(*event.text, batch), to_us(event.offset), to_us(event.duration), event.rows,
         redactor_.parameters(event.text->text, event.parameters, kParametersLimit, secrets)});
  }
}

void Resolver::add_slow(const FinishedCall& call, const KnownSecrets& secrets, CallRecord& record,
                        Batch& batch) {
  for (const auto& slow : call.slow) {
    const auto& event = slow.event;
    const std::string bound =
        slow.bound.empty() ? bind_parameters(event.text->text, event.parameters) : slow.bound;
    record.slow.push_back({fingerprint_of(*event.text, batch), to_us(event.offset), to_us(event.duration),
                           event.rows, redactor_.sql(bound, kSqlLimit, secrets), join(slow.backtrace)});
  }
}

void Resolver::add(FinishedCall call, Batch& batch) {
  KnownSecrets secrets;
  for (const auto& secret : call.secrets) secrets.add(secret);
  CallRecord record = std::move(call.record);
  record.host = settings_.host;
  record.process = settings_.process;
  record.error = redactor_.error(record.error, kErrorLimit, secrets);
  for (auto& attempt : record.attempts) attempt.error = redactor_.error(attempt.error, kErrorLimit, secrets);
  for (auto* body : {&record.request, &record.response}) {
    if (*body) *body = redactor_.body(std::move(**body), settings_.body_limit, secrets);
  }
  add_totals(call, record, batch);
  add_events(call, secrets, record, batch);
  add_slow(call, secrets, record, batch);
  batch.calls.push_back(std::move(record));
}

}  // namespace headroom::perf
