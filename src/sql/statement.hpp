#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace headroom::sql {

/// What a statement does. The names are those of the reports (`name`).
enum class StatementKind : std::uint8_t {
  kSelect,
  kInsert,
  kUpdate,
  kDelete,
  kSequence,
  kSet,
  kSchema,
  kTransaction,
  kOther
};

/// "select", "insert", "update", "delete", "seq", "set", "schema", "transaction", "other".
[[nodiscard]] std::string_view name(StatementKind kind);
/// The inverse of `name`; kOther for anything unknown.
[[nodiscard]] StatementKind statement_kind(std::string_view name);

/// What is known of a statement's text, as the application gave it (before values are bound).
struct Statement {
  /// Equal for statements that differ only in literals, placeholders, length of IN lists, case and spacing.
  /// Never 0, and below 2^63, so that it fits every store's integer.
  std::uint64_t fingerprint = 0;
  StatementKind kind = StatementKind::kOther;
  /// Every table it names, the one it writes or first reads in front, each once; no CTE names, no functions.
  std::vector<std::string> tables;
  /// The text with each literal replaced by a placeholder: safe to store, safe to show.
  std::string normalized;
};

/// Reads a statement written for PostgreSQL or SQLite, with `%s`, `%(name)s`, `?`, `:name` or `$1`
/// placeholders. PostgreSQL's own parser first; what it can't parse goes to a tokenizer that always gives an
/// answer. Lists of values and rows that repeat are shortened first. Texts that are still over 64 KiB, or
/// nested deeper than 400 levels, are analysed by the tokenizer alone; of a text over 1 MiB the rest is not
/// read. `normalized` is cut at 16 KiB; it is well-formed UTF-8 whatever the text was, without comments, each
/// literal and placeholder a `?`. Errors: none; any bytes give a Statement. Cost: 20 to 200 us. Threads:
/// pure; a stack of 256 KiB is enough. The parser keeps some 30 KiB and one pthread key for each thread that
/// came here (the memory until the thread ends, the key for good), so call it from few threads that live
/// long.
[[nodiscard]] Statement analyze(std::string_view text);

}  // namespace headroom::sql
