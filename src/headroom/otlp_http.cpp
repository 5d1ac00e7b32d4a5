#include "headroom/otlp_http.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <fmt/format.h>

#include "headroom/version.hpp"

namespace headroom::cli {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
using base::ErrorCode;
using base::fail;
using base::Result;
using boost::system::error_code;
using Request = http::request<http::string_body>;

constexpr std::uint64_t kLongestAnswer = 64ULL << 10;

/// "host:port", as it stands in a URL.
std::string authority(const HttpTarget& target) {
  const bool brackets = target.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", brackets ? "[" : "", target.host, brackets ? "]" : "", target.port);
}

Request make_request(const HttpTarget& target, const std::optional<HttpHeader>& header,
                     const std::string& body) {
  Request request(http::verb::post, target.path, 11);
  request.set(http::field::host, authority(target));
  request.set(http::field::user_agent, fmt::format("headroom/{}", kVersion));
  request.set(http::field::content_type, "application/json");
  request.set(http::field::connection, "close");
  if (header) request.set(header->name, header->value);
  request.body() = body;
  request.prepare_payload();
  return request;
}

/// What a server's certificate is checked against.
error_code load_trust(ssl::context& context, const std::string& ca_file) {
  error_code error;
  context.set_verify_mode(ssl::verify_peer);
  if (SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION) != 1)
    return ssl::error::unspecified_system_error;
  if (ca_file.empty())
    context.set_default_verify_paths(error);
  else
    context.load_verify_file(ca_file, error);
  return error;
}

/// The name, or address, that the certificate must be for. A name is also told to the server, which may have
/// several.
bool expect_host(SSL* session, const std::string& host) {
  error_code error;
  asio::ip::make_address(host, error);
  if (!error) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host.c_str()) == 1;
  return SSL_set1_host(session, host.c_str()) == 1 && SSL_set_tlsext_host_name(session, host.c_str()) == 1;
}

/// One exchange: each step begins the next, and `finish` ends it.
class Exchange final {
 public:
  /// `trust`: of TLS; none is in the clear.
  Exchange(const HttpTarget& target, ssl::context* trust, Request request)
      : target_(target), request_(std::move(request)) {
    if (trust != nullptr) secure_.emplace(plain_, *trust);
    parser_.body_limit(kLongestAnswer);
  }

  Result<HttpAnswer> run(std::chrono::milliseconds timeout) {
    if (secure_ && !expect_host(secure_->native_handle(), target_.host))
      return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is no host name for TLS", target_.host));
    plain_.expires_after(timeout);
    resolver_.async_resolve(target_.host, target_.port,
                            [this](error_code error, const asio::ip::tcp::resolver::results_type& found) {
                              if (error) return finish(error);
                              connect(found);
                            });
    context_.run_for(timeout);
    if (answer_) return *answer_;
    return fail(ErrorCode::kTimedOut,
                fmt::format("{} did not answer within {} ms", authority(target_), timeout.count()));
  }

 private:
  void connect(const asio::ip::tcp::resolver::results_type& found) {
    plain_.async_connect(found, [this](error_code error, const asio::ip::tcp::endpoint&) {
      if (error) return finish(error);
      if (secure_) return shake_hands();
      send(plain_);
    });
  }

  void shake_hands() {
    secure_->async_handshake(ssl::stream_base::client, [this](error_code error) {
      const auto verdict = SSL_get_verify_result(secure_->native_handle());
      if (verdict != X509_V_OK) return distrust(X509_verify_cert_error_string(verdict));
      if (error) return finish(error);
      send(*secure_);
    });
  }

  template <typename Stream>
  void send(Stream& stream) {
    http::async_write(stream, request_, [this, &stream](error_code error, std::size_t) {
      if (error) return finish(error);
      receive(stream);
    });
  }

  template <typename Stream>
  void receive(Stream& stream) {
    http::async_read(stream, buffer_, parser_, [this](error_code error, std::size_t) {
      // Some servers end TLS by closing the connection. Only a body without a length suffers from that, and
      // the status, which decides, has come.
      const bool whole =
          error == ssl::error::stream_truncated && parser_.is_header_done() && parser_.need_eof();
      if (error && !whole) return finish(error);
      const auto& message = parser_.get();
      answer_ = HttpAnswer{static_cast<int>(message.result_int()),
                           std::string(message[http::field::retry_after]), message.body()};
    });
  }

  void finish(const error_code& error) {
    if (error == beast::error::timeout) return;
    answer_ = fail(ErrorCode::kUnavailable, fmt::format("{}: {}", authority(target_), error.message()));
  }

  void distrust(std::string_view reason) {
    answer_ =
        fail(ErrorCode::kDenied, fmt::format("{}: its certificate is not trusted: {} ([otlp] ca_file names "
                                             "the authorities to trust)",
                                             authority(target_), reason));
  }

  const HttpTarget& target_;
  Request request_;
  asio::io_context context_{1};
  asio::ip::tcp::resolver resolver_{context_};
  beast::tcp_stream plain_{context_};
  std::optional<ssl::stream<beast::tcp_stream&>> secure_;  ///< over plain_, which has the deadline
  http::response_parser<http::string_body> parser_;
  beast::flat_buffer buffer_;
  std::optional<Result<HttpAnswer>> answer_;
};

}  // namespace

struct HttpSender::Impl {
  HttpTarget target;
  std::optional<HttpHeader> header;
  std::optional<ssl::context> trust;  ///< of https
};

HttpSender::HttpSender(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpSender::HttpSender(HttpSender&&) noexcept = default;
HttpSender& HttpSender::operator=(HttpSender&&) noexcept = default;
HttpSender::~HttpSender() = default;

Result<HttpSender> HttpSender::create(HttpTarget target, std::optional<HttpHeader> header,
                                      const std::string& ca_file) {
  auto impl = std::make_unique<Impl>();
  impl->target = std::move(target);
  impl->header = std::move(header);
  if (impl->target.tls) {
    impl->trust.emplace(ssl::context::tls_client);
    if (const auto error = load_trust(*impl->trust, ca_file)) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("'{}' can't be read as PEM certificates: {}", ca_file, error.message()));
    }
  }
  return HttpSender(std::move(impl));
}

Result<HttpAnswer> HttpSender::post_json(const std::string& body, std::chrono::milliseconds timeout) const {
  ssl::context* const trust = impl_->trust ? &*impl_->trust : nullptr;
  return Exchange(impl_->target, trust, make_request(impl_->target, impl_->header, body)).run(timeout);
}

}  // namespace headroom::cli
