#pragma once

// Documents, lists and users of a made-up company, the same for the same sizes: 200 types, 12 states, 1,000
// owners, 5,000 security uids of which few are common (Zipf's law, 0.9); lists of 1 to 4 types and 1 to 3
// states; users with a hundred uids, every other with common ones (who sees about 28 % of the documents), the
// rest drawn evenly (about 3 %).

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "worklist/live_counters.hpp"

namespace headroom::bench {

struct Document {
  std::uint32_t type = 0;
  std::uint32_t state = 0;
  std::uint32_t owner = 0;
  std::uint32_t uid = 0;
};

struct List {
  std::vector<std::uint32_t> types;
  std::vector<std::uint32_t> states;
};

struct Person {
  std::uint32_t id = 0;  ///< an owner
  std::vector<std::uint32_t> uids;
};

struct Sizes {
  std::uint64_t documents = 10'000'000;
  std::size_t lists = 1'000;
  std::size_t users = 1'000;
  std::size_t uids_of_a_user = 100;
};

/// How keys of documents look.
enum class Keys : std::uint8_t { kDense, kSparse, kText };

class World final {
 public:
  static constexpr std::uint32_t kTypes = 200;
  static constexpr std::uint32_t kStates = 12;
  static constexpr std::uint32_t kOwners = 1'000;
  static constexpr std::uint32_t kUids = 5'000;

  explicit World(Sizes sizes);

  /// The same for the same number, in any order. Cost: about 20 ns.
  [[nodiscard]] Document document(std::uint64_t number) const;
  [[nodiscard]] const Sizes& sizes() const { return sizes_; }
  [[nodiscard]] const std::vector<List>& lists() const { return lists_; }
  [[nodiscard]] const std::vector<Person>& people() const { return people_; }
  /// Another list, for a definition that comes.
  [[nodiscard]] List make_list();

  [[nodiscard]] static std::string type(std::uint32_t number);
  [[nodiscard]] static std::string state(std::uint32_t number);

  /// The uids of this user were drawn by the law of the documents' uids, not evenly.
  [[nodiscard]] static bool has_common_uids(std::size_t user) { return user % 2 == 0; }

  // As Headroom knows them
  [[nodiscard]] static worklist::Catalog catalog(Keys keys);
  [[nodiscard]] static worklist::Value key(Keys keys, std::uint64_t number);
  [[nodiscard]] static std::vector<worklist::Value> row(const worklist::Value& key, const Document& document);
  [[nodiscard]] static worklist::CountedList counted(const List& list);
  [[nodiscard]] static worklist::User user(const Person& person);
  /// worklists.yaml
  [[nodiscard]] std::string yaml() const;

 private:
  [[nodiscard]] std::uint32_t skewed(double uniform) const;
  std::vector<std::uint32_t> some_of(std::uint32_t all, std::size_t most);

  Sizes sizes_;
  std::mt19937_64 engine_{20261130};
  std::vector<List> lists_;
  std::vector<Person> people_;
};

}  // namespace headroom::bench
