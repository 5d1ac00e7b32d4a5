// Measures the SQLite store at the size that the figures are promised for: one session of a million calls
// with 8 fingerprints, 4 tables and a body each, beside 50 small sessions.
//
//   perf_store_bench [--calls N] [--json FILE] [--keep FILE]
//
// The data come from a fixed seed. Every answer is checked against what was written before its time counts;
// the time shown is the median of the repetitions, with the file in the page cache, as it is while trytond
// writes it.

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "base/glob.hpp"
#include "perf/diff.hpp"
#include "perf/store.hpp"

namespace headroom::perf {
namespace {

constexpr std::size_t kBatch = 500;
constexpr int kStatements = 8;
constexpr int kFingerprints = 400;
constexpr int kTables = 4;
constexpr int kMethods = 60;
constexpr int kRepetitions = 7;

struct Settings {
  std::uint64_t calls = 1'000'000;
  std::string json;
  std::string keep;
};

struct Row {
  std::string what;
  std::string unit;
  double value = 0;
  std::optional<double> goal;
};

template <typename T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

void expect(bool fine, std::string_view what) {
  if (!fine) throw std::runtime_error(fmt::format("wrong answer: {}", what));
}

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

/// The data of one seed, and what the store must answer about them.
class Workload final {
 public:
  explicit Workload(std::uint64_t calls) : calls_(calls) {
    for (int i = 0; i < kFingerprints; ++i) {
      std::vector<std::string> tables;
      for (int k = 0; k < kTables; ++k) tables.push_back(fmt::format("table_{}", (i + k * 7) % 90));
      infos_.push_back(
          {fingerprint(i), sql::StatementKind::kSelect, std::move(tables),
           fmt::format("SELECT \"a\".\"id\" FROM table_{} AS \"a\" WHERE \"a\".\"id\" IN ($1)", i)});
    }
  }

  [[nodiscard]] std::uint64_t calls() const { return calls_; }
  [[nodiscard]] const std::vector<StatementInfo>& infos() const { return infos_; }
  [[nodiscard]] const std::map<std::string, std::uint64_t>& methods() const { return methods_; }
  [[nodiscard]] UtcTime start_of(std::uint64_t number) const {
    return kFirst + std::chrono::milliseconds(static_cast<std::int64_t>(number) * 300);
  }

  CallRecord next() {
    CallRecord record;
    auto& call = record.summary;
    const auto number = made_++;
    call.id = fmt::format("{:08x}{:012x}", 0x5eed, number);
    call.database = "tryton";
    const bool main = random_() % 100 != 0;
    call.session = main ? std::string("0123456789abcdef") : fmt::format("{:016x}", random_() % 50);
    call.method = fmt::format("model.{}.read", kModels[random_() % kModels.size()]);
    if (random_() % 3 == 0)
      call.method = fmt::format("model.module{}.thing.search_read", random_() % kMethods);
    if (main) ++methods_[call.method];
    call.user_id = 1;
    call.user = "admin";
    call.start = start_of(number);
    call.wall = Microseconds(static_cast<std::int64_t>(2000 + random_() % 60000));
    call.cpu = call.wall / 2;
    call.sql = call.wall / 3;
    call.commit = Microseconds(random_() % 300);
    call.statements = 24;
    call.most_repeated = static_cast<std::uint32_t>(random_() % 40);
    call.rows = 80;
    call.bytes_in = 300;
    call.bytes_out = 4000;
    call.http_status = 200;
    call.has = Has::kIo;
    fill(record);
    return record;
  }

 private:
  static constexpr std::array<const char*, 8> kModels = {"sale.sale",       "sale.line",  "party.party",
                                                         "product.product", "stock.move", "stock.location",
                                                         "res.user",        "ir.ui.menu"};
  static constexpr UtcTime kFirst = UtcTime(std::chrono::sys_days{std::chrono::year{2026} / 11 / 1});

  static std::uint64_t fingerprint(int index) {
    return (0x9E3779B97F4A7C15ULL * static_cast<std::uint64_t>(index + 1)) >> 1;
  }

  void fill(CallRecord& record) {
    record.address = "192.0.2.17";
    record.host = "app1";
    record.process = 4711;
    record.thread = 140000000000000;
    record.cache_hits = 12;
    record.attempts = {{record.summary.wall, 24, ""}};
    const auto first = static_cast<int>(random_() % kFingerprints);
    for (int i = 0; i < kStatements; ++i) {
      const auto index = (first + i * 13) % kFingerprints;
      const auto time = Microseconds(static_cast<std::int64_t>(100 + random_() % 4000));
      record.statements.push_back(
          {fingerprint(index), 3, time, time / 2, 10,
           fmt::format("trytond/dispatcher.py:190 _dispatch\nmodule{}.py:10 read", index)});
    }
    record.request = Body{fmt::format(R"({{"id":{},"method":"{}","params":[[{}],{{}}]}})", made_,
                                      record.summary.method, random_() % 100000),
                          300};
  }

  std::uint64_t calls_;
  std::uint64_t made_ = 0;
  std::mt19937_64 random_{20261121};
  std::vector<StatementInfo> infos_;
  std::map<std::string, std::uint64_t> methods_;
};

class Bench final {
 public:
  Bench(const Settings& settings, const std::string& path)
      : url_("sqlite://" + path), path_(path), workload_(settings.calls) {}

  std::vector<Row> run() {
    write();
    store_ = value_of(open_store(url_, OpenMode::kRead)).store;
    for (const auto& row : value_of(store_->sessions({}))) {
      if (row.session == kSession) session_calls_ = row.calls;
    }
    reports();
    pages();
    sorted_pages();
    comparisons();
    return std::move(rows_);
  }

 private:
  static constexpr const char* kSession = "0123456789abcdef";

  void write() {
    auto open = value_of(open_store(url_, OpenMode::kWrite));
    double spent = 0;
    for (std::uint64_t done = 0; done < workload_.calls();) {
      Batch batch;
      if (done == 0) batch.statements = workload_.infos();
      const auto size = std::min<std::uint64_t>(kBatch, workload_.calls() - done);
      for (std::uint64_t i = 0; i < size; ++i) batch.calls.push_back(workload_.next());
      const auto start = std::chrono::steady_clock::now();
      value_of(open.store->append(batch));
      spent += milliseconds_since(start);
      done += size;
    }
    const auto info = value_of(open.store->info());
    expect(info.calls == workload_.calls(), "number of calls stored");
    const auto count = static_cast<double>(workload_.calls());
    rows_.push_back({"append, batches of 500", "us/call", spent * 1000 / count, std::nullopt});
    rows_.push_back({"store size", "MiB", static_cast<double>(info.bytes) / (1 << 20), std::nullopt});
    rows_.push_back({"store size", "bytes/call", static_cast<double>(info.bytes) / count, std::nullopt});
  }

  void measure(std::string what, double goal, const std::function<void()>& question) {
    std::vector<double> times;
    question();
    for (int i = 0; i < kRepetitions; ++i) {
      const auto start = std::chrono::steady_clock::now();
      question();
      times.push_back(milliseconds_since(start));
    }
    std::sort(times.begin(), times.end());
    rows_.push_back({std::move(what), "ms", times[times.size() / 2], goal});
  }

  Filter session() const {
    Filter filter;
    filter.session = kSession;
    return filter;
  }

  void check_methods(const Filter& filter) {
    std::uint64_t expected = 0;
    for (const auto& [method, number] : workload_.methods()) {
      if (filter.method.empty() || base::glob_match(filter.method, method)) expected += number;
    }
    std::uint64_t found = 0;
    for (const auto& row : value_of(store_->totals(filter, GroupBy::kMethod))) found += row.number;
    expect(found == expected, "calls by method");
  }

  void reports() {
    auto filter = session();
    measure("report method, whole session", 100, [&] { check_methods(filter); });
    measure("report table, whole session", 100,
            [&] { (void)value_of(store_->totals(filter, GroupBy::kTable)); });
    filter.method = "model.*.read";
    measure("report method, method glob", 1000, [&] { check_methods(filter); });
    filter = session();
    filter.since = workload_.start_of(1);
    measure("report method, since", 1000, [&] { (void)value_of(store_->totals(filter, GroupBy::kMethod)); });
    filter.until = workload_.start_of(workload_.calls() - 1);
    measure("report method, since and until", 1000,
            [&] { (void)value_of(store_->totals(filter, GroupBy::kMethod)); });
    filter = session();
    filter.user = "admin";
    measure("report method, user", 1000, [&] { check_methods(filter); });
    filter = {};
    filter.database = "tryton";
    filter.method = "model.sale.*";
    measure("report method, database and method glob", 1000,
            [&] { (void)value_of(store_->totals(filter, GroupBy::kMethod)); });
    filter = session();
    filter.user = "admin";
    measure("report table, user", 1000, [&] { (void)value_of(store_->totals(filter, GroupBy::kTable)); });
    filter = session();
    filter.method = "model.sale.*";
    measure("report table, method glob", 1000,
            [&] { (void)value_of(store_->totals(filter, GroupBy::kTable)); });
  }

  void page(std::string what, double goal, const Filter& filter, std::uint64_t offset) {
    measure(std::move(what), goal, [&] {
      const auto answer = value_of(store_->calls(filter, {offset, 100}));
      expect(
          answer.calls.size() == std::min<std::uint64_t>(100, answer.total - std::min(offset, answer.total)),
          "page");
    });
  }

  void pages() {
    const auto all = session();
    page("page of 100 calls, first", 50, all, 0);
    page("page of 100 calls, middle", 50, all, session_calls_ / 2);
    page("page of 100 calls, last", 50, all, session_calls_ - 100);
    page("page of 100 calls, all sessions, middle", 50, {}, workload_.calls() / 2);
    auto filter = session();
    filter.method = "model.sale.*";
    page("page of 100 calls, method glob, first", 50, filter, 0);
    page("page of 100 calls, method glob, deep", 50, filter, session_calls_ / 10);
    filter = session();
    filter.since = workload_.start_of(workload_.calls() / 4);
    page("page of 100 calls, since, first", 50, filter, 0);
    filter = session();
    filter.has = Has::kIo;
    page("page of 100 calls, has io, first", 50, filter, 0);
    filter = session();
    filter.most_repeated_at_least = 30;
    page("page of 100 calls, repeated, first", 50, filter, 0);
  }

  /// The order is made anew for each repetition, or was made before.
  void sorted_pages() {
    bool descending = false;
    const auto page = [&](std::uint64_t offset) {
      const auto answer = value_of(store_->calls(session(), {offset, 100}, {CallKey::kWall, descending}));
      expect(answer.calls.size() == 100 && answer.total == session_calls_, "page of calls by time");
    };
    measure("page of 100 calls, by time, a new order", 200, [&] {
      descending = !descending;
      page(0);
    });
    measure("page of 100 calls, by time, the next one", 50, [&] { page(100); });
  }

  /// Two sides of a tenth of the calls each: 100,000 of a million.
  void compare_tenths(GroupBy by) {
    const auto calls = workload_.calls() / 10;
    const auto side = [&](std::uint64_t from) {
      Selection selection{"tenth", session()};
      selection.filter.since = workload_.start_of(from);
      selection.filter.until = workload_.start_of(from + calls);
      return selection;
    };
    measure(fmt::format("diff by {}, two sides of {} calls", name(by), calls), 1000, [&] {
      const Diff answer = value_of(diff(*store_, side(0), side(5 * calls), {by, Measure::kTime, 0.1}));
      expect(answer.sides[0].calls > calls * 9 / 10 && answer.sides[0].calls <= calls, "calls compared");
      expect(!answer.is_worse() && answer.whole.verdict == Verdict::kSame, "two equal sides");
    });
  }

  void comparisons() {
    for (const GroupBy by : {GroupBy::kMethod, GroupBy::kTable, GroupBy::kFingerprint}) compare_tenths(by);
  }

  std::string url_;
  std::string path_;
  Workload workload_;
  std::unique_ptr<Store> store_;
  std::uint64_t session_calls_ = 0;
  std::vector<Row> rows_;
};

/// A folder that goes with this object.
class Folder final {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "headroom-bench-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
    path_ = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Settings parse(int count, char** arguments) {
  Settings settings;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string_view option = arguments[i];
    const std::string value = arguments[i + 1];
    if (option == "--calls") {
      std::from_chars(value.data(), value.data() + value.size(), settings.calls);
    } else if (option == "--json") {
      settings.json = value;
    } else if (option == "--keep") {
      settings.keep = value;
    } else {
      throw std::runtime_error(fmt::format("unknown option {}", option));
    }
  }
  if (count % 2 == 0)
    throw std::runtime_error("usage: perf_store_bench [--calls N] [--json FILE] [--keep FILE]");
  if (settings.calls < 1000) throw std::runtime_error("--calls takes a number of at least 1000");
  return settings;
}

void print(const std::vector<Row>& rows, const std::string& json_file) {
  auto list = nlohmann::json::array();
  for (const auto& row : rows) {
    const bool met = !row.goal || row.value <= *row.goal;
    const auto goal = row.goal ? fmt::format("{:.0f}", *row.goal) : std::string("-");
    fmt::print("{:<45} {:>10.2f} {:<10} goal {:>6} {}\n", row.what, row.value, row.unit, goal,
               met ? "" : "MISSED");
    list.push_back({{"what", row.what},
                    {"unit", row.unit},
                    {"value", row.value},
                    {"peer", nullptr},
                    {"goal", row.goal ? nlohmann::json(*row.goal) : nlohmann::json()},
                    {"met", met}});
  }
  if (!json_file.empty()) std::ofstream(json_file) << list.dump(1) << '\n';
}

}  // namespace
}  // namespace headroom::perf

int main(int count, char** arguments) {
  try {
    const auto settings = headroom::perf::parse(count, arguments);
    const headroom::perf::Folder folder;
    const auto path = settings.keep.empty() ? folder.path() + "/perf.sqlite" : settings.keep;
    headroom::perf::print(headroom::perf::Bench(settings, path).run(), settings.json);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "perf_store_bench: {}\n", error.what());
    return 1;
  }
}
