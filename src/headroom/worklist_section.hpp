#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "base/config.hpp"
#include "worklist/plan.hpp"

namespace headroom::cli {

/// `[worklist]`: what `headroom worklist` works on when no option says otherwise.
struct WorklistSection {
  std::string file;  ///< worklists.yaml, absolute once it was read; empty: `--file` names it
  /// Where the documents are, "postgresql://..." or "sqlite:///path". Holds a password, and is never shown.
  std::string url;
  /// The same of the users, where they are in another database; empty: where the documents are.
  std::string users_url;
  /// Of each statement, and to connect.
  base::Microseconds timeout = std::chrono::seconds{10};
  /// How lists may be counted in the database; at least one.
  std::set<worklist::Way> ways{worklist::kAllWays.begin(), worklist::kAllWays.end()};
  /// `headroom serve` counts: live where that is possible, and answers over HTTP.
  bool live = false;
  /// The login that reads the log, "postgresql://..." with REPLICATION; empty: that of `url`.
  std::string live_url;
  std::string publication = "headroom_worklist";  ///< of the tables that are counted live
  /// A user's rights are read again after it.
  base::Microseconds rights_age = std::chrono::seconds{30};
  /// The database of [bus.tryton] whose sessions prove who a user is; empty: none does.
  std::string tryton;
  /// What relative addresses of lists begin with where Headroom's page shows them; empty: they are no links
  /// there.
  std::string application;
  /// Changes are told in each user's channel of the bus too.
  bool push = false;

  /// A relative file is beside `configuration`, the file that is read. `database` in place of `url` names one
  /// of `databases`, those of [perf.databases].
  void read(base::ConfigSection& section, const std::filesystem::path& configuration,
            const std::map<std::string, std::string>& databases);

 private:
  void read_live(base::ConfigSection& section);
};

}  // namespace headroom::cli
