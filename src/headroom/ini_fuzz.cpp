// Any text gives sections and keys with lines that exist, in their order, without blanks around them; what
// is wrong is said of a line that exists. The check of trytond.conf takes the same text.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "headroom/ini.hpp"
#include "headroom/trytond_check.hpp"

namespace {

using headroom::cli::IniEntry;
using headroom::cli::IniProblem;
using headroom::cli::IniSection;

void require(bool holds) {
  if (!holds) std::abort();
}

bool is_trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\f\v";
  return text.empty() || (kBlanks.find(text.front()) == std::string_view::npos &&
                          kBlanks.find(text.back()) == std::string_view::npos);
}

/// Returns the last line of the section.
std::size_t check_section(const IniSection& section) {
  require(!section.name.empty());
  std::size_t line = section.line;
  for (const IniEntry& entry : section.entries) {
    require(entry.line > line);
    require(!entry.key.empty() && is_trimmed(entry.key) && is_trimmed(entry.value));
    require(section.find(entry.key) != nullptr);
    line = entry.line;
  }
  return line;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto lines = static_cast<std::size_t>(
      1 + std::count_if(text.begin(), text.end(), [](char each) { return each == '\n' || each == '\r'; }));
  std::vector<IniProblem> problems;
  const auto file = headroom::cli::parse_ini(text, problems);
  std::size_t line = 0;
  for (const IniSection& section : file.sections) {
    require(section.line > line);
    line = check_section(section);
  }
  require(line <= lines);
  for (const IniProblem& problem : problems) require(problem.line >= 1 && problem.line <= lines);
  for (const auto& finding : headroom::cli::check_trytond_configuration(text)) require(finding.line <= lines);
  return 0;
}
