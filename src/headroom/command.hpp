#pragma once

// What every subcommand gets, and how it plugs in.
//
// Each group of subcommands is one file with one function `add_..._commands(CLI::App&, Invocation&)`, listed
// in main.cpp. It declares its options and, in the callback of a subcommand, sets `Invocation::run`. main
// reads the configuration and then calls it: parsing touches no file and no store.

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.hpp"
#include "headroom/configuration.hpp"
#include "perf/store.hpp"

namespace CLI {
class App;
}

namespace headroom::cli {

/// 0: fine; 1: it failed (the message says why); 2: the command line was misused.
enum class Exit : int { kFine = 0, kFailed = 1, kMisused = 2 };

/// The options that stand before or behind every subcommand.
struct CommonOptions {
  std::string config;
  std::string store;
  std::string trytond_config;
  std::string color = "auto";  ///< auto, always, never
  bool json = false;
  bool no_pager = false;
  /// Characters of a line; 0 is what the terminal has. Given, a pipe gets what a terminal would.
  std::size_t width = 0;
};

/// One run of the executable.
struct Invocation {
  CommonOptions options;
  Configuration configuration;
  /// Set by the subcommand that was named; errors go to stderr as one line and end with status 1, or 2 for
  /// invalid_argument.
  std::function<base::Result<Exit>(Invocation&)> run;
};

/// A check for an option that holds a whole number: one line about what is accepted, where CLI11 would print
/// the limits of the type.
[[nodiscard]] std::function<std::string(const std::string&)> whole_number(std::uint64_t least,
                                                                          std::uint64_t most);
/// Of rows that one report may be asked for.
inline constexpr std::uint64_t kMostRowsAsked = 1'000'000;

/// The store that this invocation speaks of. Errors: those of choose_store.
[[nodiscard]] base::Result<StoreChoice> chosen_store(const Invocation& invocation);
/// Opens it; the error names the store and who chose it.
[[nodiscard]] base::Result<perf::OpenStore> open_chosen_store(const Invocation& invocation,
                                                              perf::OpenMode mode);

}  // namespace headroom::cli
