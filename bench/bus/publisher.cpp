#include "publisher.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string_view>

#include <fmt/format.h>

namespace bench {
namespace {

constexpr std::string_view kEnd = "\r\n\r\n";

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char one) { return static_cast<char>(std::tolower(one)); });
  return text;
}

std::size_t body_bytes(const std::string& head) {
  constexpr std::string_view kName = "content-length: ";
  const std::string small = lower(head);
  const std::size_t at = small.find(kName);
  if (at == std::string::npos) give_up(fmt::format("an answer without Content-Length: {:.300}", head));
  std::size_t size = 0;
  std::from_chars(small.data() + at + kName.size(), small.data() + small.size(), size);
  return size;
}

}  // namespace

void Publisher::send(const std::string& request) {
  waits_ = true;
  socket_.send(request);
}

void Publisher::read() {
  answer_ += socket_.receive();
  const std::size_t end = answer_.find(kEnd);
  if (end == std::string::npos) return;
  if (!answer_.starts_with("HTTP/1.1 20")) give_up(fmt::format("not published: {:.500}", answer_));
  if (answer_.size() - end - kEnd.size() < body_bytes(answer_.substr(0, end))) return;
  answer_.clear();
  waits_ = false;
}

}  // namespace bench
