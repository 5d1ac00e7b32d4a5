// Any bytes as a frame, as the message in it, and as a message: refused with protocol, or views that lie
// within the bytes.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sql/pgoutput.hpp"

namespace {

using namespace headroom::sql;

void require(bool holds) {
  if (!holds) std::abort();
}

/// Touches every byte that a row points to.
void check(const ReplicatedRow& row, std::string_view bytes) {
  for (const ReplicatedValue& value : row) {
    if (value.data.empty()) continue;
    require(value.data.data() >= bytes.data() &&
            value.data.data() + value.data.size() <= bytes.data() + bytes.size());
  }
}

void check_message(std::string_view bytes) {
  const auto message = parse_replication_message(bytes);
  if (!message) return require(message.error().code() == headroom::base::ErrorCode::kProtocol);
  if (const auto* inserted = std::get_if<RowInserted>(&*message)) check(inserted->row, bytes);
  if (const auto* updated = std::get_if<RowUpdated>(&*message)) {
    check(updated->row, bytes);
    check(updated->old_row, bytes);
  }
  if (const auto* deleted = std::get_if<RowDeleted>(&*message)) check(deleted->old_row, bytes);
  if (const auto* said = std::get_if<LogicalMessage>(&*message))
    require(said->content.size() <= bytes.size() && said->prefix.size() <= bytes.size());
  if (const auto* relation = std::get_if<ReplicatedRelation>(&*message))
    require(relation->columns.size() <= bytes.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_message(bytes);
  const auto frame = parse_replication_frame(bytes);
  if (frame && std::holds_alternative<WalData>(*frame)) check_message(std::get<WalData>(*frame).message);
  const auto lsn = parse_lsn(bytes);
  if (lsn) require(parse_lsn(lsn_text(*lsn)).value() == *lsn);
  return 0;
}
