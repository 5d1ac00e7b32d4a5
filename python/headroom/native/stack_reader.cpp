#include "stack_reader.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>
#include <utility>

namespace headroom::native {

#if HEADROOM_KNOWS_FRAMES

namespace {

constexpr std::size_t kMostNames = 4096;
constexpr std::uintptr_t kPage = 4096;
constexpr Py_ssize_t kLongestText = 4096;
constexpr Py_ssize_t kLongestTable = 1 << 20;
constexpr std::size_t kMostCompared = 16 << 10;

void append_utf8(std::string& out, std::uint32_t c) {
  if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) c = '?';
  if (c < 0x80) {
    out += static_cast<char>(c);
    return;
  }
  if (c >= 0x10000) {
    out += static_cast<char>(0xf0U | (c >> 18U));
    out += static_cast<char>(0x80U | ((c >> 12U) & 0x3fU));
  } else if (c >= 0x800) {
    out += static_cast<char>(0xe0U | (c >> 12U));
  }
  if (c >= 0x800) {
    out += static_cast<char>(0x80U | ((c >> 6U) & 0x3fU));
  } else {
    out += static_cast<char>(0xc0U | (c >> 6U));
  }
  out += static_cast<char>(0x80U | (c & 0x3fU));
}

std::uint32_t character(const char* from, unsigned kind) {
  std::uint32_t value = 0;
  std::memcpy(&value, from, kind);  // little endian, as everything else here
  return value;
}

/// A str by checked reads; nullopt when it is none, or longer than a name can be. Its characters, with the
/// zero that ends them, are added to the source.
std::optional<std::string> read_text(const PyObject* text, NameSource& source) {
  const auto head = read_object<PyASCIIObject>(text);
  if (!head || head->ob_base.ob_type != &PyUnicode_Type || head->state.compact == 0) return std::nullopt;
  const unsigned kind = head->state.kind;
  if (head->length < 0 || head->length > kLongestText || (kind != 1 && kind != 2 && kind != 4))
    return std::nullopt;
  const std::size_t offset = head->state.ascii != 0 ? sizeof(PyASCIIObject) : sizeof(PyCompactUnicodeObject);
  const std::size_t size = static_cast<std::size_t>(head->length) * kind;
  std::string data(size + 1, '\0');
  if (!read_memory(reinterpret_cast<const char*>(text) + offset, data.data(), data.size()))
    return std::nullopt;
  source.add(reinterpret_cast<const char*>(text) + offset, data);
  std::string out;
  for (std::size_t i = 0; i < size; i += kind) append_utf8(out, character(&data[i], kind));
  return out;
}

std::vector<LineRange> read_lines(const PyObject* table, std::uint32_t first_line, NameSource& source) {
  const auto head = read_object<PyVarObject>(table);
  if (!head || head->ob_base.ob_type != &PyBytes_Type) return {};
  if (head->ob_size <= 0 || head->ob_size > kLongestTable) return {};
  std::string bytes(static_cast<std::size_t>(head->ob_size), '\0');
  const char* from = reinterpret_cast<const char*>(table) + offsetof(PyBytesObject, ob_sval);
  if (!read_memory(from, bytes.data(), bytes.size())) return {};
  source.add(from, std::string_view(bytes).substr(0, kMostCompared));
  return decode_location_table({reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()},
                               first_line);
}

bool read_takes_self(const PyCodeObject& code, NameSource& source) {
  if (code.co_argcount < 1) return false;
  const auto names = read_object<PyTupleObject>(code.co_localsplusnames);
  if (!names || names->ob_base.ob_base.ob_type != &PyTuple_Type || names->ob_base.ob_size < 1) return false;
  const auto first = read_text(names->ob_item[0], source);
  return first == "self" || first == "cls";
}

/// All that has to be equal before a name that is kept for an address is believed.
bool same_code(const PyCodeObject& a, const PyCodeObject& b) {
  return a.ob_base.ob_size == b.ob_base.ob_size && a.co_firstlineno == b.co_firstlineno &&
         a.co_consts == b.co_consts && a.co_names == b.co_names && a.co_filename == b.co_filename &&
         a.co_name == b.co_name && a.co_qualname == b.co_qualname && a.co_linetable == b.co_linetable &&
         a.co_localsplusnames == b.co_localsplusnames;
}

bool same_type(const PyTypeObject& a, const PyTypeObject& b) {
  constexpr unsigned long kStable = Py_TPFLAGS_HEAPTYPE | Py_TPFLAGS_TYPE_SUBCLASS;
  return a.ob_base.ob_base.ob_type == b.ob_base.ob_base.ob_type && a.tp_name == b.tp_name &&
         a.tp_basicsize == b.tp_basicsize && (a.tp_flags & kStable) == (b.tp_flags & kStable);
}

/// The code unit that a frame executes: -1 before its first; nullopt when it lies outside the code.
std::optional<std::int64_t> unit_of(const InterpreterFrame& frame, const PyCodeObject& code) {
  const auto start = reinterpret_cast<std::intptr_t>(frame.f_code) +
                     static_cast<std::intptr_t>(offsetof(PyCodeObject, co_code_adaptive));
  const std::intptr_t distance = reinterpret_cast<std::intptr_t>(frame.prev_instr) - start;
  constexpr std::intptr_t kUnit = sizeof(_Py_CODEUNIT);
  if (distance % kUnit != 0 || distance < -kUnit || distance >= code.ob_base.ob_size * kUnit)
    return std::nullopt;
  return distance / kUnit;
}

}  // namespace

void NameSource::add(const void* from, std::string_view bytes) {
  places_.push_back({from, nullptr, bytes.size()});
  bytes_ += bytes;
}

void NameSource::seal() {
  hash_ = std::hash<std::string>{}(bytes_);
  bytes_ = {};
}

bool NameSource::is_unchanged() const {
  std::vector<MemoryBlock> blocks = places_;
  std::size_t size = 0;
  for (const MemoryBlock& block : blocks) size += block.size;
  std::string bytes(size, '\0');
  char* to = bytes.data();
  for (MemoryBlock& block : blocks) {
    block.to = to;
    to += block.size;
  }
  return !blocks.empty() && read_memory(blocks) && std::hash<std::string>{}(bytes) == hash_;
}

std::vector<FramePlace> StackReader::own_stack() {
  std::vector<FramePlace> places;
  const InterpreterFrame* frame = innermost_frame(PyThreadState_Get());
  for (; frame != nullptr && places.size() < kMostFrames; frame = frame->previous) {
    places.push_back({frame, frame->f_code});
  }
  std::reverse(places.begin(), places.end());
  return places;
}

ReadStack StackReader::read(const PyThreadState* thread, std::uint64_t thread_id,
                            std::vector<SampledFrame>& frames) {
  frames.clear();
  const auto state = read_object<PyThreadState>(thread);
  if (!state || state->id != thread_id) return ReadStack::kThreadGone;
  const auto innermost = read_object<_PyCFrame>(state->cframe);
  return innermost ? read_from(innermost->current_frame, frames) : ReadStack::kTorn;
}

ReadStack StackReader::read_from(const void* innermost, std::vector<SampledFrame>& frames) {
  frames.clear();
  if (codes_.size() > kMostNames || types_.size() > kMostNames) forget();
  const bool good =
      read_chain(innermost) && name_codes() && find_arguments() && read_argument_types() && describe(frames);
  return good ? ReadStack::kDone : ReadStack::kTorn;
}

bool StackReader::read_chain(const void* innermost) {
  raw_.clear();
  window_size_ = 0;
  for (const void* address = innermost; address != nullptr;) {
    if (raw_.size() == kMostFrames) return false;
    RawFrame& raw = raw_.emplace_back();
    raw.address = address;
    if (!read_frame(address, raw.frame)) return false;
    address = raw.frame.previous;
  }
  return true;
}

/// Frames of one thread lie side by side, the outer ones lower: what is read is the whole page up to the
/// frame's end.
bool StackReader::read_frame(const void* address, InterpreterFrame& frame) {
  const auto from = reinterpret_cast<std::uintptr_t>(address);
  if (from < kPage || from % alignof(InterpreterFrame) != 0) return false;
  const bool inside =
      window_size_ != 0 && from >= window_from_ && from + sizeof frame <= window_from_ + window_size_;
  if (!inside) {
    const std::uintptr_t before = from % kPage;
    window_from_ = from - before;
    window_size_ = before + sizeof frame;
    if (!read_memory(static_cast<const std::byte*>(address) - before, window_.data(), window_size_)) {
      window_size_ = 0;
      return false;
    }
  }
  std::memcpy(&frame, &window_[from - window_from_], sizeof frame);
  return true;
}

bool StackReader::name_codes() {
  heads_.resize(raw_.size());
  named_.clear();
  blocks_.clear();
  for (std::size_t i = 0; i < raw_.size(); ++i) {
    blocks_.push_back({raw_[i].frame.f_code, heads_[i].bytes.data(), sizeof heads_[i].bytes});
  }
  if (!read_memory(blocks_)) return false;
  for (std::size_t i = 0; i < raw_.size(); ++i) {
    const CodeName* name = name_code(raw_[i].frame.f_code, heads_[i]);
    if (name == nullptr) return false;
    named_.push_back(name);
  }
  return true;
}

template <typename Entry>
bool StackReader::holds(Entry& entry) const {
  if (entry.checked == round_of_checks_) return true;
  if (!entry.source.is_unchanged()) return false;
  entry.checked = round_of_checks_;
  return true;
}

const CodeName* StackReader::name_code(const PyCodeObject* code, const CodeHead& head) {
  if (head.get().ob_base.ob_base.ob_type != &PyCode_Type) return nullptr;
  const auto known = codes_.find(code);
  if (known != codes_.end() && same_code(known->second.head.get(), head.get()) && holds(known->second))
    return &known->second.name;
  auto entry = read_code(head);
  if (!entry) return nullptr;
  entry->name.id = next_id_++;
  entry->checked = round_of_checks_;
  return &codes_.insert_or_assign(code, std::move(*entry)).first->second.name;
}

std::optional<StackReader::CodeEntry> StackReader::read_code(const CodeHead& head) {
  const PyCodeObject& fields = head.get();
  CodeEntry entry;
  entry.head = head;
  auto name = read_text(fields.co_name, entry.source);
  auto qualified = read_text(fields.co_qualname, entry.source);
  auto file = read_text(fields.co_filename, entry.source);
  if (!name || !qualified || !file) return std::nullopt;
  entry.name.name = std::move(*name);
  entry.name.qualified_name = std::move(*qualified);
  entry.name.file = std::move(*file);
  entry.name.first_line = static_cast<std::uint32_t>(std::max(fields.co_firstlineno, 0));
  entry.name.takes_self = read_takes_self(fields, entry.source);
  entry.name.lines = read_lines(fields.co_linetable, entry.name.first_line, entry.source);
  entry.source.seal();
  return entry;
}

bool StackReader::find_arguments() {
  arguments_.clear();
  for (std::size_t i = 0; i < raw_.size(); ++i) {
    const PyObject* value = raw_[i].frame.localsplus[0];
    if (named_[i]->takes_self && value != nullptr) arguments_.push_back({i, value, {}, {}});
  }
  blocks_.clear();
  for (Argument& each : arguments_) blocks_.push_back({each.value, &each.head, sizeof each.head});
  if (!read_memory(blocks_)) return false;
  for (Argument& each : arguments_) {
    if (each.head.ob_type != &PyCell_Type) continue;
    const auto cell = read_object<PyCellObject>(each.value);
    if (!cell || cell->ob_ref == nullptr) return false;
    each.value = cell->ob_ref;
    if (!read_memory(each.value, &each.head, sizeof each.head)) return false;
  }
  return true;
}

/// First the type of every argument; for those that are types themselves (`cls`) then they.
bool StackReader::read_argument_types() {
  blocks_.clear();
  for (Argument& each : arguments_)
    blocks_.push_back({each.head.ob_type, each.type.bytes.data(), sizeof each.type});
  if (!read_memory(blocks_)) return false;
  blocks_.clear();
  for (Argument& each : arguments_) {
    if ((each.type.get().tp_flags & Py_TPFLAGS_TYPE_SUBCLASS) == 0) {
      each.value = reinterpret_cast<const PyObject*>(each.head.ob_type);
      continue;
    }
    blocks_.push_back({each.value, each.type.bytes.data(), sizeof each.type});
  }
  return read_memory(blocks_);
}

const ModelName* StackReader::model_of(const Argument& argument) {
  const auto* type = reinterpret_cast<const PyTypeObject*>(argument.value);
  const PyTypeObject& head = argument.type.get();
  const PyTypeObject* metaclass = head.ob_base.ob_base.ob_type;
  if (metaclass == &PyType_Type || (head.tp_flags & Py_TPFLAGS_HEAPTYPE) == 0) return nullptr;
  auto known = types_.find(type);
  if (known == types_.end() || !same_type(known->second.head.get(), head) || !holds(known->second)) {
    known = types_.insert_or_assign(type, read_type(type, argument.type)).first;
  }
  return known->second.name.id == 0 ? nullptr : &known->second.name;
}

StackReader::TypeEntry StackReader::read_type(const PyTypeObject* type, const TypeHead& head) {
  const auto* field = reinterpret_cast<const char*>(type) + offsetof(PyHeapTypeObject, ht_name);
  TypeEntry entry;
  entry.head = head;
  entry.checked = round_of_checks_;
  const PyObject* text = nullptr;
  if (!read_memory(field, &text, sizeof(void*))) return entry;
  entry.source.add(field, {reinterpret_cast<const char*>(&text), sizeof(void*)});
  const auto name = read_text(text, entry.source);
  entry.source.seal();
  if (name && name->find('.') != std::string::npos) entry.name = {next_id_++, *name};
  return entry;
}

bool StackReader::describe(std::vector<SampledFrame>& frames) {
  frames.resize(raw_.size());
  for (std::size_t i = 0; i < raw_.size(); ++i) {
    const RawFrame& raw = raw_[i];
    const auto unit = unit_of(raw.frame, heads_[i].get());
    if (!unit) return false;
    const std::uint32_t line = line_of(named_[i]->lines, *unit, named_[i]->first_line);
    frames[raw_.size() - 1 - i] = {{raw.address, raw.frame.f_code},
                                   named_[i],
                                   nullptr,
                                   line,
                                   raw.frame.owner == FRAME_OWNED_BY_GENERATOR};
  }
  for (const Argument& each : arguments_) frames[raw_.size() - 1 - each.frame].model = model_of(each);
  return true;
}

void StackReader::forget() {
  codes_.clear();
  types_.clear();
}

#else

std::vector<FramePlace> StackReader::own_stack() {
  return {};
}
ReadStack StackReader::read(const PyThreadState*, std::uint64_t, std::vector<SampledFrame>&) {
  return ReadStack::kThreadGone;
}
ReadStack StackReader::read_from(const void*, std::vector<SampledFrame>&) {
  return ReadStack::kTorn;
}
void StackReader::forget() {}

#endif

}  // namespace headroom::native
