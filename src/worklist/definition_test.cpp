#include "worklist/definition.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "worklist/action.hpp"
#include "worklist/template_text.hpp"

namespace headroom::worklist {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

const base::UtcTime kNow = base::parse_time("2026-11-30 12:00", {}).value();

Result<Definitions> read(const std::string& text) {
  return read_definitions(text, "w.yaml", kNow);
}

std::string error_of(const std::string& text) {
  const auto definitions = read(text);
  return definitions ? "no error" : definitions.error().message();
}

constexpr std::string_view kCatalog = R"(catalogs:
  sale:
    table: sale_sale
    columns: {id: integer, state: text, amount: {type: number, column: total}, due: date, open: boolean, owner: integer, uid: integer}
    security: [{column: owner, role: Owner}, {column: uid}]
)";

/// A list with these criteria, in lines 6 to 13.
std::string with_criteria(const std::string& criteria, const std::string& more = "") {
  return fmt::format(
      "{}lists:\n  - id: one\n    workflow: sale\n    title: One (%(count)s)\n    catalog: sale\n{}    "
      "criteria:\n"
      "      {}\n",
      kCatalog, more, criteria);
}

std::string read_file(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

TEST(Definitions, AreReadFromTheExample) {
  const auto definitions = read(read_file("../../examples/worklist/worklists.yaml"));
  ASSERT_TRUE(definitions) << definitions.error().message();
  EXPECT_THAT(definitions->catalogs, SizeIs(2));
  EXPECT_TRUE(definitions->users.has_rows());
  EXPECT_TRUE(definitions->find_list("sale/draft_sales"));
  EXPECT_TRUE(definitions->find_list("draft_sales"));
}

TEST(Definitions, SayWhatAListAsks) {
  const auto definitions =
      read(with_criteria("{state: {not_in: [done, cancelled], or_null: true}, amount: {from: 10, below: "
                         "20.5}, due: {below: today}}",
                         "    roles: [Owner]\n    guard: {groups: clerk, permissions: [a, b]}\n"));
  ASSERT_TRUE(definitions) << definitions.error().message();
  const WorkList& list = definitions->lists.front();
  EXPECT_EQ(list.key(), "sale/one");
  EXPECT_THAT(list.roles, UnorderedElementsAre("Owner"));
  EXPECT_THAT(list.guard.permissions, UnorderedElementsAre("a", "b"));
  ASSERT_THAT(list.criteria, SizeIs(3));
  EXPECT_TRUE(list.criteria[0].or_null);
  EXPECT_EQ(list.criteria[0].conditions.front().operation, Operator::kNotIn);
  EXPECT_THAT(list.criteria[1].conditions, SizeIs(2));
  EXPECT_EQ(definitions->catalogs.front().columns[2].column, "total");
}

TEST(Definitions, SayWhoHoldsARole) {
  const auto catalog = [](const std::string& keys) {
    return read_definitions(
        "catalogs:\n  sale:\n    table: sale\n    columns: {id: integer, state: text, open: boolean, "
        "owner: integer, uid: integer}\n" +
            keys +
            "\nlists:\n  - {id: one, workflow: w, title: t, catalog: sale, roles: Owner, criteria: "
            "{state: draft}}\n",
        "w.yaml", base::parse_time("2026-11-30", {}).value());
  };
  const auto read = catalog("    security: [{column: uid}]\n    holders: [{column: owner, role: Owner}]");
  ASSERT_TRUE(read) << read.error().message();
  ASSERT_THAT(read->catalogs.front().holders, SizeIs(1));
  EXPECT_EQ(read->catalogs.front().holders.front().role, "Owner");
  EXPECT_THAT(catalog("    security: []\n    holders: [{column: owner, role: Owner}]").error().message(),
              HasSubstr("w.yaml:6: catalog 'sale': holders are of those who may see a document"));
  EXPECT_THAT(
      catalog("    security: [{column: uid}]\n    holders: [{column: open, role: Owner}]").error().message(),
      HasSubstr("column 'open' holds users, so it has to be an integer or a text"));
  EXPECT_THAT(
      catalog(
          "    security: [{column: uid}]\n    holders: [{column: owner, role: A}, {column: uid, role: A}]")
          .error()
          .message(),
      HasSubstr("holders name the role 'A' twice"));
}

TEST(Definitions, ReadAliases) {
  const auto definitions =
      read(with_criteria("{state: &states [a, b]}") +
           "  - {id: two, workflow: sale, title: Two, catalog: sale, criteria: {state: *states}}\n");
  ASSERT_TRUE(definitions) << definitions.error().message();
  EXPECT_THAT(definitions->lists[1].criteria.front().conditions.front().operands, SizeIs(2));
}

struct Refused {
  std::string criteria;
  std::string message;
};

TEST(Definitions, RefuseACriterionWithItsLineItsListAndWhatIsAccepted) {
  const std::vector<Refused> refused{
      {"stat: draft",
       "w.yaml:12: list 'sale/one': catalog 'sale' has no column 'stat'; it has id, state, amount"},
      {"state: []", "w.yaml:12: list 'sale/one': criterion 'state': the list of values is empty"},
      {"state: {not_in: []}", "criterion 'state': the list of values is empty"},
      {"amount: many", "criterion 'amount': 'many' is not of type number; expected a number"},
      {"due: 30.11.2026", "criterion 'due': '30.11.2026' is not of type date; expected a date such as"},
      {"due: today + 3", "criterion 'due': 'today + 3' is no moment; expected today or now"},
      {"open: yes", "criterion 'open': 'yes' is not of type boolean; expected true or false"},
      {"state: ~", "criterion 'state': null compares with nothing; {null: true} asks for it"},
      {"state: [a, ~]", "criterion 'state': null compares with nothing"},
      {"state: {from: a}",
       "criterion 'state': from needs a column of type integer, number, date or time, not text"},
      {"amount: {prefix: 1}", "criterion 'amount': prefix needs a column of type text, not number"},
      {"state: {is: a}", "criterion 'state': unknown key 'is'; accepted: in, not_in, from"},
      {"state: {or_null: true}", "criterion 'state': it asks for nothing"},
      {"amount: {above: 3, to: 3}", "criterion 'amount': no value can meet all that is asked"},
      {"owner: {above: 3, below: 4}", "criterion 'owner': no value can meet"},
      {"due: {from: today + 1 day, below: today}", "criterion 'due': no value can meet"},
      {"state: {null: true, in: a}", "criterion 'state': no value can meet"},
      {"state: {in: [a, b], not_in: [a, b]}", "criterion 'state': no value can meet"},
      {"state: {null: maybe}", "criterion 'state': expected true or false"},
      {"{state: a, state: b}", "w.yaml:12: 'state' stands here twice"},
      {"{}", "criteria have to be columns with what they shall be"}};
  for (const auto& [criteria, message] : refused) {
    EXPECT_THAT(error_of(with_criteria(criteria)), HasSubstr(message)) << criteria;
    EXPECT_THAT(error_of(with_criteria(criteria)), StartsWith("w.yaml:12: ")) << criteria;
  }
}

TEST(Definitions, RefuseAListWithItsLine) {
  const std::string again =
      "  - {id: one, workflow: sale, title: Two, catalog: sale, criteria: {state: a}}\n";
  EXPECT_EQ(error_of(with_criteria("state: a") + again),
            "w.yaml:13: list 'sale/one': line 7 has the same workflow and id");
  EXPECT_THAT(error_of(with_criteria("state: a", "    critera: {}\n")),
              HasSubstr("list 'sale/one': unknown key 'critera'; accepted: id, workflow"));
  EXPECT_THAT(error_of(with_criteria("state: a", "    url: 'sale?s=%(amount)s'\n")),
              HasSubstr("url has a place 'amount' without values; known here: count, state"));
  EXPECT_THAT(error_of(with_criteria("state: a", "    url: 50% off\n")), HasSubstr("%%, the sign itself"));
  EXPECT_THAT(error_of(with_criteria("state: a", "    guard: {condition: 'a = 1'}\n")),
              HasSubstr("a condition speaks of the user's row, so users needs a table or a query"));
  EXPECT_THAT(error_of(with_criteria("state: a", "    guard: {condition: 'a) OR (1 = 1'}\n")),
              HasSubstr("its brackets do not close"));
  EXPECT_THAT(error_of(with_criteria("state: a", "    roles: []\n")), HasSubstr("roles is an empty list"));
  EXPECT_THAT(error_of(std::string(kCatalog) + "lists: []\n"), HasSubstr("one at least"));
  EXPECT_THAT(error_of(std::string(kCatalog) + "lists: [{id: a/b, workflow: w}]\n"),
              HasSubstr("must not have a /"));
}

TEST(Definitions, RefuseACatalogThatSaysNotWhoMaySeeIt) {
  const auto catalog = [](const std::string& keys) { return "catalogs: {c: {" + keys + "}}\nlists: []\n"; };
  EXPECT_THAT(error_of(catalog("table: t, columns: {id: integer}")),
              HasSubstr("catalog 'c': security is missing; [] says that everybody sees every document"));
  EXPECT_THAT(error_of(catalog("table: t, columns: {id: integer}, security: [{column: uid}]")),
              HasSubstr("catalog 'c' has no column 'uid'"));
  EXPECT_THAT(error_of(catalog("table: t, columns: {id: integer, uid: text}, security: [{column: uid}]")),
              HasSubstr("holds security uids, so it has to be an integer"));
  EXPECT_THAT(
      error_of(catalog("table: t, columns: {id: integer}, security: [{column: id, role: a, group: b}]")),
      HasSubstr("either a user (role) or a security uid (group)"));
  EXPECT_THAT(error_of(catalog("table: t, columns: {uid: integer}, security: []")),
              HasSubstr("the key 'id' is no column of its table"));
  EXPECT_THAT(error_of(catalog("table: t, query: SELECT 1, columns: {id: integer}, security: []")),
              HasSubstr("either table or query"));
  EXPECT_THAT(error_of(catalog("query: DELETE FROM t, columns: {id: integer}, security: []")),
              HasSubstr("begins with SELECT or WITH"));
  EXPECT_THAT(error_of(catalog("query: SELECT 1; SELECT 2, columns: {id: integer}, security: []")),
              HasSubstr("a ; ends a statement"));
  EXPECT_THAT(error_of(catalog("query: 'SELECT 1 -- all', columns: {id: integer}, security: []")),
              HasSubstr("comments are not read here"));
  EXPECT_THAT(error_of(catalog("table: t, columns: {id: uuid}, security: []")),
              HasSubstr("unknown type 'uuid'; accepted: integer, number, text, boolean, date, time"));
}

TEST(Definitions, RefuseHostileYaml) {
  std::string deep = "lists: ";
  for (int i = 0; i < 100'000; ++i) deep += '[';
  EXPECT_THAT(error_of(deep), HasSubstr("w.yaml:1: more than 32 levels within each other"));
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    laughs += fmt::format("a{}: &a{} [", i, i);
    for (int k = 0; k < 10; ++k) laughs += fmt::format("{}*a{}", k == 0 ? "" : ", ", i - 1);
    laughs += "]\n";
  }
  EXPECT_THAT(error_of(laughs), HasSubstr("more than 200000 values, those of aliases included"));
  EXPECT_THAT(error_of("a: &a [*a]"), HasSubstr("an alias stands within what it means"));
  EXPECT_THAT(error_of(std::string(9U << 20U, 'a')), HasSubstr("larger than 8 MiB"));
  EXPECT_THAT(error_of("lists: !!python/object:os.system [x]"), HasSubstr("tags such as"));
  EXPECT_THAT(error_of("a: b\n---\nc: d\n"), HasSubstr("more than one document"));
  EXPECT_THAT(error_of(""), HasSubstr("w.yaml: the file is empty"));
  EXPECT_THAT(error_of("a: [b"), StartsWith("w.yaml:"));
  EXPECT_THAT(error_of("{[a]: b}"), HasSubstr("a key has to be a text"));
}

TEST(Template, RepeatsAParameterForEachValue) {
  const auto definitions =
      read(with_criteria("state: [draft, 'to send']", "    url: 'sale?state:list=%(state)s&n=%(count)s'\n"));
  ASSERT_TRUE(definitions) << definitions.error().message();
  const Action action = action_of(*definitions, 0, 12, kNow);
  EXPECT_EQ(action.name, "One (12)");
  EXPECT_EQ(action.url, "sale?state:list=draft&state:list=to%20send&n=12");
}

TEST(Template, RefusesALonePercentSign) {
  EXPECT_TRUE(places_of("100 %% of %(count)s"));
  EXPECT_FALSE(places_of("100 %"));
  EXPECT_FALSE(places_of("%(count)d"));
  EXPECT_EQ(fill("100 %% of %(count)s", [](std::string_view, std::string_view) { return "3"; }),
            "100 % of 3");
}

}  // namespace
}  // namespace headroom::worklist
