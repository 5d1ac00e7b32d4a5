#include "headroom/terminal.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

namespace headroom::cli {
namespace {

constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l";
constexpr std::string_view kLeave = "\x1b[?25h\x1b[?1049l";

/// A terminal that is gone can't be written to, and nothing can be done about it.
void write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
}

}  // namespace

Terminal::Terminal() {
  ::tcgetattr(STDIN_FILENO, &before_);
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH}) sigaddset(&wanted, number);
  sigprocmask(SIG_BLOCK, &wanted, &signals_before_);
  signals_ = ::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
  enter();
}

Terminal::~Terminal() {
  leave();
  if (signals_ >= 0) ::close(signals_);
  sigprocmask(SIG_SETMASK, &signals_before_, nullptr);
}

void Terminal::enter() {
  termios raw = before_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
  write_all(kEnter);
}

void Terminal::leave() {
  write_all(kLeave);
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
}

ScreenSize Terminal::size() const {
  winsize window{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0 || window.ws_row == 0) return {};
  return {window.ws_col, window.ws_row};
}

void Terminal::show(const std::vector<std::string>& lines) {
  std::string bytes = "\x1b[H";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) bytes += "\r\n";
    bytes.append(lines[i]).append("\x1b[K");
  }
  write_all(bytes.append("\x1b[J"));
}

Terminal::Event Terminal::signal_event() {
  signalfd_siginfo info{};
  if (::read(signals_, &info, sizeof info) != sizeof info) return {};
  if (info.ssi_signo == SIGWINCH) return {Event::Kind::kResize};
  if (info.ssi_signo != SIGTSTP) return {Event::Kind::kEnd};
  leave();
  ::raise(SIGSTOP);  // goes on here after SIGCONT
  enter();
  return {Event::Kind::kResize};
}

Terminal::Event Terminal::key_event() {
  std::array<char, 64> keys{};  // an arrow is several bytes: only the first counts
  const ssize_t size = ::read(STDIN_FILENO, keys.data(), keys.size());
  if (size <= 0) return {Event::Kind::kEnd};
  return {Event::Kind::kKey, keys.front()};
}

Terminal::Event Terminal::wait(std::chrono::milliseconds most) {
  std::array<pollfd, 2> waiting{{{STDIN_FILENO, POLLIN, 0}, {signals_, POLLIN, 0}}};
  const int ready = ::poll(waiting.data(), waiting.size(), static_cast<int>(most.count()));
  if (ready <= 0) return {};
  if (waiting[1].revents != 0) return signal_event();
  return key_event();
}

}  // namespace headroom::cli
