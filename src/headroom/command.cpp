#include "headroom/command.hpp"

#include <fmt/format.h>

namespace headroom::cli {

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
