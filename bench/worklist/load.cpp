// What bin/bench worklist counts, and the counters in memory that it measures:
//
//   worklist_load documents                    as text for COPY: id, type, state, owner, security_uid
//   worklist_load lists                        lists, users and the counts of the sample, JSON
//   worklist_load live dense|sparse|text       figures of the counters in memory, JSON
//   worklist_load sql URL WAY                  counts of the sample by Headroom's statements, JSON
//
// Options of all: --documents N --lists N --users N --uids N --sample N --threads N --rounds N.

#include <charconv>
#include <cstdio>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "bench/worklist/measure.hpp"
#include "bench/worklist/world.hpp"

namespace headroom::bench {
namespace {

using nlohmann::json;

struct Options {
  std::vector<std::string> words;
  std::map<std::string, std::uint64_t> numbers{{"--documents", 10'000'000},
                                               {"--lists", 1'000},
                                               {"--users", 1'000},
                                               {"--uids", 100},
                                               {"--sample", 2},
                                               {"--threads", 2},
                                               {"--rounds", 3}};
};

Options read_options(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string word = arguments[i];
    const auto number = options.numbers.find(word);
    if (number == options.numbers.end()) {
      options.words.push_back(word);
      continue;
    }
    const std::string_view text = ++i < count ? arguments[i] : "";
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number->second);
    if (error != std::errc{} || end != text.data() + text.size())
      throw std::invalid_argument(word + ": expected a whole number");
  }
  return options;
}

void write_documents(const World& world) {
  std::string text;
  for (std::uint64_t i = 0; i < world.sizes().documents; ++i) {
    const Document one = world.document(i);
    fmt::format_to(std::back_inserter(text), "{}\t{}\t{}\t{}\t{}\n", i + 1, World::type(one.type),
                   World::state(one.state), one.owner, one.uid);
    if (text.size() < 1'000'000 && i + 1 < world.sizes().documents) continue;
    std::cout.write(text.data(), static_cast<std::streamsize>(text.size()));
    text.clear();
  }
}

std::vector<std::string> texts(const std::vector<std::uint32_t>& numbers,
                               std::string (*text)(std::uint32_t)) {
  std::vector<std::string> found;
  for (const std::uint32_t number : numbers) found.push_back(text(number));
  return found;
}

std::string lists_of(const World& world, std::size_t sample) {
  json told{{"lists", json::array()}, {"users", json::array()}, {"counts", add_up(world, sample)}};
  for (const List& list : world.lists())
    told["lists"].push_back(
        {{"type", texts(list.types, World::type)}, {"state", texts(list.states, World::state)}});
  for (const Person& person : world.people())
    told["users"].push_back({{"id", person.id}, {"uids", person.uids}});
  return told.dump();
}

Keys read_keys(const std::string& word) {
  if (word == "dense") return Keys::kDense;
  if (word == "sparse") return Keys::kSparse;
  if (word == "text") return Keys::kText;
  throw std::invalid_argument("expected live dense, live sparse or live text");
}

void run(const Options& options) {
  const auto number = [&options](const char* name) { return options.numbers.at(name); };
  World world({number("--documents"), number("--lists"), number("--users"), number("--uids")});
  const auto is = [&options](std::string_view name, std::size_t words) {
    return options.words.size() == words && options.words.front() == name;
  };
  if (is("documents", 1)) return write_documents(world);
  if (is("lists", 1)) {
    std::cout << lists_of(world, number("--sample"));
  } else if (is("live", 2)) {
    std::cout << measure_live(world, read_keys(options.words[1]), static_cast<unsigned>(number("--threads")),
                              number("--sample"));
  } else if (is("sql", 3)) {
    std::cout << measure_sql(world, options.words[1], options.words[2], number("--sample"),
                             number("--rounds"));
  } else {
    throw std::invalid_argument("expected documents, lists, live KEYS or sql URL WAY");
  }
}

}  // namespace
}  // namespace headroom::bench

int main(int count, char** arguments) {
  try {
    headroom::bench::run(headroom::bench::read_options(count, arguments));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "worklist_load: " << error.what() << '\n';
    return 2;
  }
}
