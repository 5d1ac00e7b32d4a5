#include "bus/publications.hpp"

#include <string>
#include <utility>

#include <fmt/format.h>

#include "bus/impl/json.hpp"
#include "bus/impl/protocol.hpp"
#include "wire/utf8.hpp"

namespace headroom::bus {
namespace {

using base::fail;

Result<Publication> publication_of(const JsonParts& object) {
  auto channel = text_member(object, "channel");
  if (!object.is_container || !channel)
    return fail(ErrorCode::kInvalidArgument, "expected an object with 'channel', a text, and 'data'");
  if (auto checked = check_channel(*channel); !checked) return fail(std::move(checked.error()));
  const JsonPart* data = member(object, "data");
  if (data == nullptr)
    return fail(ErrorCode::kInvalidArgument, fmt::format("channel '{}': 'data' is missing", *channel));
  auto id = text_member(object, "id");
  if ((member(object, "id") != nullptr && !id) || (id && id->size() > kMostPublicationIdBytes)) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("channel '{}': 'id' is a text of at most {} bytes",
                                                         *channel, kMostPublicationIdBytes));
  }
  return Publication{std::move(*channel), compact(data->value), std::move(id).value_or(std::string())};
}

Result<JsonParts> batch_of(std::string_view value, std::size_t most) {
  JsonParts list = read_list(value);
  if (!list.is_container || list.parts.empty())
    return fail(ErrorCode::kInvalidArgument, "'messages' is a list of objects with 'channel' and 'data'");
  if (list.parts.size() > most) {
    return fail(ErrorCode::kTooLarge,
                fmt::format("{} messages in one request; expected {} at most", list.parts.size(), most));
  }
  return list;
}

}  // namespace

Result<WantedPublications> parse_publications(std::string_view body, std::size_t most) {
  if (!wire::is_utf8(body)) return fail(ErrorCode::kInvalidArgument, "the body is not UTF-8");
  const JsonParts object = read_object(body);
  if (object.wrong_at) {
    const std::string why = object.is_container ? why_wrong(object) : "no object";
    return fail(ErrorCode::kInvalidArgument, fmt::format("the body is {}", why));
  }
  WantedPublications wanted;
  const JsonPart* messages = member(object, "messages");
  wanted.batch = messages != nullptr;
  if (!wanted.batch) {
    wanted.all.push_back(publication_of(object));
    return wanted;
  }
  const auto batch = batch_of(messages->value, most);
  if (!batch) return fail(batch.error());
  for (const JsonPart& one : batch->parts) wanted.all.push_back(publication_of(read_object(one.value)));
  return wanted;
}

}  // namespace headroom::bus
