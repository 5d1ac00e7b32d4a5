#include "headroom/ini.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

namespace headroom::cli {

namespace {

constexpr std::string_view kBlanks = " \t\f\v";

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// "[name]", whatever follows; a name has one character at least, and may hold brackets.
bool is_header(std::string_view text) {
  const std::size_t end = text.rfind(']');
  return text.starts_with('[') && end != std::string_view::npos && end >= 2;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char character) { return static_cast<char>(std::tolower(character)); });
  return result;
}

/// One line at a time, with the little that configparser remembers between lines.
class Reader {
 public:
  Reader(IniFile& file, std::vector<IniProblem>& problems) : file_(file), problems_(problems) {}

  void line(std::string_view raw) {
    ++number_;
    const std::string_view text = trim(raw);
    const std::size_t indent = text.empty() ? 0 : raw.find_first_not_of(kBlanks);
    if (text.starts_with('#') || text.starts_with(';')) return;
    if (text.empty()) {
      if (entry_open_) append("");
    } else if (entry_open_ && indent > indent_) {
      append(text);
    } else {
      indent_ = indent;
      entry_open_ = false;
      is_header(text) ? header(text) : entry(text);
    }
  }

 private:
  void problem(std::string text) { problems_.push_back({number_, std::move(text)}); }

  /// configparser joins the lines of a value with line ends and cuts blank lines off its end.
  void append(std::string_view text) {
    std::string& value = current().value;
    if (text.empty()) {
      ++blank_lines_;
      return;
    }
    value.append(blank_lines_ + 1, '\n');
    blank_lines_ = 0;
    value += text;
  }

  IniEntry& current() { return file_.sections.back().entries.back(); }

  void header(std::string_view text) {
    const std::string name(text.substr(1, text.rfind(']') - 1));
    if (const IniSection* known = file_.find(name)) {
      problem(fmt::format("section [{}] stands here a second time (first in line {}); move its lines there",
                          name, known->line));
    }
    file_.sections.push_back({name, number_, {}});
  }

  void entry(std::string_view text) {
    if (file_.sections.empty()) return problem(fmt::format("'{}' stands before the first [section]", text));
    const std::size_t delimiter = text.find_first_of("=:");
    if (delimiter == std::string_view::npos || delimiter == 0) {
      return problem(fmt::format("'{}' is neither 'key = value' nor [section]", text));
    }
    const std::string key = lower(trim(text.substr(0, delimiter)));
    IniSection& section = file_.sections.back();
    if (const IniEntry* known = section.find(key)) {
      problem(fmt::format("[{}] {} stands here a second time (first in line {}); keep one", section.name, key,
                          known->line));
    }
    section.entries.push_back({key, std::string(trim(text.substr(delimiter + 1))), number_});
    entry_open_ = true;
    blank_lines_ = 0;
  }

  IniFile& file_;
  std::vector<IniProblem>& problems_;
  std::size_t number_ = 0;
  std::size_t indent_ = 0;
  std::size_t blank_lines_ = 0;
  bool entry_open_ = false;
};

}  // namespace

const IniEntry* IniSection::find(std::string_view key) const {
  const auto found =
      std::find_if(entries.begin(), entries.end(), [key](const IniEntry& entry) { return entry.key == key; });
  return found == entries.end() ? nullptr : &*found;
}

const IniSection* IniFile::find(std::string_view name) const {
  const auto found = std::find_if(sections.begin(), sections.end(),
                                  [name](const IniSection& section) { return section.name == name; });
  return found == sections.end() ? nullptr : &*found;
}

IniFile parse_ini(std::string_view text, std::vector<IniProblem>& problems) {
  IniFile file;
  Reader reader(file, problems);
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    reader.line(text.substr(0, end));
    text.remove_prefix(end);
    text.remove_prefix(text.starts_with("\r\n") ? 2 : text.empty() ? 0 : 1);
  }
  return file;
}

}  // namespace headroom::cli
