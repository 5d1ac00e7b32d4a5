#pragma once

// Fragments of statements in the three dialects. Every value is bound, every name is quoted.

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sql/reader.hpp"
#include "worklist/user.hpp"

namespace headroom::worklist::impl {

/// "schema" (empty where none is named) and "table".
[[nodiscard]] std::pair<std::string_view, std::string_view> parts_of_table(std::string_view name);

class SqlText final {
 public:
  SqlText(const Catalog& catalog, sql::Dialect dialect) : catalog_(catalog), dialect_(dialect) {}

  /// `"a ""quoted"" name"`
  [[nodiscard]] static std::string quoted(std::string_view name);
  /// `"schema"."table"`
  [[nodiscard]] static std::string quoted_table(std::string_view name);
  /// `'a ''quoted'' text'`, for what can't be bound.
  [[nodiscard]] static std::string quoted_text(std::string_view text);

  /// A value of a column; the catalog's table is "t", look-ups are "l0", "l1", ...
  [[nodiscard]] std::string column(std::size_t column);
  /// The catalog with the look-ups whose columns were named until now.
  [[nodiscard]] std::string source() const;
  /// What a criterion asks.
  [[nodiscard]] std::string criterion(const ColumnTest& test);
  /// A grant; TRUE for the documents that it makes visible, never FALSE for NULL.
  [[nodiscard]] std::string grant(const Grant& grant);
  /// All grants, with OR.
  [[nodiscard]] std::string visible(const Scope& scope);

  [[nodiscard]] std::string value(Type type, const Value& value);
  [[nodiscard]] std::string any_of(Type type, const std::string& expression, std::span<const Value> values);
  [[nodiscard]] std::string begins_with(const std::string& expression, const std::string& prefix);
  /// A SELECT of pairs; the second one of each is a number.
  [[nodiscard]] std::string pairs(std::span<const std::pair<std::string, std::size_t>> pairs);
  [[nodiscard]] std::string pairs(std::span<const std::pair<std::size_t, std::size_t>> pairs);
  [[nodiscard]] std::string limit(std::uint64_t rows);
  /// How a table of WITH begins. MariaDB evaluates it wherever it is named; the others do once.
  [[nodiscard]] std::string_view as_table() const;

  [[nodiscard]] std::vector<sql::Parameter> take_parameters() { return std::move(parameters_); }
  [[nodiscard]] const Catalog& catalog() const { return catalog_; }

 private:
  [[nodiscard]] std::string bind(sql::Parameter parameter);
  [[nodiscard]] std::string pairs_of_json(Type first, std::string list);
  [[nodiscard]] std::string name(std::size_t column) const;
  [[nodiscard]] std::string exact(Type type, const std::string& name) const;
  [[nodiscard]] std::string absent(Type type, const std::string& expression) const;
  [[nodiscard]] std::string among(std::size_t column, std::span<const Value> values);
  [[nodiscard]] std::string test(const Test& test, std::size_t column);

  const Catalog& catalog_;
  sql::Dialect dialect_;
  std::vector<sql::Parameter> parameters_;
  std::vector<bool> used_look_ups_ = std::vector<bool>(catalog_.look_ups.size());
};

}  // namespace headroom::worklist::impl
