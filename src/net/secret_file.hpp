#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "base/result.hpp"

namespace headroom::net {

/// Reads a file that holds a secret: a regular one of root or of the user that serves, which only its owner
/// can write and others can't read.
/// Errors: not_found, denied (mode or owner; the message says what to do), too_large, io.
[[nodiscard]] base::Result<std::string> read_secret_file(const std::filesystem::path& file, std::size_t most);

}  // namespace headroom::net
