#pragma once

#include <filesystem>

#include "base/result.hpp"
#include "perf/store.hpp"

namespace headroom::perf {

/// Opens the store in one SQLite file; see docs/store.md for its schema, permissions and guarantees.
/// kWrite makes a missing file (mode 0660, its folder 2770) and brings an older schema up to date. kRead
/// writes nothing but, where it may, SQLite's own -wal and -shm files. Errors: as `open_store`. Threads: the
/// two objects are one connection each, usable from one thread at a time each.
[[nodiscard]] Result<OpenStore> open_sqlite_store(const std::filesystem::path& path, OpenMode mode);

}  // namespace headroom::perf
