#include "bench/worklist/world.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

namespace headroom::bench {

using worklist::Catalog;
using worklist::ColumnTest;
using worklist::CountedList;
using worklist::Operator;
using worklist::Type;
using worklist::User;
using worklist::Value;
using worklist::Variety;

namespace {

/// Splitmix64: a number of its own for each place of a sequence.
std::uint64_t scattered(std::uint64_t place) {
  std::uint64_t bits = place * 0x9e3779b97f4a7c15 + 0x2545f4914f6cdd1d;
  bits = (bits ^ (bits >> 30U)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27U)) * 0x94d049bb133111eb;
  return bits ^ (bits >> 31U);
}

double unit(std::uint64_t bits) {
  return static_cast<double>(bits >> 11U) * 0x1p-53;
}

ColumnTest one_of(std::size_t column, const std::vector<std::uint32_t>& numbers,
                  std::string (*text)(std::uint32_t)) {
  worklist::Test test{Operator::kIn, {}};
  for (const std::uint32_t number : numbers) test.values.emplace_back(text(number));
  std::sort(test.values.begin(), test.values.end());
  return {column, {test}, false};
}

std::string joined(const std::vector<std::uint32_t>& numbers, std::string (*text)(std::uint32_t)) {
  std::vector<std::string> texts;
  for (const std::uint32_t number : numbers) texts.push_back(text(number));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

}  // namespace

World::World(Sizes sizes) : sizes_(sizes) {
  for (std::size_t i = 0; i < sizes.lists; ++i) lists_.push_back(make_list());
  for (std::size_t i = 0; i < sizes.users; ++i) {
    Person person{static_cast<std::uint32_t>(engine_() % kOwners), {}};
    std::set<std::uint32_t> uids;
    while (uids.size() < sizes.uids_of_a_user) {
      const double uniform = unit(engine_());
      uids.insert(has_common_uids(i) ? skewed(uniform) : static_cast<std::uint32_t>(uniform * kUids));
    }
    person.uids.assign(uids.begin(), uids.end());
    people_.push_back(std::move(person));
  }
}

/// Zipf's law with 0.9, by its continuous inverse.
std::uint32_t World::skewed(double uniform) const {
  static const double power = std::pow(static_cast<double>(kUids), 0.1);
  return std::min(kUids - 1, static_cast<std::uint32_t>(std::pow(1 + uniform * (power - 1), 10)) - 1);
}

std::vector<std::uint32_t> World::some_of(std::uint32_t all, std::size_t most) {
  std::set<std::uint32_t> some;
  const std::size_t wanted = 1 + engine_() % most;
  while (some.size() < wanted) some.insert(static_cast<std::uint32_t>(engine_() % all));
  return {some.begin(), some.end()};
}

List World::make_list() {
  List list;
  list.types = some_of(kTypes, 4);
  list.states = some_of(kStates, 3);
  return list;
}

Document World::document(std::uint64_t number) const {
  const std::uint64_t first = scattered(2 * number);
  Document made;
  made.type = static_cast<std::uint32_t>((first & 0xffffU) * kTypes >> 16U);
  made.state = static_cast<std::uint32_t>((first >> 16U & 0xffffU) * kStates >> 16U);
  made.owner = static_cast<std::uint32_t>((first >> 32U & 0xffffU) * kOwners >> 16U);
  made.uid = skewed(unit(scattered(2 * number + 1)));
  return made;
}

std::string World::type(std::uint32_t number) {
  return fmt::format("type_{:03}", number);
}

std::string World::state(std::uint32_t number) {
  return fmt::format("state_{:02}", number);
}

Catalog World::catalog(Keys keys) {
  Catalog made;
  made.name = "document";
  made.table = "document";
  made.columns = {{"id", "id", keys == Keys::kText ? Type::kText : Type::kInteger, Variety::kMany, {}},
                  {"type", "type", Type::kText, Variety::kFew, {}},
                  {"state", "state", Type::kText, Variety::kFew, {}},
                  {"owner", "owner", Type::kInteger, Variety::kFew, {}},
                  {"security_uid", "security_uid", Type::kInteger, Variety::kFew, {}}};
  made.security = {{3, "Owner", ""}, {4, "", ""}};
  return made;
}

Value World::key(Keys keys, std::uint64_t number) {
  if (keys == Keys::kDense) return static_cast<std::int64_t>(number + 1);
  if (keys == Keys::kSparse) return static_cast<std::int64_t>(scattered(number) >> 1U);
  return fmt::format("DOC/{:010}", number);
}

std::vector<Value> World::row(const Value& key, const Document& document) {
  return {key, type(document.type), state(document.state), std::int64_t{document.owner},
          std::int64_t{document.uid}};
}

CountedList World::counted(const List& list) {
  return {{one_of(1, list.types, type), one_of(2, list.states, state)}, {}};
}

User World::user(const Person& person) {
  User made;
  made.id = std::to_string(person.id);
  for (const std::uint32_t uid : person.uids) made.security_uids.insert({std::int64_t{uid}, "", ""});
  return made;
}

std::string World::yaml() const {
  std::string text =
      "catalogs:\n  document:\n    table: document\n    columns:\n      id: integer\n      type: text\n"
      "      state: text\n      owner: integer\n      security_uid: integer\n    security:\n"
      "      - {column: owner, role: Owner}\n      - {column: security_uid}\nlists:\n";
  for (std::size_t i = 0; i < lists_.size(); ++i) {
    text += fmt::format(
        "  - {{id: list_{:05}, workflow: bench, title: List, catalog: document, "
        "criteria: {{type: {}, state: {}}}}}\n",
        i, joined(lists_[i].types, type), joined(lists_[i].states, state));
  }
  return text;
}

}  // namespace headroom::bench
