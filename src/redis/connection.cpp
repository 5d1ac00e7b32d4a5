#include "redis/connection.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "redis/impl/transport.hpp"

namespace headroom::redis {

namespace {

constexpr std::size_t kSliceBytes = 1UL << 20;
constexpr std::size_t kSliceCommands = 1'000;
constexpr std::chrono::milliseconds kFirstPause{100};

using Clock = std::chrono::steady_clock;

bool is_unknown_script(const Reply& reply) {
  return reply.is_error() && reply.text.starts_with("NOSCRIPT");
}

}  // namespace

Interrupt::Interrupt() : descriptor_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

Interrupt::~Interrupt() {
  ::close(descriptor_);
}

void Interrupt::raise() const {
  (void)::eventfd_write(descriptor_, 1);
}

Connection::Connection(Url url, ReplyLimits limits) : url_(std::move(url)) {
  options_.limits = limits;
}
Connection::Connection(Url url, const ConnectionOptions& options) : url_(std::move(url)), options_(options) {}
Connection::~Connection() = default;

Result<Reply> Connection::run(std::initializer_list<std::string_view> command) {
  return run(Arguments(command.begin(), command.size()));
}

Result<Reply> Connection::run(Arguments command) {
  Pipeline pipeline;
  pipeline.add(command);
  auto replies = run(pipeline);
  if (!replies) return fail(std::move(replies.error()));
  if (replies->front().is_error()) return fail(to_error(replies->front().text).within(url_.text()));
  return std::move(replies->front());
}

Result<Reply> Connection::evaluate(const Script& script, Arguments keys, Arguments arguments) {
  Pipeline pipeline;
  pipeline.add_script(script, keys, arguments);
  auto replies = run(pipeline);
  if (!replies) return fail(std::move(replies.error()));
  if (replies->front().is_error()) return fail(to_error(replies->front().text).within(url_.text()));
  return std::move(replies->front());
}

Result<std::vector<Reply>> Connection::run(const Pipeline& pipeline) {
  std::vector<Reply> replies;
  replies.reserve(pipeline.size());
  auto done = ensure_connected();
  if (done) done = run_slices(pipeline, replies);
  if (done) done = send_unknown_scripts(pipeline, replies);
  if (!done) return fail(std::move(done.error()).within(url_.text()));
  return replies;
}

void Connection::close() {
  transport_.reset();
  reader_.reset();
}

bool Connection::is_open() {
  if (transport_ && transport_->closed_by_server())
    close();  // idle for longer than the server allows, or restarted
  return transport_ != nullptr;
}

Result<void> Connection::ensure_connected() {
  if (options_.reconnect == Reconnect::kAtNextUse) return open();
  if (is_open()) return {};
  return fail(ErrorCode::kUnavailable, "the connection was lost");
}

Result<void> Connection::open() {
  if (is_open()) return {};
  if (Clock::now() < next_attempt_ && last_error_) return fail(*last_error_);
  auto connected = connect_now();
  if (!connected) {
    last_error_ = connected.error();
    failed();
  }
  return connected;
}

Result<void> Connection::connect_now() {
  worked_ = false;
  auto transport = redis::connect(url_, Clock::now() + url_.timeout,
                                  options_.interrupt == nullptr ? -1 : options_.interrupt->descriptor());
  if (!transport) return fail(std::move(transport.error()));
  transport_ = std::move(*transport);
  reader_ = std::make_unique<ReplyReader>(options_.limits);
  return introduce();
}

/// Says who we are and which database we mean, in one trip.
Result<void> Connection::introduce() {
  Pipeline pipeline;
  if (!url_.password.empty() && url_.user.empty()) pipeline.add({"AUTH", url_.password});
  if (!url_.user.empty()) pipeline.add({"AUTH", url_.user, url_.password});
  if (url_.database != 0) pipeline.add({"SELECT", std::to_string(url_.database)});
  if (pipeline.empty()) return {};
  auto replies = exchange(pipeline.bytes(), pipeline.size());
  if (!replies) return fail(std::move(replies.error()));
  for (const auto& reply : *replies) {
    if (reply.is_error()) return fail(to_error(reply.text));
  }
  return {};
}

Result<void> Connection::run_slices(const Pipeline& pipeline, std::vector<Reply>& replies) {
  for (std::size_t begin = 0; begin < pipeline.size();) {
    const char* const start = pipeline.bytes(begin).data();
    std::size_t end = begin;
    std::size_t size = 0;
    while (end < pipeline.size() && end - begin < kSliceCommands && size < kSliceBytes) {
      size += pipeline.bytes(end++).size();
    }
    auto slice = exchange({start, size}, end - begin);
    if (!slice) {
      last_error_ = slice.error();
      failed();
      return fail(std::move(slice.error()));
    }
    worked_ = true;
    pause_ = std::chrono::milliseconds{0};
    std::move(slice->begin(), slice->end(), std::back_inserter(replies));
    begin = end;
  }
  return {};
}

/// The server forgets scripts at a restart: those that it did not know are sent again, with their text.
Result<void> Connection::send_unknown_scripts(const Pipeline& pipeline, std::vector<Reply>& replies) {
  for (std::size_t i = 0; i < pipeline.size(); ++i) {
    if (pipeline.script(i) == nullptr || !is_unknown_script(replies[i])) continue;
    auto answer = exchange(pipeline.bytes_with_text(i), 1);
    if (!answer) {
      last_error_ = answer.error();
      failed();
      return fail(std::move(answer.error()));
    }
    replies[i] = std::move(answer->front());
  }
  return {};
}

Result<std::vector<Reply>> Connection::exchange(std::string_view bytes, std::size_t replies) {
  const auto deadline = Clock::now() + url_.timeout;
  std::vector<Reply> answers;
  answers.reserve(replies);
  auto done = transport_->send(bytes, deadline);
  // A server that refuses us may say why before it closes: its word is better than "connection lost".
  if (auto received = receive_replies(replies, answers, deadline); !received) {
    if (answers.size() == 1 && answers.front().is_error()) return fail(to_error(answers.back().text));
    return fail(done ? std::move(received.error()) : std::move(done.error()));
  }
  return answers;
}

Result<void> Connection::receive_replies(std::size_t wanted, std::vector<Reply>& replies,
                                         Clock::time_point deadline) {
  std::array<char, 65'536> buffer;
  for (;;) {
    while (replies.size() < wanted) {
      auto reply = reader_->next();
      if (!reply) return fail(std::move(reply.error()));
      if (!*reply) break;
      replies.push_back(std::move(**reply));
    }
    if (replies.size() == wanted) return {};
    auto received = transport_->receive(buffer, deadline);
    if (!received) return fail(std::move(received.error()));
    if (auto fed = reader_->feed({buffer.data(), *received}); !fed) return fed;
  }
}

/// A connection that had worked may be made again at once; one that never did waits longer each time.
void Connection::failed() {
  const bool again_at_once = worked_ && last_error_ && last_error_->code() != ErrorCode::kTimedOut;
  pause_ = again_at_once ? std::chrono::milliseconds{0}
                         : std::clamp(pause_ * 2, kFirstPause, options_.longest_pause);
  next_attempt_ = Clock::now() + pause_;
  close();
}

}  // namespace headroom::redis
