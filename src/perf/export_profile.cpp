// Profiles for other tools. Each format is written directly: they are small, and a library for each would be
// larger than all of them.

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <map>
#include <stdexcept>
#include <tuple>
#include <unordered_map>

#include <fmt/format.h>
#include <zlib.h>

#include "perf/export.hpp"
#include "perf/profile_text.hpp"
#include "sql/utf8.hpp"

namespace headroom::perf {

namespace {

using base::Nanoseconds;

std::vector<std::vector<std::uint32_t>> children_of(const Profile& profile) {
  std::vector<std::vector<std::uint32_t>> children(profile.nodes.size());
  for (std::size_t i = 1; i < profile.nodes.size(); ++i)
    children[profile.nodes[i].parent].push_back(static_cast<std::uint32_t>(i));
  return children;
}

// speedscope
// ----------------------------------------------------------------------------------------------------

/// Opens and closes frames along the tree; time goes on by each node's own.
std::string speedscope_events(const Profile& profile, std::int64_t& at) {
  std::string events;
  auto children = children_of(profile);
  const auto event = [&](char type, std::uint32_t node) {
    if (node == 0) return;
    events += fmt::format("{}{{\"type\":\"{}\",\"frame\":{},\"at\":{}}}", events.empty() ? "" : ",", type,
                          profile.nodes[node].frame, at);
  };
  std::vector<std::uint32_t> path;
  const auto open = [&](std::uint32_t node) {
    event('O', node);
    at += profile.nodes[node].wall.count();
    std::reverse(children[node].begin(), children[node].end());
    path.push_back(node);
  };
  if (!profile.nodes.empty()) open(0);
  while (!path.empty()) {
    auto& rest = children[path.back()];
    if (rest.empty()) {
      event('C', path.back());
      path.pop_back();
    } else {
      const std::uint32_t node = rest.back();
      rest.pop_back();
      open(node);
    }
  }
  return events;
}

std::string speedscope_frames(const Profile& profile) {
  std::string frames;
  for (const Frame& frame : profile.frames) {
    frames += fmt::format("{}{{\"name\":{},\"file\":{}", frames.empty() ? "" : ",", json_text(frame.function),
                          json_text(frame.file));
    if (frame.line > 0) frames += fmt::format(",\"line\":{}", frame.line);
    frames += "}";
  }
  return frames;
}

// pprof
// ---------------------------------------------------------------------------------------------------------

/// The wire format of protocol buffers, as far as a profile needs it.
class Message final {
 public:
  void varint(std::uint32_t field, std::uint64_t value) {
    if (value == 0) return;
    raw(field << 3U);
    raw(value);
  }
  void bytes(std::uint32_t field, std::string_view value) {
    raw((field << 3U) | 2U);
    raw(value.size());
    bytes_ += value;
  }
  void packed(std::uint32_t field, const std::vector<std::uint64_t>& values) {
    Message list;
    for (const std::uint64_t value : values) list.raw(value);
    bytes(field, list.bytes_);
  }
  [[nodiscard]] const std::string& content() const { return bytes_; }

 private:
  void raw(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) bytes_ += static_cast<char>((value & 0x7FU) | 0x80U);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

/// The table of strings of a profile, whose first is the empty one.
class Strings final {
 public:
  std::uint64_t of(const std::string& text) {
    const auto [found, made] = known_.try_emplace(text, list_.size());
    if (made) list_.push_back(text);
    return found->second;
  }
  [[nodiscard]] const std::vector<std::string>& list() const { return list_; }

 private:
  std::unordered_map<std::string, std::uint64_t> known_{{"", 0}};
  std::vector<std::string> list_{""};
};

std::string value_type(Strings& strings, const std::string& type, const std::string& unit) {
  Message message;
  message.varint(1, strings.of(type));
  message.varint(2, strings.of(unit));
  return message.content();
}

/// A node's path, innermost first, as pprof wants it. Location n is frame n - 1.
std::vector<std::uint64_t> locations(const Profile& profile, std::uint32_t node) {
  std::vector<std::uint64_t> path;
  for (; node != 0; node = profile.nodes[node].parent) path.push_back(profile.nodes[node].frame + 1);
  return path;
}

void add_samples(Message& message, const Profile& profile) {
  for (std::uint32_t i = 1; i < profile.nodes.size(); ++i) {
    const ProfileNode& node = profile.nodes[i];
    if (node.calls == 0 && node.wall.count() == 0) continue;
    Message sample;
    sample.packed(1, locations(profile, i));
    sample.packed(2, {node.calls, static_cast<std::uint64_t>(node.wall.count()),
                      static_cast<std::uint64_t>(node.cpu.count())});
    message.bytes(2, sample.content());
  }
}

void add_frames(Message& message, const Profile& profile, Strings& strings) {
  for (std::size_t i = 0; i < profile.frames.size(); ++i) {
    const Frame& frame = profile.frames[i];
    Message line;
    line.varint(1, i + 1);
    line.varint(2, frame.line);
    Message location;
    location.varint(1, i + 1);
    location.bytes(4, line.content());
    message.bytes(4, location.content());
    Message function;
    function.varint(1, i + 1);
    function.varint(2, strings.of(sql::clean_utf8(frame.function)));
    function.varint(3, strings.of(sql::clean_utf8(frame.function)));
    function.varint(4, strings.of(sql::clean_utf8(frame.file)));
    message.bytes(5, function.content());
  }
}

std::string gzip(std::string_view bytes) {
  constexpr int kGzip = 15 + 16;
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
  std::string packed(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

// pstats
// --------------------------------------------------------------------------------------------------------

/// Python's marshal format, version 2: what every Python 3 reads.
class Marshal final {
 public:
  void dictionary() { bytes_ += '{'; }
  void end() { bytes_ += '0'; }
  void tuple(std::uint32_t size) {
    bytes_ += '(';
    word(size);
  }
  void integer(std::uint64_t value) {
    if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max())) {
      bytes_ += 'i';
      word(static_cast<std::uint32_t>(value));
      return;
    }
    std::vector<std::uint16_t> digits;
    for (; value > 0; value >>= 15U) digits.push_back(static_cast<std::uint16_t>(value & 0x7FFFU));
    bytes_ += 'l';
    word(static_cast<std::uint32_t>(digits.size()));
    for (const std::uint16_t digit : digits) {
      bytes_ += static_cast<char>(digit & 0xFFU);
      bytes_ += static_cast<char>(digit >> 8U);
    }
  }
  void number(double value) {
    std::array<char, sizeof value> raw{};
    std::memcpy(raw.data(), &value, sizeof value);
    bytes_ += 'g';
    bytes_.append(raw.data(), raw.size());
  }
  void text(std::string_view value) {
    const std::string clean = sql::clean_utf8(value);
    bytes_ += 'u';
    word(static_cast<std::uint32_t>(clean.size()));
    bytes_ += clean;
  }
  [[nodiscard]] std::string take() && { return std::move(bytes_); }

 private:
  void word(std::uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) bytes_ += static_cast<char>((value >> shift) & 0xFFU);
  }

  std::string bytes_;
};

/// What one function spent when it was called by another.
struct Called {
  std::uint64_t calls = 0;
  Nanoseconds self{0};
  Nanoseconds cumulative{0};
};

std::vector<Nanoseconds> inclusive_times(const Profile& profile) {
  std::vector<Nanoseconds> times(profile.nodes.size());
  for (std::size_t i = profile.nodes.size(); i-- > 0;) {
    times[i] += profile.nodes[i].wall;
    if (i != 0) times[profile.nodes[i].parent] += times[i];
  }
  return times;
}

/// By frame: who called it. The outermost frames were called by nobody.
std::vector<std::map<std::uint32_t, Called>> callers_of(const Profile& profile) {
  const auto inclusive = inclusive_times(profile);
  std::vector<std::map<std::uint32_t, Called>> callers(profile.frames.size());
  for (std::size_t i = 1; i < profile.nodes.size(); ++i) {
    const ProfileNode& node = profile.nodes[i];
    if (node.parent == 0) continue;
    Called& called = callers[node.frame][profile.nodes[node.parent].frame];
    called.calls += node.calls;
    called.self += node.wall;
    called.cumulative += inclusive[i];
  }
  return callers;
}

double seconds(Nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

void write_key(Marshal& marshal, const Frame& frame) {
  marshal.tuple(3);
  marshal.text(frame.file);
  marshal.integer(frame.line);
  marshal.text(frame.function);
}

void write_callers(Marshal& marshal, const Profile& profile, const std::map<std::uint32_t, Called>& callers) {
  marshal.dictionary();
  for (const auto& [caller, called] : callers) {
    write_key(marshal, profile.frames[caller]);
    marshal.tuple(4);
    marshal.integer(called.calls);
    marshal.integer(called.calls);
    marshal.number(seconds(called.self));
    marshal.number(seconds(called.cumulative));
  }
  marshal.end();
}

}  // namespace

std::string to_speedscope(const Profile& profile, std::string_view title) {
  std::int64_t end = 0;
  const std::string events = speedscope_events(profile, end);
  return fmt::format(
      R"({{"$schema":"https://www.speedscope.app/file-format-schema.json","exporter":"headroom","name":{0},)"
      R"("activeProfileIndex":0,"shared":{{"frames":[{1}]}},"profiles":[{{"type":"evented","name":{0},)"
      R"("unit":"nanoseconds","startValue":0,"endValue":{2},"events":[{3}]}}]}})",
      json_text(title), speedscope_frames(profile), end, events);
}

std::string to_pprof(const Profile& profile, UtcTime start, Microseconds duration) {
  const bool exact = profile.kind == Profile::Kind::kExact;
  Strings strings;
  Message message;
  message.bytes(1, value_type(strings, exact ? "calls" : "samples", "count"));
  message.bytes(1, value_type(strings, "wall", "nanoseconds"));
  message.bytes(1, value_type(strings, "cpu", "nanoseconds"));
  add_samples(message, profile);
  add_frames(message, profile, strings);
  const std::uint64_t wall = strings.of("wall");
  for (const std::string& text : strings.list()) message.bytes(6, text);
  message.varint(9, static_cast<std::uint64_t>(Nanoseconds(start.time_since_epoch()).count()));
  message.varint(10, static_cast<std::uint64_t>(Nanoseconds(duration).count()));
  message.varint(14, wall);
  return gzip(message.content());
}

std::string to_pstats(const Profile& profile) {
  const auto totals = totals_by_frame(profile);
  const auto callers = callers_of(profile);
  Marshal marshal;
  marshal.dictionary();
  for (std::size_t i = 0; i < profile.frames.size(); ++i) {
    write_key(marshal, profile.frames[i]);
    marshal.tuple(5);
    marshal.integer(totals[i].primitive_calls);
    marshal.integer(totals[i].calls);
    marshal.number(seconds(totals[i].self));
    marshal.number(seconds(totals[i].cumulative));
    write_callers(marshal, profile, callers[i]);
  }
  marshal.end();
  return std::move(marshal).take();
}

}  // namespace headroom::perf
