#pragma once

#include <string>

#include "base/config.hpp"

namespace headroom::cli {

/// `[serve]`
struct ServeSection {
  /// "address:port"; an address other than a loopback one requires a token.
  std::string listen = "127.0.0.1:7400";
  /// A file whose first line is the token that clients send; empty is none.
  std::string token_file;

  void read(base::ConfigSection& section);
};

}  // namespace headroom::cli
