#include "headroom/serve_pages.hpp"

#include <string_view>
#include <utility>

#ifdef HEADROOM_WITH_WEB
#include "web/assets.hpp"
#endif

namespace headroom::cli {
namespace {

// The rows that web/app/src/pages/sessions.tsx asks for first; the address must be the same, byte for byte.
constexpr std::string_view kFirstRows =
    "</api/perf/session?limit=200&offset=0>; rel=preload; as=fetch; crossorigin";

bool is_where_all_begins(const net::Request& request) {
  return request.path == "/" && request.query.all().empty();
}

net::Response page_at(const net::StaticFiles& pages, const net::Request& request) {
  net::Response page = pages.respond(request);
  // So the rows are on their way when the browser has read the page, and not when it has compiled the script.
  if (is_where_all_begins(request)) page.headers.add("Link", std::string(kFirstRows));
  return page;
}

}  // namespace

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
  route.handler = [&pages](const net::Request& request) { return page_at(pages, request); };
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
