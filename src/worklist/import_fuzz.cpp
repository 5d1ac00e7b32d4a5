// Any domain of Odoo: one that is taken gives lists that are read without an error.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "worklist/import.hpp"

namespace headroom::worklist {
namespace {

const base::UtcTime kNow = base::parse_time("2026-11-30 12:00", {}).value();

constexpr const char* kCatalogs = R"(
catalogs:
  sale:
    table: sale_order
    columns: {id: integer, state: text, amount: number, date: date, at: time, paid: boolean, user_id: integer, uid: integer}
    security: [{column: uid}]
    holders: [{column: user_id, role: Salesman}]
lists:
)";

void import_one(const std::string& domain) {
  static const Definitions definitions =
      read_definitions(std::string(kCatalogs) +
                           "  - {id: a, workflow: w, title: t, catalog: sale, criteria: {state: a}}\n",
                       "c", kNow)
          .value();
  const std::vector<OdooFilter> filters{{1, "Filter", "sale.order", domain, "{}"}};
  const ImportedList imported = import_odoo(definitions, filters).front();
  if (imported.yaml.empty() == imported.why.empty()) std::abort();
  if (imported.yaml.empty()) return;
  const auto read = read_definitions(kCatalogs + imported.yaml, "imported", kNow);
  // What no value can meet is found when the file is read.
  if (!read && read.error().message().find("no value can meet") == std::string::npos) std::abort();
}

}  // namespace
}  // namespace headroom::worklist

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  headroom::worklist::import_one({reinterpret_cast<const char*>(data), size});
  return 0;
}
