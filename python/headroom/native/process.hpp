#pragma once

// The recorder of this process, and what has to be global because a fork and an interpreter are: everything
// else is handed around. The recorder is never destroyed: threads may still use it while the interpreter
// shuts down.

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

#include "perf/recorder.hpp"

namespace headroom::native {

/// The recorder, or nullptr before `start_recorder`. Cost: a load.
[[nodiscard]] perf::Recorder* recorder();

/// Makes and starts the recorder; a second call changes nothing. Returns the store's error, or an empty text.
std::string start_recorder(perf::RecorderSettings settings);

/// Grows with each fork that this process came out of: what belongs to an earlier one is not to be touched.
[[nodiscard]] std::uint32_t fork_generation();

/// Runs a piece of the recorder whose failure must never reach the application: it is counted and told, no
/// more.
template <typename Work>
void guarded(const Work& work) noexcept {
  try {
    work();
  } catch (const std::exception& exception) {
    if (auto* const own = recorder()) own->error(exception.what());
  }
}

}  // namespace headroom::native
