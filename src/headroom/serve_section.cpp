#include "headroom/serve_section.hpp"

namespace headroom::cli {

void ServeSection::read(base::ConfigSection& section) {
  section.read("listen", listen);
  section.read("socket", socket);
  section.read("token_file", token_file);
  section.read("password_file", password_file);
  section.read("session_idle", session_idle);
  section.read("session_age", session_age);
  section.read("proxies", proxies);
  section.read("hosts", hosts);
  section.read("workers", workers, 1, 64);
}

}  // namespace headroom::cli
