#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perf/record.hpp"

namespace headroom::perf {

/// What stands in records where a secret was.
inline constexpr std::string_view kRedacted = "***";

/// Values that are known to be secret within one call: the session token, a password. They are removed
/// wherever they occur, also percent-encoded, JSON-escaped and within base64 of "login:user:token".
class KnownSecrets {
 public:
  /// Values shorter than six bytes are not kept: removing "admin" or "1" everywhere would tell where they
  /// stood.
  void add(std::string_view value);
  /// The credentials of an Authorization header ("Session <base64>", "Basic <base64>"), with what is inside
  /// of them.
  void add_authorization(std::string_view header);
  [[nodiscard]] const std::vector<std::string>& forms() const { return forms_; }

 private:
  void add_form(std::string form);

  std::vector<std::string> forms_;  ///< longest first
};

/// Removes secrets from everything that is stored.
/// Guarantees: a cut never exposes a secret, because it comes after redaction; answers are well-formed UTF-8;
/// when it is unsure, it removes. Errors: none; any bytes give an answer. Threads: const methods may run at
/// once; no GIL, no globals. Cost: about 40 ns a byte.
class Redactor {
 public:
  /// `names`: further fields whose values are secret; each is matched as a run of whole word parts, in any
  /// case
  /// ("card_number" matches "card_number", "CardNumber" and "old_card_number").
  explicit Redactor(std::span<const std::string> names = {});

  /// A request or response body of JSON-RPC or XML-RPC, cut to `limit` bytes. What was JSON stays JSON,
  /// unless it is cut.
  [[nodiscard]] std::string body(std::string_view body, std::size_t limit,
                                 const KnownSecrets& secrets = {}) const;
  /// A statement with its values bound: literals of secret columns, and every literal of statements on tables
  /// of sessions and keys.
  [[nodiscard]] std::string sql(std::string_view bound, std::size_t limit,
                                const KnownSecrets& secrets = {}) const;
  /// The parameters of one execution as a JSON list of strings, cut to `limit` bytes between values (the last
  /// item is then "..."). `statement` is the text before binding, `rendered` the values in order of the
  /// placeholders.
  [[nodiscard]] std::string parameters(std::string_view statement, std::span<const std::string> rendered,
                                       std::size_t limit, const KnownSecrets& secrets = {}) const;
  /// Error texts, backtraces, URLs and anything else without a grammar.
  [[nodiscard]] std::string text(std::string_view text, std::size_t limit,
                                 const KnownSecrets& secrets = {}) const;

  /// "module.Class: text" of an exception: the class is no name of a field, whatever words it is made of.
  [[nodiscard]] std::string error(std::string_view error, std::size_t limit,
                                  const KnownSecrets& secrets = {}) const;

  /// The same for a body that is about to be stored; it stays marked as cut, or is marked when it is cut
  /// here.
  [[nodiscard]] Body body(Body body, std::size_t limit, const KnownSecrets& secrets = {}) const;

  /// True for the name of a field, column, key or argument whose value is secret.
  [[nodiscard]] bool is_secret_name(std::string_view name) const;

 private:
  std::vector<std::vector<std::string>> names_;  ///< each split into lower-case word parts
};

}  // namespace headroom::perf
