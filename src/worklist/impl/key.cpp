#include "worklist/impl/key.hpp"

namespace headroom::worklist::impl {

Key key_of(std::size_t column, const Column& meant, std::span<const ColumnTest* const> tests) {
  Key key;
  key.column = column;
  std::vector<ColumnTest> different;
  for (const ColumnTest* test : tests) {
    if (key.tests.emplace(*test, different.size()).second) different.push_back(*test);
  }
  key.classes = classify(meant.type, different);
  key.as_it_is = meant.type == Type::kText && meant.variety == Variety::kFew && key.classes.prefixes.empty();
  return key;
}

}  // namespace headroom::worklist::impl
