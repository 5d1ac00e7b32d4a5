// Call trees: building, merging, and their compact form.
//
// The compact form is "HRP" 0x01, the unpacked length as a varint, then one zlib stream of:
//   kind, samples, missed, dropped_nodes
//   number of strings, each as length and bytes           every function and file name once
//   number of frames, each as function, file, line        strings by index
//   number of nodes, each as distance to its parent, frame, calls, wall ns, cpu ns
// All numbers are LEB128 varints. The root has distance 0; any other node has 1 or more, so parents come
// first by construction. Trees are built depth first for the most part, so distances and frames are small,
// and zlib takes the repetition out of names and of times that are zero.
//
// Stored bytes may come from a foreign or damaged file: each count is checked against the bytes that are left
// before anything is allocated, and the unpacked size is bounded.

#include "perf/profile.hpp"

#include <zlib.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

namespace headroom::perf {

namespace {

using base::ErrorCode;
using base::fail;
using base::Nanoseconds;
using base::Result;

constexpr std::string_view kMagic = "HRP\x01";
constexpr std::size_t kUnpackedLimit = 64U << 20U;
/// 208 days in nanoseconds: no call takes longer, and sums stay far from overflow.
constexpr std::int64_t kMaxTime = std::int64_t{1} << 54U;

std::uint64_t child_key(std::uint32_t parent, std::uint32_t frame) {
  return (static_cast<std::uint64_t>(parent) << 32U) | frame;
}

void put(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>((value & 0x7fU) | 0x80U));
    value >>= 7U;
  }
  out.push_back(static_cast<char>(value));
}

std::uint64_t unsigned_ns(Nanoseconds time) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
}

/// Reads varints and strings; the first thing that is wrong makes everything after it wrong.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::uint64_t number(std::uint64_t limit = std::numeric_limits<std::uint64_t>::max()) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return broken();
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      const std::uint64_t bits = byte & 0x7fU;
      if (shift == 63 && bits > 1) return broken();
      value |= bits << shift;
      if ((byte & 0x80U) == 0) return value <= limit ? value : broken();
    }
    return broken();
  }

  /// A count of things of which each takes at least `least` bytes.
  std::size_t count(std::size_t least) { return static_cast<std::size_t>(number(rest_.size() / least)); }

  std::uint32_t index(std::size_t size) {
    if (size == 0) return static_cast<std::uint32_t>(broken());
    return static_cast<std::uint32_t>(number(std::min<std::uint64_t>(size - 1, kMaxIndex)));
  }

  std::uint32_t small() { return static_cast<std::uint32_t>(number(kMaxIndex)); }

  Nanoseconds time() { return Nanoseconds(static_cast<std::int64_t>(number(kMaxTime))); }

  std::string_view text() {
    const std::size_t size = count(1);
    const std::string_view result = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return result;
  }

  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  static constexpr std::uint64_t kMaxIndex = std::numeric_limits<std::uint32_t>::max();

  std::uint64_t broken() {
    good_ = false;
    rest_ = {};
    return 0;
  }

  std::string_view rest_;
  bool good_ = true;
};

/// Gives every name one number, in order of first use.
class Strings {
 public:
  std::uint64_t number_of(const std::string& text) {
    const auto [place, is_new] = numbers_.try_emplace(text, numbers_.size());
    if (is_new) order_.push_back(text);
    return place->second;
  }
  [[nodiscard]] const std::vector<std::string_view>& order() const { return order_; }

 private:
  std::unordered_map<std::string_view, std::uint64_t> numbers_;
  std::vector<std::string_view> order_;
};

std::string plain_bytes(const Profile& profile) {
  Strings strings;
  std::string frames;
  put(frames, profile.frames.size());
  for (const Frame& frame : profile.frames) {
    put(frames, strings.number_of(frame.function));
    put(frames, strings.number_of(frame.file));
    put(frames, frame.line);
  }
  std::string out;
  put(out, static_cast<std::uint64_t>(profile.kind));
  put(out, profile.samples);
  put(out, profile.missed);
  put(out, profile.dropped_nodes);
  put(out, strings.order().size());
  for (const std::string_view text : strings.order()) {
    put(out, text.size());
    out += text;
  }
  out += frames;
  put(out, profile.nodes.size());
  for (std::size_t i = 0; i < profile.nodes.size(); ++i) {
    const ProfileNode& node = profile.nodes[i];
    put(out, i == 0 ? 0 : i - node.parent);
    put(out, node.frame);
    put(out, node.calls);
    put(out, unsigned_ns(node.wall));
    put(out, unsigned_ns(node.cpu));
  }
  return out;
}

std::vector<Frame> unpack_frames(Reader& reader) {
  std::vector<std::string_view> strings(reader.count(1));
  for (std::string_view& text : strings) text = reader.text();
  std::vector<Frame> frames;
  const std::size_t count = reader.count(3);
  for (std::size_t i = 0; i < count && reader.good(); ++i) {
    const std::uint32_t function = reader.index(strings.size());
    const std::uint32_t file = reader.index(strings.size());
    const std::uint32_t line = reader.small();
    if (reader.good()) frames.push_back({std::string(strings[function]), std::string(strings[file]), line});
  }
  return frames;
}

ProfileNode unpack_node(Reader& reader, std::size_t position, std::size_t frames) {
  ProfileNode node;
  const std::uint64_t distance = reader.number(position);
  const bool is_root = position == 0;
  node.parent = static_cast<std::uint32_t>(position - distance);
  node.frame = is_root ? static_cast<std::uint32_t>(reader.number(0)) : reader.index(frames);
  node.calls = reader.number();
  node.wall = reader.time();
  node.cpu = reader.time();
  return node;
}

/// Parents come first, and times add up without overflow.
bool is_call_tree(const std::vector<ProfileNode>& nodes) {
  std::int64_t total = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (i != 0 && nodes[i].parent >= i) return false;
    total += nodes[i].wall.count() + nodes[i].cpu.count();
    if (total > kMaxTime) return false;
  }
  return true;
}

Result<Profile> profile_of(std::string_view bytes) {
  Reader reader(bytes);
  Profile profile;
  profile.kind =
      static_cast<Profile::Kind>(reader.number(static_cast<std::uint64_t>(Profile::Kind::kSampled)));
  profile.samples = reader.number();
  profile.missed = reader.number();
  profile.dropped_nodes = reader.number();
  profile.frames = unpack_frames(reader);
  const std::size_t count = reader.count(5);
  profile.nodes.reserve(count);
  for (std::size_t i = 0; i < count && reader.good(); ++i) {
    profile.nodes.push_back(unpack_node(reader, i, profile.frames.size()));
  }
  if (!reader.good() || !reader.at_end() || !is_call_tree(profile.nodes)) {
    return fail(ErrorCode::kProtocol, "a stored profile is damaged: its content is not a call tree");
  }
  return profile;
}

}  // namespace

std::size_t ProfileBuilder::FrameHash::operator()(const Frame& frame) const {
  const std::hash<std::string_view> hash;
  constexpr std::size_t kMix = 0x9e3779b97f4a7c15U;
  return (hash(frame.function) * kMix) ^ (hash(frame.file) + kMix * frame.line);
}

ProfileBuilder::ProfileBuilder(Profile::Kind kind, std::uint32_t node_limit)
    : node_limit_(std::max<std::uint32_t>(node_limit, 1)) {
  profile_.kind = kind;
  profile_.nodes.emplace_back();
}

std::uint32_t ProfileBuilder::intern(const Frame& frame) {
  const auto [place, is_new] = frames_.try_emplace(frame, static_cast<std::uint32_t>(profile_.frames.size()));
  if (is_new) profile_.frames.push_back(frame);
  return place->second;
}

std::uint32_t ProfileBuilder::child(std::uint32_t parent, const Frame& frame) {
  const bool full = profile_.nodes.size() >= node_limit_;
  if (full && !frames_.contains(frame)) {
    ++profile_.dropped_nodes;
    return parent;
  }
  const std::uint32_t number = intern(frame);
  const std::uint64_t key = child_key(parent, number);
  if (const auto found = children_.find(key); found != children_.end()) return found->second;
  if (full) {
    ++profile_.dropped_nodes;
    return parent;
  }
  const auto node = static_cast<std::uint32_t>(profile_.nodes.size());
  profile_.nodes.push_back({.parent = parent, .frame = number});
  children_.emplace(key, node);
  return node;
}

void ProfileBuilder::add(std::uint32_t node, std::uint64_t calls, Nanoseconds wall, Nanoseconds cpu) {
  ProfileNode& target = profile_.nodes[node];
  target.calls += calls;
  target.wall += wall;
  target.cpu += cpu;
}

void ProfileBuilder::count_samples(std::uint64_t samples, std::uint64_t missed) {
  profile_.samples += samples;
  profile_.missed += missed;
}

Profile ProfileBuilder::take() && {
  frames_.clear();
  children_.clear();
  return std::exchange(profile_, Profile{});
}

Result<Profile> merge(std::span<const Profile> profiles, std::uint32_t node_limit) {
  const Profile::Kind kind = profiles.empty() ? Profile::Kind::kExact : profiles.front().kind;
  ProfileBuilder builder(kind, node_limit);
  std::vector<std::uint32_t> place;
  for (const Profile& profile : profiles) {
    if (profile.kind != kind) {
      return fail(ErrorCode::kInvalidArgument, "exact and sampled profiles can't be added up");
    }
    place.assign(profile.nodes.size(), 0);
    for (std::size_t i = 0; i < profile.nodes.size(); ++i) {
      const ProfileNode& node = profile.nodes[i];
      place[i] = i == 0 ? 0 : builder.child(place[node.parent], profile.frames[node.frame]);
      builder.add(place[i], node.calls, node.wall, node.cpu);
    }
    builder.count_samples(profile.samples, profile.missed);
    builder.count_dropped(profile.dropped_nodes);
  }
  return std::move(builder).take();
}

std::string pack_profile(const Profile& profile) {
  const std::string plain = plain_bytes(profile);
  std::string out(kMagic);
  put(out, plain.size());
  const std::size_t head = out.size();
  uLongf size = compressBound(plain.size());
  out.resize(head + size);
  // compress2 fails only when the target is too small, and compressBound excludes that.
  compress2(reinterpret_cast<Bytef*>(out.data() + head), &size, reinterpret_cast<const Bytef*>(plain.data()),
            plain.size(), Z_BEST_SPEED);
  out.resize(head + size);
  return out;
}

Result<Profile> unpack_profile(std::string_view bytes) {
  if (!bytes.starts_with(kMagic)) {
    return fail(ErrorCode::kProtocol, "a stored profile does not begin with its mark \"HRP\" and version 1");
  }
  Reader head(bytes.substr(kMagic.size()));
  const std::uint64_t size = head.number();
  if (!head.good()) return fail(ErrorCode::kProtocol, "a stored profile is damaged: it has no length");
  if (size > kUnpackedLimit)
    return fail(ErrorCode::kTooLarge, "a stored profile unpacks to more than 64 MiB");
  // deflate makes at most 1,032 bytes of one, so a length that can't be true allocates nothing.
  if (size / 1100 > head.rest().size()) {
    return fail(ErrorCode::kProtocol, "a stored profile is damaged: its length is wrong");
  }
  std::string plain(static_cast<std::size_t>(size), '\0');
  uLongf unpacked = plain.size();
  const int status =
      uncompress(reinterpret_cast<Bytef*>(plain.data()), &unpacked,
                 reinterpret_cast<const Bytef*>(head.rest().data()), static_cast<uLong>(head.rest().size()));
  if (status != Z_OK || unpacked != plain.size()) {
    return fail(ErrorCode::kProtocol, "a stored profile is damaged: zlib can't unpack it");
  }
  return profile_of(plain);
}

}  // namespace headroom::perf
