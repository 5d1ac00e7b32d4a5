#pragma once

// Documents that all lists treat alike: the classes of all values of a document together are its class.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "worklist/impl/class_index.hpp"
#include "worklist/impl/held_column.hpp"
#include "worklist/impl/numbers.hpp"

namespace headroom::worklist::impl {

struct DocumentClass {
  std::vector<std::uint32_t> tuple;  ///< the classes of its values, by asked column
  std::vector<std::uint32_t> lists;  ///< that its documents are in
  bool tracked = false;              ///< its documents are counted: any list has them, or had them
};

/// Only classes that occur are made, each when its first document comes.
class DocumentClasses final {
 public:
  /// Lifetime: the columns outlive it.
  explicit DocumentClasses(const std::vector<HeldColumn>& columns) : columns_(columns) { clear(); }

  /// Columns ask for something else now. Classes are the caller's to forget (`clear`) or to name anew
  /// (`rename`).
  void set_lists(std::size_t lists);
  void clear();
  /// Each class gets another tuple, of the columns that are asked now: `tuple_of(class)`. Those that were
  /// tracked stay so; a tuple that several have leads to the first of them.
  template <typename TupleOf>
  void rename(TupleOf tuple_of) {
    set_layout();
    for (ClassNumber number = 1; number < size(); ++number) name_anew(number, tuple_of(classes_[number]));
  }

  /// Columns that lists ask for: a tuple has a number for each.
  [[nodiscard]] const std::vector<std::size_t>& asked() const { return asked_; }
  /// One more than the last class.
  [[nodiscard]] std::size_t size() const { return classes_.size(); }
  [[nodiscard]] const DocumentClass& operator[](ClassNumber number) const { return classes_[number]; }

  /// Of a document with these codes, `code_of(column)`; made where there is none.
  template <typename CodeOf>
  ClassNumber class_of(CodeOf code_of) {
    tuple_.clear();
    for (const std::size_t column : asked_) tuple_.push_back(columns_[column].class_of(code_of(column)));
    const ClassNumber found = has_room(tuple_) ? index_.find(tuple_) : 0;
    return found == 0 ? make(tuple_) : found;
  }
  /// A class that was not there.
  ClassNumber make(std::vector<std::uint32_t> tuple);

  /// Where walks over all documents find classes.
  [[nodiscard]] const ClassIndex& index() const { return index_; }

  /// By class: its documents, while it is tracked.
  [[nodiscard]] const std::vector<std::uint64_t>& totals() const { return totals_; }
  void add(ClassNumber number, std::uint64_t documents) { totals_[number] += documents; }
  void subtract(ClassNumber number, std::uint64_t documents) { totals_[number] -= documents; }

  [[nodiscard]] std::size_t bytes() const { return index_.bytes(); }

 private:
  void set_layout();
  void name_anew(ClassNumber number, std::vector<std::uint32_t> tuple);
  [[nodiscard]] std::vector<std::uint32_t> lists_of(const std::vector<std::uint32_t>& tuple) const;
  [[nodiscard]] bool has_room(const std::vector<std::uint32_t>& tuple) const;
  void enter(ClassNumber number);

  const std::vector<HeldColumn>& columns_;
  std::size_t lists_ = 0;
  std::vector<std::size_t> asked_;
  ClassIndex index_;
  std::vector<DocumentClass> classes_;
  std::vector<std::uint64_t> totals_;
  std::vector<std::uint32_t> tuple_;  ///< kept for its memory
};

}  // namespace headroom::worklist::impl
