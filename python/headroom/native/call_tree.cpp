#include "call_tree.hpp"

#include <algorithm>
#include <map>
#include <new>
#include <utility>

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

#include "base/clock.hpp"
#include "frame_names.hpp"

namespace headroom::native {

namespace {

#if defined(__x86_64__)
bool counter_is_steady() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid(0x80000007, &a, &b, &c, &d) == 1 && (d & (1U << 8U)) != 0;
}
#endif

std::size_t mix(const void* parent, const void* key, const void* model) {
  std::uint64_t hash = reinterpret_cast<std::uintptr_t>(parent) * 0x9e3779b97f4a7c15U;
  hash = (hash ^ reinterpret_cast<std::uintptr_t>(key)) * 0xc2b2ae3d27d4eb4fU;
  hash = (hash ^ reinterpret_cast<std::uintptr_t>(model)) * 0x9e3779b97f4a7c15U;
  return static_cast<std::size_t>(hash ^ (hash >> 32U));
}

}  // namespace

#if defined(__x86_64__)
TickClock::TickClock()
    : counter_([] {
        static const bool steady = counter_is_steady();
        return steady;
      }()) {}

std::uint64_t TickClock::now() const {
  return counter_ ? __rdtsc() : static_cast<std::uint64_t>(base::monotonic_ns());
}
#else
TickClock::TickClock() : counter_(false) {}

std::uint64_t TickClock::now() const {
  return static_cast<std::uint64_t>(base::monotonic_ns());
}
#endif

CallTree::CallTree(std::uint32_t node_limit) : limit_(std::max<std::uint32_t>(node_limit, 1)), table_(512) {
  root_ = append(Node{});
  current_ = root_;
  builtins_.push_back({"<built-in>", "~", 0});
  started_ns_ = base::monotonic_ns();
  started_ticks_ = last_ = clock_.now();
}

CallTree::~CallTree() {
  for (std::size_t i = 1; i < size_; ++i) {
    const Node& each = node(i);
    if (each.name != kPython) continue;
    Py_XDECREF(reinterpret_cast<PyObject*>(const_cast<void*>(each.key)));
    Py_XDECREF(reinterpret_cast<PyObject*>(each.model));
  }
}

void CallTree::charge() {
  const std::uint64_t now = clock_.now();
  if (now > last_) current_->ticks += now - last_;  // counters of two sockets may differ by a few ticks
  last_ = now;
}

void CallTree::enter(PyCodeObject* code, PyTypeObject* model) {
  charge();
  if (skipped_ != 0) {
    ++skipped_;
    ++dropped_;
    return;
  }
  Node* child = known_child(code, model);
  if (child == nullptr) {
    child = new_child(code, model);
    if (child != nullptr) {
      child->name = kPython;
      Py_INCREF(code);
      Py_XINCREF(reinterpret_cast<PyObject*>(model));
    }
  }
  descend(child);
}

void CallTree::enter(const PyCFunctionObject* function) {
  charge();
  if (skipped_ != 0) {
    ++skipped_;
    ++dropped_;
    return;
  }
  Node* child = known_child(function->m_ml, nullptr);
  if (child == nullptr) {
    child = new_child(function->m_ml, nullptr);
    if (child != nullptr) child->name = builtin_name(function);
  }
  descend(child);
}

void CallTree::leave(const void* key) {
  charge();
  if (skipped_ != 0) {
    --skipped_;
  } else if (current_->key == key && current_ != root_) {
    current_ = current_->parent;
  } else {
    unwind(key);
  }
}

CallTree::Node* CallTree::known_child(const void* key, const PyTypeObject* model) {
  Node* last = current_->last_child;
  if (last == nullptr) return nullptr;
  if (last->key == key && last->model == model) return last;
  Node* next = last->successor;
  if (next != nullptr && next->key == key && next->model == model) return next;
  return table_[slot_of(current_, key, model)];
}

void CallTree::descend(Node* child) {
  if (child == nullptr) {
    ++skipped_;
    ++dropped_;
    return;
  }
  Node* last = current_->last_child;
  if (last != child) {
    if (last != nullptr) last->successor = child;
    current_->last_child = child;
  }
  ++child->calls;
  current_ = child;
}

void CallTree::unwind(const void* key) {
  for (Node* each = current_; each != root_; each = each->parent) {
    if (each->key == key) {
      current_ = each->parent;
      return;
    }
  }
}

CallTree::Node* CallTree::new_child(const void* key, PyTypeObject* model) {
  if (size_ >= limit_) return nullptr;
  try {
    if (size_ * 2 >= table_.size()) grow_table();
    Node* child = append({.key = key, .model = model, .parent = current_});
    table_[slot_of(current_, key, model)] = child;
    return child;
  } catch (const std::bad_alloc&) {
    return nullptr;  // counted as dropped; the profiled program goes on
  }
}

CallTree::Node* CallTree::append(const Node& fresh) {
  if (size_ % kBlock == 0) blocks_.push_back(std::make_unique<Node[]>(kBlock));
  Node& place = node(size_);
  ++size_;
  place = fresh;
  place.index = static_cast<std::uint32_t>(size_ - 1);
  return &place;
}

std::size_t CallTree::slot_of(const Node* parent, const void* key, const PyTypeObject* model) const {
  const std::size_t mask = table_.size() - 1;
  for (std::size_t slot = mix(parent, key, model) & mask;; slot = (slot + 1) & mask) {
    const Node* found = table_[slot];
    if (found == nullptr) return slot;
    if (found->parent == parent && found->key == key && found->model == model) return slot;
  }
}

void CallTree::grow_table() {
  std::vector<Node*> old(table_.size() * 2);
  std::swap(old, table_);
  for (Node* each : old) {
    if (each != nullptr) table_[slot_of(each->parent, each->key, each->model)] = each;
  }
}

std::uint32_t CallTree::builtin_name(const PyCFunctionObject* function) {
  try {
    const auto known = builtin_numbers_.find(function->m_ml);
    if (known != builtin_numbers_.end()) return known->second;
    builtins_.push_back(frame_of_builtin(function));
    const auto number = static_cast<std::uint32_t>(builtins_.size() - 1);
    builtin_numbers_.emplace(function->m_ml, number);
    return number;
  } catch (const std::bad_alloc&) {
    return 0;
  }
}

perf::Profile CallTree::finish() {
  charge();
  return resolve(base::monotonic_ns() - started_ns_, last_ - started_ticks_);
}

perf::Profile CallTree::resolve(std::int64_t elapsed_ns, std::uint64_t elapsed_ticks) const {
  const double scale =
      elapsed_ticks == 0 ? 0 : static_cast<double>(elapsed_ns) / static_cast<double>(elapsed_ticks);
  perf::ProfileBuilder builder(perf::Profile::Kind::kExact, static_cast<std::uint32_t>(limit_));
  std::map<std::pair<const void*, const PyTypeObject*>, perf::Frame> frames;
  std::vector<std::uint32_t> places(size_);
  std::int64_t rest_ns = elapsed_ns;
  for (std::size_t i = 1; i < size_; ++i) {
    const Node& each = node(i);
    const auto wall = static_cast<std::int64_t>(static_cast<double>(each.ticks) * scale);
    rest_ns -= wall;
    const perf::Frame* frame = nullptr;
    if (each.name == kPython) {
      const auto [place, is_new] = frames.try_emplace({each.key, each.model});
      if (is_new) {
        auto* code = reinterpret_cast<PyCodeObject*>(const_cast<void*>(each.key));
        place->second = frame_of(code, each.model);
      }
      frame = &place->second;
    } else {
      frame = &builtins_[each.name];
    }
    const std::uint32_t target = builder.child(places[each.parent->index], *frame);
    builder.add(target, each.calls, base::Nanoseconds(wall));
    places[i] = target;
  }
  builder.add(0, 0, base::Nanoseconds(std::max<std::int64_t>(rest_ns, 0)));
  builder.count_dropped(dropped_);
  return std::move(builder).take();
}

}  // namespace headroom::native
