#include "headroom/serve_section.hpp"

namespace headroom::cli {

void ServeSection::read(base::ConfigSection& section) {
  section.read("listen", listen);
  section.read("socket", socket);
  section.read("token_file", token_file);
  section.read("hosts", hosts);
  section.read("workers", workers, 1, 64);
}

}  // namespace headroom::cli
