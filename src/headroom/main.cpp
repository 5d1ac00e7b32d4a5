// One executable. The command line is parsed first, without touching a file; then the configuration is read;
// then the subcommand runs. Errors are one line on stderr; the status is 0 (fine), 1 (failed) or 2 (misused).

#include <CLI/CLI.hpp>
#include <csignal>
#include <exception>

#include <fmt/format.h>

#include "headroom/commands.hpp"
#include "headroom/output.hpp"
#include "headroom/version.hpp"

namespace headroom::cli {
namespace {

constexpr const char* kDescription =
    "Shows where the time of a user's session goes in a business-application server.";
constexpr const char* kFooter =
    "Most reports begin with a session: any unique beginning of its name will do.\n\n"
    "Examples:\n"
    "  headroom trace add --user admin --for 10m   record what admin does\n"
    "  headroom session                            list the sessions\n"
    "  headroom method 71                          time by method of the session 71...\n"
    "  headroom repeat 71                          statements repeated within one call\n"
    "  headroom method 71 --json | jq .            the same for programs\n\n"
    "The configuration is --config FILE, else $HEADROOM_CONFIG, else ./headroom.toml, else\n"
    "/etc/headroom/headroom.toml. Status: 0 fine, 1 failed, 2 misused.";

void add_common_options(CLI::App& app, CommonOptions& options) {
  app.add_option("--config", options.config, "configuration file (TOML)");
  app.add_option("--store", options.store,
                 "store URL: sqlite:///path, redis://host:port/db, rediss://..., unix:///path");
  app.add_option("--trytond-config", options.trytond_config,
                 "take the store from [perf] broker of this file, where neither --store nor [perf] store of "
                 "headroom.toml names one");
  app.add_option("--color", options.color, "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app.add_flag("--json", options.json, "print JSON");
  app.add_flag("--no-pager", options.no_pager, "print to the terminal directly");
  app.add_option("--width", options.width, "aligned columns in lines of so many characters, in a pipe too")
      ->check(whole_number(40, 10'000));
}

CLI::App* find_command(CLI::App& parent, const std::string& name) {
  const auto found =
      parent.get_subcommands([&name](CLI::App* command) { return command->get_name() == name; });
  return found.empty() ? nullptr : found.front();
}

/// `help` and `help COMMAND`: what `--help` prints.
void add_help_command(CLI::App& app, Invocation& invocation) {
  CLI::App* help = app.add_subcommand("help", "Explain a command");
  help->footer("Examples:\n  headroom help\n  headroom help method");
  auto names = std::make_shared<std::vector<std::string>>();
  help->add_option("command", *names, "which one");
  help->callback([&app, &invocation, names] {
    invocation.run = [&app, names](Invocation&) -> base::Result<Exit> {
      CLI::App* explained = &app;
      for (const std::string& name : *names) {
        explained = find_command(*explained, name);
        if (explained != nullptr) continue;
        return base::fail(base::ErrorCode::kInvalidArgument,
                          fmt::format("unknown command '{}'; 'headroom help' lists them", name));
      }
      // Not App::help: it explains the subcommand that was parsed, which is this one.
      const std::string name =
          explained == &app ? "headroom" : fmt::format("headroom {}", fmt::join(*names, " "));
      return print_text(explained->get_formatter()->make_help(explained, name, CLI::AppFormatMode::Normal));
    };
  });
}

void declare(CLI::App& app, Invocation& invocation) {
  app.footer(kFooter);
  app.fallthrough();
  app.set_version_flag("--version", fmt::format("headroom {}", kVersion));
  add_common_options(app, invocation.options);
  add_report_commands(app, invocation);
  add_top_command(app, invocation);
  add_stack_command(app, invocation);
  add_block_command(app, invocation);
  add_advice_command(app, invocation);
  add_explain_command(app, invocation);
  add_diff_command(app, invocation);
  add_export_command(app, invocation);
  add_trace_commands(app, invocation);
  add_trytond_commands(app, invocation);
  add_store_commands(app, invocation);
  add_bus_commands(app, invocation);
  add_bus_sql_command(app, invocation);
  add_worklist_commands(app, invocation);
  add_worklist_service_commands(app, invocation);
  add_serve_command(app, invocation);
  add_help_command(app, invocation);
  app.require_subcommand(0, 1);
}

/// CLI11 throws for --help and --version too: those are printed and fine.
Exit explain(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) {
    app.exit(error);
    return Exit::kFine;
  }
  // Declared as required for the usage; the report says it better than CLI11.
  const bool lacks_session = std::string_view(error.what()) == "session is required";
  print_error(lacks_session ? "missing session argument; 'headroom session' lists the sessions"
                            : error.what());
  fmt::print(stderr, "'headroom help' lists the commands, 'headroom COMMAND --help' explains one.\n");
  return Exit::kMisused;
}

base::Result<Exit> run(Invocation& invocation) {
  auto configuration = load_configuration(invocation.options.config);
  if (!configuration) return base::fail(configuration.error());
  invocation.configuration = std::move(*configuration);
  return invocation.run(invocation);
}

/// Runs what was parsed. As with diff(1), the status 1 of `headroom diff` is an answer: failures of it get 2.
Exit run_or_fail(const CLI::App& app, Invocation& invocation) {
  const bool compares = app.got_subcommand("diff");
  try {
    const auto exit = run(invocation);
    if (exit) return *exit;
    print_error(exit.error().message());
    return compares ? Exit::kMisused : exit_of(exit.error());
  } catch (const std::exception& error) {
    print_error(error.what());
    return compares ? Exit::kMisused : Exit::kFailed;
  }
}

Exit parse_and_run(int argc, char** argv) {
  CLI::App app(kDescription, "headroom");
  Invocation invocation;
  declare(app, invocation);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return explain(app, error);
  }
  if (!invocation.run) return print_text(app.help());
  return run_or_fail(app, invocation);
}

}  // namespace
}  // namespace headroom::cli

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return static_cast<int>(headroom::cli::parse_and_run(argc, argv));
  } catch (const std::exception& error) {
    headroom::cli::print_error(error.what());
    return static_cast<int>(headroom::cli::Exit::kFailed);
  }
}
