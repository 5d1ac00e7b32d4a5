#pragma once

// Lists out of the filters that people have saved elsewhere.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sql/reader.hpp"
#include "worklist/definition.hpp"

namespace headroom::worklist {

/// A row of Odoo's ir_filters.
struct OdooFilter {
  std::int64_t id = 0;
  std::string name;
  std::string model;    ///< "sale.order"
  std::string domain;   ///< "[('state', '=', 'draft')]"
  std::string context;  ///< "{'group_by': []}"
};

struct ImportedList {
  std::string filter;  ///< its name, or its id where it has none
  std::string yaml;    ///< an entry of `lists` of worklists.yaml; empty: it can't be said as a list
  std::string why;     ///< it can't
};

/// The filters that everybody may use. Errors: those of the reader; not_found: it is no database of Odoo.
[[nodiscard]] Result<std::vector<OdooFilter>> read_odoo_filters(sql::Reader& reader);

/// A list for each filter of a model whose table is that of a catalog: "sale.order" is sale_order. What a
/// filter compares has to be a column there, under its field's name. As in Odoo `!=` and `not in` take NULL
/// too, False is NULL but of booleans, and where there is a column `active` only active documents count
/// unless the filter speaks of it. `uid` becomes a role: of the security column or holder that is this field.
/// OR is understood where it is of one field. Shape: in the order of `filters`. Threads: pure.
[[nodiscard]] std::vector<ImportedList> import_odoo(const Definitions& definitions,
                                                    std::span<const OdooFilter> filters);

}  // namespace headroom::worklist
