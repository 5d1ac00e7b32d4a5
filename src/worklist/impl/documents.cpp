#include "worklist/impl/documents.hpp"

namespace headroom::worklist::impl {

Slot Documents::find(const Value& key) const {
  const Slot slot = keys_.find(key);
  return slot < slots() && is_there(slot) ? slot : kNone;
}

Slot Documents::add(const Value& key) {
  const Slot slot = keys_.add(key);
  if (slot == kNone) return kNone;
  if (keys_.slots() > slots()) resize(keys_.slots());
  ++size_;
  return slot;
}

void Documents::remove(Slot slot) {
  set_class(slot, 0);
  keys_.remove(slot);
  --size_;
}

bool Documents::compact() {
  if (!keys_.is_thin(size_)) return false;
  std::vector<Slot> taken;
  for (Slot slot = 0; slot < slots(); ++slot) {
    if (is_there(slot)) taken.push_back(slot);
  }
  keys_.make_table(taken);
  for (Slot to = 0; to < taken.size(); ++to) {
    set_class(to, class_of(taken[to]));
    for (std::size_t i = 0; i < codes_.size(); ++i) {
      if (is_held_[i]) set_code(to, i, code(taken[to], i));
    }
  }
  resize(taken.size());
  return true;
}

void Documents::hold(std::size_t column) {
  is_held_[column] = true;
  codes_[column].resize(slots());
}

void Documents::drop(std::size_t column) {
  is_held_[column] = false;
  codes_[column] = NarrowArray();
}

void Documents::resize(std::size_t slots) {
  class_of_slot_.resize(slots);
  for (std::size_t i = 0; i < codes_.size(); ++i) {
    if (is_held_[i]) codes_[i].resize(slots);
  }
}

std::size_t Documents::bytes() const {
  std::size_t bytes = keys_.bytes() + class_of_slot_.bytes();
  for (const NarrowArray& codes : codes_) bytes += codes.bytes();
  return bytes;
}

}  // namespace headroom::worklist::impl
