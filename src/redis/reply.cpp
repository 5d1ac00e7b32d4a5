// hiredis' reader with object functions of our own: replies are built as values, strings and elements are
// charged to a budget as they come, and an announced length ("*2000000000") is never believed before the
// bytes are there.
//
// A child lives in its parent's vector. That is safe because the reader is depth first: while a vector grows,
// the reader holds pointers to its owner and the owner's ancestors, never to earlier elements.

#include "redis/reply.hpp"

#include <array>
#include <new>
#include <utility>

#include <fmt/format.h>
#include <hiredis/read.h>

namespace headroom::redis {

namespace {

constexpr std::string_view type_name(Reply::Type type) {
  switch (type) {
    case Reply::Type::kNil:
      return "nil";
    case Reply::Type::kStatus:
      return "a status";
    case Reply::Type::kString:
      return "a string";
    case Reply::Type::kInteger:
      return "an integer";
    case Reply::Type::kArray:
      return "an array";
    case Reply::Type::kError:
      return "an error";
  }
  return "unknown";
}

base::Error unexpected(const Reply& reply, std::string_view wanted) {
  if (reply.is_error()) return to_error(reply.text);
  return {ErrorCode::kProtocol,
          fmt::format("the Redis server answered {} instead of {}", type_name(reply.type), wanted)};
}

Reply::Type reply_type(int type) {
  switch (type) {
    case REDIS_REPLY_STATUS:
      return Reply::Type::kStatus;
    case REDIS_REPLY_ERROR:
      return Reply::Type::kError;
    default:
      return Reply::Type::kString;
  }
}

struct ErrorPrefix {
  std::string_view prefix;
  ErrorCode code;
};

constexpr std::array kErrorPrefixes = {
    ErrorPrefix{"NOAUTH", ErrorCode::kDenied},
    ErrorPrefix{"WRONGPASS", ErrorCode::kDenied},
    ErrorPrefix{"NOPERM", ErrorCode::kDenied},
    ErrorPrefix{"DENIED", ErrorCode::kDenied},
    ErrorPrefix{"ERR invalid password", ErrorCode::kDenied},
    ErrorPrefix{"ERR Client sent AUTH", ErrorCode::kDenied},
    ErrorPrefix{"ERR AUTH", ErrorCode::kDenied},
    ErrorPrefix{"OOM", ErrorCode::kOverloaded},
    ErrorPrefix{"ERR max number of clients", ErrorCode::kOverloaded},
    ErrorPrefix{"LOADING", ErrorCode::kUnavailable},
    ErrorPrefix{"BUSY", ErrorCode::kUnavailable},
    ErrorPrefix{"MASTERDOWN", ErrorCode::kUnavailable},
    ErrorPrefix{"READONLY", ErrorCode::kUnavailable},
    ErrorPrefix{"MISCONF", ErrorCode::kUnavailable},
    ErrorPrefix{"NOREPLICAS", ErrorCode::kUnavailable},
    ErrorPrefix{"CLUSTERDOWN", ErrorCode::kUnavailable},
    ErrorPrefix{"TRYAGAIN", ErrorCode::kUnavailable},
    ErrorPrefix{"UNKILLABLE", ErrorCode::kUnavailable},
    ErrorPrefix{"MOVED", ErrorCode::kUnsupported},
    ErrorPrefix{"ASK", ErrorCode::kUnsupported},
    ErrorPrefix{"CROSSSLOT", ErrorCode::kUnsupported},
    ErrorPrefix{"ERR unknown command", ErrorCode::kUnsupported},
    ErrorPrefix{"ERR DB index", ErrorCode::kInvalidArgument},
};

/// One printable line, cut: the text comes from outside.
std::string printable(std::string_view text) {
  std::string line(text.substr(0, 300));
  for (auto& c : line) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7F) c = ' ';
  }
  return line;
}

}  // namespace

Result<std::int64_t> Reply::as_integer() const {
  if (type == Type::kInteger) return integer;
  return fail(unexpected(*this, "an integer"));
}

Result<std::string_view> Reply::as_text() const {
  if (type == Type::kString || type == Type::kStatus) return std::string_view(text);
  return fail(unexpected(*this, "a string"));
}

Result<std::span<const Reply>> Reply::as_array() const {
  if (type == Type::kArray) return std::span<const Reply>(elements);
  return fail(unexpected(*this, "an array"));
}

Result<void> Reply::as_success() const {
  if (is_error()) return fail(to_error(text));
  return {};
}

std::string_view info_field(std::string_view text, std::string_view name) {
  const auto front = fmt::format("\n{}:", name);
  const auto at = text.find(front);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + front.size());
  return text.substr(0, text.find_first_of("\r\n"));
}

base::Error to_error(std::string_view message) {
  auto code = ErrorCode::kProtocol;
  for (const auto& [prefix, mapped] : kErrorPrefixes) {
    if (message.starts_with(prefix)) {
      code = mapped;
      break;
    }
  }
  return {code, fmt::format("the Redis server answered: {}", printable(message))};
}

/// The functions that hiredis calls; a null pointer makes it stop with an error.
struct ReplyReader::Callbacks {
  static Reply* place(const redisReadTask* task, Reply reply) {
    auto& budget = *static_cast<Budget*>(task->privdata);
    budget.bytes += reply.text.size();
    ++budget.elements;
    if (budget.bytes > budget.limits.bytes || budget.elements > budget.limits.elements) {
      budget.exceeded = true;
      return nullptr;
    }
    if (task->parent == nullptr) return std::make_unique<Reply>(std::move(reply)).release();
    auto& siblings = static_cast<Reply*>(task->parent->obj)->elements;
    siblings.push_back(std::move(reply));
    return &siblings.back();
  }

  /// Exceptions must not cross hiredis, which is C.
  template <typename Build>
  static void* guarded(const redisReadTask* task, Build build) noexcept {
    try {
      return place(task, build());
    } catch (const std::bad_alloc&) {
      static_cast<Budget*>(task->privdata)->exceeded = true;
      return nullptr;
    }
  }

  static void* create_string(const redisReadTask* task, char* bytes, std::size_t size) {
    return guarded(task, [&] { return Reply{reply_type(task->type), 0, std::string(bytes, size), {}}; });
  }
  static void* create_array(const redisReadTask* task, int) {
    return guarded(task, [] { return Reply{Reply::Type::kArray, 0, {}, {}}; });
  }
  static void* create_integer(const redisReadTask* task, long long value) {
    return guarded(task, [&] { return Reply{Reply::Type::kInteger, value, {}, {}}; });
  }
  static void* create_nil(const redisReadTask* task) {
    return guarded(task, [] { return Reply{}; });
  }
  static void free_object(void* root) { delete static_cast<Reply*>(root); }

  static redisReplyObjectFunctions* functions() {
    static redisReplyObjectFunctions table{create_string, create_array, create_integer, create_nil,
                                           free_object};
    return &table;
  }
};

void ReplyReader::Free::operator()(redisReader* reader) const {
  redisReaderFree(reader);
}

ReplyReader::ReplyReader(ReplyLimits limits)
    : budget_{.limits = limits}, reader_(redisReaderCreateWithFunctions(Callbacks::functions())) {
  if (!reader_) throw std::bad_alloc();
  reader_->privdata = &budget_;
}

ReplyReader::~ReplyReader() = default;

Result<void> ReplyReader::feed(std::string_view bytes) {
  if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) == REDIS_OK) return {};
  return fail(ErrorCode::kOverloaded, "no memory for the reply of the Redis server");
}

Result<std::optional<Reply>> ReplyReader::next() {
  void* root = nullptr;
  if (redisReaderGetReply(reader_.get(), &root) != REDIS_OK) {
    if (budget_.exceeded) return fail(too_large());
    return fail(ErrorCode::kProtocol,
                fmt::format("the Redis server sent what is no reply: {}", printable(reader_->errstr)));
  }
  if (root == nullptr) {
    if (budget_.bytes + (reader_->len - reader_->pos) > budget_.limits.bytes) return fail(too_large());
    return std::optional<Reply>{};
  }
  budget_.bytes = 0;
  budget_.elements = 0;
  const std::unique_ptr<Reply> reply(static_cast<Reply*>(root));
  return std::optional<Reply>(std::move(*reply));
}

base::Error ReplyReader::too_large() const {
  return {ErrorCode::kTooLarge, fmt::format("the reply of the Redis server is over {} MiB or {} elements",
                                            budget_.limits.bytes >> 20, budget_.limits.elements)};
}

}  // namespace headroom::redis
