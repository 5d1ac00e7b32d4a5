#include "perf/statement_texts.hpp"

#include <fmt/format.h>
#include <xxhash.h>

namespace headroom::perf {

namespace {

constexpr std::size_t kWholeText = 64U << 10;

/// A long text keeps its beginning, and a hash of the whole in a comment, so that two that differ stay apart.
std::string shorten(std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{} /* cut, {:016x}{:016x} */", text.substr(0, kWholeText - 64), hash.high64,
                     hash.low64);
}

}  // namespace

std::size_t StatementTexts::Hash::operator()(std::string_view text) const {
  return XXH3_64bits(text.data(), text.size());
}

StatementTexts::StatementTexts(std::size_t max_texts, std::size_t max_bytes)
    : max_texts_(max_texts), max_bytes_(max_bytes) {}

std::shared_ptr<StatementText> StatementTexts::intern(std::string_view text) {
  if (text.size() > kWholeText) return intern(shorten(text));
  const std::lock_guard lock(mutex_);
  if (const auto found = by_text_.find(text); found != by_text_.end()) {
    recent_.splice(recent_.begin(), recent_, found->second);
    return *found->second;
  }
  auto entry = std::make_shared<StatementText>();
  entry->text = text;
  recent_.push_front(entry);
  by_text_.emplace(entry->text, recent_.begin());
  bytes_ += text.size();
  evict();
  return entry;
}

void StatementTexts::evict() {
  while (recent_.size() > 1 && (recent_.size() > max_texts_ || bytes_ > max_bytes_)) {
    bytes_ -= recent_.back()->text.size();
    by_text_.erase(recent_.back()->text);
    recent_.pop_back();
  }
}

std::size_t StatementTexts::size() const {
  const std::lock_guard lock(mutex_);
  return recent_.size();
}

}  // namespace headroom::perf
