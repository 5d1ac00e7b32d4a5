#pragma once

#include "perf/impl/sqlite_database.hpp"
#include "perf/store.hpp"

namespace headroom::perf {

/// Writes a batch in one transaction. Throws SqliteError.
void append_batch(SqliteDatabase& database, const Batch& batch);

}  // namespace headroom::perf
