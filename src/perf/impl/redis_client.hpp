#pragma once

// What the store and its control share: a connection whose errors are exceptions (stopped at the public
// methods), the scripts, and the reading of calls in order of their start.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "perf/store.hpp"
#include "redis/connection.hpp"

namespace headroom::perf {

/// Inside the store an error is thrown; the public methods give it back.
class RedisError final : public std::runtime_error {
 public:
  explicit RedisError(base::Error error) : std::runtime_error(error.message()), error_(std::move(error)) {}
  [[nodiscard]] const base::Error& error() const { return error_; }

 private:
  base::Error error_;
};

template <typename Value>
Value or_throw(Result<Value> result) {
  if (!result) throw RedisError(std::move(result.error()));
  if constexpr (!std::is_void_v<Value>) return std::move(*result);
}

/// Runs `body` and gives what it returns, or the error that it threw.
template <typename Body>
auto guarded(Body body) -> Result<decltype(body())> {
  try {
    if constexpr (std::is_void_v<decltype(body())>) {
      body();
      return {};
    } else {
      return body();
    }
  } catch (const RedisError& error) {
    return base::fail(error.error());
  }
}

/// Errors: RedisError (denied) when the store was opened for reading.
void require_write(OpenMode mode);
/// The rank as it stands in keys: ten digits, so that text order is number order.
[[nodiscard]] std::string rank_text(std::uint64_t rank);
/// Errors: RedisError (protocol).
[[nodiscard]] std::int64_t parse_number(std::string_view text);

/// A client of one store. Errors of every method: RedisError.
class RedisClient final {
 public:
  /// What a call costs in Redis beyond its values: entries in two sorted sets and four hashes. Measured with
  /// Redis 7.0.
  static constexpr std::uint64_t kOverhead = 450;

  explicit RedisClient(redis::Url url);

  [[nodiscard]] redis::Connection& connection() { return connection_; }
  [[nodiscard]] redis::Reply ask(std::initializer_list<std::string_view> command);
  /// One reply for each command; an error among them is thrown.
  [[nodiscard]] std::vector<redis::Reply> ask(const redis::Pipeline& pipeline);
  /// Alternating fields and values of a hash or of a sorted set with scores.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> pairs(
      std::initializer_list<std::string_view> command);
  [[nodiscard]] std::optional<std::string> text(std::initializer_list<std::string_view> command);
  [[nodiscard]] std::int64_t integer(std::initializer_list<std::string_view> command);

  /// The databases that the filter includes; one that it names exactly need not exist.
  [[nodiscard]] std::vector<std::string> databases(const Filter& filter = {});
  /// Bytes of everything, as the scripts account for it.
  [[nodiscard]] std::uint64_t bytes();

 private:
  redis::Connection connection_;
};

/// One call in an index: where it stands and when it began.
struct RedisPlace {
  std::string database;
  std::string session;
  std::string rank;  ///< ten digits
  std::int64_t start = 0;
};

/// Walks the calls of one session or of whole databases by start, then rank, a thousand at a time. It goes on
/// from the start that it saw last, not from a position, so that calls pruned meanwhile make it skip nothing.
class RedisOrder final {
 public:
  /// Only database, session, since and until of the filter count.
  RedisOrder(RedisClient& client, const Filter& filter);

  [[nodiscard]] std::uint64_t count();
  /// Skips so many calls from the beginning. Cost: O(log calls) when there is one source, else O(number).
  void skip(std::uint64_t number);
  /// At most so many; fewer only at the end.
  [[nodiscard]] std::vector<RedisPlace> next(std::size_t number);

 private:
  struct Source {
    std::string database;
    std::string key;
    std::string from;                ///< the score to go on from, inclusive
    std::uint64_t seen_at_from = 0;  ///< members of that score that were read already
    std::deque<RedisPlace> buffer;
    bool finished = false;
  };

  void fill(Source& source);
  [[nodiscard]] RedisPlace place(const Source& source, std::string_view member, std::string_view score) const;

  RedisClient& client_;
  std::string session_;
  std::string until_;
  std::vector<Source> sources_;
};

[[nodiscard]] std::unique_ptr<StoreControl> make_redis_control(redis::Url url, OpenMode mode);

}  // namespace headroom::perf
