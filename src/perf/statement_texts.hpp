#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace headroom::perf {

/// One statement text as the application gave it, shared by everything that ran it.
/// Threads: `text` never changes; `fingerprint` is set once by the thread that parses.
struct StatementText {
  std::string text;
  std::atomic<std::uint64_t> fingerprint{0};  ///< 0 until parsed
};

/// The texts seen last, so that each is copied and parsed once: least recently used goes first.
/// Shape: at most `max_texts` and about `max_bytes`; texts over 64 KiB are kept in part, told apart by a
/// hash. Threads: any; one short lock. Cost: a hit hashes the text and takes the lock, about 100 ns for 500
/// bytes.
class StatementTexts {
 public:
  explicit StatementTexts(std::size_t max_texts = 4096, std::size_t max_bytes = 2U << 20);

  [[nodiscard]] std::shared_ptr<StatementText> intern(std::string_view text);
  [[nodiscard]] std::size_t size() const;
  /// For the fork handlers alone: nobody may hold the lock while a process forks.
  [[nodiscard]] std::mutex& mutex() { return mutex_; }

 private:
  using Recent = std::list<std::shared_ptr<StatementText>>;
  struct Hash {
    std::size_t operator()(std::string_view text) const;
  };

  void evict();

  const std::size_t max_texts_;
  const std::size_t max_bytes_;
  mutable std::mutex mutex_;
  Recent recent_;  ///< front: used last
  std::unordered_map<std::string_view, Recent::iterator, Hash> by_text_;
  std::size_t bytes_ = 0;
};

}  // namespace headroom::perf
