#include "base/config.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "base/units.hpp"

namespace headroom::base {

namespace {

constexpr std::uintmax_t kLargestFile = 1024 * 1024;

/// The number of edits from one name to the other: a character more, less or another one, or two neighbours
/// swapped, the usual slip of typing ("stroe"). Source: optimal string alignment (Damerau 1964).
std::size_t edit_distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> before_last;
  std::vector<std::size_t> last(right.size() + 1);
  for (std::size_t j = 0; j < last.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= left.size(); ++i) {
    std::vector<std::size_t> row(last.size(), i);
    for (std::size_t j = 1; j <= right.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1);
      row[j] = std::min({replaced, last[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = std::exchange(last, std::move(row));
  }
  return last[right.size()];
}

/// "; did you mean 'x'?" or "; known here: a, b".
std::string advice(std::string_view unknown, const std::set<std::string>& known) {
  std::string_view nearest;
  std::size_t least = unknown.size() / 3 + 2;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(unknown, candidate);
    if (distance >= least) continue;
    least = distance;
    nearest = candidate;
  }
  if (!nearest.empty()) return fmt::format("; did you mean '{}'?", nearest);
  return known.empty() ? std::string() : fmt::format("; known here: {}", fmt::join(known, ", "));
}

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a floating-point number";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date or time";
  }
}

}  // namespace

struct ConfigFile::Impl {
  struct Problem {
    std::size_t line = 0;
    std::string text;
  };

  std::string name;
  toml::table root;
  /// Section name to the keys that were asked for; what is missing here at the end is unknown.
  std::map<std::string, std::set<std::string>> known;
  std::vector<Problem> problems;

  toml::table* table(std::string_view section) {
    return section.empty() ? &root : root.at_path(section).as_table();
  }

  /// The node of a key, or null when the file does not have it.
  toml::node* find(const std::string& section, std::string_view key) {
    known[section].emplace(key);
    toml::table* found = table(section);
    return found == nullptr ? nullptr : found->get(key);
  }

  void note(const toml::node& node, const std::string& section, std::string_view key,
            std::string_view problem) {
    const std::size_t line = node.source().begin.line;
    problems.push_back({line, fmt::format("{}:{}: {}{}{}: {}", name, line, section,
                                          section.empty() ? "" : ".", key, problem)});
  }

  void expected(const toml::node& node, const std::string& section, std::string_view key,
                std::string_view what) {
    note(node, section, key, fmt::format("expected {}, found {}", what, type_name(node)));
  }

  [[nodiscard]] bool is_section(const std::string& path) const {
    const auto begins_with_path = [&path](const auto& entry) {
      return entry.first == path || entry.first.starts_with(path + ".");
    };
    return std::any_of(known.begin(), known.end(), begins_with_path);
  }

  [[nodiscard]] std::set<std::string> sections_in(const std::string& path) const {
    const std::string front = path.empty() ? "" : path + ".";
    std::set<std::string> names;
    for (const auto& [section, keys] : known) {
      if (section.empty() || !section.starts_with(front)) continue;
      const std::string rest = section.substr(front.size());
      names.insert(rest.substr(0, rest.find('.')));
    }
    return names;
  }

  void find_unknown(const toml::table& found, const std::string& path) {
    std::set<std::string> names = sections_in(path);
    if (const auto keys = known.find(path); keys != known.end())
      names.insert(keys->second.begin(), keys->second.end());
    for (const auto& [key, node] : found) {
      const std::string inner = path.empty() ? std::string(key.str()) : fmt::format("{}.{}", path, key.str());
      if (!names.contains(std::string(key.str()))) {
        note(node, path, key.str(),
             (node.is_table() ? "unknown section" : "unknown key") + advice(key.str(), names));
      } else if (is_section(inner)) {
        if (const toml::table* nested = node.as_table()) {
          find_unknown(*nested, inner);
        } else {
          expected(node, path, key.str(), fmt::format("a section [{}]", inner));
        }
      }
    }
  }
};

ConfigFile::ConfigFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ConfigFile::ConfigFile(ConfigFile&&) noexcept = default;
ConfigFile& ConfigFile::operator=(ConfigFile&&) noexcept = default;
ConfigFile::~ConfigFile() = default;

Result<ConfigFile> ConfigFile::open(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return fail(ErrorCode::kNotFound, fmt::format("{}: no such configuration file", path.string()));
  }
  if (!std::filesystem::is_regular_file(path, error)) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: is not a file", path.string()));
  }
  if (std::filesystem::file_size(path, error) > kLargestFile) {
    return fail(ErrorCode::kTooLarge,
                fmt::format("{}: a configuration file has at most 1 MiB", path.string()));
  }
  std::ifstream stream(path);
  std::ostringstream text;
  if (!stream || !(text << stream.rdbuf() || stream.eof())) {
    return fail(ErrorCode::kDenied,
                fmt::format("{}: cannot be read: {}", path.string(), std::generic_category().message(errno)));
  }
  return parse(text.str(), path.string());
}

Result<ConfigFile> ConfigFile::parse(std::string_view text, std::string name) {
  auto impl = std::make_unique<Impl>();
  try {
    impl->root = toml::parse(text, std::string_view(name));
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}:{}: {}", name, error.source().begin.line, error.description()));
  }
  impl->name = std::move(name);
  return ConfigFile(std::move(impl));
}

ConfigFile ConfigFile::none() {
  return ConfigFile(std::make_unique<Impl>());
}

ConfigSection ConfigFile::section(std::string_view name) {
  impl_->known.try_emplace(std::string(name));
  return {*this, std::string(name)};
}

Result<void> ConfigFile::finish() {
  impl_->find_unknown(impl_->root, "");
  if (impl_->problems.empty()) return {};
  const auto by_line = [](const Impl::Problem& left, const Impl::Problem& right) {
    return left.line < right.line;
  };
  return fail(ErrorCode::kInvalidArgument,
              std::min_element(impl_->problems.begin(), impl_->problems.end(), by_line)->text);
}

void ConfigSection::read(std::string_view key, std::string& target) {
  ConfigFile::Impl& file = *file_->impl_;
  const toml::node* node = file.find(name_, key);
  if (node == nullptr) return;
  if (const auto value = node->value_exact<std::string>()) {
    target = *value;
  } else {
    file.expected(*node, name_, key, "a string");
  }
}

void ConfigSection::read(std::string_view key, bool& target) {
  ConfigFile::Impl& file = *file_->impl_;
  const toml::node* node = file.find(name_, key);
  if (node == nullptr) return;
  if (const auto value = node->value_exact<bool>()) {
    target = *value;
  } else {
    file.expected(*node, name_, key, "true or false");
  }
}

void ConfigSection::read(std::string_view key, std::vector<std::string>& target) {
  ConfigFile::Impl& file = *file_->impl_;
  const toml::node* node = file.find(name_, key);
  if (node == nullptr) return;
  const toml::array* list = node->as_array();
  if (list == nullptr || !(list->empty() || list->is_homogeneous(toml::node_type::string))) {
    return file.expected(*node, name_, key, "a list of strings");
  }
  target.clear();
  for (const toml::node& entry : *list) target.push_back(*entry.value_exact<std::string>());
}

void ConfigSection::read(std::string_view key, std::int64_t& target, std::int64_t least, std::int64_t most) {
  ConfigFile::Impl& file = *file_->impl_;
  const toml::node* node = file.find(name_, key);
  if (node == nullptr) return;
  const auto value = node->value_exact<std::int64_t>();
  if (!value) return file.expected(*node, name_, key, "an integer");
  if (*value < least || *value > most) {
    return file.note(*node, name_, key, fmt::format("{} is not between {} and {}", *value, least, most));
  }
  target = *value;
}

namespace {

/// A string or a number as the text that the unit parsers read.
std::optional<std::string> text_or_number(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto integer = node.value_exact<std::int64_t>()) return fmt::format("{}", *integer);
  if (const auto number = node.value_exact<double>()) return fmt::format("{}", *number);
  return std::nullopt;
}

}  // namespace

void ConfigSection::read(std::string_view key, Microseconds& target) {
  ConfigFile::Impl& file = *file_->impl_;
  const toml::node* node = file.find(name_, key);
  if (node == nullptr) return;
  const auto text = text_or_number(*node);
  if (!text) return file.expected(*node, name_, key, "a time span such as \"7d\" or a number of seconds");
  const auto span = parse_duration(*text);
  if (!span) return file.note(*node, name_, key, span.error().message());
  if (span->count() < 0) return file.note(*node, name_, key, "a time span is not negative");
  target = *span;
}

void ConfigSection::read_size(std::string_view key, std::uint64_t& target) {
  ConfigFile::Impl& file = *file_->impl_;
  const toml::node* node = file.find(name_, key);
  if (node == nullptr) return;
  const auto text = text_or_number(*node);
  if (!text) return file.expected(*node, name_, key, "a size such as \"2GiB\" or a number of bytes");
  const auto size = parse_size(*text);
  if (!size) return file.note(*node, name_, key, size.error().message());
  target = *size;
}

void ConfigSection::read_names(std::map<std::string, std::string>& target) {
  const toml::table* found = file_->impl_->table(name_);
  if (found == nullptr) return;
  for (const auto& [key, node] : *found) {
    std::string value;
    read(key.str(), value);
    target.insert_or_assign(std::string(key.str()), std::move(value));
  }
}

void ConfigSection::reject(std::string_view key, std::string_view problem) {
  ConfigFile::Impl& file = *file_->impl_;
  if (const toml::node* node = file.find(name_, key)) file.note(*node, name_, key, problem);
}

}  // namespace headroom::base
