#include "worklist/classes.hpp"

#include <algorithm>
#include <map>

namespace headroom::worklist {

namespace {

/// Values that behave alike, of one column.
struct Part {
  enum class Kind : std::uint8_t { kNull, kCut, kGap, kPrefix, kOther };
  Kind kind = Kind::kNull;
  std::size_t index = 0;  ///< of the cut, of the cut above the gap, or of the prefix
};

bool is_gap_accepted(const Test& test, std::size_t gap, const std::vector<Value>& cuts) {
  const auto at = [&] {
    const auto found = std::lower_bound(cuts.begin(), cuts.end(), test.values.front());
    return static_cast<std::size_t>(found - cuts.begin());
  };
  switch (test.operation) {
    case Operator::kFrom:
    case Operator::kAbove:
      return gap > at();
    case Operator::kTo:
    case Operator::kBelow:
      return gap <= at();
    case Operator::kNotIn:
    case Operator::kNotNull:
      return true;
    case Operator::kIn:
    case Operator::kNull:
    case Operator::kPrefix:
      return false;
  }
  return false;
}

/// Of values that no test names; `prefix` is the longest that they have of those that are named.
bool is_unnamed_accepted(const Test& test, const std::string* prefix) {
  if (test.operation == Operator::kPrefix)
    return prefix != nullptr && prefix->starts_with(std::get<std::string>(test.values.front()));
  return test.operation == Operator::kNotIn || test.operation == Operator::kNotNull;
}

bool is_accepted(const Test& test, const Part& part, const ValueClasses& classes) {
  switch (part.kind) {
    case Part::Kind::kNull:
      return holds(test, Value{}) == Truth::kTrue;
    case Part::Kind::kCut:
      return holds(test, classes.cuts[part.index]) == Truth::kTrue;
    case Part::Kind::kGap:
      return is_gap_accepted(test, part.index, classes.cuts);
    case Part::Kind::kPrefix:
      return is_unnamed_accepted(test, &classes.prefixes[part.index]);
    case Part::Kind::kOther:
      return is_unnamed_accepted(test, nullptr);
  }
  return false;
}

bool is_accepted(const ColumnTest& test, const Part& part, const ValueClasses& classes) {
  if (test.or_null && part.kind == Part::Kind::kNull) return true;
  return std::all_of(test.tests.begin(), test.tests.end(),
                     [&](const Test& one) { return is_accepted(one, part, classes); });
}

/// No value lies between two neighbours.
bool is_empty_gap(const Part& part, const ValueClasses& classes) {
  if (part.kind != Part::Kind::kGap || classes.type == Type::kNumber) return false;
  const bool inside = part.index > 0 && part.index < classes.cuts.size();
  if (!inside) return false;
  return std::get<std::int64_t>(classes.cuts[part.index - 1]) + 1 ==
         std::get<std::int64_t>(classes.cuts[part.index]);
}

template <typename Item>
void sort_and_unite(std::vector<Item>& items) {
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
}

void name_values(std::span<const ColumnTest> tests, ValueClasses& classes) {
  for (const ColumnTest& test : tests) {
    for (const Test& one : test.tests) {
      for (const Value& value : one.values) {
        if (one.operation == Operator::kPrefix) {
          classes.prefixes.push_back(std::get<std::string>(value));
        } else {
          classes.cuts.push_back(value);
        }
      }
    }
  }
  if (classes.type == Type::kBoolean) classes.cuts = {false, true};
  sort_and_unite(classes.cuts);
  sort_and_unite(classes.prefixes);
  // Backwards, a prefix stands behind all that begin with it.
  std::reverse(classes.prefixes.begin(), classes.prefixes.end());
}

std::vector<Part> parts_of(const ValueClasses& classes) {
  std::vector<Part> parts{{Part::Kind::kNull, 0}};
  const bool ordered = is_ordered(classes.type);
  for (std::size_t i = 0; i < classes.cuts.size(); ++i) {
    if (ordered) parts.push_back({Part::Kind::kGap, i});
    parts.push_back({Part::Kind::kCut, i});
  }
  if (ordered) parts.push_back({Part::Kind::kGap, classes.cuts.size()});
  for (std::size_t i = 0; i < classes.prefixes.size(); ++i) parts.push_back({Part::Kind::kPrefix, i});
  if (classes.type == Type::kText) parts.push_back({Part::Kind::kOther, 0});
  return parts;
}

std::size_t part_of(const ValueClasses& classes, const Value& value) {
  if (is_null(value)) return 0;
  const auto found = std::lower_bound(classes.cuts.begin(), classes.cuts.end(), value);
  const auto index = static_cast<std::size_t>(found - classes.cuts.begin());
  const bool named = found != classes.cuts.end() && *found == value;
  if (is_ordered(classes.type)) return 1 + 2 * index + (named ? 1 : 0);
  if (named || classes.type == Type::kBoolean) return 1 + index;
  const auto& text = std::get<std::string>(value);
  const auto prefix = std::find_if(classes.prefixes.begin(), classes.prefixes.end(),
                                   [&text](const std::string& one) { return text.starts_with(one); });
  return 1 + classes.cuts.size() + static_cast<std::size_t>(prefix - classes.prefixes.begin());
}

/// One of a few values: what most tests are, and what need not be asked of each part.
bool is_plain(const ColumnTest& test) {
  return test.tests.size() == 1 && test.tests.front().operation == Operator::kIn;
}

/// By part: the tests that accept it, ascending.
std::vector<std::vector<std::uint32_t>> accepting_tests(const ValueClasses& classes,
                                                        std::span<const ColumnTest> tests) {
  const std::vector<Part> parts = parts_of(classes);
  std::vector<std::vector<std::uint32_t>> accepting(parts.size());
  for (std::uint32_t test = 0; test < tests.size(); ++test) {
    if (is_plain(tests[test])) {
      if (tests[test].or_null) accepting.front().push_back(test);
      for (const Value& value : tests[test].tests.front().values)
        accepting[part_of(classes, value)].push_back(test);
      continue;
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (!is_empty_gap(parts[i], classes) && is_accepted(tests[test], parts[i], classes))
        accepting[i].push_back(test);
    }
  }
  return accepting;
}

}  // namespace

ValueClasses classify(Type type, std::span<const ColumnTest> tests) {
  ValueClasses classes;
  classes.type = type;
  name_values(tests, classes);
  classes.accepted.resize(tests.size());
  const auto accepting = accepting_tests(classes, tests);
  std::map<std::vector<std::uint32_t>, ClassId> known;
  for (const auto& of_part : accepting) {
    const auto [found, added] = known.emplace(of_part, static_cast<ClassId>(known.size()));
    classes.class_of_part.push_back(found->second);
    for (std::size_t i = 0; added && i < of_part.size(); ++i)
      classes.accepted[of_part[i]].push_back(found->second);
  }
  classes.classes = known.size();
  return classes;
}

ClassId class_of(const ValueClasses& classes, const Value& value) {
  return classes.class_of_part[part_of(classes, value)];
}

bool is_possible(Type type, const ColumnTest& test) {
  return !classify(type, {&test, 1}).accepted.front().empty();
}

}  // namespace headroom::worklist
