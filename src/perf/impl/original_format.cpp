// The three text and byte forms inside the original's values. All input is foreign: any bytes give a value or
// nothing.

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perf/original.hpp"

namespace headroom::perf {

namespace {

constexpr std::size_t kMostFunctions = 100'000;

/// Takes the events of nlohmann's parser and stops it at the first nesting, which also bounds its recursion.
class FlatMap final : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::map<std::string, std::string> values;

  bool null() override { return value({}); }
  bool boolean(bool flag) override { return value(flag ? "1" : "0"); }
  bool number_integer(number_integer_t number) override { return value(std::to_string(number)); }
  bool number_unsigned(number_unsigned_t number) override { return value(std::to_string(number)); }
  bool number_float(number_float_t number, const string_t&) override {
    return value(fmt::format("{}", number));
  }
  bool string(string_t& text) override { return value(std::move(text)); }
  bool binary(binary_t& bytes) override { return value(std::string(bytes.begin(), bytes.end())); }
  bool start_object(std::size_t) override { return !std::exchange(open_, true); }
  bool key(string_t& name) override {
    key_ = std::move(name);
    return true;
  }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return false; }
  bool end_array() override { return false; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override {
    return false;
  }

 private:
  bool value(std::string text) {
    if (!open_) return false;
    values[key_] = std::move(text);
    return true;
  }

  bool open_ = false;
  std::string key_;
};

std::string_view next_word(std::string_view& line) {
  const auto begin = std::min(line.find_first_not_of(" \t"), line.size());
  line.remove_prefix(begin);
  const auto word = line.substr(0, line.find_first_of(" \t"));
  line.remove_prefix(word.size());
  return word;
}

std::optional<double> seconds(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool sound =
      error == std::errc{} && end == text.data() + text.size() && std::isfinite(value) && value >= 0;
  if (!sound || value > 1e6) return std::nullopt;
  return value;
}

/// "12" or "12/3": all calls, then those that were not recursive.
std::optional<std::uint64_t> calls(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || (end != text.data() + text.size() && *end != '/')) return std::nullopt;
  return value;
}

/// "path/file.py:12(function)" or "{built-in method x}".
Frame frame(std::string_view place) {
  const auto open = place.find('(');
  const auto colon = open == std::string_view::npos ? open : place.rfind(':', open);
  if (colon == std::string_view::npos || !place.ends_with(')')) return {std::string(place), {}, 0};
  Frame result{std::string(place.substr(open + 1, place.size() - open - 2)),
               std::string(place.substr(0, colon)), 0};
  std::from_chars(place.data() + colon + 1, place.data() + open, result.line);
  return result;
}

/// ncalls tottime percall cumtime percall filename:lineno(function)
bool add_line(std::string_view line, Profile& profile) {
  const auto number = calls(next_word(line));
  const auto own = seconds(next_word(line));
  if (!number || !own) return false;
  for (int column = 0; column < 3; ++column) {
    if (!seconds(next_word(line))) return false;
  }
  const auto begin = line.find_first_not_of(' ');
  if (begin == std::string_view::npos) return false;
  const auto index = static_cast<std::uint32_t>(profile.frames.size());
  profile.frames.push_back(frame(line.substr(begin, line.find_last_not_of(" \r") + 1 - begin)));
  profile.nodes.push_back({0, index, *number, base::Nanoseconds(std::llround(*own * 1e9)), {}});
  return true;
}

}  // namespace

std::optional<std::map<std::string, std::string>> flat_msgpack(std::string_view bytes) {
  FlatMap map;
  try {
    if (!nlohmann::json::sax_parse(bytes.begin(), bytes.end(), &map, nlohmann::json::input_format_t::msgpack))
      return std::nullopt;
  } catch (const std::exception&) {
    return std::nullopt;
  }
  return std::move(map.values);
}

std::optional<Profile> profile_from_pstats(std::string_view text) {
  Profile profile;
  profile.nodes.emplace_back();
  while (!text.empty() && profile.frames.size() < kMostFunctions) {
    const auto end = std::min(text.find('\n'), text.size());
    static_cast<void>(add_line(text.substr(0, end), profile));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (profile.frames.empty()) return std::nullopt;
  return profile;
}

std::optional<UtcTime> original_time(std::string_view text) {
  const auto at = text.find('@');
  if (at != 10 || text.size() > 40) return std::nullopt;
  std::string iso(text);
  iso[at] = 'T';
  const auto time = base::parse_time(iso, UtcTime{});
  return time ? std::optional(*time) : std::nullopt;
}

}  // namespace headroom::perf
