#include "perf/sqlite_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "perf/store_conformance.hpp"

namespace headroom::perf {

namespace {

class SqlitePlace final : public StorePlace {
 public:
  [[nodiscard]] std::string url() const override { return "sqlite://" + folder_.path() + "/perf.sqlite"; }

 private:
  ScratchFolder folder_;
};

StoreKind sqlite_kind() {
  return {"sqlite", [] { return std::make_unique<SqlitePlace>(); }};
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreConformance, testing::Values(sqlite_kind()),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace headroom::perf
