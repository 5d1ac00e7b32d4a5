#pragma once

// INI files as Python's configparser reads them with its defaults, which is how trytond reads trytond.conf:
// sections and keys,
// "=" or ":", values that go on in indented lines, "#" and ";" comments on lines of their own. A section or
// key that stands there twice is an error, as it is in Python. Interpolation is not done: trytond's parser is
// a RawConfigParser.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace headroom::cli {

struct IniEntry {
  std::string key;  ///< lower case, as configparser makes it
  std::string value;
  std::size_t line = 0;
};

struct IniSection {
  std::string name;
  std::size_t line = 0;
  std::vector<IniEntry> entries;

  [[nodiscard]] const IniEntry* find(std::string_view key) const;
};

struct IniFile {
  std::vector<IniSection> sections;

  [[nodiscard]] const IniSection* find(std::string_view name) const;
};

/// Something wrong in a file, and what to do about it.
struct IniProblem {
  std::size_t line = 0;  ///< 0: the file as a whole
  std::string text;
};

/// Reads a file's text; what is wrong goes to `problems` and reading goes on with the next line.
/// Shape: any bytes. Threads: pure.
[[nodiscard]] IniFile parse_ini(std::string_view text, std::vector<IniProblem>& problems);

}  // namespace headroom::cli
