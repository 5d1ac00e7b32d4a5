#pragma once

// Do a site's clients reach the bus here? Told from its configuration files, and from what its database says.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "headroom/bus_section.hpp"
#include "headroom/tryton_section.hpp"
#include "headroom/trytond_check.hpp"

namespace headroom::cli {

/// What is known of a site; nothing is what was not given.
struct TrytonSiteFacts {
  std::optional<std::string> trytond_conf;  ///< its text
  std::optional<std::string> nginx_conf;    ///< the text of the server that clients reach
  std::optional<std::string> wal_level;     ///< SHOW wal_level of the database's server
  TrytonBusSection section;                 ///< [bus.tryton] of headroom.toml
  BusSection bus;                           ///< [bus] of it
};

/// The file that a finding's line belongs to.
enum class TrytonSiteFile { kHeadroomToml, kTrytondConf, kNginxConf, kDatabase };

struct TrytonSiteFinding {
  TrytonSiteFile file = TrytonSiteFile::kTrytondConf;
  Finding finding;
};

/// Errors: clients, or some of them, get no message. Warnings: they do, but at a cost or a risk. In the order
/// of the files. Threads: pure.
[[nodiscard]] std::vector<TrytonSiteFinding> check_tryton_site(const TrytonSiteFacts& facts);

}  // namespace headroom::cli
