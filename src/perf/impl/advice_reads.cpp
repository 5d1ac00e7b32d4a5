#include "perf/impl/advice_reads.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "perf/redact.hpp"
#include "sql/token.hpp"

namespace headroom::perf::impl {

namespace {

constexpr std::size_t kCutValue = 1'000;  // bytes; render_parameters cuts a value there

bool has_word(const std::vector<sql::Token>& tokens, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(tokens, [&](const sql::Token& token) {
    return std::ranges::any_of(words, [&](std::string_view word) { return token.is_word(word); });
  });
}

/// How many values were bound; 0 when they are not all known whole.
std::size_t known_values(const std::string& parameters) {
  if (parameters.find(kRedacted) != std::string::npos) return 0;
  const auto values = nlohmann::json::parse(parameters, nullptr, false);
  if (!values.is_array()) return 0;
  for (const auto& value : values) {
    if (!value.is_string()) return 0;
    const auto& text = value.get_ref<const std::string&>();
    if (text == "..." || text == "?" || text.size() >= kCutValue) return 0;
  }
  return values.size();
}

}  // namespace

/// Goes through the statements of one call in their order.
class ReadsAgain::Reader final {
 public:
  void see(const StatementEvent& event, const Shape& shape) {
    ++now_;
    switch (shape.effect) {
      case Effect::kReads:
        return read(event, shape);
      case Effect::kNothing:
        return;
      case Effect::kWrites:
        for (const std::string& table : shape.tables) written_[table] = now_;
        return;
      case Effect::kAnything:
        forgotten_ = now_;
    }
  }

  [[nodiscard]] std::vector<ReadAgain> take() const {
    std::vector<ReadAgain> found;
    for (const auto& [fingerprint, one] : found_) found.push_back(one);
    return found;
  }

 private:
  struct Read {
    std::size_t when = 0;
    std::int64_t rows = 0;
  };

  void read(const StatementEvent& event, const Shape& shape) {
    const auto [place, is_new] =
        known_.try_emplace({event.fingerprint, event.parameters}, Read{now_, event.rows});
    if (is_new) return;
    const Read before = std::exchange(place->second, {now_, event.rows});
    if (before.rows != event.rows || !holds(before, shape)) return;
    const std::size_t values = known_values(event.parameters);
    if (values == 0 || values < shape.places || shape.has_list_and_limit) return;
    ReadAgain& again = found_[event.fingerprint];
    again.fingerprint = event.fingerprint;
    ++again.count;
    again.time += event.duration;
  }

  /// Nothing of it was written since.
  [[nodiscard]] bool holds(const Read& before, const Shape& shape) const {
    if (before.when < forgotten_) return false;
    return std::ranges::none_of(shape.tables, [&](const std::string& table) {
      const auto written = written_.find(table);
      return written != written_.end() && written->second > before.when;
    });
  }

  std::size_t now_ = 0;
  std::size_t forgotten_ = 0;  ///< when all that was known became uncertain
  std::map<std::pair<std::uint64_t, std::string_view>, Read> known_;
  std::map<std::string_view, std::size_t> written_;
  std::map<std::uint64_t, ReadAgain> found_;
};

ReadsAgain::Shape ReadsAgain::look_at(const StatementInfo* info) {
  Shape shape;
  if (info == nullptr) return shape;
  shape.tables = info->tables;
  switch (info->kind) {
    case sql::StatementKind::kSet:
    case sql::StatementKind::kSequence:
      shape.effect = Effect::kNothing;
      return shape;
    case sql::StatementKind::kInsert:
    case sql::StatementKind::kUpdate:
    case sql::StatementKind::kDelete:
      shape.effect = Effect::kWrites;
      return shape;
    case sql::StatementKind::kSelect:
      break;
    default:
      return shape;
  }
  const auto tokens = sql::tokenize(info->normalized);
  if (has_word(tokens, {"insert", "update", "delete"})) return shape;       // it locks, or writes on its way
  shape.effect = info->tables.empty() ? Effect::kNothing : Effect::kReads;  // a function alone reads no rows
  shape.places = static_cast<std::size_t>(std::ranges::count_if(
      tokens, [](const sql::Token& token) { return token.kind == sql::TokenKind::kPlaceholder; }));
  shape.has_list_and_limit = has_word(tokens, {"in"}) && has_word(tokens, {"limit", "offset", "fetch"});
  return shape;
}

std::vector<ReadAgain> ReadsAgain::find(const CallRecord& record, const Records& records) {
  // What an attempt reads that another one had read is the cost of the retry.
  if (record.events.empty() || record.dropped_details > 0 || record.attempts.size() > 1) return {};
  Reader reader;
  for (const StatementEvent& event : record.events) {
    auto shape = shapes_.find(event.fingerprint);
    if (shape == shapes_.end())
      shape = shapes_.emplace(event.fingerprint, look_at(records.statement(event.fingerprint))).first;
    reader.see(event, shape->second);
  }
  return reader.take();
}

}  // namespace headroom::perf::impl
