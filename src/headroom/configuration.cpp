#include "headroom/configuration.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>

#include <fmt/format.h>

#include "base/units.hpp"
#include "headroom/text_file.hpp"
#include "headroom/trytond_check.hpp"

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;

void PerfSection::read(base::ConfigSection& section) {
  section.read("store", store);
  section.read("state", state);
  const perf::Retention unnamed{base::Microseconds::min(), ~std::uint64_t{0}};
  perf::Retention named = unnamed;
  section.read("retention_age", named.age);
  section.read_size("retention_size", named.bytes);
  if (const auto large = check_retention_size(named.bytes); !large)
    section.reject("retention_size", large.error().message());
  if (named.age != unnamed.age) retention.age = named.age;
  if (named.bytes != unnamed.bytes) retention.bytes = named.bytes;
  names_retention = named != unnamed;
}

Result<void> check_retention_size(std::uint64_t bytes) {
  if (bytes >= kLeastRetention) return {};
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{} would keep next to nothing; expected {} at least", base::format_size(bytes),
                          base::format_size(kLeastRetention)));
}

Result<perf::Retention> settle_retention(perf::StoreControl& control, const PerfSection& section) {
  auto stored = control.retention();
  if (!stored || !section.names_retention || *stored == section.retention) return stored;
  if (auto kept = control.set_retention(section.retention); !kept) return fail(std::move(kept.error()));
  return section.retention;
}

Result<Configuration> read_configuration(const std::filesystem::path& file) {
  auto toml =
      file.empty() ? Result<base::ConfigFile>(base::ConfigFile::none()) : base::ConfigFile::open(file);
  if (!toml) return fail(toml.error());
  Configuration configuration;
  configuration.file = file;
  base::ConfigSection perf = toml->section("perf");
  configuration.perf.read(perf);
  toml->section("perf.releases").read_names(configuration.perf.releases);
  toml->section("perf.databases").read_names(configuration.perf.databases);
  base::ConfigSection serve = toml->section("serve");
  configuration.serve.read(serve);
  base::ConfigSection otlp = toml->section("otlp");
  configuration.otlp.read(otlp);
  base::ConfigSection bus = toml->section("bus");
  configuration.bus.read(bus);
  base::ConfigSection channels = toml->section("bus.channels");
  configuration.bus.read_channels(channels);
  base::ConfigSection tryton = toml->section("bus.tryton");
  configuration.tryton_bus.read(tryton);
  toml->section("bus.tryton.urls").read_names(configuration.tryton_bus.urls);
  base::ConfigSection worklist = toml->section("worklist");
  configuration.worklist.read(worklist, file, configuration.perf.databases);
  if (const auto finished = toml->finish(); !finished) return fail(finished.error());
  return configuration;
}

Result<Configuration> load_configuration(const std::string& given) {
  if (!given.empty()) return read_configuration(given);
  const char* variable = std::getenv("HEADROOM_CONFIG");
  if (variable != nullptr && *variable != '\0') {
    auto configuration = read_configuration(variable);
    if (!configuration) return fail(std::move(configuration.error()).within("$HEADROOM_CONFIG"));
    return configuration;
  }
  for (const char* usual : {"headroom.toml", "/etc/headroom/headroom.toml"}) {
    std::error_code ignored;
    if (std::filesystem::exists(usual, ignored)) return read_configuration(usual);
  }
  return read_configuration({});
}

namespace {

Result<std::string> read_broker(const std::string& file) {
  auto text = read_text_file(file);
  if (!text) return fail(std::move(text.error()).within("--trytond-config"));
  return broker_of(*text);
}

}  // namespace

Result<StoreChoice> choose_store(const std::string& given, const Configuration& configuration,
                                 const std::string& trytond_config) {
  if (!given.empty()) return StoreChoice{given, "--store"};
  if (!configuration.perf.store.empty()) {
    return StoreChoice{configuration.perf.store,
                       fmt::format("[perf] store of {}", configuration.file.string())};
  }
  if (!trytond_config.empty()) {
    auto broker = read_broker(trytond_config);
    if (!broker) return fail(broker.error());
    if (!broker->empty()) return StoreChoice{*broker, fmt::format("[perf] broker of {}", trytond_config)};
  }
  return StoreChoice{std::string(kDefaultStore), "the default"};
}

}  // namespace headroom::cli
