#include "worklist/impl/documents.hpp"

namespace headroom::worklist::impl {

Slot Documents::find(const Value& key) const {
  const Slot slot = seek(key);
  return slot != kNone && is_there(slot) ? slot : kNone;
}

Slot Documents::add(const Value& key) {
  const Slot slot = keys_.add(key);
  if (slot == kNone) return kNone;
  if (keys_.slots() > slots()) rows_.resize(keys_.slots());
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
  for (Slot to = 0; to < taken.size(); ++to) rows_.copy_row(taken[to], to);
  rows_.resize(taken.size());
  return true;
}

void Documents::drop(std::size_t column) {
  is_held_[column] = false;
  rows_.clear(column + 1);
}

}  // namespace headroom::worklist::impl
