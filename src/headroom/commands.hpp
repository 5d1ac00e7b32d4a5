#pragma once

// The groups of subcommands; main.cpp lists them.

#include "headroom/command.hpp"

namespace headroom::cli {

/// session, method, table, call, profile, db, io, query, repeat, conflict, overview
void add_report_commands(CLI::App& app, Invocation& invocation);
/// top
void add_top_command(CLI::App& app, Invocation& invocation);
/// stack
void add_stack_command(CLI::App& app, Invocation& invocation);
/// block
void add_block_command(CLI::App& app, Invocation& invocation);
/// advice
void add_advice_command(CLI::App& app, Invocation& invocation);
/// diff
void add_diff_command(CLI::App& app, Invocation& invocation);
/// explain
void add_explain_command(CLI::App& app, Invocation& invocation);
/// export
void add_export_command(CLI::App& app, Invocation& invocation);
/// trace add, trace list, trace remove
void add_trace_commands(CLI::App& app, Invocation& invocation);
/// status, prune
void add_store_commands(CLI::App& app, Invocation& invocation);
/// trytond check
void add_trytond_commands(CLI::App& app, Invocation& invocation);
/// bus publish, tail, channels, presence, disconnect, check
void add_bus_commands(CLI::App& app, Invocation& invocation);
/// bus sql
void add_bus_sql_command(CLI::App& app, Invocation& invocation);
/// worklist check, plan, count, documents, explain
void add_worklist_commands(CLI::App& app, Invocation& invocation);
/// worklist watch, refresh; behind add_worklist_commands
void add_worklist_service_commands(CLI::App& app, Invocation& invocation);
/// serve password add, remove, list
void add_password_commands(CLI::App& serve, Invocation& invocation);
/// serve
void add_serve_command(CLI::App& app, Invocation& invocation);

}  // namespace headroom::cli
