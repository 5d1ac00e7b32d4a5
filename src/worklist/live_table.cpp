#include "worklist/live_table.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "sql/replication.hpp"
#include "worklist/impl/sql_text.hpp"

namespace headroom::worklist {

namespace {

using base::fail;
using impl::SqlText;
using sql::ReplicatedRow;
using sql::ReplicatedValue;

/// Numbers compare as doubles: what is more precise than that is the nearest one.
std::optional<Value> any_number(std::string_view text) {
  if (text == "NaN" || text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::result_out_of_range && end == text.data() + text.size()) {
    const bool is_negative = text.front() == '-';
    const bool is_small = text.substr(is_negative ? 1 : 0).starts_with("0.") || text.find("e-") != text.npos;
    if (is_small) return 0.0;
    return is_negative ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  }
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number == 0 ? 0.0 : number;
}

/// Before or behind all dates that can be written in four digits.
std::optional<Value> far_moment(std::string_view text) {
  if (text == "-infinity" || text.ends_with(" BC")) return std::numeric_limits<std::int64_t>::min();
  const std::size_t year_digits = text.find('-');
  if (text == "infinity" || (year_digits != std::string_view::npos && year_digits > 4))
    return std::numeric_limits<std::int64_t>::max();
  return std::nullopt;
}

std::optional<Value> beyond(Type type, std::string_view text) {
  if (type == Type::kNumber) return any_number(text);
  if (type == Type::kDate || type == Type::kTime) return far_moment(text);
  return std::nullopt;
}

}  // namespace

Result<Value> live_value(Type type, std::string_view text) {
  if (type == Type::kBoolean && (text == "t" || text == "f")) return text == "t";
  auto value = parse_value(type, text);
  if (value) return value;
  if (auto far = beyond(type, text)) return std::move(*far);
  return value;
}

Result<void> check_live(const Catalog& catalog) {
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("catalog '{}' can't be counted live: {}", catalog.name, why));
  };
  if (!catalog.query.empty()) return refuse("it is a query; the log tells of tables alone");
  if (!catalog.look_ups.empty()) return refuse("it has look-ups");
  return {};
}

// Loading
// ---------------------------------------------------------------------------------------------------------

std::string LiveTable::check_statement(std::string_view publication) const {
  return fmt::format(
      "SELECT c.oid, n.nspname, c.relname, EXISTS (SELECT FROM pg_catalog.pg_publication_tables p JOIN"
      " pg_catalog.pg_publication b USING (pubname) WHERE p.pubname = {0} AND p.schemaname = n.nspname AND"
      " p.tablename = c.relname AND p.rowfilter IS NULL AND b.pubinsert AND b.pubupdate AND b.pubdelete AND"
      " b.pubtruncate), c.relreplident = 'f' OR EXISTS"
      " (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum "
      "="
      " ANY (i.indkey) WHERE i.indrelid = c.oid AND a.attname = {1} AND CASE c.relreplident WHEN 'd' THEN"
      " i.indisprimary WHEN 'i' THEN i.indisreplident END), c.relkind FROM pg_catalog.pg_class c JOIN "
      "pg_catalog.pg_namespace"
      " n ON n.oid = c.relnamespace WHERE c.oid = pg_catalog.to_regclass({2}) AND c.relkind IN ('r', 'p')",
      SqlText::quoted_text(publication), SqlText::quoted_text(catalog_.columns[catalog_.key].column),
      SqlText::quoted_text(SqlText::quoted_table(catalog_.table)));
}

Result<void> LiveTable::checked(const sql::PostgresRows& rows, std::string_view publication) {
  constexpr std::size_t kColumns = 6;
  const std::string table = SqlText::quoted_table(catalog_.table);
  if (rows.empty())
    return fail(ErrorCode::kNotFound,
                fmt::format("catalog '{}': there is no table {}", catalog_.name, table));
  const auto& row = rows[0];
  if (row.size() != kColumns || !row[0] || !row[1] || !row[2])
    return fail(ErrorCode::kProtocol, "the database's answer is no table");
  if (row[3] != "t") {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("catalog '{0}': table {1} is not published with all its rows and changes; run: ALTER "
                    "PUBLICATION {2} {3}",
                    catalog_.name, table, SqlText::quoted(publication),
                    row[5] == "p" ? "SET (publish_via_partition_root = true), and ADD TABLE " + table
                                  : "ADD TABLE " + table));
  }
  if (row[4] != "t") {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("catalog '{}': a DELETE in {} would not tell its '{}'; run: ALTER TABLE {} REPLICA "
                    "IDENTITY FULL, or USING an INDEX with it",
                    catalog_.name, table, catalog_.columns[catalog_.key].name, table));
  }
  relation_ = 0;
  (void)std::from_chars(row[0]->data(), row[0]->data() + row[0]->size(), relation_);
  schema_ = *row[1];
  name_ = *row[2];
  places_.clear();
  types_.clear();
  return {};
}

std::string LiveTable::copy_statement() const {
  std::string columns;
  for (const Column& column : catalog_.columns)
    columns += (columns.empty() ? "" : ", ") + SqlText::quoted(column.column);
  // A table with partitions can't be copied by itself.
  return fmt::format("COPY (SELECT {} FROM {}) TO STDOUT", columns, SqlText::quoted_table(catalog_.table));
}

Result<void> LiveTable::copied(std::string_view line, LiveCounters& counters) const {
  const auto texts = sql::copied_columns(line);
  if (!texts) return fail(texts.error());
  if (texts->size() != catalog_.columns.size())
    return fail(ErrorCode::kProtocol, "a line of COPY has another number of columns than were asked for");
  std::vector<Value> values(texts->size());
  for (std::size_t i = 0; i < texts->size(); ++i) {
    if (!(*texts)[i]) continue;
    auto value = live_value(catalog_.columns[i].type, *(*texts)[i]);
    if (!value)
      return fail(std::move(value.error()).within(fmt::format("column '{}'", catalog_.columns[i].name)));
    values[i] = std::move(*value);
  }
  return counters.put(values);
}

// Changes
// ---------------------------------------------------------------------------------------------------------

bool LiveTable::is(const sql::ReplicatedRelation& relation) const {
  return is(relation.relation) || (relation.schema == schema_ && relation.name == name_);
}

base::Error LiveTable::altered(std::string_view what) const {
  return {ErrorCode::kConflict, fmt::format("table {}.{}: {}", schema_, name_, what)};
}

/// A column whose type became another has other values, of which the log does not tell.
Result<void> LiveTable::learn(const sql::ReplicatedRelation& relation) {
  if (!is(relation.relation)) return fail(altered("it was made anew"));
  if (relation.schema != schema_ || relation.name != name_) return fail(altered("it was renamed"));
  std::vector<std::size_t> places;
  std::vector<std::uint32_t> types;
  for (const Column& column : catalog_.columns) {
    const auto found = std::find_if(relation.columns.begin(), relation.columns.end(),
                                    [&](const auto& one) { return one.name == column.column; });
    if (found == relation.columns.end())
      return fail(altered(fmt::format("it has no column '{}' any more", column.column)));
    places.push_back(static_cast<std::size_t>(found - relation.columns.begin()));
    types.push_back(found->type);
  }
  const auto key = relation.columns[places[catalog_.key]];
  if (relation.identity != 'f' && !key.is_key) return fail(altered("its replica identity is another"));
  if (!types_.empty() && types != types_) return fail(altered("a column has another type"));
  places_ = std::move(places);
  types_ = std::move(types);
  columns_ = relation.columns.size();
  return {};
}

bool LiveTable::is_whole(const ReplicatedRow& row) const {
  return !places_.empty() && row.size() == columns_;
}

Result<Value> LiveTable::value_at(std::size_t column, const ReplicatedRow& row) const {
  const ReplicatedValue& told = row[places_[column]];
  if (told.kind == ReplicatedValue::Kind::kNull) return Value{};
  if (told.kind != ReplicatedValue::Kind::kText)
    return fail(ErrorCode::kProtocol, "a value is not sent as text");
  auto value = live_value(catalog_.columns[column].type, told.data);
  if (!value)
    return fail(std::move(value.error()).within(fmt::format("column '{}'", catalog_.columns[column].name)));
  return value;
}

/// What was not sent is as it was.
Result<std::vector<Value>> LiveTable::values_of(const ReplicatedRow& row, const Value& key_before,
                                                const LiveCounters& counters) const {
  std::vector<Value> values(catalog_.columns.size());
  std::optional<std::vector<Value>> before;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (row[places_[i]].kind == ReplicatedValue::Kind::kUnchanged) {
      if (!before) before = counters.row(key_before);
      if (!before) return fail(altered("a document changed that was not known"));
      values[i] = (*before)[i];
      continue;
    }
    auto value = value_at(i, row);
    if (!value) return fail(std::move(value.error()));
    values[i] = std::move(*value);
  }
  return values;
}

namespace {

/// The document as it is now.
void touch(const Value& key, const LiveCounters& counters, TouchedRows* touched) {
  if (touched == nullptr) return;
  if (const auto row = counters.row(key)) touched->add(*row);
}

}  // namespace

Result<void> LiveTable::apply(const sql::RowInserted& change, LiveCounters& counters,
                              TouchedRows* touched) const {
  if (!is_whole(change.row)) return fail(altered("a row has other columns"));
  const auto values = values_of(change.row, Value{}, counters);
  if (!values) return fail(values.error());
  touch((*values)[catalog_.key], counters, touched);
  if (touched != nullptr) touched->add(*values);
  return counters.put(*values);
}

/// The old row comes when the key changed, or is sent always.
Result<void> LiveTable::apply(const sql::RowUpdated& change, LiveCounters& counters,
                              TouchedRows* touched) const {
  if (!is_whole(change.row)) return fail(altered("a row has other columns"));
  const bool has_old = !change.old_row.empty();
  if (has_old && !is_whole(change.old_row)) return fail(altered("a row has other columns"));
  const auto key_before = value_at(catalog_.key, has_old ? change.old_row : change.row);
  if (!key_before) return fail(key_before.error());
  const auto values = values_of(change.row, *key_before, counters);
  if (!values) return fail(values.error());
  touch(*key_before, counters, touched);
  if (touched != nullptr) touched->add(*values);
  if ((*values)[catalog_.key] != *key_before) counters.remove(*key_before);
  return counters.put(*values);
}

Result<void> LiveTable::apply(const sql::RowDeleted& change, LiveCounters& counters,
                              TouchedRows* touched) const {
  if (!is_whole(change.old_row)) return fail(altered("a row has other columns"));
  const auto key = value_at(catalog_.key, change.old_row);
  if (!key) return fail(key.error());
  touch(*key, counters, touched);
  counters.remove(*key);
  return {};
}

// Who is concerned
// ---------------------------------------------------------------------------------------------------------

void TouchedRows::add(std::span<const Value> row) {
  for (std::size_t i = 0; !all_ && i < values_.size(); ++i) {
    const Value& value = row[catalog_->security[i].column];
    if (!is_null(value)) values_[i].insert(value);
    all_ = values_[i].size() > kMost;
  }
}

bool TouchedRows::concern(const Scope& scope) const {
  if (all_ || scope.everything) return true;
  for (const Grant& grant : scope.grants) {
    for (const Value& value : values_[grant.security]) {
      if (std::binary_search(grant.values.begin(), grant.values.end(), value)) return true;
    }
  }
  return false;
}

}  // namespace headroom::worklist
