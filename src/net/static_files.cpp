#include "net/static_files.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

namespace headroom::net {
namespace {

constexpr std::string_view kIndex = "/index.html";
constexpr std::string_view kHashedFolder = "/assets/";

// Nothing but files of this server, no inline script or style, no frame around it, no form sent anywhere.
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Takes the part before `separator` off the front of `rest`.
std::string_view take_part(std::string_view& rest, char separator) {
  const std::size_t end = rest.find(separator);
  const std::string_view part = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return trimmed(part);
}

/// Whether the parameters of a coding ("q=0.5") leave it a weight above zero.
bool has_weight(std::string_view parameters) {
  const std::string_view weight = take_part(parameters, ';');
  if (!weight.starts_with("q=") && !weight.starts_with("Q=")) return true;
  return weight.substr(2).find_first_of("123456789") != std::string_view::npos;
}

bool names_a_file(std::string_view path) {
  return path.substr(path.rfind('/')).find('.') != std::string_view::npos;
}

/// Weak comparison, as RFC 9110 section 13.1.2 wants it for If-None-Match.
bool is_named(std::string_view header, std::string_view etag) {
  while (!header.empty()) {
    std::string_view one = take_part(header, ',');
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == "*" || one == etag) return true;
  }
  return false;
}

std::optional<std::string> unpacked(std::span<const unsigned char> gzip) {
  z_stream stream{};
  constexpr int kGzipFormat = 15 + 16;
  if (inflateInit2(&stream, kGzipFormat) != Z_OK) return std::nullopt;
  const std::unique_ptr<z_stream, int (*)(z_stream*)> owner(&stream, inflateEnd);
  stream.next_in = const_cast<unsigned char*>(gzip.data());
  stream.avail_in = static_cast<uInt>(gzip.size());
  std::string bytes;
  int state = Z_OK;
  while (state == Z_OK && bytes.size() < StaticFiles::kMostBytes) {
    const std::size_t had = bytes.size();
    bytes.resize(had + 64 * 1024);
    stream.next_out = reinterpret_cast<unsigned char*>(bytes.data() + had);
    stream.avail_out = 64 * 1024;
    state = inflate(&stream, Z_NO_FLUSH);
    bytes.resize(bytes.size() - stream.avail_out);
  }
  if (state != Z_STREAM_END) return std::nullopt;
  return bytes;
}

void add_page_headers(Response& response, const Asset& asset, const std::string& etag) {
  const bool hashed = asset.path.starts_with(kHashedFolder);
  response.headers.add("ETag", etag);
  response.headers.add("Vary", "Accept-Encoding");
  response.headers.add("Cache-Control", hashed ? "public, max-age=31536000, immutable" : "no-cache");
  response.headers.add("Content-Security-Policy", std::string(kPolicy));
  response.headers.add("Cross-Origin-Opener-Policy", "same-origin");
}

Response content(const Asset& asset, bool packed) {
  if (packed) {
    Response response = make_response(200, asset.content_type, {});
    response.headers.add("Content-Encoding", "gzip");
    response.lasting_body = {reinterpret_cast<const char*>(asset.gzip.data()), asset.gzip.size()};
    return response;
  }
  auto bytes = unpacked(asset.gzip);
  if (!bytes)
    return error_response(500, "internal", fmt::format("the embedded file {} is damaged", asset.path));
  return make_response(200, asset.content_type, std::move(*bytes));
}

}  // namespace

AcceptedEncodings accepted_encodings(std::string_view header) {
  std::optional<bool> gzip;
  std::optional<bool> identity;
  std::optional<bool> others;
  while (!header.empty()) {
    std::string_view coding = take_part(header, ',');
    const std::string_view name = take_part(coding, ';');
    const bool allowed = has_weight(coding);
    if (equals_ignoring_case(name, "gzip") || equals_ignoring_case(name, "x-gzip")) gzip = allowed;
    if (equals_ignoring_case(name, "identity")) identity = allowed;
    if (name == "*") others = allowed;
  }
  return {gzip.value_or(others.value_or(false)), identity.value_or(others.value_or(true))};
}

StaticFiles::StaticFiles(std::span<const Asset> assets) {
  for (const Asset& asset : assets) assets_.emplace(asset.path, asset);
}

const Asset* StaticFiles::find(std::string_view path) const {
  const auto found = assets_.find(names_a_file(path) ? path : kIndex);
  return found == assets_.end() ? nullptr : &found->second;
}

Response StaticFiles::respond(const Request& request) const {
  const Asset* asset = find(request.path);
  if (asset == nullptr) return error_response(404, "not_found", "nothing is served at " + request.path);
  const std::string* encodings = request.headers.find("Accept-Encoding");
  const auto accepted = encodings == nullptr ? AcceptedEncodings{} : accepted_encodings(*encodings);
  if (!accepted.gzip && !accepted.identity)
    return error_response(406, "unsupported", "it can be had with gzip, or as it is");
  // The two forms differ in their bytes, so they have names of their own.
  const std::string etag = fmt::format("\"{}{}\"", asset->etag, accepted.gzip ? "" : "-plain");
  const std::string* known = request.headers.find("If-None-Match");
  Response response;
  if (known != nullptr && is_named(*known, etag)) {
    response.status = 304;
  } else {
    response = content(*asset, accepted.gzip);
    if (response.status != 200) return response;
  }
  add_page_headers(response, *asset, etag);
  return response;
}

}  // namespace headroom::net
