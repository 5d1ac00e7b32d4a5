#pragma once

// Reading a TOML configuration file into the plain structs of the modules.
//
// Each module declares a struct for its section and a `read(ConfigSection&)` that names every key once. The
// reader remembers the keys that were asked for, so that whatever else stands in the file is an unknown key:
// there is no second list of names to keep. All errors carry file, line and key; the one nearest to the top
// of the file is reported.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace headroom::base {

class ConfigFile;

/// One table of the file, or an absent one: every key is optional and keeps the value that its target has.
/// A value of the wrong type or outside its range is noted as an error and leaves the target alone.
/// Lifetime: within that of its ConfigFile.
class ConfigSection {
 public:
  void read(std::string_view key, std::string& target);
  void read(std::string_view key, bool& target);
  void read(std::string_view key, std::vector<std::string>& target);
  /// An integer within [least, most].
  void read(std::string_view key, std::int64_t& target, std::int64_t least, std::int64_t most);
  /// A span such as "7d" or a number of seconds; never negative.
  void read(std::string_view key, Microseconds& target);
  /// A size such as "2GiB" or a number of bytes.
  void read_size(std::string_view key, std::uint64_t& target);
  /// Every key with its string, for a section whose keys are names that the user chooses.
  void read_names(std::map<std::string, std::string>& target);
  /// Notes an error of the section's own about a key that was read ("listen: no port").
  void reject(std::string_view key, std::string_view problem);

 private:
  friend class ConfigFile;
  ConfigSection(ConfigFile& file, std::string name) : file_(&file), name_(std::move(name)) {}

  ConfigFile* file_;
  std::string name_;
};

/// A parsed file. Usage: take each section, read it, then `finish`.
class ConfigFile {
 public:
  /// Errors: not_found, denied, too_large (over 1 MiB), invalid_argument (file, line and what is wrong with
  /// its TOML).
  [[nodiscard]] static Result<ConfigFile> open(const std::filesystem::path& path);
  /// `name` stands in messages in place of a file name.
  [[nodiscard]] static Result<ConfigFile> parse(std::string_view text, std::string name);
  /// A file without content: every section keeps its defaults.
  [[nodiscard]] static ConfigFile none();

  ConfigFile(ConfigFile&&) noexcept;
  ConfigFile& operator=(ConfigFile&&) noexcept;
  ~ConfigFile();

  /// The table `[name]`; "perf.limits" is a table within one.
  [[nodiscard]] ConfigSection section(std::string_view name);
  /// Errors: invalid_argument with "file:line: section.key: problem", for the first of all that is wrong: a
  /// wrong type, a key or section that nobody asked for (with the nearest known name).
  [[nodiscard]] Result<void> finish();

 private:
  friend class ConfigSection;
  struct Impl;
  explicit ConfigFile(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom::base
