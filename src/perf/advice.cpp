#include "perf/advice.hpp"

#include <algorithm>
#include <functional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perf/impl/advice_passes.hpp"
#include "perf/impl/advice_reads.hpp"
#include "perf/impl/report_parts.hpp"
#include "perf/report_text.hpp"

namespace headroom::perf {

namespace {

using base::fail;

constexpr std::uint64_t kMostSummaries = 100'000;
constexpr std::size_t kMostRecords = 2'000;

/// The calls that took longest, again in the order of time.
void keep_dearest(std::vector<CallSummary>& calls) {
  if (calls.size() <= kMostRecords) return;
  const auto middle = calls.begin() + static_cast<std::ptrdiff_t>(kMostRecords);
  std::nth_element(calls.begin(), middle, calls.end(),
                   [](const CallSummary& left, const CallSummary& right) { return left.wall > right.wall; });
  calls.erase(middle, calls.end());
  std::sort(calls.begin(), calls.end(), [](const CallSummary& left, const CallSummary& right) {
    return std::pair(left.start, left.rank) < std::pair(right.start, right.rank);
  });
}

/// A request by its content. The id of JSON-RPC counts up with every request and asks nothing.
std::uint64_t request_key(const std::optional<Body>& body) {
  if (!body || body->cut || body->text.empty()) return 0;
  std::string content = body->text;
  auto parsed = nlohmann::json::parse(body->text, nullptr, false);
  if (parsed.is_object()) {
    parsed.erase("id");
    content = parsed.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  return std::max<std::uint64_t>(1, std::hash<std::string>{}(content));
}

AdviceCall reduced(const CallRecord& record, std::vector<ReadAgain> read_again) {
  return {record.summary,        record.attempts,   record.statements,   record.slow,
          std::move(read_again), record.cache_hits, record.cache_misses, request_key(record.request)};
}

/// Where a finding stands among the others.
Microseconds weight(const Finding& finding) {
  return finding.saving.value_or(finding.cost / 2);
}

bool is_before(const Finding& left, const Finding& right) {
  if (weight(left) != weight(right)) return weight(left) > weight(right);
  return std::tie(left.kind, left.method, left.fingerprint) <
         std::tie(right.kind, right.method, right.fingerprint);
}

std::string seconds(Microseconds duration) {
  return base::format_seconds(duration) + " s";
}

/// The frame that sent a statement: the last of its backtrace.
std::string last_line(std::string_view backtrace) {
  while (backtrace.ends_with('\n')) backtrace.remove_suffix(1);
  const std::size_t end = backtrace.rfind('\n');
  std::string_view line = end == std::string_view::npos ? backtrace : backtrace.substr(end + 1);
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  return std::string(line);
}

/// One finding as a paragraph. What came from outside is escaped by whoever prints the text.
std::string paragraph(std::size_t number, const Finding& finding) {
  const std::string saves = finding.saving ? fmt::format("saves about {}", seconds(*finding.saving))
                                           : fmt::format("costs {}", seconds(finding.cost));
  std::string text =
      fmt::format("{}. {} ({}): {}\n", number, saves, finding.kind, escape_line(finding.words));
  text += fmt::format("   {}\n", finding.remedy);
  if (!finding.backtrace.empty())
    text += fmt::format("   sent by    {}\n", escape_line(last_line(finding.backtrace)));
  if (!finding.statement.empty())
    text += fmt::format("   statement  {}\n", escape_line(finding.statement.substr(0, 200)));
  text += fmt::format("   calls      {} (of {}); saving: {}\n",
                      escape_line(fmt::format("{}", fmt::join(finding.calls, ", "))), finding.number,
                      finding.basis);
  return text;
}

std::string note_of(const AdviceMaterial& material, std::size_t findings) {
  const bool has_bodies = std::any_of(material.calls.begin(), material.calls.end(),
                                      [](const AdviceCall& call) { return call.request != 0; });
  const bool has_order =
      std::any_of(material.calls.begin(), material.calls.end(),
                  [](const AdviceCall& call) { return includes(call.summary.has, Has::kDb); });
  std::string note =
      fmt::format("{} findings in {} calls of {}", findings, material.total, seconds(material.time));
  if (material.total > material.calls.size())
    note += fmt::format("; only the {} longest were looked at whole", material.calls.size());
  if (!has_bodies)
    note += "; calls that a client repeats are found where bodies are kept ('headroom trace add --io')";
  if (!has_order) note += "; rows that a call reads again, where its statements are kept in order ('--db')";
  return note;
}

std::string fingerprint_text(std::uint64_t fingerprint) {
  return fingerprint == 0 ? std::string() : fmt::format("{:x}", fingerprint);
}

}  // namespace

Result<AdviceMaterial> gather_advice(Store& store, const Filter& filter) {
  auto page = impl::gather_calls(store, filter, 0, kMostSummaries);
  if (!page) return fail(page.error());
  AdviceMaterial material;
  material.total = page->total;
  for (const CallSummary& call : page->calls) material.time += call.wall;
  keep_dearest(page->calls);
  impl::ReadsAgain reads_again;
  const auto visited =
      impl::visit_records(store, page->calls, [&](const impl::Records& records, const CallRecord& record) {
        material.calls.push_back(reduced(record, reads_again.find(record, records)));
        for (const StatementTotal& total : record.statements) {
          const StatementInfo* info = records.statement(total.fingerprint);
          if (info != nullptr) material.statements.try_emplace(total.fingerprint, *info);
        }
        return true;
      });
  if (!visited) return fail(visited.error());
  return material;
}

std::vector<Finding> advise(const AdviceMaterial& material) {
  std::vector<Finding> findings;
  for (const impl::AdvicePass pass : impl::advice_passes()) pass(material, findings);
  const Microseconds least = std::max<Microseconds>(std::chrono::milliseconds{1}, material.time / 1000);
  std::erase_if(findings, [least](const Finding& finding) { return weight(finding) < least; });
  std::sort(findings.begin(), findings.end(), is_before);
  return findings;
}

Report advice_report(const AdviceMaterial& material, const std::vector<Finding>& findings, const Page& page) {
  Report report;
  report.table.columns = {
      {"kind", Format::kText},          {"saving", Format::kSeconds},   {"cost", Format::kSeconds},
      {"number", Format::kCount},       {"method", Format::kText},      {"table", Format::kText},
      {"words", Format::kLongText},     {"remedy", Format::kLongText},  {"basis", Format::kLongText},
      {"calls", Format::kText},         {"fingerprint", Format::kText}, {"statement", Format::kLongText},
      {"backtrace", Format::kBacktrace}};
  for (const Finding& finding : findings) {
    report.table.rows.push_back(
        {finding.kind, finding.saving ? Cell(*finding.saving) : Cell(), finding.cost,
         impl::count(finding.number), finding.method, finding.table, finding.words, finding.remedy,
         finding.basis, fmt::format("{}", fmt::join(finding.calls, ", ")),
         fingerprint_text(finding.fingerprint), finding.statement, finding.backtrace});
  }
  cut_to_page(report, page);
  bound_texts(report);
  for (std::size_t i = page.offset; i < page.offset + report.table.rows.size(); ++i) {
    if (!report.text.empty()) report.text += '\n';
    report.text += paragraph(i + 1, findings[i]);
  }
  report.note = note_of(material, findings.size());
  return report;
}

std::vector<SlowOfDatabase> dearest_slow_statements(const AdviceMaterial& material, std::size_t most) {
  struct Sum {
    Microseconds time{0};
    SlowOfDatabase longest;
  };
  std::map<std::uint64_t, Sum> sums;
  for (const AdviceCall& call : material.calls) {
    for (const SlowStatement& statement : call.slow) {
      Sum& sum = sums[statement.fingerprint];
      sum.time += statement.duration;
      if (sum.longest.slow.duration <= statement.duration) sum.longest = {call.summary.database, statement};
    }
  }
  std::vector<const Sum*> order;
  for (const auto& [fingerprint, sum] : sums) order.push_back(&sum);
  std::stable_sort(order.begin(), order.end(),
                   [](const Sum* left, const Sum* right) { return left->time > right->time; });
  std::vector<SlowOfDatabase> statements;
  for (const Sum* sum : order) {
    if (statements.size() < most) statements.push_back(sum->longest);
  }
  return statements;
}

}  // namespace headroom::perf
