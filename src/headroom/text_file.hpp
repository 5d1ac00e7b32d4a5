#pragma once

#include <string>

#include "base/result.hpp"

namespace headroom::cli {

/// A file as it stands. Errors: not_found, io; the message names the file.
[[nodiscard]] base::Result<std::string> read_text_file(const std::string& file);

}  // namespace headroom::cli
