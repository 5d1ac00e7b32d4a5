#pragma once

#include <sys/types.h>
#include <termios.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <string>
#include <vector>

#include "headroom/top_screen.hpp"

namespace headroom::cli {

/// A terminal in full-screen mode, from construction to destruction: other screen, no cursor, keys at once.
/// Signals that end, resize or stop come as events, so that the terminal is given back on every way out but
/// SIGKILL. Threads: the only one of the process.
class Terminal {
 public:
  /// What happened: a key, a new size, a request to end; nothing when the time was over.
  struct Event {
    enum class Kind { kNothing, kKey, kResize, kEnd } kind = Kind::kNothing;
    char key = '\0';
  };

  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  [[nodiscard]] ScreenSize size() const;
  void show(const std::vector<std::string>& lines);
  [[nodiscard]] Event wait(std::chrono::milliseconds most);

 private:
  void enter();
  void leave();
  [[nodiscard]] Event signal_event();
  [[nodiscard]] static Event key_event();

  termios before_{};
  sigset_t signals_before_{};
  int signals_ = -1;
};

}  // namespace headroom::cli
