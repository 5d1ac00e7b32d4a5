// `headroom serve password`: the people who may sign in to the pages.

#include <termios.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <system_error>

#include <fmt/format.h>

#include "headroom/commands.hpp"
#include "headroom/output.hpp"
#include "net/password_file.hpp"
#include "perf/report.hpp"

namespace headroom::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

/// Keeps a terminal from showing what is typed.
class SilentTerminal {
 public:
  SilentTerminal() : changed_(::tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!changed_) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  ~SilentTerminal() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

 private:
  termios before_{};
  bool changed_;
};

/// One line of stdin without its end.
Result<std::string> read_line() {
  std::array<char, 1024> bytes{};
  if (std::fgets(bytes.data(), bytes.size(), stdin) == nullptr)
    return fail(ErrorCode::kInvalidArgument, "no password on the standard input");
  std::string line = bytes.data();
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  return line;
}

Result<std::string> ask(std::string_view prompt) {
  fmt::print(stderr, "{}: ", prompt);
  Result<std::string> line = [] {
    const SilentTerminal silent;
    return read_line();
  }();
  fmt::print(stderr, "\n");
  return line;
}

/// From a terminal twice and unseen; else the first line of what is piped in.
Result<std::string> read_password(const std::string& user) {
  if (::isatty(STDIN_FILENO) == 0) return read_line();
  auto password = ask("Password of " + user);
  if (!password) return password;
  auto again = ask("Once more");
  if (!again) return again;
  if (*again != *password) return fail(ErrorCode::kInvalidArgument, "the two passwords differ");
  return password;
}

Result<std::string> file_of(const Invocation& invocation) {
  const std::string& file = invocation.configuration.serve.password_file;
  if (!file.empty()) return file;
  return fail(ErrorCode::kInvalidArgument,
              "which file? set [serve] password_file in headroom.toml, or give --file");
}

/// The people of the file; nobody when it is not there yet.
Result<net::PasswordFile> read_people(const std::string& file) {
  auto people = net::PasswordFile::read(file);
  if (!people && people.error().code() == ErrorCode::kNotFound) return net::PasswordFile();
  return people;
}

Result<Exit> add_person(const Invocation& invocation, const std::string& user, const std::string& role) {
  if (auto checked = net::check_user_name(user); !checked) return fail(std::move(checked.error()));
  const auto file = file_of(invocation);
  if (!file) return fail(file.error());
  auto people = read_people(*file);
  if (!people) return fail(std::move(people.error()));
  const auto password = read_password(user);
  if (!password) return fail(password.error());
  auto hash = net::hash_password(*password);
  if (!hash) return fail(std::move(hash.error()));
  people->set({user, net::parse_role(role).value_or(net::Role::kViewer), std::move(*hash)});
  if (auto written = people->write(*file); !written) return fail(std::move(written.error()));
  return print_text(fmt::format("{} may sign in as {}\n", user, role));
}

Result<Exit> remove_person(const Invocation& invocation, const std::string& user) {
  const auto file = file_of(invocation);
  if (!file) return fail(file.error());
  auto people = net::PasswordFile::read(*file);
  if (!people) return fail(std::move(people.error()));
  if (!people->remove(user))
    return fail(ErrorCode::kNotFound, fmt::format("{}: there is no user {}", *file, user));
  if (auto written = people->write(*file); !written) return fail(std::move(written.error()));
  return print_text(fmt::format("{} may not sign in any more\n", user));
}

Result<Exit> list_people(const Invocation& invocation) {
  const auto file = file_of(invocation);
  if (!file) return fail(file.error());
  const auto people = net::PasswordFile::read(*file);
  if (!people) return fail(people.error());
  perf::Report report;
  report.table.columns = {{"user", perf::Format::kText}, {"role", perf::Format::kText}};
  for (const net::PasswordEntry& entry : people->entries())
    report.table.rows.push_back({entry.user, std::string(net::name(entry.role))});
  report.total = report.table.rows.size();
  return print_report(invocation.options, report);
}

/// What the three commands share.
struct PasswordOptions {
  std::string file;
  std::string user;
  std::string role = "viewer";
};

template <typename Run>
void on_call(CLI::App& command, Invocation& invocation, const std::shared_ptr<PasswordOptions>& options,
             Run run) {
  command.add_option("--file", options->file, "in place of [serve] password_file");
  command.callback([&invocation, options, run] {
    invocation.run = [options, run](Invocation& given) {
      if (!options->file.empty()) given.configuration.serve.password_file = options->file;
      return run(given, *options);
    };
  });
}

}  // namespace

void add_password_commands(CLI::App& serve, Invocation& invocation) {
  CLI::App* password =
      serve.add_subcommand("password", "Name the people who may sign in; a running server obeys in seconds");
  password->require_subcommand(1);
  password->footer(
      "Examples:\n  headroom serve password add ada --role administrator\n  headroom serve password list");
  const auto options = std::make_shared<PasswordOptions>();
  CLI::App* add = password->add_subcommand("add", "Add a person, or give one another password or role");
  add->footer(
      "Examples:\n  headroom serve password add ada --role administrator\n"
      "  pass show headroom/vic | headroom serve password add vic");
  add->add_option("user", options->user, "their name")->required();
  add->add_option("--role", options->role, "viewer (may not see bodies nor change rules) or administrator")
      ->check(CLI::IsMember({"viewer", "administrator"}))
      ->capture_default_str();
  on_call(*add, invocation, options, [](const Invocation& run, const PasswordOptions& given) {
    return add_person(run, given.user, given.role);
  });
  CLI::App* remove = password->add_subcommand("remove", "Remove a person");
  remove->footer("Examples:\n  headroom serve password remove vic");
  remove->add_option("user", options->user, "their name")->required();
  on_call(*remove, invocation, options,
          [](const Invocation& run, const PasswordOptions& given) { return remove_person(run, given.user); });
  CLI::App* list = password->add_subcommand("list", "List the people and their roles");
  list->footer("Examples:\n  headroom serve password list --json");
  on_call(*list, invocation, options,
          [](const Invocation& run, const PasswordOptions&) { return list_people(run); });
}

}  // namespace headroom::cli
