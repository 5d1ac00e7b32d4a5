// One statement text in, what the reports need out.
//
// The text becomes tokens (token.hpp), the tokens a canonical form (impl/canonical.hpp). That form goes to
// PostgreSQL's parser twice: once for the fingerprint, once for the tree that names kind and tables. Measured
// on a statement of trytond: 10 us and 9 us; libpg_query's protobuf tree costs 32 us, and its own normaliser
// another parse and leaves some literals of utility statements in place, so the normalised text is ours.
//
// The parser is C that recurses without a bound of its own (its stack check is off outside a backend). Of all
// grammar rules a sub-select takes the most stack, 384 bytes a level. Canonical::depth bounds the levels, so
// 256 KiB of stack are enough for any input. What is too deep, too long or not PostgreSQL's goes to the
// tokenizer's answer.

#include "sql/statement.hpp"

#include <pg_query.h>

#include <memory>
#include <optional>

#include "sql/impl/canonical.hpp"
#include "sql/impl/guess.hpp"
#include "sql/impl/parse_tree.hpp"
#include "sql/token.hpp"
#include "sql/utf8.hpp"

namespace headroom::sql {
namespace {

constexpr std::size_t kLongestRead = 1U << 20U;
constexpr std::size_t kLongestParse = 64U << 10U;
constexpr std::size_t kLongestNormalized = 16U << 10U;
constexpr std::size_t kDeepestParse = 400;

constexpr std::string_view kNames[] = {"select", "insert", "update",      "delete", "seq",
                                       "set",    "schema", "transaction", "other"};

struct FreeFingerprint {
  void operator()(PgQueryFingerprintResult* result) const { pg_query_free_fingerprint_result(*result); }
};
struct FreeParse {
  void operator()(PgQueryParseResult* result) const { pg_query_free_parse_result(*result); }
};

std::uint64_t fitted(std::uint64_t hash) {
  const std::uint64_t masked = hash & ~(std::uint64_t{1} << 63U);
  return masked == 0 ? 1 : masked;
}

/// Fingerprint, kind and tables by PostgreSQL's parser; nullopt when it does not accept the text.
std::optional<Statement> parse(const std::string& text) {
  PgQueryFingerprintResult fingerprint = pg_query_fingerprint(text.c_str());
  const std::unique_ptr<PgQueryFingerprintResult, FreeFingerprint> fingerprint_owner{&fingerprint};
  if (fingerprint.error != nullptr) return std::nullopt;
  PgQueryParseResult tree = pg_query_parse(text.c_str());
  const std::unique_ptr<PgQueryParseResult, FreeParse> tree_owner{&tree};
  if (tree.error != nullptr) return std::nullopt;
  impl::Meaning meaning = impl::read_parse_tree(tree.parse_tree);
  return Statement{fitted(fingerprint.fingerprint), meaning.kind, std::move(meaning.tables), {}};
}

Statement analyze_clean(std::string_view text) {
  const std::vector<Token> tokens = tokenize(text);
  impl::Canonical canonical = impl::canonicalize(tokens);
  std::optional<Statement> parsed;
  if (!tokens.empty() && canonical.parseable.size() <= kLongestParse && canonical.depth <= kDeepestParse) {
    parsed = parse(canonical.parseable);
  }
  Statement statement = parsed ? *std::move(parsed) : Statement{};
  if (statement.fingerprint == 0 || statement.tables.empty()) {
    impl::Meaning meaning = impl::guess(tokens);
    if (statement.fingerprint == 0) {
      statement.fingerprint = fitted(canonical.hash);
      statement.kind = meaning.kind;
      statement.tables = std::move(meaning.tables);
    } else if (statement.kind == StatementKind::kSchema) {
      // DROP, ALTER ... RENAME and their like name tables outside of the tree's RangeVar.
      statement.tables = std::move(meaning.tables);
    }
  }
  canonical.normalized.resize(cut_utf8(canonical.normalized, kLongestNormalized).size());
  statement.normalized = std::move(canonical.normalized);
  return statement;
}

}  // namespace

std::string_view name(StatementKind kind) {
  return kNames[static_cast<std::size_t>(kind)];
}

StatementKind statement_kind(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == name) return static_cast<StatementKind>(i);
  }
  return StatementKind::kOther;
}

Statement analyze(std::string_view text) {
  text = cut_utf8(text, kLongestRead);
  return is_clean_utf8(text) ? analyze_clean(text) : analyze_clean(clean_utf8(text));
}

}  // namespace headroom::sql
