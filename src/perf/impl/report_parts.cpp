#include "perf/impl/report_parts.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "perf/call_order.hpp"
#include "sql/utf8.hpp"

namespace headroom::perf::impl {

using base::ErrorCode;
using base::fail;

Result<Filter> session_filter(Store& store, const ReportRequest& request) {
  if (request.session.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("missing session argument: {} SESSION; 'headroom session' lists the sessions",
                            request.report));
  }
  const auto session = find_session(store, request.session, request.filter);
  if (!session) return fail(session.error());
  Filter filter = request.filter;
  filter.database = session->database;
  filter.session = session->session;
  return filter;
}

std::vector<std::string> describe_filters(const Filter& filter) {
  std::vector<std::string> texts;
  if (!filter.user.empty()) texts.push_back(fmt::format("user '{}'", filter.user));
  if (!filter.method.empty()) texts.push_back(fmt::format("method '{}'", filter.method));
  if (filter.since) texts.push_back(fmt::format("since {}", base::to_iso(*filter.since)));
  if (filter.until) texts.push_back(fmt::format("until {}", base::to_iso(*filter.until)));
  return texts;
}

std::string that_matches(const Filter& filter) {
  const auto texts = describe_filters(filter);
  return texts.empty() ? std::string() : fmt::format(" that matches {}", fmt::join(texts, ", "));
}

base::Error given_twice(std::string_view what, std::string_view argument, std::string_view filter) {
  return {ErrorCode::kInvalidArgument,
          fmt::format("the {0} is given twice: '{1}' as the argument, '{2}' as the filter {0}", what,
                      argument, filter)};
}

Result<std::uint64_t> parse_rank(std::string_view what, std::string_view text) {
  std::uint64_t rank = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rank);
  if (error != std::errc{} || end != text.data() + text.size() || rank == 0) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} '{}': expected its number, 1 or more", what, text));
  }
  return rank;
}

Result<CallSummary> find_call(Store& store, const Filter& session, std::string_view text) {
  const auto rank = parse_rank("call", text);
  if (!rank) return fail(rank.error());
  Filter filter = session;
  filter.rank = *rank;
  auto page = store.calls(filter, Page{0, 1});
  if (!page) return fail(page.error());
  if (page->calls.empty()) {
    return fail(
        ErrorCode::kNotFound,
        fmt::format("session {}/{} has no call {}{}; 'headroom call {}' lists its calls", session.database,
                    session.session, *rank, that_matches(session), session.session));
  }
  return std::move(page->calls.front());
}

Result<CallPage> gather_calls(Store& store, const Filter& filter, std::uint64_t offset, std::uint64_t most) {
  constexpr std::uint64_t kAtOnce = 1000;
  CallPage all;
  while (all.calls.size() < most) {
    const std::uint64_t wanted = std::min(kAtOnce, most - all.calls.size());
    auto page = store.calls(filter, Page{offset + all.calls.size(), wanted});
    if (!page) return fail(page.error());
    all.total = page->total;
    const bool last = page->calls.size() < wanted;
    std::move(page->calls.begin(), page->calls.end(), std::back_inserter(all.calls));
    if (last) break;
  }
  return all;
}

Result<Records> Records::load(Store& store, const std::vector<std::string>& ids) {
  auto batch = store.load(ids);
  if (!batch) return fail(batch.error());
  Records records;
  records.calls_ = std::move(batch->calls);
  for (StatementInfo& statement : batch->statements) {
    records.statements_.insert_or_assign(statement.fingerprint, std::move(statement));
  }
  return records;
}

std::string shown_text(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  return fmt::format("{}\u2026 ({} bytes)", sql::cut_utf8(text, most), text.size());
}

void Records::cut_texts() {
  const auto cut = [](std::string& text) {
    if (text.size() > kLongestPartText) text = shown_text(text, kLongestPartText);
  };
  for (CallRecord& call : calls_) {
    cut_names(call.summary);
    cut(call.error);
    for (Attempt& attempt : call.attempts) cut(attempt.error);
    for (StatementTotal& total : call.statements) cut(total.backtrace);
    for (StatementEvent& event : call.events) cut(event.parameters);
    for (SlowStatement& slow : call.slow) {
      cut(slow.sql);
      cut(slow.backtrace);
    }
  }
  for (auto& [fingerprint, statement] : statements_) {
    cut(statement.normalized);
    for (std::string& table : statement.tables) table = shown_name(table);
  }
}

Result<Records> load_call(Store& store, const ReportRequest& request) {
  const auto filter = session_filter(store, request);
  if (!filter) return fail(filter.error());
  const auto call = find_call(store, *filter, request.argument);
  if (!call) return fail(call.error());
  auto records = Records::load(store, {call->id});
  if (records && records->calls().empty()) {
    return fail(ErrorCode::kNotFound, fmt::format("call {} was deleted while it was read", request.argument));
  }
  return records;
}

const StatementInfo* Records::statement(std::uint64_t fingerprint) const {
  const auto found = statements_.find(fingerprint);
  return found == statements_.end() ? nullptr : &found->second;
}

std::string Records::action(std::uint64_t fingerprint) const {
  const StatementInfo* known = statement(fingerprint);
  return known == nullptr ? "-" : std::string(sql::name(known->kind));
}

std::string Records::table(std::uint64_t fingerprint) const {
  const StatementInfo* known = statement(fingerprint);
  return known == nullptr || known->tables.empty() ? "-" : known->tables.front();
}

std::string Records::text(std::uint64_t fingerprint) const {
  const StatementInfo* known = statement(fingerprint);
  return known == nullptr ? std::string() : known->normalized;
}

Result<SortKey> parse_sort(std::string_view text, const std::vector<Column>& columns) {
  SortKey key;
  key.descending = text.starts_with('-');
  const std::string_view name = key.descending ? text.substr(1) : text;
  std::vector<std::string_view> names;
  for (const Column& column : columns) {
    if (column.name == name) return key.column = names.size(), key;
    names.push_back(column.name);
  }
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("sort '{}': expected one of {}, with '-' before it for the largest first", text,
                          fmt::join(names, ", ")));
}

}  // namespace headroom::perf::impl
