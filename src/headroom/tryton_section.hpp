#pragma once

// `[bus.tryton]`: the Tryton databases whose bus is served here, and where they are.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.hpp"
#include "base/result.hpp"
#include "bus/tryton_polls.hpp"

namespace headroom::cli {

/// `[bus.tryton]` and `[bus.tryton.urls]`
struct TrytonBusSection {
  /// trytond.conf: what is not said here is read there.
  std::string config;
  /// Where the databases are, as `[database] uri` of trytond.conf; empty is what stands there.
  std::string uri;
  /// Names of databases, or globs of them. Nothing here and in `urls`: the door is closed.
  std::vector<std::string> databases;
  /// Databases that are elsewhere: name to URL. They hold passwords.
  std::map<std::string, std::string> urls;
  std::int64_t most_databases = 32;
  /// A poll that gets no message is answered after this; negative is that of trytond.conf, else 300 s.
  base::Microseconds wait{-1};
  /// Messages are kept for clients that are between two polls.
  base::Microseconds retention = std::chrono::seconds{300};
  std::int64_t messages = 10'000;
  std::uint64_t bytes = 16UL << 20U;
  std::int64_t polls = 50'000;
  /// The age at which a session ends; negative is that of trytond.conf, else 30 days.
  base::Microseconds session_age{-1};
  bool allow_subscribe = true;
  std::string url_host;
  base::Microseconds redirect_age = std::chrono::hours{12};

  void read(base::ConfigSection& section);
  [[nodiscard]] bool is_open() const { return !databases.empty() || !urls.empty(); }
};

/// A section with what trytond.conf adds to it.
struct TrytonSite {
  std::string uri;
  std::vector<std::string> databases;
  std::map<std::string, std::string> urls;
  std::size_t most_databases = 32;
  std::chrono::seconds session_age{0};
  bool allow_subscribe = true;
  std::string url_host;  ///< ends with a slash, when it is there
  std::chrono::seconds redirect_age{0};
  bus::TrytonPollLimits limits;
};

/// Errors: not_found, io (the file), invalid_argument (no URI for the databases; one of another kind than
/// PostgreSQL's, which has no NOTIFY; a malformed glob). The message names section and key.
[[nodiscard]] base::Result<TrytonSite> tryton_site(const TrytonBusSection& section);

/// A database and where it is.
struct TrytonDatabase {
  std::string name;
  std::string url;
  std::string name_in_url;  ///< the database in place of the URL's; empty keeps that
};

/// Those that are named without a glob: they are listened to from the start.
[[nodiscard]] std::vector<TrytonDatabase> named_databases(const TrytonSite& site);
enum class Served : std::uint8_t {
  kNo,
  kNamed,
  kMatched,  ///< by a glob: whether there is one of that name the server knows
};
[[nodiscard]] Served is_served(const TrytonSite& site, std::string_view name);

}  // namespace headroom::cli
