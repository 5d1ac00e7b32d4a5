#include "worklist/impl/document_classes.hpp"

#include <bit>
#include <utility>

namespace headroom::worklist::impl {

void DocumentClasses::set_lists(std::size_t lists) {
  lists_ = lists;
  asked_.clear();
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].is_asked()) asked_.push_back(i);
  }
}

void DocumentClasses::clear() {
  classes_.assign(1, {});
  totals_.assign(1, 0);
  set_layout();
}

void DocumentClasses::set_layout() {
  std::vector<std::size_t> sizes;
  for (const std::size_t column : asked_) sizes.push_back(columns_[column].classes().size());
  index_.reset(sizes);
}

std::vector<std::uint32_t> DocumentClasses::lists_of(const std::vector<std::uint32_t>& tuple) const {
  ListBits bits((lists_ + 63) / 64, ~std::uint64_t{0});
  for (std::size_t i = 0; i < asked_.size(); ++i) columns_[asked_[i]].classes().narrow(tuple[i], bits);
  std::vector<std::uint32_t> found;
  for (std::size_t word = 0; word < bits.size(); ++word) {
    for (std::uint64_t rest = bits[word]; rest != 0; rest &= rest - 1) {
      const std::size_t list = word * 64 + static_cast<std::size_t>(std::countr_zero(rest));
      if (list < lists_) found.push_back(static_cast<std::uint32_t>(list));
    }
  }
  return found;
}

bool DocumentClasses::has_room(const std::vector<std::uint32_t>& tuple) const {
  for (std::size_t i = 0; i < tuple.size(); ++i) {
    if (!index_.has_room(i, tuple[i])) return false;
  }
  return true;
}

/// A tuple whose numbers outgrew their bits makes the index larger.
void DocumentClasses::enter(ClassNumber number) {
  if (has_room(classes_[number].tuple)) return index_.add(classes_[number].tuple, number);
  set_layout();
  for (ClassNumber known = 1; known < classes_.size(); ++known) {
    if (index_.find(classes_[known].tuple) == 0) index_.add(classes_[known].tuple, known);
  }
}

ClassNumber DocumentClasses::make(std::vector<std::uint32_t> tuple) {
  DocumentClass made;
  made.lists = lists_of(tuple);
  made.tracked = !made.lists.empty();
  made.tuple = std::move(tuple);
  const auto number = static_cast<ClassNumber>(classes_.size());
  classes_.push_back(std::move(made));
  totals_.push_back(0);
  enter(number);
  return number;
}

void DocumentClasses::name_anew(ClassNumber number, std::vector<std::uint32_t> tuple) {
  DocumentClass& known = classes_[number];
  known.tuple = std::move(tuple);
  known.lists = lists_of(known.tuple);
  known.tracked = known.tracked || !known.lists.empty();
  if (index_.find(known.tuple) == 0) index_.add(known.tuple, number);
}

}  // namespace headroom::worklist::impl
