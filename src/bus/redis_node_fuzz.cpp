// Whatever a server answers is read, or is an error: as the answer to a join, a read, publications, a look,
// and as what another node says of its users.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "bus/redis_node.hpp"
#include "bus/redis_presence.hpp"

namespace {

using namespace headroom::bus;
using headroom::redis::Reply;

void require(bool holds) {
  if (!holds) std::abort();
}

void read(const Reply& reply) {
  RedisLayout layout;
  layout.shards = 2;
  RedisReader reader(layout, 10);
  Reply epoch;
  epoch.type = Reply::Type::kString;
  if (reader.joined(reply)) epoch.text = reader.epoch();
  if (const auto news = reader.read(epoch, reply)) {
    for (const RedisRow& row : news->rows) require(row.epoch.starts_with(epoch.text) && row.message.data);
  }
}

void answer(const Reply& reply) {
  constexpr std::size_t kCount = 3;
  require(redis_published(reply, kCount).size() == kCount);
  RedisInquiry inquiry;
  inquiry.has_since = true;
  if (const auto page = redis_page(inquiry, reply)) require(!page->lost || !page->more);
  (void)is_no_epoch(reply);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const NodePresence& user : read_presence_text(bytes)) require(!user.user.empty());
  (void)check_redis_server(read_redis_info(bytes));
  headroom::redis::ReplyReader reader({.bytes = 64'000, .elements = 1'000});
  if (!reader.feed(bytes)) return 0;
  for (;;) {
    const auto reply = reader.next();
    if (!reply || !*reply) return 0;
    read(**reply);
    answer(**reply);
  }
}
