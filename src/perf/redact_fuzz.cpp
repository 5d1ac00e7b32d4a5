// Any bytes are answered with well-formed text within the limit, without the secret that was noted. The first
// byte chooses the entry.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "perf/redact.hpp"
#include "sql/utf8.hpp"

namespace {
void require(bool condition) {
  if (!condition) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using headroom::perf::KnownSecrets;
  static const headroom::perf::Redactor redactor;
  static const std::string secret = "hunter2hunter2";
  if (size == 0) return 0;
  KnownSecrets secrets;
  secrets.add(secret);
  const std::size_t limit = data[0] % 8 == 0 ? 64 : 1U << 20U;
  const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
  const std::string body = redactor.body(text, limit, secrets);
  const std::string sql = redactor.sql(text, limit, secrets);
  const std::string plain = redactor.text(text, limit, secrets);
  const std::vector<std::string> values{std::string{text}, "'x'"};
  const std::string parameters = redactor.parameters(text, values, limit, secrets);
  for (const std::string& output : {body, sql, plain, parameters}) {
    require(output.size() <= limit);
    require(headroom::sql::is_clean_utf8(output));
    require(output.find(secret) == std::string::npos);
  }
  require(nlohmann::json::accept(parameters));
  // nlohmann takes a NUL for the end of the text, so only clean text counts as JSON here.
  const bool is_json = headroom::sql::is_clean_utf8(text) && nlohmann::json::accept(text);
  if (limit > 64 && is_json) require(nlohmann::json::accept(body));
  return 0;
}
