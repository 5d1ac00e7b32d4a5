#include "headroom/serve_pages.hpp"

#include <utility>

#ifdef HEADROOM_WITH_WEB
#include "web/assets.hpp"
#endif

namespace headroom::cli {

std::vector<net::Asset> embedded_pages() {
  std::vector<net::Asset> pages;
#ifdef HEADROOM_WITH_WEB
  for (const web::Asset& asset : web::web_assets())
    pages.push_back({asset.path, asset.content_type, asset.etag, asset.gzip});
#endif
  return pages;
}

void add_pages(net::Router& router, const net::StaticFiles& pages) {
  if (pages.empty()) return;
  net::Route route;
  route.method = "GET";
  route.pattern = "/*";
  route.access = net::Access::kPublic;
  route.run_on = net::RunOn::kEventLoop;
  route.handler = [&pages](const net::Request& request) { return pages.respond(request); };
  router.set_fallback(std::move(route), {"api", "health", "metrics"});
}

void add_absent_page(net::Router& router, std::string path, std::string reason) {
  net::Route route;
  route.method = "GET";
  route.pattern = std::move(path);
  route.access = net::Access::kPublic;
  route.run_on = net::RunOn::kEventLoop;
  route.handler = [reason = std::move(reason)](const net::Request&) {
    return net::error_response(404, "not_found", reason);
  };
  router.add(std::move(route));
}

}  // namespace headroom::cli
