#include "perf/impl/sqlite_rows.hpp"

#include <chrono>

#include <fmt/format.h>
#include <zlib.h>

#include "perf/impl/varint.hpp"

namespace headroom::perf {

namespace {

constexpr std::size_t kDeflateFrom = 512;
constexpr int kDeflateLevel = 3;  // a profile shrinks to a fifth at 100 MB/s
constexpr std::int64_t kMaxInflated = 256LL << 20;

}  // namespace

void raise_malformed(std::string_view what) {
  throw SqliteError(base::ErrorCode::kProtocol, 0, fmt::format("damaged: {}", what));
}

void pack(std::string& bytes, const PackedTotal& total) {
  put_varint(bytes, static_cast<std::uint64_t>(total.statement));
  put_varint(bytes, total.count);
  put_varint(bytes, zigzag(total.time.count()));
  put_varint(bytes, zigzag(total.longest.count()));
  put_varint(bytes, zigzag(total.rows));
  put_varint(bytes, static_cast<std::uint64_t>(total.backtrace));
}

bool PackedTotals::next(PackedTotal& total) {
  if (at_.empty()) return false;
  VarintReader reader(at_);
  total.statement = static_cast<std::int64_t>(reader.next());
  total.count = static_cast<std::uint32_t>(reader.next());
  total.time = Microseconds(unzigzag(reader.next()));
  total.longest = Microseconds(unzigzag(reader.next()));
  total.rows = unzigzag(reader.next());
  total.backtrace = static_cast<std::int64_t>(reader.next());
  if (reader.failed()) raise_malformed("the statements of a call");
  at_ = reader.rest();
  return true;
}

StoredPart deflate_part(std::string bytes) {
  if (bytes.size() < kDeflateFrom) return {0, std::move(bytes)};
  uLongf size = compressBound(bytes.size());
  std::string deflated(size, '\0');
  const int result = compress2(reinterpret_cast<Bytef*>(deflated.data()), &size,
                               reinterpret_cast<const Bytef*>(bytes.data()), bytes.size(), kDeflateLevel);
  if (result != Z_OK || size >= bytes.size()) return {0, std::move(bytes)};
  deflated.resize(size);
  return {static_cast<std::int64_t>(bytes.size()), std::move(deflated)};
}

std::string inflate_part(std::int64_t size, std::string_view bytes) {
  if (size == 0) return std::string(bytes);
  if (size < 0 || size > kMaxInflated) raise_malformed("the size of a part");
  std::string inflated(static_cast<std::size_t>(size), '\0');
  uLongf length = inflated.size();
  const int result = uncompress(reinterpret_cast<Bytef*>(inflated.data()), &length,
                                reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  if (result != Z_OK || length != inflated.size()) raise_malformed("a part does not inflate");
  return inflated;
}

std::int64_t day_of(UtcTime time) {
  return std::chrono::floor<std::chrono::days>(time).time_since_epoch().count();
}

}  // namespace headroom::perf
