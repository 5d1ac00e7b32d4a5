// How a record becomes bytes.
//
// Every part is one msgpack map with the version under "v" and short names for the fields; a field with its
// default value is left out, which is what most fields of most calls have. Lists of numbers, above all the
// totals by fingerprint of which every call has several, would cost a map each; they are packed as
// variable-length integers (7 bits a byte, lowest first) into one binary value, and their texts (backtraces,
// SQL) stand beside them as arrays. A packed list begins with the number of integers per entry, so that a
// later version can add one behind the others.
//
// The bytes may come from a store that anybody of the group can write, so nothing in them is trusted: nesting
// is bounded before it reaches the stack, lengths are checked against what is there, and a wrong type is an
// error.

#include "perf/record_codec.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perf/impl/varint.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using nlohmann::json;

constexpr int kVersion = 1;
constexpr int kMaxDepth = 8;

/// Builds the value, but gives up where the nesting is deeper than any record's: the reader below it
/// recurses.
class ShallowBuilder final : public nlohmann::detail::json_sax_dom_parser<json> {
 public:
  explicit ShallowBuilder(json& value) : json_sax_dom_parser(value, false) {}
  bool start_object(std::size_t size) {
    return ++depth_ <= kMaxDepth && json_sax_dom_parser::start_object(size);
  }
  bool start_array(std::size_t size) {
    return ++depth_ <= kMaxDepth && json_sax_dom_parser::start_array(size);
  }
  bool end_object() { return --depth_ >= 0 && json_sax_dom_parser::end_object(); }
  bool end_array() { return --depth_ >= 0 && json_sax_dom_parser::end_array(); }

 private:
  int depth_ = 0;
};

/// Thrown inside this file for anything that is wrong with the bytes; the functions of the header catch it.
struct Malformed {
  std::string what;
};

json parse(std::string_view bytes) {
  json value;
  ShallowBuilder builder(value);
  const bool whole = json::sax_parse(bytes.begin(), bytes.end(), &builder, json::input_format_t::msgpack);
  if (!whole || !value.is_object()) throw Malformed{"not one whole msgpack map"};
  const auto version = value.find("v");
  if (version == value.end() || !version->is_number_integer()) throw Malformed{"no version"};
  if (*version != kVersion) throw Malformed{fmt::format("version {} is not {}", version->dump(), kVersion)};
  return value;
}

/// Runs `read` on the map in `bytes` and turns whatever is wrong with it into an error.
template <typename T, typename Read>
Result<T> decoded(std::string_view bytes, const char* what, Read read) {
  try {
    return read(parse(bytes));
  } catch (const Malformed& malformed) {
    return fail(ErrorCode::kProtocol, fmt::format("{}: {}", what, malformed.what));
  } catch (const json::exception& error) {
    return fail(ErrorCode::kProtocol, fmt::format("{}: {}", what, error.what()));
  }
}

// Fields: `put` leaves a default out, `take` leaves the field as it is when there is none.
// ------------------------

template <typename T>
void put(json& map, const char* key, const T& value) {
  if constexpr (std::is_enum_v<T>) {
    put(map, key, static_cast<std::underlying_type_t<T>>(value));
  } else {
    if (value != T{}) map.emplace(key, value);
  }
}
void put(json& map, const char* key, base::Microseconds value) {
  put(map, key, value.count());
}
void put(json& map, const char* key, UtcTime value) {
  put(map, key, value.time_since_epoch().count());
}
template <typename T>
void put(json& map, const char* key, const std::optional<T>& value) {
  if constexpr (std::is_same_v<T, base::Microseconds>) {
    if (value) map.emplace(key, value->count());
  } else {
    if (value) map.emplace(key, *value);
  }
}

/// An integer of exactly the type wanted: msgpack has one kind of number, and a cut one would be a silent
/// lie.
template <typename T>
T integer(const json& value) {
  if (value.is_number_unsigned()) {
    const auto wide = value.get<std::uint64_t>();
    if (std::in_range<T>(wide)) return static_cast<T>(wide);
  } else if (value.is_number_integer()) {
    const auto wide = value.get<std::int64_t>();
    if (std::in_range<T>(wide)) return static_cast<T>(wide);
  }
  throw Malformed{"a number is missing or out of range"};
}

template <typename T>
T convert(const json& value) {
  if constexpr (std::is_same_v<T, base::Microseconds>) {
    return T(integer<std::int64_t>(value));
  } else if constexpr (std::is_same_v<T, UtcTime>) {
    return T(base::Microseconds(integer<std::int64_t>(value)));
  } else if constexpr (std::is_enum_v<T>) {
    return static_cast<T>(integer<std::underlying_type_t<T>>(value));
  } else if constexpr (std::is_integral_v<T>) {
    return integer<T>(value);
  } else {
    return value.get<T>();
  }
}

template <typename T>
void take(const json& map, const char* key, T& field) {
  if (const auto found = map.find(key); found != map.end()) field = convert<T>(*found);
}
template <typename T>
void take(const json& map, const char* key, std::optional<T>& field) {
  if (const auto found = map.find(key); found != map.end()) field = convert<T>(*found);
}

template <typename Enum>
Enum checked(Enum value, Enum last) {
  if (value > last) throw Malformed{"an enumeration has an unknown value"};
  return value;
}

// Packed lists
// ----------------------------------------------------------------------------------------------------

/// Writes entries of `width` integers each under `key`.
class Packer {
 public:
  explicit Packer(std::uint64_t width) { put_varint(bytes_, width); }
  void add(std::initializer_list<std::uint64_t> numbers) {
    for (const auto number : numbers) put_varint(bytes_, number);
  }
  void finish(json& map, const char* key) && { map.emplace(key, json::binary(std::move(bytes_))); }

 private:
  std::vector<std::uint8_t> bytes_;
};

/// Reads the list under `key`: `each` gets every entry's numbers, at least `width` of them.
template <std::size_t width, typename Each>
void unpack(const json& map, const char* key, Each each) {
  const auto found = map.find(key);
  if (found == map.end()) return;
  const auto& bytes = found->get_binary();
  VarintReader reader({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  const auto stored_width = reader.next();
  if (stored_width < width || stored_width > 64) throw Malformed{"a packed list has a wrong width"};
  std::array<std::uint64_t, width> numbers{};
  while (!reader.at_end()) {
    for (std::size_t i = 0; i < stored_width; ++i) {
      const auto number = reader.next();
      if (i < width) numbers[i] = number;
    }
    if (reader.failed()) throw Malformed{"a packed list is cut"};
    each(numbers);
  }
}

template <typename T>
T narrow(std::uint64_t number) {
  if (!std::in_range<T>(number)) throw Malformed{"a packed number is out of range"};
  return static_cast<T>(number);
}

/// The texts of a packed list, one an entry; left out when all are empty.
template <typename Entry>
void put_texts(json& map, const char* key, const std::vector<Entry>& entries, std::string Entry::*text) {
  json texts = json::array();
  bool any = false;
  for (const auto& entry : entries) {
    any = any || !(entry.*text).empty();
    texts.push_back(entry.*text);
  }
  if (any) map.emplace(key, std::move(texts));
}

template <typename Entry>
void take_texts(const json& map, const char* key, std::vector<Entry>& entries, std::string Entry::*text) {
  const auto found = map.find(key);
  if (found == map.end()) return;
  if (!found->is_array() || found->size() != entries.size())
    throw Malformed{"a list of texts has a wrong length"};
  for (std::size_t i = 0; i < entries.size(); ++i) entries[i].*text = (*found)[i].template get<std::string>();
}

// Parts
// ---------------------------------------------------------------------------------------------------------

json versioned() {
  return json{{"v", kVersion}};
}

std::string bytes_of(const json& map) {
  std::string bytes;
  json::to_msgpack(map, bytes);
  return bytes;
}

void put_summary(json& map, const CallSummary& call) {
  put(map, "id", call.id);
  put(map, "db", call.database);
  put(map, "se", call.session);
  put(map, "rk", call.rank);
  put(map, "ki", call.kind);
  put(map, "st", call.status);
  put(map, "me", call.method);
  put(map, "ui", call.user_id);
  put(map, "us", call.user);
  put(map, "t", call.start);
  put(map, "w", call.wall);
  put(map, "c", call.cpu);
  put(map, "cw", call.connection_wait);
  put(map, "lw", call.lock_wait);
  put(map, "co", call.commit);
  put(map, "sq", call.sql);
  put(map, "sn", call.statements);
  put(map, "mr", call.most_repeated);
  put(map, "ro", call.rows);
  put(map, "bi", call.bytes_in);
  put(map, "bo", call.bytes_out);
  if (call.attempts != CallSummary{}.attempts) map.emplace("at", call.attempts);
  put(map, "hs", call.http_status);
  put(map, "ha", call.has);
}

CallSummary take_summary(const json& map) {
  CallSummary call;
  take(map, "id", call.id);
  take(map, "db", call.database);
  take(map, "se", call.session);
  take(map, "rk", call.rank);
  take(map, "ki", call.kind);
  take(map, "st", call.status);
  take(map, "me", call.method);
  take(map, "ui", call.user_id);
  take(map, "us", call.user);
  take(map, "t", call.start);
  take(map, "w", call.wall);
  take(map, "c", call.cpu);
  take(map, "cw", call.connection_wait);
  take(map, "lw", call.lock_wait);
  take(map, "co", call.commit);
  take(map, "sq", call.sql);
  take(map, "sn", call.statements);
  take(map, "mr", call.most_repeated);
  take(map, "ro", call.rows);
  take(map, "bi", call.bytes_in);
  take(map, "bo", call.bytes_out);
  take(map, "at", call.attempts);
  take(map, "hs", call.http_status);
  take(map, "ha", call.has);
  checked(call.kind, CallKind::kStatic);
  checked(call.status, CallStatus::kKilled);
  return call;
}

void put_attempts(json& map, const std::vector<Attempt>& attempts) {
  if (attempts.empty()) return;
  Packer packer(2);
  for (const auto& attempt : attempts) packer.add({zigzag(attempt.duration.count()), attempt.statements});
  std::move(packer).finish(map, "a");
  put_texts(map, "ae", attempts, &Attempt::error);
}

void take_attempts(const json& map, std::vector<Attempt>& attempts) {
  attempts.clear();
  unpack<2>(map, "a", [&](const auto& n) {
    attempts.push_back({base::Microseconds(unzigzag(n[0])), narrow<std::uint32_t>(n[1]), {}});
  });
  take_texts(map, "ae", attempts, &Attempt::error);
}

void put_statements(json& map, const std::vector<StatementTotal>& statements) {
  if (statements.empty()) return;
  Packer packer(5);
  for (const auto& total : statements) {
    packer.add({total.fingerprint, total.count, zigzag(total.time.count()), zigzag(total.longest.count()),
                zigzag(total.rows)});
  }
  std::move(packer).finish(map, "s");
  put_texts(map, "sb", statements, &StatementTotal::backtrace);
}

void take_statements(const json& map, std::vector<StatementTotal>& statements) {
  statements.clear();
  unpack<5>(map, "s", [&](const auto& n) {
    statements.push_back({n[0],
                          narrow<std::uint32_t>(n[1]),
                          base::Microseconds(unzigzag(n[2])),
                          base::Microseconds(unzigzag(n[3])),
                          unzigzag(n[4]),
                          {}});
  });
  take_texts(map, "sb", statements, &StatementTotal::backtrace);
}

void put_events(json& map, const std::vector<StatementEvent>& events) {
  if (events.empty()) return;
  Packer packer(4);
  for (const auto& event : events) {
    packer.add({event.fingerprint, zigzag(event.offset.count()), zigzag(event.duration.count()),
                zigzag(event.rows)});
  }
  std::move(packer).finish(map, "e");
  put_texts(map, "ep", events, &StatementEvent::parameters);
}

void take_events(const json& map, std::vector<StatementEvent>& events) {
  events.clear();
  unpack<4>(map, "e", [&](const auto& n) {
    events.push_back(
        {n[0], base::Microseconds(unzigzag(n[1])), base::Microseconds(unzigzag(n[2])), unzigzag(n[3]), {}});
  });
  take_texts(map, "ep", events, &StatementEvent::parameters);
}

void put_slow(json& map, const std::vector<SlowStatement>& slow) {
  if (slow.empty()) return;
  Packer packer(4);
  for (const auto& one : slow) {
    packer.add({one.fingerprint, zigzag(one.offset.count()), zigzag(one.duration.count()), zigzag(one.rows)});
  }
  std::move(packer).finish(map, "q");
  put_texts(map, "qs", slow, &SlowStatement::sql);
  put_texts(map, "qb", slow, &SlowStatement::backtrace);
}

void take_slow(const json& map, std::vector<SlowStatement>& slow) {
  slow.clear();
  unpack<4>(map, "q", [&](const auto& n) {
    slow.push_back({n[0],
                    base::Microseconds(unzigzag(n[1])),
                    base::Microseconds(unzigzag(n[2])),
                    unzigzag(n[3]),
                    {},
                    {}});
  });
  take_texts(map, "qs", slow, &SlowStatement::sql);
  take_texts(map, "qb", slow, &SlowStatement::backtrace);
}

void put_detail(json& map, const CallRecord& record, Totals totals) {
  put(map, "er", record.error);
  put(map, "ad", record.address);
  put(map, "ho", record.host);
  put(map, "pr", record.process);
  put(map, "th", record.thread);
  put(map, "pa", record.parent);
  put(map, "ch", record.cache_hits);
  put(map, "cm", record.cache_misses);
  put(map, "cc", record.cache_clears);
  put(map, "mg", record.memory_growth);
  put(map, "dd", record.dropped_details);
  put_attempts(map, record.attempts);
  if (totals == Totals::kInside) put_statements(map, record.statements);
  put_events(map, record.events);
  put_slow(map, record.slow);
}

void take_detail(const json& map, CallRecord& record) {
  record.error.clear();
  take(map, "er", record.error);
  take(map, "ad", record.address);
  take(map, "ho", record.host);
  take(map, "pr", record.process);
  take(map, "th", record.thread);
  take(map, "pa", record.parent);
  take(map, "ch", record.cache_hits);
  take(map, "cm", record.cache_misses);
  take(map, "cc", record.cache_clears);
  take(map, "mg", record.memory_growth);
  take(map, "dd", record.dropped_details);
  take_attempts(map, record.attempts);
  take_statements(map, record.statements);
  take_events(map, record.events);
  take_slow(map, record.slow);
}

void put_profile(json& map, const Profile& profile) {
  put(map, "k", profile.kind);
  put(map, "sa", profile.samples);
  put(map, "mi", profile.missed);
  put(map, "dn", profile.dropped_nodes);
  json names = json::array();
  Packer frames(3);
  std::map<std::string, std::uint64_t, std::less<>> known;
  const auto index_of = [&](const std::string& text) {
    const auto [at, added] = known.emplace(text, known.size());
    if (added) names.push_back(text);
    return at->second;
  };
  for (const auto& frame : profile.frames)
    frames.add({index_of(frame.function), index_of(frame.file), frame.line});
  Packer nodes(5);
  for (const auto& node : profile.nodes) {
    nodes.add({node.parent, node.frame, node.calls, zigzag(node.wall.count()), zigzag(node.cpu.count())});
  }
  map.emplace("n", std::move(names));
  std::move(frames).finish(map, "f");
  std::move(nodes).finish(map, "t");
}

/// A tree that a report can walk: parents first, every frame there.
void check_tree(const Profile& profile) {
  for (std::size_t i = 1; i < profile.nodes.size(); ++i) {
    if (profile.nodes[i].parent >= i) throw Malformed{"a profile's node stands before its parent"};
    if (profile.nodes[i].frame >= profile.frames.size()) throw Malformed{"a profile's node has no frame"};
  }
}

Profile take_profile(const json& map) {
  Profile profile;
  take(map, "k", profile.kind);
  checked(profile.kind, Profile::Kind::kSampled);
  take(map, "sa", profile.samples);
  take(map, "mi", profile.missed);
  take(map, "dn", profile.dropped_nodes);
  std::vector<std::string> names;
  take(map, "n", names);
  const auto text = [&](std::uint64_t index) -> const std::string& {
    if (index >= names.size()) throw Malformed{"a profile's frame has no name"};
    return names[index];
  };
  unpack<3>(map, "f", [&](const auto& n) {
    profile.frames.push_back({text(n[0]), text(n[1]), narrow<std::uint32_t>(n[2])});
  });
  unpack<5>(map, "t", [&](const auto& n) {
    profile.nodes.push_back({narrow<std::uint32_t>(n[0]), narrow<std::uint32_t>(n[1]), n[2],
                             base::Nanoseconds(unzigzag(n[3])), base::Nanoseconds(unzigzag(n[4]))});
  });
  check_tree(profile);
  return profile;
}

void put_body(json& map, const Body& body) {
  put(map, "b", body.text);
  put(map, "z", body.size);
  put(map, "c", std::uint8_t{body.cut});
}

Body take_body(const json& map) {
  Body body;
  take(map, "b", body.text);
  take(map, "z", body.size);
  std::uint8_t cut = 0;
  take(map, "c", cut);
  body.cut = cut != 0;
  return body;
}

/// The optional parts of a whole record stand in it as maps of their own.
template <typename T, typename Put>
void put_part(json& map, const char* key, const std::optional<T>& part, Put put_fields) {
  if (!part) return;
  json child = json::object();
  put_fields(child, *part);
  map.emplace(key, std::move(child));
}

template <typename T, typename Take>
void take_part(const json& map, const char* key, std::optional<T>& part, Take take_fields) {
  const auto found = map.find(key);
  if (found == map.end()) return;
  if (!found->is_object()) throw Malformed{"a part of a record is no map"};
  part = take_fields(*found);
}

}  // namespace

std::string encode(const CallSummary& summary) {
  json map = versioned();
  put_summary(map, summary);
  return bytes_of(map);
}

std::string encode_detail(const CallRecord& record, Totals totals) {
  json map = versioned();
  put_detail(map, record, totals);
  return bytes_of(map);
}

std::string encode(const Profile& profile) {
  json map = versioned();
  put_profile(map, profile);
  return bytes_of(map);
}

std::string encode(const Body& body) {
  json map = versioned();
  put_body(map, body);
  return bytes_of(map);
}

std::string encode(const CallRecord& record) {
  json map = versioned();
  put_summary(map, record.summary);
  put_detail(map, record, Totals::kInside);
  put_part(map, "xp", record.exact_profile, put_profile);
  put_part(map, "sp", record.sampled_profile, put_profile);
  put_part(map, "rq", record.request, put_body);
  put_part(map, "rs", record.response, put_body);
  return bytes_of(map);
}

std::string encode(const StatementInfo& statement) {
  json map = versioned();
  put(map, "f", statement.fingerprint);
  map.emplace("k", static_cast<unsigned>(statement.kind));  // its default is not zero
  put(map, "t", statement.tables);
  put(map, "n", statement.normalized);
  return bytes_of(map);
}

std::string encode(const MethodCount& count) {
  json map = versioned();
  put(map, "db", count.database);
  put(map, "me", count.method);
  put(map, "ki", count.kind);
  put(map, "h", count.hour);
  put(map, "n", count.count);
  put(map, "e", count.errors);
  put(map, "t", count.time);
  put(map, "sq", count.sql);
  put(map, "sn", count.statements);
  put(map, "hi", count.histogram.encode());
  return bytes_of(map);
}

std::string encode(const ProcessInfo& process) {
  json map = versioned();
  put(map, "ho", process.host);
  put(map, "p", process.process);
  put(map, "ro", process.role);
  put(map, "ve", process.version);
  put(map, "t", process.started);
  put(map, "se", process.seen);
  put(map, "c", process.calls);
  put(map, "r", process.records);
  put(map, "d", process.dropped_records);
  put(map, "e", process.errors);
  put(map, "le", process.last_error);
  put(map, "rv", process.rules_version);
  std::vector<std::string> rules;
  for (const auto& rule : process.rules) rules.push_back(to_json(rule));
  put(map, "ru", rules);
  return bytes_of(map);
}

Result<CallSummary> decode_summary(std::string_view bytes) {
  return decoded<CallSummary>(bytes, "summary of a call", take_summary);
}

Result<void> decode_detail(std::string_view bytes, CallRecord& record) {
  auto detail = decoded<CallRecord>(bytes, "detail of a call", [](const json& map) {
    CallRecord read;
    take_detail(map, read);
    return read;
  });
  if (!detail) return fail(std::move(detail).error());
  detail->summary = std::move(record.summary);
  detail->exact_profile = std::move(record.exact_profile);
  detail->sampled_profile = std::move(record.sampled_profile);
  detail->request = std::move(record.request);
  detail->response = std::move(record.response);
  record = *std::move(detail);
  return {};
}

Result<Profile> decode_profile(std::string_view bytes) {
  return decoded<Profile>(bytes, "profile", take_profile);
}

Result<Body> decode_body(std::string_view bytes) {
  return decoded<Body>(bytes, "body", take_body);
}

Result<CallRecord> decode(std::string_view bytes) {
  return decoded<CallRecord>(bytes, "record of a call", [](const json& map) {
    CallRecord record;
    record.summary = take_summary(map);
    take_detail(map, record);
    take_part(map, "xp", record.exact_profile, take_profile);
    take_part(map, "sp", record.sampled_profile, take_profile);
    take_part(map, "rq", record.request, take_body);
    take_part(map, "rs", record.response, take_body);
    return record;
  });
}

Result<StatementInfo> decode_statement(std::string_view bytes) {
  return decoded<StatementInfo>(bytes, "statement", [](const json& map) {
    StatementInfo statement;
    statement.kind = {};  // what is left out is zero, and that is no default of this one
    take(map, "f", statement.fingerprint);
    take(map, "k", statement.kind);
    take(map, "t", statement.tables);
    take(map, "n", statement.normalized);
    checked(statement.kind, sql::StatementKind::kOther);
    return statement;
  });
}

Result<MethodCount> decode_count(std::string_view bytes) {
  return decoded<MethodCount>(bytes, "count of a method", [](const json& map) {
    MethodCount count;
    std::string histogram;
    take(map, "db", count.database);
    take(map, "me", count.method);
    take(map, "ki", count.kind);
    take(map, "h", count.hour);
    take(map, "n", count.count);
    take(map, "e", count.errors);
    take(map, "t", count.time);
    take(map, "sq", count.sql);
    take(map, "sn", count.statements);
    take(map, "hi", histogram);
    checked(count.kind, CallKind::kStatic);
    auto read = base::Histogram::decode(histogram);
    if (!read) throw Malformed{read.error().message()};
    count.histogram = *std::move(read);
    return count;
  });
}

Result<ProcessInfo> decode_process(std::string_view bytes) {
  return decoded<ProcessInfo>(bytes, "process", [](const json& map) {
    ProcessInfo process;
    take(map, "ho", process.host);
    take(map, "p", process.process);
    take(map, "ro", process.role);
    take(map, "ve", process.version);
    take(map, "t", process.started);
    take(map, "se", process.seen);
    take(map, "c", process.calls);
    take(map, "r", process.records);
    take(map, "d", process.dropped_records);
    take(map, "e", process.errors);
    take(map, "le", process.last_error);
    take(map, "rv", process.rules_version);
    std::vector<std::string> rules;
    take(map, "ru", rules);
    for (const auto& text : rules) {
      auto rule = rule_from_json(text);
      if (!rule) throw Malformed{rule.error().message()};
      process.rules.push_back(*std::move(rule));
    }
    return process;
  });
}

}  // namespace headroom::perf
