#pragma once

// Trace rules say which calls are recorded in detail, and how much of them.
// They come from the application's configuration at start and from `headroom trace add` while it runs.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace headroom::perf {

/// One user named in a rule: digits are an id, "login:42" forces a login, anything else is a login. Logins
/// are globs such as "shop_*".
struct UserPattern {
  std::optional<std::int64_t> id;
  std::string login;  ///< a glob

  [[nodiscard]] static UserPattern parse(std::string_view text);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool operator==(const UserPattern&) const = default;
};

struct Rule {
  std::string id;  ///< given by the store ("r7"); "config" for the one of the configuration file
  std::vector<UserPattern> users;           ///< any of them; empty is everybody
  std::string database;                     ///< glob; empty is all
  std::vector<std::string> methods;         ///< globs: calls that are recorded; empty is all
  std::vector<std::string> profile;         ///< globs: exact profile
  std::vector<std::string> sample;          ///< globs: sampling profile
  std::vector<std::string> db;              ///< globs: every statement
  std::vector<std::string> io;              ///< globs: bodies
  std::optional<base::Microseconds> query;  ///< statements slower than this keep SQL and backtrace
  base::Microseconds slower_than{0};        ///< records of calls faster than this are dropped at their end
  std::uint32_t one_in = 1;                 ///< records one call in so many, chosen at random
  std::optional<base::UtcTime> expires;
  base::UtcTime created{};
  std::string author;  ///< who added it, for `trace list`

  [[nodiscard]] bool operator==(const Rule&) const = default;
};

/// All rules, with a number that grows at each change.
struct RuleSet {
  std::uint64_t version = 0;
  std::vector<Rule> rules;
};

/// Who calls what, as far as it is known.
struct Subject {
  std::string_view database;
  std::string_view method;
  std::optional<std::int64_t> user_id;
  std::string_view login;
};

/// What the rules that match a call ask for, taken together.
struct Decision {
  bool record = false;
  bool profile = false;
  bool sample = false;
  bool db = false;
  bool io = false;
  std::optional<base::Microseconds> query;  ///< the smallest of the rules that match
  base::Microseconds slower_than{0};        ///< the smallest of the rules that match
};

/// Decides over one call. `dice` is a random number, for rules that record one call in N.
/// An empty method is one that is not known yet, and matches wherever any method may.
/// A rule with users never matches a subject without user id and login.
/// Cost: O(rules); no allocation. Threads: pure.
[[nodiscard]] Decision decide(std::span<const Rule> rules, const Subject& subject, base::UtcTime now,
                              std::uint64_t dice);

/// Splits a configuration value: entries by comma or line end, blanks trimmed, empty ones dropped.
[[nodiscard]] std::vector<std::string> split_list(std::string_view text);

/// The JSON form in which stores keep a rule. Errors: protocol.
[[nodiscard]] std::string to_json(const Rule& rule);
[[nodiscard]] base::Result<Rule> rule_from_json(std::string_view json);

}  // namespace headroom::perf
