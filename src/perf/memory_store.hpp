#pragma once

// A store in memory for the tests of the reports: the plainest reading of store.hpp, without bounds or speed.

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/glob.hpp"
#include "perf/call_order.hpp"
#include "perf/store.hpp"

namespace headroom::perf {

class MemoryStore final : public Store {
 public:
  Result<void> append(const Batch& batch) override {
    for (const StatementInfo& statement : batch.statements)
      statements_.try_emplace(statement.fingerprint, statement);
    for (CallRecord call : batch.calls) {
      call.summary.rank = ++ranks_[{call.summary.database, call.summary.session}];
      calls_.push_back(std::move(call));
    }
    counts_.insert(counts_.end(), batch.counts.begin(), batch.counts.end());
    return {};
  }

  Result<std::vector<SessionRow>> sessions(const Filter& filter) override {
    std::map<std::pair<std::string, std::string>, SessionRow> rows;
    for (const CallRecord& record : calls_) {
      const CallSummary& call = record.summary;
      SessionRow& row = rows[{call.database, call.session}];
      if (row.calls++ == 0)
        row = {call.database, call.session, call.user, call.user_id, call.start, call.start, 1, {}};
      row.first = std::min(row.first, call.start);
      row.last = std::max(row.last, call.start);
      row.time += call.wall;
    }
    std::vector<SessionRow> result;
    for (const auto& [key, row] : rows) {
      const bool wanted =
          includes_database(filter, row.database) && is_user(filter.user, row.user, row.user_id) &&
          (!filter.since || row.last >= *filter.since) && (!filter.until || row.first < *filter.until);
      if (wanted) result.push_back(row);
    }
    std::stable_sort(result.begin(), result.end(),
                     [](const SessionRow& left, const SessionRow& right) { return left.last > right.last; });
    return result;
  }

  Result<std::vector<TotalRow>> totals(const Filter& filter, GroupBy group) override {
    std::map<std::string, TotalRow> rows;
    const auto add = [&rows](const std::string& name, std::uint64_t fingerprint, std::uint64_t number,
                             Microseconds time) {
      TotalRow& row = rows[name];
      row.name = name;
      row.fingerprint = fingerprint;
      row.number += number;
      row.time += time;
    };
    for (const CallRecord& record : calls_) {
      if (!matches(record.summary, filter)) continue;
      if (group == GroupBy::kMethod) add(record.summary.method, 0, 1, record.summary.wall);
      if (group == GroupBy::kMethod) continue;
      for (const StatementTotal& total : record.statements) {
        const StatementInfo& statement = statements_.at(total.fingerprint);
        if (group == GroupBy::kFingerprint)
          add(statement.normalized, total.fingerprint, total.count, total.time);
        if (group == GroupBy::kFingerprint) continue;
        for (const std::string& table : statement.tables) add(table, 0, total.count, total.time);
      }
    }
    std::vector<TotalRow> result;
    for (const auto& [name, row] : rows) result.push_back(row);
    return result;
  }

  Result<CallPage> calls(const Filter& filter, const Page& page, const CallOrder& order) override {
    ++pages_read_;
    CallPage result;
    for (const CallRecord& record : calls_) {
      if (matches(record.summary, filter)) result.calls.push_back(record.summary);
    }
    std::stable_sort(result.calls.begin(), result.calls.end(),
                     [](const CallSummary& left, const CallSummary& right) {
                       return std::pair(left.start, left.rank) < std::pair(right.start, right.rank);
                     });
    result.total = result.calls.size();
    sort_page(result.calls, order, page);
    for (CallSummary& call : result.calls) cut_names(call);
    summaries_given_ += result.calls.size();
    return result;
  }

  Result<Batch> load(const std::vector<std::string>& ids) override {
    Batch batch;
    for (const std::string& id : ids) {
      for (const CallRecord& record : calls_) {
        if (record.summary.id == id) batch.calls.push_back(record);
      }
    }
    for (const auto& [fingerprint, statement] : statements_) batch.statements.push_back(statement);
    return batch;
  }

  Result<std::vector<MethodCount>> counts(const Filter& filter) override {
    std::vector<MethodCount> result;
    for (const MethodCount& row : counts_) {
      const bool wanted = includes_database(filter, row.database) &&
                          (filter.method.empty() || base::glob_match(filter.method, row.method));
      if (wanted) result.push_back(row);
    }
    return result;
  }

  Result<CallSamples> samples(const Filter& filter, std::uint64_t most) override {
    const auto page = calls(filter, {0, most}, {}).value();
    CallSamples samples;
    samples.complete = page.total <= most;
    for (const CallSummary& summary : page.calls) {
      CallSample call{summary.start,
                      summary.wall,
                      summary.sql,
                      index_of(samples.methods, summary.method),
                      summary.statements,
                      samples.parts.size(),
                      0};
      const Batch batch = load({summary.id}).value();
      for (const StatementTotal& total : batch.calls.at(0).statements) {
        const auto& info = statements_.at(total.fingerprint);
        samples.parts.push_back({index_of(samples.statements, info), total.count, total.time});
        ++call.parts;
      }
      samples.calls.push_back(call);
    }
    return samples;
  }

  Result<StoreInfo> info() override { return StoreInfo{}; }

  /// How often `calls` was asked.
  [[nodiscard]] std::uint64_t pages_read() const { return pages_read_; }
  /// How many summaries it gave for that.
  [[nodiscard]] std::uint64_t summaries_given() const { return summaries_given_; }

 private:
  static std::uint32_t index_of(std::vector<std::string>& names, const std::string& name) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == name) return static_cast<std::uint32_t>(i);
    }
    names.push_back(name);
    return static_cast<std::uint32_t>(names.size() - 1);
  }

  static std::uint32_t index_of(std::vector<StatementInfo>& infos, const StatementInfo& info) {
    for (std::size_t i = 0; i < infos.size(); ++i) {
      if (infos[i].fingerprint == info.fingerprint) return static_cast<std::uint32_t>(i);
    }
    infos.push_back(info);
    return static_cast<std::uint32_t>(infos.size() - 1);
  }

  static bool matches(const CallSummary& call, const Filter& filter) {
    return includes_database(filter, call.database) &&
           (filter.session.empty() || call.session == filter.session) &&
           is_user(filter.user, call.user, call.user_id) &&
           (filter.method.empty() || base::glob_match(filter.method, call.method)) &&
           (!filter.since || call.start >= *filter.since) && (!filter.until || call.start < *filter.until) &&
           includes(call.has, filter.has) && call.most_repeated >= filter.most_repeated_at_least &&
           (filter.rank == 0 || call.rank == filter.rank);
  }

  std::vector<CallRecord> calls_;
  std::map<std::uint64_t, StatementInfo> statements_;
  std::vector<MethodCount> counts_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> ranks_;
  std::uint64_t pages_read_ = 0;
  std::uint64_t summaries_given_ = 0;
};

}  // namespace headroom::perf
