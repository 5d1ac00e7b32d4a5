// The keys and what they accept are those of python/headroom/settings.py, which reads the section inside
// trytond; a scenario test runs both over the same files.

#include "headroom/trytond_check.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <string>

#include <fmt/format.h>

#include "base/glob.hpp"
#include "perf/recorder.hpp"
#include "perf/rule.hpp"
#include "perf/store.hpp"

namespace headroom::cli {

namespace {

constexpr std::string_view kCacheClass = "headroom.trytond.MemoryCache";
constexpr std::string_view kMiddleware = "headroom.trytond.Middleware";
constexpr double kLongestSeconds =
    std::chrono::duration<double>(perf::RecorderSettings::kLongestTime).count();
constexpr std::string_view kBrokers =
    "sqlite:///absolute/path, redis://[user:password@]host:port/db, rediss://... or unix:///path";

/// "64 KiB": the number, and what follows it behind any blanks.
struct Quantity {
  std::string_view number;
  std::string_view unit;
};

Quantity split_quantity(std::string_view text, const char* digits) {
  const std::size_t end = std::min(text.find_first_not_of(digits), text.size());
  std::string_view unit = text.substr(end);
  unit.remove_prefix(std::min(unit.find_first_not_of(" \t\n"), unit.size()));
  return {text.substr(0, end), unit};
}

/// 0 where `text` is no number.
double number_of(const Quantity& quantity) {
  double number = 0;
  const auto& text = quantity.number;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  return read.ec == std::errc::result_out_of_range ? std::numeric_limits<double>::infinity() : number;
}

double seconds_of(const Quantity& quantity) {
  if (quantity.unit == "ms") return number_of(quantity) / 1000;
  return number_of(quantity) * (quantity.unit == "m" ? 60 : quantity.unit == "h" ? 3600 : 1);
}

/// Of a unit in lower case.
double scale_of(std::string_view unit) {
  const char first = unit.empty() ? 'b' : unit.front();
  return first == 'k' ? 0x1p10 : first == 'm' ? 0x1p20 : first == 'g' ? 0x1p30 : 1;
}

/// "64k": as the keys take it.
std::string size_text(std::size_t bytes) {
  if (bytes == 0) return "0";
  if (bytes % (1U << 30) == 0) return fmt::format("{}g", bytes >> 30U);
  return bytes % (1U << 20) == 0 ? fmt::format("{}m", bytes >> 20U) : fmt::format("{}k", bytes >> 10U);
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> accepted) {
  return std::find(accepted.begin(), accepted.end(), text) != accepted.end();
}

class Check {
 public:
  explicit Check(IniFile file) : file_(std::move(file)) {}

  std::vector<Finding> run() {
    loader();
    if (const IniSection* perf = file_.find("perf")) section(*perf);
    return std::move(findings_);
  }

 private:
  void error(std::size_t line, std::string text, std::string remedy = "") {
    findings_.push_back({Severity::kError, line, std::move(text), std::move(remedy)});
  }
  void warning(std::size_t line, std::string text, std::string remedy = "") {
    findings_.push_back({Severity::kWarning, line, std::move(text), std::move(remedy)});
  }

  /// `[cache] class` reaches every process; the middleware alone only the one that serves HTTP.
  void loader() {
    const std::string line = fmt::format("class = {}", kCacheClass);
    const IniSection* cache = file_.find("cache");
    if (cache == nullptr) {
      return missing_loader(0, "there is no section [cache], so that trytond does not load Headroom",
                            "[cache]\n" + line);
    }
    const IniEntry* entry = cache->find("class");
    if (entry == nullptr) {
      return missing_loader(cache->line, "[cache] names no class, so that trytond does not load Headroom",
                            line);
    }
    if (entry->value == kCacheClass) return;
    missing_loader(entry->line, fmt::format("[cache] class is {}, not Headroom's", entry->value), line);
  }

  void missing_loader(std::size_t line, const std::string& text, std::string remedy) {
    if (has_middleware()) {
      warning(line, text + "; the middleware records HTTP alone, not workers, cron and trytond-admin",
              std::move(remedy));
    } else {
      error(line, text, std::move(remedy));
    }
  }

  [[nodiscard]] bool has_middleware() const {
    const IniSection* section = file_.find("wsgi middleware");
    return section != nullptr &&
           std::any_of(section->entries.begin(), section->entries.end(),
                       [](const IniEntry& entry) { return entry.value == kMiddleware; });
  }

  void section(const IniSection& perf);
  void entry(const IniEntry& entry);

  void value(const IniEntry& entry, bool accepted, std::string_view what) {
    if (accepted) return;
    const std::string shown = entry.key == "broker" ? std::string() : fmt::format(" '{}'", entry.value);
    // The package drops the whole rule then: what is left of it would record more than was asked for.
    const bool restricts = is_one_of(entry.key, {"users", "database", "methods", "slower_than", "one_in"});
    error(entry.line,
          fmt::format("[perf] {}{} is not understood{}: it takes {}", entry.key, shown,
                      restricts ? ", and until then the section records nobody in detail" : "", what));
  }

  void glob(const IniEntry& entry);
  void globs(const IniEntry& entry);
  void list(const IniEntry& entry);
  void users(const IniEntry& entry);
  void duration(const IniEntry& entry);
  void size(const IniEntry& entry, std::size_t least, std::size_t most);
  void body_limit(const IniEntry& entry) { size(entry, 0, perf::RecorderSettings::kLargestBody); }
  void buffer_limit(const IniEntry& entry) {
    size(entry, perf::RecorderSettings::kLeastBuffer, perf::RecorderSettings::kLargestBuffer);
  }
  void one_in(const IniEntry& entry);
  void state(const IniEntry& entry);
  void broker(const IniEntry& entry);
  void unknown(const IniEntry& entry);
  void default_broker(const IniSection& perf);
  void not_in_database_folder(std::size_t line, const std::filesystem::path& store);

  using Checker = void (Check::*)(const IniEntry&);
  static constexpr std::array<std::pair<std::string_view, Checker>, 16> kKeys{
      {{"broker", &Check::broker},
       {"state", &Check::state},
       {"secrets", &Check::list},
       {"body_limit", &Check::body_limit},
       {"buffer_limit", &Check::buffer_limit},
       {"flush_interval", &Check::duration},
       {"users", &Check::users},
       {"database", &Check::glob},
       {"methods", &Check::globs},
       {"profile", &Check::globs},
       {"sample", &Check::globs},
       {"db", &Check::globs},
       {"io", &Check::globs},
       {"query", &Check::duration},
       {"slower_than", &Check::duration},
       {"one_in", &Check::one_in}}};

  IniFile file_;
  std::vector<Finding> findings_;
};

void Check::section(const IniSection& perf) {
  for (const IniEntry& each : perf.entries) entry(each);
  default_broker(perf);
  if (perf.find("users") != nullptr || perf.find("methods") != nullptr) return;
  for (const std::string_view key : {"profile", "sample", "db", "io", "query", "slower_than", "one_in"}) {
    const IniEntry* found = perf.find(key);
    if (found == nullptr) continue;
    warning(
        found->line,
        fmt::format("[perf] {} has no effect: without users or methods nobody is recorded in detail", key),
        "users = LOGIN");
    return;
  }
}

void Check::entry(const IniEntry& entry) {
  const auto* found =
      std::find_if(kKeys.begin(), kKeys.end(), [&](const auto& key) { return key.first == entry.key; });
  if (found == kKeys.end()) return unknown(entry);
  if (!entry.value.empty()) (this->*(found->second))(entry);
}

void Check::unknown(const IniEntry& entry) {
  std::string known;
  for (const auto& [key, checker] : kKeys) known += fmt::format("{}{}", known.empty() ? "" : ", ", key);
  error(entry.line, fmt::format("[perf] has no key {}; known are {}", entry.key, known));
}

void Check::glob(const IniEntry& entry) {
  value(entry, entry.value.find_first_of(",\n") == std::string::npos && base::glob_is_closed(entry.value),
        "one glob, not a list; every [ is closed");
}

void Check::globs(const IniEntry& entry) {
  const std::vector<std::string> given = perf::split_list(entry.value);
  value(entry, !given.empty() && std::all_of(given.begin(), given.end(), base::glob_is_closed),
        "globs such as model.sale.*, split by commas or line ends; every [ is closed");
}

void Check::list(const IniEntry& entry) {
  value(entry, !perf::split_list(entry.value).empty(), "a list, split by commas or line ends");
}

void Check::users(const IniEntry& entry) {
  const std::vector<std::string> names = perf::split_list(entry.value);
  const bool usable = std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return name != "login:" && base::glob_is_closed(name);
  });
  value(entry, !names.empty() && usable,
        "logins or globs of them, ids in digits, or login:NAME, split by commas or line ends");
}

void Check::duration(const IniEntry& entry) {
  const Quantity quantity = split_quantity(entry.value, "0123456789.");
  const bool number = quantity.number.find_first_of("0123456789") != std::string_view::npos &&
                      quantity.number.find('.') == quantity.number.rfind('.');
  const bool known = number && is_one_of(quantity.unit, {"", "ms", "s", "m", "h"});
  value(entry, known && seconds_of(quantity) <= kLongestSeconds,
        "seconds such as 0.5, or a number with ms, s, m or h, at most 24h");
}

void Check::size(const IniEntry& entry, std::size_t least, std::size_t most) {
  const Quantity quantity = split_quantity(entry.value, "0123456789");
  std::string unit(quantity.unit);
  std::transform(unit.begin(), unit.end(), unit.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool known = is_one_of(unit, {"", "b", "k", "kb", "kib", "m", "mb", "mib", "g", "gb", "gib"});
  const bool number = !quantity.number.empty() && quantity.number.size() <= 18;
  const double bytes = number ? number_of(quantity) * scale_of(unit) : 0;
  value(entry, number && known && bytes >= static_cast<double>(least) && bytes <= static_cast<double>(most),
        fmt::format("bytes, or a number with k, m or g, from {} to {}", size_text(least), size_text(most)));
}

void Check::one_in(const IniEntry& entry) {
  std::string_view number = entry.value;
  if (number.starts_with("1/")) number.remove_prefix(2);
  const bool digits = !number.empty() && number.find_first_not_of("0123456789") == std::string_view::npos;
  value(entry, digits && number.size() <= 9 && number.front() != '0', "1/N or N, a number of at least 1");
}

void Check::state(const IniEntry& entry) {
  value(entry, entry.value.starts_with('/'), "the absolute path of a folder");
}

void Check::broker(const IniEntry& entry) {
  const std::string_view url = entry.value;
  const std::size_t colon = url.find("://");
  const std::string_view scheme = url.substr(0, colon == std::string_view::npos ? 0 : colon);
  const bool is_file = scheme == "sqlite" || scheme == "unix";
  const bool is_server = scheme == "redis" || scheme == "rediss";
  if (!is_file && !is_server) return value(entry, false, kBrokers);
  const std::string_view rest = url.substr(colon + 3);
  value(entry, is_file ? rest.starts_with('/') && rest.size() > 1 : !rest.empty(), kBrokers);
  if (scheme == "sqlite") not_in_database_folder(entry.line, std::string(rest));
}

/// Without a broker the store is a file in the state folder.
void Check::default_broker(const IniSection& perf) {
  const IniEntry* broker = perf.find("broker");
  const IniEntry* state = perf.find("state");
  if ((broker != nullptr && !broker->value.empty()) || state == nullptr || !state->value.starts_with('/'))
    return;
  not_in_database_folder(state->line, state->value + "/perf.sqlite");
}

void Check::not_in_database_folder(std::size_t line, const std::filesystem::path& store) {
  const IniSection* database = file_.find("database");
  const IniEntry* path = database == nullptr ? nullptr : database->find("path");
  if (path == nullptr || path->value.empty() || path->value.front() == '~') return;
  std::error_code ignored;
  const std::filesystem::path folder = std::filesystem::weakly_canonical(path->value, ignored);
  const std::filesystem::path file = std::filesystem::weakly_canonical(store, ignored);
  const std::filesystem::path relative = file.lexically_relative(folder);
  if (relative.empty() || *relative.begin() == "..") return;
  error(line,
        fmt::format("[perf] broker lies inside [database] path {} (line {}), where trytond opens every "
                    "*.sqlite as a database",
                    path->value, path->line),
        "broker = sqlite:///var/lib/headroom/perf.sqlite");
}

void add_problems(std::vector<Finding>& findings, const std::vector<IniProblem>& problems) {
  for (const IniProblem& problem : problems)
    findings.push_back({Severity::kError, problem.line, problem.text, ""});
}

}  // namespace

std::vector<Finding> check_trytond_configuration(std::string_view text) {
  std::vector<IniProblem> problems;
  IniFile file = parse_ini(text, problems);
  std::vector<Finding> findings = Check(std::move(file)).run();
  add_problems(findings, problems);
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& left, const Finding& right) { return left.line < right.line; });
  return findings;
}

std::string broker_of(std::string_view text) {
  std::vector<IniProblem> problems;
  const IniFile file = parse_ini(text, problems);
  const IniSection* perf = file.find("perf");
  const IniEntry* broker = perf == nullptr ? nullptr : perf->find("broker");
  return broker == nullptr ? std::string() : broker->value;
}

}  // namespace headroom::cli
