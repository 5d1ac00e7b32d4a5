#include "perf/call_order.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "sql/utf8.hpp"

namespace headroom::perf {

namespace {

constexpr std::array<std::pair<Has, std::string_view>, 5> kDetails{{{Has::kProfile, "profile"},
                                                                    {Has::kSample, "sample"},
                                                                    {Has::kDb, "db"},
                                                                    {Has::kQuery, "query"},
                                                                    {Has::kIo, "io"}}};

template <typename Integer>
std::optional<std::int64_t> number(Integer value) {
  return static_cast<std::int64_t>(value);
}

std::optional<std::int64_t> number(Microseconds span) {
  return span.count();
}

struct Keyed {
  std::optional<std::int64_t> number;
  std::string text;
  std::size_t index = 0;

  [[nodiscard]] bool is_less(const Keyed& other) const {
    return number != other.number ? number < other.number : text < other.text;
  }
};

std::vector<Keyed> keys_of(const std::vector<CallSummary>& calls, CallKey key) {
  std::vector<Keyed> keys;
  keys.reserve(calls.size());
  for (const CallSummary& call : calls)
    keys.push_back({number_of(call, key), text_of(call, key), keys.size()});
  return keys;
}

}  // namespace

std::string shown_name(std::string_view name) {
  if (name.size() <= kLongestShownName) return std::string(name);
  const std::string mark = fmt::format("\u2026 ({} bytes)", name.size());
  return std::string(sql::cut_utf8(name, kLongestShownName - mark.size())) + mark;
}

std::string details_text(Has has) {
  std::string text;
  for (const auto& [bit, word] : kDetails) {
    if (!includes(has, bit)) continue;
    text += fmt::format("{}{}", text.empty() ? "" : ",", word);
  }
  return text;
}

std::optional<std::int64_t> number_of(const CallSummary& call, CallKey key) {
  switch (key) {
    case CallKey::kStart:
      return call.start.time_since_epoch().count();
    case CallKey::kRank:
      return number(call.rank);
    case CallKey::kWall:
      return number(call.wall);
    case CallKey::kStatements:
      return number(call.statements);
    case CallKey::kSql:
      return number(call.sql);
    case CallKey::kBytesIn:
      return number(call.bytes_in);
    case CallKey::kBytesOut:
      return number(call.bytes_out);
    case CallKey::kCpu:
      return call.cpu ? number(*call.cpu) : std::nullopt;
    case CallKey::kWait:
      return number(call.connection_wait + call.lock_wait);
    case CallKey::kCommit:
      return number(call.commit);
    case CallKey::kRows:
      return number(call.rows);
    case CallKey::kRepeated:
      return number(call.most_repeated);
    case CallKey::kAttempts:
      return number(call.attempts);
    case CallKey::kHttpStatus:
      return call.http_status == 0 ? std::nullopt : number(call.http_status);
    case CallKey::kMethod:
    case CallKey::kStatus:
    case CallKey::kKind:
    case CallKey::kHas:
    case CallKey::kUser:
      break;
  }
  return std::nullopt;
}

std::string text_of(const CallSummary& call, CallKey key) {
  if (key == CallKey::kMethod) return call.method;
  if (key == CallKey::kStatus) return std::string(name(call.status));
  if (key == CallKey::kKind) return std::string(name(call.kind));
  if (key == CallKey::kHas) return details_text(call.has);
  if (key != CallKey::kUser) return {};
  return call.user.empty() && call.user_id ? fmt::to_string(*call.user_id) : call.user;
}

void cut_names(CallSummary& call) {
  for (std::string* name : {&call.database, &call.session, &call.method, &call.user}) {
    if (name->size() > kLongestShownName) *name = shown_name(*name);
  }
}

void sort_page(std::vector<CallSummary>& calls, const CallOrder& order, const Page& page) {
  std::vector<Keyed> keys = keys_of(calls, order.key);
  std::ranges::stable_sort(keys, [&](const Keyed& left, const Keyed& right) {
    return order.descending ? right.is_less(left) : left.is_less(right);
  });
  const std::size_t begin = std::min<std::uint64_t>(page.offset, keys.size());
  const std::size_t most = keys.size() - begin;
  const std::size_t end = begin + (page.limit == 0 ? most : std::min<std::uint64_t>(page.limit, most));
  std::vector<CallSummary> kept;
  for (std::size_t i = begin; i < end; ++i) kept.push_back(std::move(calls[keys[i].index]));
  calls = std::move(kept);
}

}  // namespace headroom::perf
