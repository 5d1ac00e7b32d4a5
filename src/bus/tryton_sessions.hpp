#pragma once

// How Tryton sessions are looked up: one statement for many, on the table that trytond keeps them in.
//
// The key of a session opens it, so it is in no statement: the database compares hashes. What its log shows
// (log_min_duration_statement writes parameters too) opens nothing. Nothing is written: a look-up neither
// extends a session nor ends one.

#include <chrono>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bus/tryton_payload.hpp"

namespace headroom::bus {

/// Of trytond 6.0's `Session.check`: of that user, with that key, made within the age (third parameter, in
/// seconds) of now, either way.
extern const std::string_view kTrytonSessionStatement;

/// The statement's parameters.
[[nodiscard]] std::vector<std::string> tryton_session_parameters(std::span<const TrytonSession> sessions,
                                                                 std::chrono::seconds age);

/// Those that the rows name: user and digest.
[[nodiscard]] std::set<TrytonSession> read_tryton_sessions(
    std::span<const std::vector<std::optional<std::string>>> rows);

}  // namespace headroom::bus
