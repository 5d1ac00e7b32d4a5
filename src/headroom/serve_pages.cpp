#include "headroom/serve_pages.hpp"

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

}  // namespace headroom::cli
