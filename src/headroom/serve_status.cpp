#include "headroom/serve_status.hpp"

#include "headroom/version.hpp"
#include "perf/scoreboard.hpp"

namespace headroom::cli {

Status service_status(const Configuration& configuration, const StoreChoice& choice, StorePool& stores) {
  Status status;
  status.version = kVersion;
  status.configuration = configuration.file.string();
  status.choice = choice;
  status.retention = configuration.perf.retention;
  status.running = perf::running_calls(configuration.perf.state);
  const auto asked = stores.with([&](perf::OpenStore& open) { return ask_store(open, status); });
  if (!asked) {
    status.store.url = perf::without_password(choice.url);
    status.store_error = asked.error().message();
  }
  return status;
}

}  // namespace headroom::cli
