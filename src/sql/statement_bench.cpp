// What one unknown text costs on the recorder's background thread; texts that are known come from a cache.
#include <benchmark/benchmark.h>

#include "sql/statement.hpp"
#include "sql/token.hpp"

namespace {

using headroom::sql::analyze;

const std::string kSelect =
    R"(SELECT "a"."id" AS "id", "a"."name" AS "name", "a"."party" AS "party", COALESCE("a"."write_date", )"
    R"("a"."create_date") AS "_timestamp" FROM "sale_sale" AS "a" LEFT JOIN "party_party" AS "b" ON ("b"."id" = )"
    R"("a"."party") WHERE (("a"."id" IN (%s, %s, %s)) AND ("b"."active" = %s)) ORDER BY "a"."id" ASC LIMIT 100)";

std::string long_list() {
  std::string text = R"(SELECT "a"."id" FROM "t" AS "a" WHERE ("a"."id" IN ()";
  for (int i = 0; i < 1000; ++i) text += "%s, ";
  return text + "%s))";
}

void measure(benchmark::State& state, const std::string& text, std::size_t tables) {
  if (analyze(text).tables.size() != tables) state.SkipWithError("wrong tables");
  for (auto _ : state) benchmark::DoNotOptimize(analyze(text));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

void tokens(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(headroom::sql::tokenize(kSelect));
}

BENCHMARK_CAPTURE(measure, select_of_trytond, kSelect, 2);
BENCHMARK_CAPTURE(measure, list_of_1001_ids, long_list(), 1);
BENCHMARK_CAPTURE(measure, pragma_by_tokenizer, std::string{"PRAGMA table_info(\"sale_sale\")"}, 1);
BENCHMARK(tokens);

}  // namespace
