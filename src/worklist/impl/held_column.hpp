#pragma once

// A column of a catalog: the values that documents have there, and what lists ask of them.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "worklist/impl/column_classes.hpp"
#include "worklist/impl/numbers.hpp"
#include "worklist/impl/value_table.hpp"

namespace headroom::worklist::impl {

/// Values stand in a dictionary, and a code for each: one more than its place there. What lists ask is held
/// as a class for each code, so that a document's value leads to its class by one look-up.
class HeldColumn final {
 public:
  static constexpr Code kNoRoom = ValueTable::kNone;

  explicit HeldColumn(Type type) : type_(type), values_(type) {}

  [[nodiscard]] Type type() const { return type_; }

  // Values

  /// Made where there is none; kNoRoom: there are too many. `value` is NULL or one of the type.
  Code code_of(const Value& value);
  /// 0: no document has it.
  [[nodiscard]] Code find(const Value& value) const;
  [[nodiscard]] Value value(Code code) const { return code == 0 ? Value{} : values_.value(code - 1); }
  /// Of a date or a time; nothing: it is NULL.
  [[nodiscard]] std::optional<std::int64_t> moment(Code code) const;
  /// One more than the largest.
  [[nodiscard]] std::size_t codes() const { return values_.places() + 1; }
  /// Codes between that stand for no value have nothing to read.
  [[nodiscard]] bool is_taken(Code code) const { return code == 0 || values_.is_taken(code - 1); }
  /// Values that no document has any more; `used` says which ones are left, by code.
  void forget_unused(const std::vector<bool>& used);
  [[nodiscard]] std::size_t values() const { return values_.size(); }
  [[nodiscard]] std::size_t bytes() const { return values_.bytes(); }

  // What lists ask

  /// By list; nothing: it does not ask. Where criteria move with time, codes have no classes that last.
  void set_tests(const std::vector<std::optional<ColumnTest>>& tests, bool moves);
  /// The same lists at another time: classes keep their numbers.
  void renew_tests(const std::vector<std::optional<ColumnTest>>& tests);
  [[nodiscard]] bool is_asked() const { return classes_.is_asked(); }
  [[nodiscard]] const ColumnClasses& classes() const { return classes_; }
  [[nodiscard]] std::uint32_t class_of(Code code) const {
    return moves_ ? classes_.class_of(value(code)) : class_of_code_[code];
  }
  /// For a walk over all documents: by code, as it is now. Cost: O(values) where criteria move, else O(1).
  [[nodiscard]] const std::vector<std::uint32_t>& class_of_codes();
  /// The same, before other lists come: there are none until then.
  [[nodiscard]] std::vector<std::uint32_t> take_class_of_codes();

 private:
  void renew_codes();

  Type type_;
  ValueTable values_;
  ColumnClasses classes_;
  bool moves_ = false;
  std::vector<std::uint32_t> class_of_code_;  ///< empty: no list asks
};

}  // namespace headroom::worklist::impl
