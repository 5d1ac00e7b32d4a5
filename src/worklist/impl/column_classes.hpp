#pragma once

// What lists ask of a column: the values that they treat alike, and which lists take them.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "worklist/classes.hpp"

namespace headroom::worklist::impl {

/// A bit for each list.
using ListBits = std::vector<std::uint64_t>;

/// Ids of classes, each a set of lists that take the values of the class or ask nothing of the column. An id
/// stands for its set as long as the lists are the same, whatever their dates become.
class ColumnClasses final {
 public:
  /// By list: what it asks of the column; nothing: it asks nothing. Ids are given anew.
  void set(Type type, const std::vector<std::optional<ColumnTest>>& tests);
  /// The same lists at another time: ids stay.
  void renew(Type type, const std::vector<std::optional<ColumnTest>>& tests);

  /// Whether any list asks.
  [[nodiscard]] bool is_asked() const { return asked_; }
  [[nodiscard]] std::uint32_t class_of(const Value& value) const {
    return ids_[worklist::class_of(classes_, value)];
  }
  [[nodiscard]] std::size_t size() const { return lists_.size(); }
  /// Takes away those that do not take the values of a class.
  void narrow(std::uint32_t id, ListBits& lists) const;

 private:
  bool asked_ = false;
  ValueClasses classes_;
  std::vector<std::uint32_t> ids_;  ///< by ClassId
  std::vector<ListBits> lists_;     ///< by id
  std::map<ListBits, std::uint32_t> known_;
};

}  // namespace headroom::worklist::impl
