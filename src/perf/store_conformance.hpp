#pragma once

// What every store must do, as a suite of tests. A store's own test makes places for it to live in and
// instantiates the suite:
//
//   INSTANTIATE_TEST_SUITE_P(Sqlite, StoreConformance, testing::Values(StoreKind{"sqlite", make_place}),
//                            [](const auto& kind) { return kind.param.name; });

#include <functional>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "perf/store.hpp"

namespace headroom::perf {

/// An empty place for one store; it is removed with this object.
class StorePlace {
 public:
  virtual ~StorePlace() = default;
  [[nodiscard]] virtual std::string url() const = 0;
};

struct StoreKind {
  std::string name;
  std::function<std::unique_ptr<StorePlace>()> make;
};

class StoreConformance : public testing::TestWithParam<StoreKind> {
 protected:
  StoreConformance() : place_(GetParam().make()), open_(open(OpenMode::kWrite)) {}

  [[nodiscard]] OpenStore open(OpenMode mode) const;
  [[nodiscard]] Store& store() { return *open_.store; }
  [[nodiscard]] StoreControl& control() { return *open_.control; }
  [[nodiscard]] std::string url() const { return place_->url(); }

  void append(std::vector<CallRecord> calls, std::vector<StatementInfo> statements = {});
  [[nodiscard]] CallPage calls(const Filter& filter, const Page& page = {});
  [[nodiscard]] std::vector<std::string> ids(const Filter& filter, const Page& page = {});

 private:
  std::unique_ptr<StorePlace> place_;
  OpenStore open_;
};

/// A folder of its own below the temporary one, removed with all that is in it.
class ScratchFolder final {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// A record with every field set to something that is not its default, derived from `id`.
[[nodiscard]] CallRecord full_record(const std::string& id);
/// A plain call of one session at a number of seconds after 2026-01-01.
[[nodiscard]] CallRecord plain_call(const std::string& id, std::int64_t second,
                                    const std::string& session = "s1");
/// Every field of two records, the rank included, as text that a failed test can show.
[[nodiscard]] std::string text_of(const CallRecord& record);

}  // namespace headroom::perf
