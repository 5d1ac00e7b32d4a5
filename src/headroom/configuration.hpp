#pragma once

// The configuration of the executable: headroom.toml, one struct per section.
//
// A module's section is a struct with defaults and a `read` that names its keys; `Configuration` only joins
// them. The example with every key documented is examples/headroom.toml; a test checks that both agree.

#include <filesystem>
#include <map>
#include <string>

#include "base/config.hpp"
#include "base/result.hpp"
#include "headroom/bus_section.hpp"
#include "headroom/otlp_section.hpp"
#include "headroom/serve_section.hpp"
#include "headroom/tryton_section.hpp"
#include "headroom/worklist_section.hpp"
#include "perf/store.hpp"

namespace headroom::cli {

/// Where records live when nothing else is said.
inline constexpr std::string_view kDefaultStore = "sqlite:///var/lib/headroom/perf.sqlite";

/// `[perf]`
struct PerfSection {
  std::string store;  ///< URL; empty when the file does not say
  /// The folder where recording processes keep their scoreboards, as in [perf] of trytond.conf.
  std::string state = "/var/lib/headroom";
  perf::Retention retention;
  bool names_retention = false;  ///< the file names a part of it
  /// `[perf.releases]`: name to the time of its deployment, or to a range.
  std::map<std::string, std::string> releases;
  /// `[perf.databases]`: database to its URL, for plans. They hold passwords.
  std::map<std::string, std::string> databases;

  void read(base::ConfigSection& section);
};

struct Configuration {
  std::filesystem::path file;  ///< empty when there is no file and all are defaults
  PerfSection perf;
  ServeSection serve;
  OtlpSection otlp;
  BusSection bus;
  TrytonBusSection tryton_bus;
  WorklistSection worklist;
};

/// Reads the file given by `--config`, else $HEADROOM_CONFIG, else ./headroom.toml, else
/// /etc/headroom/headroom.toml. The first two must exist when they are given; without any file the defaults
/// hold. Errors: those of ConfigFile.
[[nodiscard]] base::Result<Configuration> load_configuration(const std::string& given);
/// Reads exactly this file.
[[nodiscard]] base::Result<Configuration> read_configuration(const std::filesystem::path& file);

/// A forgotten unit must not empty the store.
inline constexpr std::uint64_t kLeastRetention = 1U << 20;
/// Errors: invalid_argument when so small a store would keep nothing.
[[nodiscard]] base::Result<void> check_retention_size(std::uint64_t bytes);

/// The retention that holds for the store. One that the configuration names is first kept in the store, where
/// every process that prunes finds it. Errors: those of the store.
[[nodiscard]] base::Result<perf::Retention> settle_retention(perf::StoreControl& control,
                                                             const PerfSection& section);

/// A store's URL and who named it, for messages ("[perf] store of /etc/headroom/headroom.toml").
struct StoreChoice {
  std::string url;
  std::string source;
};

/// `--store`, else `[perf] store`, else `broker` of the trytond configuration, else the default.
/// Errors: those of reading `trytond_config`; a file without `[perf] broker` is passed over.
[[nodiscard]] base::Result<StoreChoice> choose_store(const std::string& given,
                                                     const Configuration& configuration,
                                                     const std::string& trytond_config);

}  // namespace headroom::cli
