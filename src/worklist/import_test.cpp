#include "worklist/import.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worklist/action.hpp"
#include "worklist/impl/python_literal.hpp"

namespace headroom::worklist {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const base::UtcTime kNow = base::parse_time("2026-11-30 12:00", {}).value();

constexpr const char* kCatalogs = R"(
catalogs:
  sale:
    table: public.sale_order
    columns:
      id: integer
      state: text
      amount_total: number
      date_order: date
      paid: boolean
      active: boolean
      user_id: integer
      uid: integer
    security: [{column: uid}]
    holders: [{column: user_id, role: Salesman}]
lists:
  - {id: mine, workflow: w, title: t, catalog: sale, criteria: {state: draft}}
)";

ImportedList import_one(const std::string& domain, const std::string& context = "{}",
                        const std::string& model = "sale.order") {
  const Definitions definitions = read_definitions(kCatalogs, "worklists.yaml", kNow).value();
  const std::vector<OdooFilter> filters{{7, "Half: 50%", model, domain, context}};
  return import_odoo(definitions, filters).front();
}

/// What its one list asks, read back, and in the words of a plan.
std::string asked(const std::string& domain, const std::string& context = "{'active_test': False}") {
  const ImportedList imported = import_one(domain, context);
  if (imported.yaml.empty()) return "! " + imported.why;
  const auto definitions = read_definitions(kCatalogs + imported.yaml, "worklists.yaml", kNow);
  if (!definitions) return definitions.error().message();
  const WorkList& list = definitions->lists[definitions->find_list("filter_7").value()];
  std::string text;
  for (const Criterion& criterion : list.criteria) {
    const Column& column = definitions->catalogs[0].columns[criterion.column];
    text += (text.empty() ? "" : " and ") +
            to_text(column.type, column.name, resolve(column.type, criterion, kNow));
  }
  for (const std::string& role : list.roles) text += " as " + role;
  return text;
}

TEST(OdooFilter, BecomesAListThatAsksTheSame) {
  EXPECT_EQ(asked("[('state', '=', 'draft')]"), "state in draft");
  EXPECT_EQ(asked("[['state','in',('draft',\"it's\")], ('amount_total', '>', 100)]"),
            "state in draft, it's and amount_total above 100");
  EXPECT_EQ(asked("['&', ('amount_total', '>=', 1.5), ('amount_total', '<', 2)]"),
            "amount_total from 1.5 below 2");
  EXPECT_EQ(asked("[('state', '=like', 'S/%')]"), "state prefix S/");
  EXPECT_EQ(asked("[('state', '=', 'a'), ('user_id', '=', uid)]"), "state in a as Salesman");
}

TEST(OdooFilter, TakesNullWhereOdooDoes) {
  EXPECT_EQ(asked("[('state', '!=', 'done')]"), "state not_in done or null");
  EXPECT_EQ(asked("[('state', 'not in', ['done', False])]"), "state not_in done");
  EXPECT_EQ(asked("[('state', 'in', ['done', False])]"), "state in done or null");
  EXPECT_EQ(asked("[('state', '=', False)]"), "state null");
  EXPECT_EQ(asked("[('state', '!=', None)]"), "state not null");
  EXPECT_EQ(asked("[('paid', '=', False)]"), "paid in false or null");
  EXPECT_EQ(asked("[('paid', '!=', False)]"), "paid not_in false");
  EXPECT_EQ(asked("[('paid', '=', True)]"), "paid in true");
  EXPECT_EQ(asked("[('state', '!=', 'done'), ('state', '!=', False), ('state', '!=', 'sent')]"),
            "state not_in done, sent");
}

TEST(OdooFilter, MayHaveAnOrOfOneField) {
  EXPECT_EQ(asked("['|', '|', ('state', '=', 'a'), ('state', 'in', ['b']), ('state', '=', False)]"),
            "state in a, b or null");
  EXPECT_EQ(asked("['|', ('amount_total', '=', False), ('amount_total', '<', 5)]"),
            "amount_total below 5 or null");
  EXPECT_EQ(asked("['|', ('state', '=', 'a'), ('paid', '=', True)]"), "! its OR speaks of state and of paid");
  EXPECT_EQ(asked("['|', ('amount_total', '<', 1), ('amount_total', '>', 5)]"),
            "! amount_total: no list can say this OR");
  EXPECT_THAT(asked("['|', ('state', '=', 'a'), ('user_id', '=', uid)]"), HasSubstr("! user_id: no list"));
}

TEST(OdooFilter, MaySpeakOfToday) {
  EXPECT_EQ(asked("[('date_order', '<', context_today().strftime('%Y-%m-%d'))]"),
            "date_order below 2026-11-30");
  EXPECT_EQ(
      asked("[('date_order', '>=', (context_today() - datetime.timedelta(days=7)).strftime('%Y-%m-%d'))]"),
      "date_order from 2026-11-23");
  EXPECT_EQ(
      asked("[('date_order', '<=', (context_today() + relativedelta(months=1)).strftime(\"%Y-%m-%d\"))]"),
      "date_order to 2026-12-30");
  EXPECT_EQ(asked("[('date_order', '<', time.strftime('%Y-%m-%d'))]"), "date_order below 2026-11-30");
  EXPECT_THAT(asked("[('date_order', '<', context_today().strftime('%Y-%m-01'))]"),
              HasSubstr("! date_order: no list can say the value context_today"));
}

TEST(OdooFilter, CountsWhatIsActiveUnlessItSaysOtherwise) {
  EXPECT_EQ(asked("[('state', '=', 'a')]", "{}"), "state in a and active in true");
  EXPECT_EQ(asked("[('active', '=', False)]", "{}"), "active in false or null");
  EXPECT_EQ(asked("[]", "{}"), "active in true");
}

TEST(OdooFilter, IsRefusedWithTheReasonWhereNoListCanSayIt) {
  EXPECT_EQ(asked("[('state', 'ilike', 'x')]"), "! state: no list can say the operator ilike");
  EXPECT_EQ(asked("[('partner_id.name', '=', 'x')]"), "! catalog 'sale' has no column 'partner_id.name'");
  EXPECT_EQ(asked("['!', ('state', '=', 'x')]"), "! no list can say the operator !");
  EXPECT_EQ(asked("[('state', '<', 'x')]"), "! state: a list has no ranges of texts");
  EXPECT_EQ(asked("[('state', 'in', [])]"), "! state: an empty list of values");
  EXPECT_EQ(asked("[('state', '=', 'a'), ('state', '=', False)]"),
            "! state: no value can meet all that is asked");
  EXPECT_EQ(asked("[('uid', '=', uid)]"),
            "! uid = uid: no role, or several, of catalog 'sale' is this column");
  EXPECT_THAT(asked("[('amount_total', '=', 'x')]"), HasSubstr("! amount_total: 'x' is not of type number"));
  EXPECT_EQ(asked("[]"), "! it asks for nothing");
  EXPECT_EQ(asked("[('state', '=')]"), "! a condition is no (field, operator, value)");
  EXPECT_EQ(asked("['|', ('state', '=', 'a')]"), "! its domain ends behind an operator");
  EXPECT_THAT(asked("[('state', '=', 'a'"), HasSubstr("! its domain is no literal of Python from"));
  EXPECT_EQ(import_one("[]", "{}", "account.move").why, "no catalog has the table account_move");
  std::string deep = "[";
  for (int i = 0; i < 300; ++i) deep += "'|',";
  EXPECT_EQ(asked(deep + "('state', '=', 'a')]"), "! more than 200 operators");
}

TEST(OdooFilter, KeepsItsNameInTheTitle) {
  const std::string yaml = import_one("[('state', '=', 'a')]").yaml;
  const auto definitions = read_definitions(kCatalogs + yaml, "worklists.yaml", kNow);
  ASSERT_TRUE(definitions) << definitions.error().message();
  const Action action = action_of(*definitions, definitions->find_list("filter_7").value(), 3, kNow);
  EXPECT_EQ(action.name, "Half: 50% (3)");
  EXPECT_EQ(action.workflow, "sale.order");
}

TEST(PythonLiteral, IsReadWithItsListsTuplesAndExpressions) {
  const auto read = impl::parse_python_literal(R"([1, -2.5, 'a\'b', ("x", None), True, f(1, [2]) . g, ])");
  ASSERT_TRUE(read) << read.error().message();
  using Kind = impl::PythonLiteral::Kind;
  const std::vector<Kind> kinds{Kind::kNumber, Kind::kNumber,  Kind::kText,
                                Kind::kList,   Kind::kBoolean, Kind::kExpression};
  ASSERT_THAT(read->items, SizeIs(kinds.size()));
  for (std::size_t i = 0; i < kinds.size(); ++i) EXPECT_EQ(read->items[i].kind, kinds[i]) << i;
  EXPECT_EQ(read->items[2].text, "a'b");
  EXPECT_EQ(read->items[5].text, "f(1,[2]).g");
  for (const char* wrong : {"", "[", "[1", "(1", "'a", "[1] 2", "[1 2,", "[,]", R"('\n')", "f(", "]"})
    EXPECT_FALSE(impl::parse_python_literal(wrong)) << wrong;
  EXPECT_FALSE(impl::parse_python_literal(std::string(40, '[')));
  EXPECT_EQ(impl::parse_python_literal(std::string(70'000, ' ')).error().code(), ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace headroom::worklist
