#pragma once

// Signing in and out: /api/session, and the password file behind it.

#include <filesystem>
#include <memory>

#include "base/result.hpp"
#include "headroom/serve_section.hpp"
#include "net/router.hpp"
#include "net/sign_in.hpp"

namespace headroom::cli {

/// Reads the token and the password file. Errors: those of Token::from_file and PasswordFile::read; the
/// message names the key.
[[nodiscard]] base::Result<std::shared_ptr<net::SignIn>> make_sign_in(const ServeSection& section);

/// Takes the password file into use again if it changed. Errors: those of PasswordFile::read; the people who
/// were known stay then.
[[nodiscard]] base::Result<void> reload_passwords(const ServeSection& section, net::SignIn& sign_in);

/// Adds GET, POST and DELETE of /api/session.
void add_session_api(net::Router& router, const std::shared_ptr<net::SignIn>& sign_in);

}  // namespace headroom::cli
