#include "worklist/impl/held_column.hpp"

#include <utility>

namespace headroom::worklist::impl {

Code HeldColumn::code_of(const Value& value) {
  if (is_null(value)) return 0;
  const std::size_t known = values_.size();
  const std::uint32_t place = values_.add(value);
  if (place == ValueTable::kNone) return kNoRoom;
  const Code code = place + 1;
  if (values_.size() > known && is_asked()) {
    if (class_of_code_.size() <= code) class_of_code_.resize(code + 1U);
    class_of_code_[code] = classes_.class_of(value);
  }
  return code;
}

Code HeldColumn::find(const Value& value) const {
  const std::uint32_t place = values_.find(value);
  return place == ValueTable::kNone ? 0 : place + 1;
}

std::optional<std::int64_t> HeldColumn::moment(Code code) const {
  if (code == 0) return std::nullopt;
  return values_.number(code - 1);
}

void HeldColumn::forget_unused(const std::vector<bool>& used) {
  for (Code code = 1; code < codes(); ++code) {
    if (!used[code] && is_taken(code)) values_.remove(code - 1);
  }
}

void HeldColumn::set_tests(const std::vector<std::optional<ColumnTest>>& tests, bool moves) {
  classes_.set(type_, tests);
  moves_ = moves;
  renew_codes();
}

void HeldColumn::renew_tests(const std::vector<std::optional<ColumnTest>>& tests) {
  classes_.renew(type_, tests);
}

void HeldColumn::renew_codes() {
  class_of_code_.resize(is_asked() ? codes() : 0);
  for (Code code = 0; code < class_of_code_.size(); ++code) {
    if (is_taken(code)) class_of_code_[code] = classes_.class_of(value(code));
  }
}

const std::vector<std::uint32_t>& HeldColumn::class_of_codes() {
  if (moves_) renew_codes();
  return class_of_code_;
}

std::vector<std::uint32_t> HeldColumn::take_class_of_codes() {
  (void)class_of_codes();
  return std::exchange(class_of_code_, {});
}

}  // namespace headroom::worklist::impl
