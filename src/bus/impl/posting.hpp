#pragma once

// For brokers and exchanges whose threads report to the hub's.

#include <memory>
#include <utility>

namespace headroom::bus {

/// Posts `function(owner)`; nothing happens when the owner is gone by the time it would run. `self` points to
/// what the owner holds as long as it may be called. Threads: any; the function runs where `post` runs it,
/// which is where the owner ends.
template <typename Post, typename Owner, typename Function>
void post_while_there(const Post& post, const std::weak_ptr<Owner*>& self, Function function) {
  post([here = self, function = std::move(function)]() mutable {
    Owner* owner = nullptr;
    if (const auto locked = here.lock()) owner = *locked;
    if (owner != nullptr) function(*owner);
  });
}

}  // namespace headroom::bus
