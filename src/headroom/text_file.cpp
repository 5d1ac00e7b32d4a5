#include "headroom/text_file.hpp"

#include <cerrno>
#include <fstream>
#include <sstream>
#include <system_error>

#include <fmt/format.h>

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;

Result<std::string> read_text_file(const std::string& file) {
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  if (!stream || !(text << stream.rdbuf())) {
    const int error = errno == 0 ? EINVAL : errno;
    return fail(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                fmt::format("{}: {}", file, std::generic_category().message(error)));
  }
  return text.str();
}

}  // namespace headroom::cli
