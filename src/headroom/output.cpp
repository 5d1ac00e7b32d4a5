#include "headroom/output.hpp"

#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>

#include <fmt/format.h>

#include "perf/report_text.hpp"

namespace headroom::cli {

namespace {

bool on_terminal() {
  return ::isatty(STDOUT_FILENO) == 1;
}

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

perf::Color chosen_color(const CommonOptions& options) {
  if (options.color == "always") return perf::Color::kOn;
  const bool off =
      options.color == "never" || !environment("NO_COLOR").empty() || environment("TERM") == "dumb";
  return off || !on_terminal() ? perf::Color::kOff : perf::Color::kOn;
}

std::size_t line_width(const CommonOptions& options) {
  if (options.width > 0) return options.width;
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

/// Writes all of it; a reader that went away is as good as one that read all.
bool write_all(std::FILE* stream, std::string_view text) {
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stream) == text.size() && std::fflush(stream) == 0;
  return written || errno == EPIPE;
}

/// The pager's shell command; empty when there shall be none.
std::string pager_command(const CommonOptions& options) {
  if (options.no_pager || !on_terminal()) return {};
  if (std::getenv("PAGER") == nullptr) return "less -FRSX";
  const std::string_view pager = environment("PAGER");
  return pager == "cat" ? std::string() : std::string(pager);
}

/// False when there is no pager or it did not run.
bool print_through_pager(const std::string& command, std::string_view text) {
  constexpr int kCommandNotFound = 127;
  if (command.empty()) return false;
  std::FILE* pager = ::popen(command.c_str(), "w");
  if (pager == nullptr) return false;
  (void)write_all(pager, text);
  const int status = ::pclose(pager);
  return !(WIFEXITED(status) && WEXITSTATUS(status) == kCommandNotFound);
}

std::string shown_to_people(const CommonOptions& options, const perf::Report& report) {
  if (!report.text.empty()) return perf::escape_block(report.text);
  return perf::to_aligned(report.table, line_width(options), chosen_color(options));
}

/// A text that is not the table in other words (a profile, bodies) stands for it in a pipe too.
std::string shown_to_pipes(const CommonOptions& options, const perf::Report& report) {
  const bool for_people = prints_for_people(options);
  if (!report.parts.empty() && !for_people) return perf::to_tsv(report);
  if (!report.text.empty()) return perf::escape_block(report.text);
  if (!for_people) return perf::to_tsv(report.table);
  return perf::to_aligned(report.table, options.width, chosen_color(options));
}

}  // namespace

bool prints_for_people(const CommonOptions& options) {
  return on_terminal() || options.color == "always" || options.width > 0;
}

Exit print_text(std::string_view text) {
  if (write_all(stdout, text)) return Exit::kFine;
  print_error(fmt::format("cannot write the output: {}", std::generic_category().message(errno)));
  return Exit::kFailed;
}

Exit print_report(const CommonOptions& options, const perf::Report& report) {
  Exit exit = Exit::kFine;
  if (options.json) {
    exit = print_text(perf::to_json(report));
  } else if (!on_terminal()) {
    exit = print_text(shown_to_pipes(options, report));
  } else {
    const std::string text = shown_to_people(options, report);
    if (!print_through_pager(pager_command(options), text)) exit = print_text(text);
  }
  if (!report.note.empty()) print_note(report.note);
  return exit;
}

void print_error(std::string_view message) {
  fmt::print(stderr, "headroom: {}\n", perf::escape_line(message));
}

void print_note(std::string_view message) {
  fmt::print(stderr, "note: {}\n", perf::escape_line(message));
}

Exit exit_of(const base::Error& error) {
  return error.code() == base::ErrorCode::kInvalidArgument ? Exit::kMisused : Exit::kFailed;
}

}  // namespace headroom::cli
