#include "worklist/impl/timed_documents.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace headroom::worklist::impl {

namespace {

using Span = std::pair<std::int64_t, std::int64_t>;

void each_operand(const std::vector<TimedCriterion>& criteria,
                  const std::function<void(const Operand&)>& told) {
  for (const TimedCriterion& one : criteria) {
    for (const Condition& condition : one.criterion.conditions) {
      for (const Operand& operand : condition.operands) told(operand);
    }
  }
}

std::vector<Span> united(std::vector<Span> spans) {
  std::sort(spans.begin(), spans.end());
  std::vector<Span> united;
  for (const Span& span : spans) {
    if (!united.empty() && span.first <= united.back().second) {
      united.back().second = std::max(united.back().second, span.second);
    } else {
      united.push_back(span);
    }
  }
  return united;
}

}  // namespace

bool is_timed(const Criterion& criterion) {
  return std::any_of(criterion.conditions.begin(), criterion.conditions.end(), [](const Condition& one) {
    return std::any_of(one.operands.begin(), one.operands.end(),
                       [](const Operand& operand) { return std::holds_alternative<Moment>(operand); });
  });
}

Boundaries::Holds TimedDocuments::holder(std::size_t column) const {
  return [this, column](Slot slot) -> std::optional<std::int64_t> {
    if (!documents_.is_there(slot)) return std::nullopt;
    return columns_[column].moment(documents_.code(slot, column));
  };
}

void TimedDocuments::set(std::size_t column, std::vector<TimedCriterion> criteria) {
  Asked& asked = asked_[column];
  asked.criteria = std::move(criteria);
  if (asked.criteria.empty()) {
    asked.times.reset();
  } else if (!asked.times) {
    enter_all(column);
  }
}

void TimedDocuments::enter_all(std::size_t column) {
  Boundaries& times = asked_[column].times.emplace(columns_[column].type());
  const Boundaries::Holds holds = holder(column);
  for (Slot slot = 0; slot < documents_.slots(); ++slot) {
    if (const auto value = holds(slot)) times.put(*value, slot);
  }
}

void TimedDocuments::enter_anew() {
  for (std::size_t i = 0; i < asked_.size(); ++i) {
    if (has(i)) enter_all(i);
  }
}

void TimedDocuments::change(Slot slot, std::size_t column, Code before) {
  Boundaries& times = *asked_[column].times;
  const Boundaries::Holds holds = holder(column);
  if (const auto left = columns_[column].moment(before)) times.remove(*left, holds);
  if (const auto value = holds(slot)) times.put(*value, slot);
}

bool TimedDocuments::passed(std::size_t column, base::UtcTime before, base::UtcTime now,
                            std::vector<Slot>& found) const {
  std::vector<Span> spans;
  const Type type = columns_[column].type();
  each_operand(asked_[column].criteria, [&](const Operand& operand) {
    const auto from = std::get<std::int64_t>(resolve(type, operand, before));
    const auto to = std::get<std::int64_t>(resolve(type, operand, now));
    if (from != to) spans.emplace_back(std::min(from, to), std::max(from, to));
  });
  const bool is_elsewhere = !spans.empty();
  const Boundaries::Holds holds = holder(column);
  for (const auto& [from, to] : united(std::move(spans)))
    asked_[column].times->visit(from, to, holds, [&found](Slot slot) { found.push_back(slot); });
  return is_elsewhere;
}

std::optional<base::UtcTime> TimedDocuments::next_change(base::UtcTime now) const {
  std::optional<base::UtcTime> next;
  for (std::size_t i = 0; i < asked_.size(); ++i) {
    each_operand(asked_[i].criteria, [&](const Operand& operand) {
      const auto one = worklist::next_change(columns_[i].type(), operand, now, [&](std::int64_t from) {
        return asked_[i].times->first_from(from, holder(i));
      });
      if (one && (!next || *one < *next)) next = one;
    });
  }
  return next;
}

std::size_t TimedDocuments::bytes() const {
  std::size_t bytes = 0;
  for (const Asked& one : asked_) bytes += one.times ? one.times->bytes() : 0;
  return bytes;
}

}  // namespace headroom::worklist::impl
