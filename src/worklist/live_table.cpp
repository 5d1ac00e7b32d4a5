#include "worklist/live_table.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

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
  for (const LookUp& look_up : catalog.look_ups) {
    const Column& by = catalog.columns[look_up.by];
    if (by.type == Type::kInteger || by.type == Type::kText) continue;
    return refuse(fmt::format("look-up '{}' is by '{}' of type {}; keys are compared as integer or text",
                              look_up.name, by.name, name(by.type)));
  }
  return {};
}

LiveTable::LiveTable(const Catalog& catalog, std::optional<std::size_t> look_up)
    : look_up_(look_up), what_(fmt::format("catalog '{}'", catalog.name)) {
  if (!look_up) {
    table_ = SqlText::quoted_table(catalog.table);
    read_.assign(catalog.columns.begin(),
                 catalog.columns.begin() + static_cast<std::ptrdiff_t>(catalog.own_columns()));
    key_ = catalog.key;
    return;
  }
  const LookUp& meant = catalog.look_ups[*look_up];
  what_ += fmt::format(": look-up '{}'", meant.name);
  table_ = SqlText::quoted_table(meant.table);
  read_.push_back({meant.key, meant.key, catalog.columns[meant.by].type, Variety::kFew, {}});
  for (const Column& column : catalog.columns) {
    if (column.look_up == look_up) read_.push_back(column);
  }
}

std::vector<LiveTable> live_tables(const Catalog& catalog) {
  std::vector<LiveTable> tables;
  for (std::size_t i = 0; i < catalog.look_ups.size(); ++i) tables.emplace_back(catalog, i);
  tables.emplace_back(catalog);
  return tables;
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
      " i.indisprimary WHEN 'i' THEN i.indisreplident END), c.relkind, EXISTS (SELECT FROM"
      " pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]"
      " WHERE i.indrelid = c.oid AND a.attname = {1} AND i.indisunique AND i.indimmediate AND i.indisvalid "
      "AND"
      " i.indnkeyatts = 1 AND i.indpred IS NULL) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace"
      " n ON n.oid = c.relnamespace WHERE c.oid = pg_catalog.to_regclass({2}) AND c.relkind IN ('r', 'p')",
      SqlText::quoted_text(publication), SqlText::quoted_text(read_[key_].column),
      SqlText::quoted_text(table_));
}

Result<void> LiveTable::checked(const sql::PostgresRows& rows, std::string_view publication) {
  constexpr std::size_t kColumns = 7;
  if (rows.empty()) {
    return fail(ErrorCode::kNotFound,
                fmt::format("{}: there is no table {}; of a view the log does not tell", what_, table_));
  }
  const auto& row = rows[0];
  if (row.size() != kColumns || !row[0] || !row[1] || !row[2])
    return fail(ErrorCode::kProtocol, "the database's answer is no table");
  if (row[3] != "t") {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{0}: table {1} is not published with all its rows and changes; run: ALTER "
                            "PUBLICATION {2} {3}",
                            what_, table_, SqlText::quoted(publication),
                            row[5] == "p" ? "SET (publish_via_partition_root = true), and ADD TABLE " + table_
                                          : "ADD TABLE " + table_));
  }
  if (row[4] != "t") {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: a DELETE in {} would not tell its '{}'; run: ALTER TABLE {} REPLICA "
                            "IDENTITY FULL, or USING an INDEX with it",
                            what_, table_, read_[key_].name, table_));
  }
  if (look_up_ && row[6] != "t") {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: a document might have several rows of {}; run: CREATE UNIQUE INDEX ON {} ({})",
                    what_, table_, table_, SqlText::quoted(read_[key_].column)));
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
  for (const Column& column : read_)
    columns += (columns.empty() ? "" : ", ") + SqlText::quoted(column.column);
  // A table with partitions can't be copied by itself.
  return fmt::format("COPY (SELECT {} FROM {}) TO STDOUT", columns, table_);
}

Result<void> LiveTable::read(std::string_view line, std::vector<Value>& row) {
  if (auto copied = copied_.read(line); !copied) return copied;
  const auto& texts = copied_.columns();
  if (texts.size() != read_.size())
    return fail(ErrorCode::kProtocol, "a line of COPY has another number of columns than were asked for");
  row.resize(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    auto value = texts[i] ? live_value(read_[i].type, *texts[i]) : Result<Value>(Value{});
    if (!value) return fail(std::move(value.error()).within(fmt::format("column '{}'", read_[i].name)));
    row[i] = std::move(*value);
  }
  return {};
}

Result<void> LiveTable::put_all(std::span<const std::vector<Value>> rows, LiveCounters& counters) const {
  if (!look_up_) return counters.put_all(rows);
  for (const auto& row : rows) {
    if (auto put = counters.put_look_up(*look_up_, row); !put) return put;
  }
  return {};
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
  for (const Column& column : read_) {
    const auto found = std::find_if(relation.columns.begin(), relation.columns.end(),
                                    [&](const auto& one) { return one.name == column.column; });
    if (found == relation.columns.end())
      return fail(altered(fmt::format("it has no column '{}' any more", column.column)));
    places.push_back(static_cast<std::size_t>(found - relation.columns.begin()));
    types.push_back(found->type);
  }
  const auto key = relation.columns[places[key_]];
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
  auto value = live_value(read_[column].type, told.data);
  if (!value) return fail(std::move(value.error()).within(fmt::format("column '{}'", read_[column].name)));
  return value;
}

/// What was not sent is as it was.
Result<std::vector<Value>> LiveTable::values_of(const ReplicatedRow& row, const Value& key_before,
                                                const LiveCounters& counters) const {
  std::vector<Value> values(read_.size());
  std::optional<std::vector<Value>> before;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (row[places_[i]].kind == ReplicatedValue::Kind::kUnchanged) {
      if (!before) before = known(key_before, counters);
      if (!before) return fail(altered("a row changed that was not known"));
      values[i] = (*before)[i];
      continue;
    }
    auto value = value_at(i, row);
    if (!value) return fail(std::move(value.error()));
    values[i] = std::move(*value);
  }
  return values;
}

std::optional<std::vector<Value>> LiveTable::known(const Value& key, const LiveCounters& counters) const {
  return look_up_ ? counters.look_up_row(*look_up_, key) : counters.row(key);
}

/// Those who see a document before a change of it and after it, or the documents that have a look-up's row.
void LiveTable::touch(const Value& key, const LiveCounters& counters, TouchedRows* touched) const {
  if (touched == nullptr) return;
  if (!look_up_) {
    if (const auto row = counters.row(key)) touched->add(*row);
    return;
  }
  const auto rows = counters.documents_of(*look_up_, key, TouchedRows::kMost);
  if (!rows) return touched->add_all();
  for (const auto& row : *rows) touched->add(row);
}

/// Most changes of a look-up's row are in columns that nobody asks for: they concern nobody.
Result<void> LiveTable::put(std::span<const Value> row, LiveCounters& counters, TouchedRows* touched) const {
  const Value& key = row[key_];
  if (look_up_ && touched != nullptr) {
    const auto before = known(key, counters);
    if (before && std::equal(before->begin(), before->end(), row.begin(), row.end())) return {};
  }
  touch(key, counters, touched);
  auto done = look_up_ ? counters.put_look_up(*look_up_, row) : counters.put(row);
  touch(key, counters, touched);
  return done;
}

void LiveTable::remove(const Value& key, LiveCounters& counters, TouchedRows* touched) const {
  touch(key, counters, touched);
  if (!look_up_) {
    counters.remove(key);
    return;
  }
  counters.remove_look_up(*look_up_, key);
  touch(key, counters, touched);
}

Result<void> LiveTable::apply(const sql::RowInserted& change, LiveCounters& counters,
                              TouchedRows* touched) const {
  if (!is_whole(change.row)) return fail(altered("a row has other columns"));
  const auto values = values_of(change.row, Value{}, counters);
  if (!values) return fail(values.error());
  return put(*values, counters, touched);
}

/// The old row comes when the key changed, or is sent always.
Result<void> LiveTable::apply(const sql::RowUpdated& change, LiveCounters& counters,
                              TouchedRows* touched) const {
  if (!is_whole(change.row)) return fail(altered("a row has other columns"));
  const bool has_old = !change.old_row.empty();
  if (has_old && !is_whole(change.old_row)) return fail(altered("a row has other columns"));
  const auto key_before = value_at(key_, has_old ? change.old_row : change.row);
  if (!key_before) return fail(key_before.error());
  const auto values = values_of(change.row, *key_before, counters);
  if (!values) return fail(values.error());
  if ((*values)[key_] != *key_before) remove(*key_before, counters, touched);
  return put(*values, counters, touched);
}

Result<void> LiveTable::apply(const sql::RowDeleted& change, LiveCounters& counters,
                              TouchedRows* touched) const {
  if (!is_whole(change.old_row)) return fail(altered("a row has other columns"));
  const auto key = value_at(key_, change.old_row);
  if (!key) return fail(key.error());
  remove(*key, counters, touched);
  return {};
}

void LiveTable::clear(LiveCounters& counters) const {
  if (look_up_) {
    counters.clear_look_up(*look_up_);
  } else {
    counters.clear();
  }
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
