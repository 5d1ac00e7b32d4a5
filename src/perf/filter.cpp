// What a Filter (store.hpp) means; reports need it too, without a store.

#include "base/glob.hpp"
#include "perf/store.hpp"

namespace headroom::perf {

bool includes_database(const Filter& filter, std::string_view database) {
  return (filter.database.empty() || database == filter.database) &&
         (filter.databases.empty() || database == filter.databases ||
          base::glob_match(filter.databases, database));
}

}  // namespace headroom::perf
