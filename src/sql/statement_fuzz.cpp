// Any bytes give a Statement that keeps its promises.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <set>

#include "sql/statement.hpp"
#include "sql/utf8.hpp"

namespace {
void require(bool condition) {
  if (!condition) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const headroom::sql::Statement statement = headroom::sql::analyze(text);
  require(statement.fingerprint != 0 && statement.fingerprint < (std::uint64_t{1} << 63U));
  require(statement.normalized.size() <= 16U * 1024U);
  require(headroom::sql::is_clean_utf8(statement.normalized));
  const std::set<std::string> unique(statement.tables.begin(), statement.tables.end());
  require(unique.size() == statement.tables.size());
  require(std::all_of(unique.begin(), unique.end(), [](const auto& table) {
    return !table.empty() && headroom::sql::is_clean_utf8(table);
  }));
  return 0;
}
