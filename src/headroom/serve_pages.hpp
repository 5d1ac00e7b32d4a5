#pragma once

#include <string>
#include <vector>

#include "net/router.hpp"
#include "net/static_files.hpp"

namespace headroom::cli {

/// The web application that this executable was built with; nothing in a build without it.
[[nodiscard]] std::vector<net::Asset> embedded_pages();

/// Serves the pages at every address that is not the API's, to everybody who reaches the server: they hold no
/// data, and the one that signs in is among them. Lifetime: `pages` outlives the router.
void add_pages(net::Router& router, const net::StaticFiles& pages);
/// One of them is not there: 404 with the reason.
void add_absent_page(net::Router& router, std::string path, std::string reason);

}  // namespace headroom::cli
