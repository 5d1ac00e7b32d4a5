#pragma once

// The parts of Redactor, one a grammar. `IsSecret` says whether a name's value is secret.

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "perf/redact.hpp"

namespace headroom::perf::impl {

using IsSecret = std::function<bool(std::string_view)>;

/// Removes every form of the secrets, and the beginning of one at the very end, where a cut may have split
/// it.
[[nodiscard]] std::string remove_known(std::string text, const KnownSecrets& secrets);

/// Free text: `name=value`, credentials in URLs, details of database errors, long tokens.
[[nodiscard]] std::string scrub_text(std::string_view text, const IsSecret& is_secret);

/// What is left of a value that a cut hit, already rid of secrets: without its last word, of which nobody can
/// tell what it was going to be.
[[nodiscard]] std::string without_last_word(std::string text);

/// JSON, whole or cut. Answers in JSON where `json` was.
[[nodiscard]] std::string redact_json(std::string_view json, const IsSecret& is_secret,
                                      const KnownSecrets& secrets);
/// XML-RPC, whole or cut.
[[nodiscard]] std::string redact_xml(std::string_view xml, const IsSecret& is_secret);

[[nodiscard]] std::string redact_sql(std::string_view sql, const IsSecret& is_secret);
/// For each placeholder of the statement, in order, whether its value is secret. `unsure` is set when the
/// statement speaks of secrets at all.
struct SecretPlaceholders {
  std::vector<bool> secret;
  bool speaks_of_secrets = false;
};
[[nodiscard]] SecretPlaceholders secret_placeholders(std::string_view sql, const IsSecret& is_secret);

/// Appends a JSON string with quotes.
void append_json_string(std::string& out, std::string_view value);
/// The value of a JSON string's inside; malformed escapes stay as they are.
[[nodiscard]] std::string json_unescaped(std::string_view raw);

}  // namespace headroom::perf::impl
