// Any bytes as worklists.yaml: definitions whose lists can be planned, or an error of one line.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "worklist/definition.hpp"
#include "worklist/plan.hpp"

namespace {

using namespace headroom::worklist;

void require(bool holds) {
  if (!holds) std::abort();
}

void plan(const Definitions& definitions, headroom::base::UtcTime now) {
  User user;
  user.id = "7";
  user.security_uids.insert({1, "", ""});
  using headroom::sql::Dialect;
  for (const auto dialect : {Dialect::kPostgres, Dialect::kSqlite, Dialect::kMariaDb}) {
    for (const Way way : {Way::kEach, Way::kJoin, Way::kMerged}) {
      const auto made = explain_plan({definitions, user, now, dialect, way});
      require(made.has_value() && made->plan.lists.size() == definitions.lists.size());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const headroom::base::UtcTime now{headroom::base::Microseconds{1'790'000'000'000'000}};
  const auto definitions = read_definitions(text, "worklists.yaml", now);
  if (!definitions) {
    require(definitions.error().message().find('\n') == std::string::npos);
    require(definitions.error().message().starts_with("worklists.yaml:"));
    return 0;
  }
  require(!definitions->lists.empty() && !definitions->catalogs.empty());
  plan(*definitions, now);
  return 0;
}
