#include "headroom/command.hpp"

#include <charconv>

#include <fmt/format.h>

namespace headroom::cli {

std::function<std::string(const std::string&)> whole_number(std::uint64_t least, std::uint64_t most) {
  return [least, most](const std::string& text) -> std::string {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool whole = error == std::errc{} && end == text.data() + text.size();
    if (whole && number >= least && number <= most) return {};
    return fmt::format("expected a whole number from {} to {}, got '{:.40}'", least, most, text);
  };
}

base::Result<StoreChoice> chosen_store(const Invocation& invocation) {
  return choose_store(invocation.options.store, invocation.configuration, invocation.options.trytond_config);
}

base::Result<perf::OpenStore> open_chosen_store(const Invocation& invocation, perf::OpenMode mode) {
  const auto choice = chosen_store(invocation);
  if (!choice) return base::fail(choice.error());
  auto store = perf::open_store(choice->url, mode);
  if (!store) {
    return base::fail(
        base::Error(store.error())
            .within(fmt::format("store {} ({})", perf::without_password(choice->url), choice->source)));
  }
  return store;
}

}  // namespace headroom::cli
