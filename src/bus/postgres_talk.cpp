#include "bus/postgres_talk.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace headroom::bus {

namespace {

using sql::PostgresRows;

constexpr std::string_view kBegin = "0";  // no transaction was seen
constexpr std::size_t kMostPayload = 7'900;
constexpr std::uint32_t kMostParts = 10'000;
constexpr std::size_t kMostAsks = 2'000;  // a few for each node that there may be
constexpr std::array<std::string_view, kCrowds> kCrowdNames{"users", "members"};

std::string_view name(Crowd crowd) {
  return kCrowdNames.at(index_of(crowd));
}

std::optional<Crowd> crowd_of(std::string_view name) {
  if (name == kCrowdNames[0]) return Crowd::kUsers;
  if (name == kCrowdNames[1]) return Crowd::kMembers;
  return std::nullopt;
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

template <typename Number>
bool read_number(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

/// "word", crowd, node, number, "all" or "changes", part, parts, and the users.
std::optional<SaidPart> parse_word(std::string_view rest) {
  SaidPart said;
  said.kind = SaidPart::Kind::kWord;
  const auto crowd = crowd_of(take_line(rest));
  said.node = take_line(rest);
  const bool is_numbered = read_number(take_line(rest), said.number);
  const std::string_view extent = take_line(rest);
  const bool is_counted = read_number(take_line(rest), said.part) && read_number(take_line(rest), said.parts);
  if (!crowd || said.node.empty() || !is_numbered || !is_counted) return std::nullopt;
  if (extent != "all" && extent != "changes") return std::nullopt;
  if (said.part == 0 || said.part > said.parts || said.parts > kMostParts) return std::nullopt;
  said.crowd = *crowd;
  said.whole = extent == "all";
  said.users = rest;
  return said;
}

/// Whole lines of at most `most` bytes; one at least, which may be empty.
std::vector<std::string_view> pieces_of(std::string_view text, std::size_t most) {
  std::vector<std::string_view> pieces;
  while (text.size() > most) {
    const std::size_t end = text.rfind('\n', most - 1) + 1;  // no line is as long
    pieces.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  pieces.push_back(text);
  return pieces;
}

}  // namespace

std::optional<SaidPart> parse_said(std::string_view payload) {
  const std::string_view kind = take_line(payload);
  if (kind == "word") return parse_word(payload);
  SaidPart said;
  if (kind == "revoked") return said;
  if (kind == "left") {
    said.kind = SaidPart::Kind::kLeft;
    said.node = take_line(payload);
    if (!said.node.empty()) return said;
  }
  if (kind == "ask") {
    said.kind = SaidPart::Kind::kAsk;
    const auto crowd = crowd_of(take_line(payload));
    said.node = take_line(payload);
    said.asked = take_line(payload);
    said.crowd = crowd.value_or(Crowd::kUsers);
    if (crowd && !said.node.empty()) return said;
  }
  return std::nullopt;
}

std::vector<std::string> said_parts(Crowd crowd, std::string_view node, const PresenceWord& word) {
  constexpr std::size_t kMostHead = 256;
  const std::string text = presence_text(word.states);
  const std::vector<std::string_view> pieces = pieces_of(text, kMostPayload - kMostHead);
  std::vector<std::string> parts;
  for (const std::string_view piece : pieces) {
    parts.push_back(fmt::format("word\n{}\n{}\n{}\n{}\n{}\n{}\n{}", name(crowd), node, word.number,
                                word.whole ? "all" : "changes", parts.size() + 1, pieces.size(), piece));
  }
  return parts;
}

// What is said
// ---------------------------------------------------------------------------------------------------------

void Talk::say(Crowd crowd, const PresenceWord& word) {
  if (!words_.at(index_of(crowd)).add(word)) name_all(crowd);
}

void Talk::name_all(Crowd crowd) {
  if (words_.at(index_of(crowd)).start_anew()) news_.name_all.at(index_of(crowd)) = true;
}

void Talk::ask(Crowd crowd, std::string_view node) {
  // What finds no room is asked again.
  if (asks_.size() < kMostAsks) asks_.push_back(fmt::format("ask\n{}\n{}\n{}", name(crowd), node_, node));
}

std::optional<Question> Talk::next(PostgresTime now) {
  if (asked_ != Asked::kNothing || now < retry_at_) return std::nullopt;
  if (!hears_) {
    asked_ = Asked::kHear;
    return Question{"SELECT headroom.hear_nodes()", {}};
  }
  if (auto question = next_told()) return question;
  if (const auto revocation = revocations_.next()) {
    asked_ = Asked::kRevoke;
    revoking_ = revocation;
    return Question{
        "SELECT headroom.revoke($1, $2)",
        {array_literal({revocation->key}), array_literal({std::to_string(revocation->before_unix_s)})}};
  }
  if (now >= look_at_) return look();
  return std::nullopt;
}

std::optional<Question> Talk::next_told() {
  if (has_said_left_) return std::nullopt;
  if (leaving_) {
    asked_ = Asked::kLeave;
    return tell({fmt::format("left\n{}", node_)});
  }
  std::vector<std::string> parts(asks_.begin(), asks_.end());
  asks_.clear();
  for (const Crowd crowd : {Crowd::kUsers, Crowd::kMembers}) {
    for (const PresenceWord& word : words_.at(index_of(crowd)).take()) {
      under_way_.at(index_of(crowd)) += word.states.size();
      for (std::string& part : said_parts(crowd, node_, word)) parts.push_back(std::move(part));
    }
  }
  if (parts.empty()) return std::nullopt;
  asked_ = Asked::kTell;
  return tell(parts);
}

Question Talk::tell(const std::vector<std::string>& parts) {
  return {"SELECT headroom.tell_nodes($1)", {array_literal(parts)}};
}

Question Talk::look() {
  asked_ = Asked::kLook;
  return {"SELECT * FROM headroom.revocations($1)", {since_}};
}

// What is answered
// ---------------------------------------------------------------------------------------------------------

void Talk::answered(PostgresTime now, const Result<PostgresRows>& rows) {
  const Asked asked = std::exchange(asked_, Asked::kNothing);
  if (!rows) {
    retry_at_ = now + kRetryAfter;
    problem_ = rows.error().message();
    has_said_left_ = has_said_left_ || asked == Asked::kLeave;
    if (asked == Asked::kTell) missed();
    return;
  }
  problem_.clear();
  if (asked == Asked::kHear) begin(now);
  if (asked == Asked::kTell) told();
  if (asked == Asked::kLeave) has_said_left_ = true;
  if (asked == Asked::kLook) looked(now, *rows);
  if (asked == Asked::kRevoke && revoking_) {
    revocations_.heard(*revoking_);
    ++revocation_counts_.announced;
  }
}

/// Others may have come, said something or gone meanwhile, and do not know what was said here.
void Talk::begin(PostgresTime now) {
  hears_ = true;
  look_at_ = now;
  since_ = std::string(kBegin);
  revocations_.start_anew();
  for (const Crowd crowd : {Crowd::kUsers, Crowd::kMembers}) {
    name_all(crowd);
    ask(crowd, "");
  }
}

/// Nobody heard what was to be told.
void Talk::missed() {
  under_way_ = {};
  for (const Crowd crowd : {Crowd::kUsers, Crowd::kMembers}) name_all(crowd);
}

void Talk::told() {
  for (std::size_t i = 0; i < kCrowds; ++i) counts_.at(i).announced += std::exchange(under_way_.at(i), 0);
}

/// A row says how far it was read, all others what is revoked.
void Talk::looked(PostgresTime now, const PostgresRows& rows) {
  constexpr std::size_t kColumns = 3;
  look_at_ = now + kLookEvery;
  for (const auto& row : rows) {
    if (row.size() != kColumns) continue;
    if (row[0]) since_ = *row[0];
    Revocation one{row[1].value_or(""), 0};
    if (!row[2] || !is_revocation_key(one.key) || !read_number(*row[2], one.before_unix_s)) continue;
    revocations_.heard(one);
    ++revocation_counts_.heard;
    news_.revoked.push_back(std::move(one));
  }
  news_.tell_revoked = revocations_.takes_all() || news_.tell_revoked;
}

// What is heard
// ---------------------------------------------------------------------------------------------------------

void Talk::heard(PostgresTime now, std::string_view payload) {
  const auto said = parse_said(payload);
  if (!said || !hears_) return;
  if (said->kind == SaidPart::Kind::kRevoked) look_at_ = now;
  if (said->node == node_) return;
  if (said->kind == SaidPart::Kind::kAsk && (said->asked.empty() || said->asked == node_))
    name_all(said->crowd);
  if (said->kind == SaidPart::Kind::kLeft && news_.words.size() < kMostUntaken)
    news_.words.push_back({Crowd::kUsers, std::string(said->node), true, {}});
  if (said->kind == SaidPart::Kind::kWord) take_part(*said);
}

void Talk::take_part(const SaidPart& said) {
  TalkNews::Word& word = assembly_.word;
  if (said.part == 1) {
    word = {said.crowd, std::string(said.node), false, {said.number, said.whole, {}}};
    assembly_.next_part = 1;
  }
  // The end of one whose beginning was not heard.
  if (said.part != assembly_.next_part || word.node != said.node || word.word.number != said.number) return;
  for (NodePresence& user : read_presence_text(said.users)) word.word.states.push_back(std::move(user));
  if (said.part < said.parts) {
    ++assembly_.next_part;
    return;
  }
  assembly_.next_part = 0;
  if (news_.words.size() >= kMostUntaken) return;
  counts_.at(index_of(word.crowd)).heard += word.word.states.size();
  news_.words.push_back(std::exchange(word, {}));
}

void Talk::lost() {
  if (hears_) {
    for (ExchangeCounts& counts : counts_) ++counts.losses;
  }
  hears_ = false;
  asked_ = Asked::kNothing;
  under_way_ = {};
  asks_.clear();
  assembly_ = {};
}

bool Talk::has_something() const {
  if (!revocations_.empty()) return true;
  if (leaving_) return !has_said_left_;
  return !words_[0].empty() || !words_[1].empty() || !asks_.empty();
}

PostgresTime Talk::wake_at() const {
  if (!hears_ || has_something()) return retry_at_;
  return std::max(retry_at_, look_at_);
}

TalkNews Talk::take_news() {
  return std::exchange(news_, {});
}

}  // namespace headroom::bus
