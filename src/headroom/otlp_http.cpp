#include "headroom/otlp_http.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <optional>

#include <fmt/format.h>

#include "headroom/version.hpp"

namespace headroom::cli {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using base::ErrorCode;
using base::fail;
using base::Result;
using boost::system::error_code;

constexpr std::uint64_t kLongestAnswer = 64ULL << 10;

/// One exchange: each step begins the next, and `finish` ends it.
class Exchange final {
 public:
  Exchange(const HttpTarget& target, const HttpHeader* header, const std::string& body)
      : target_(target), resolver_(context_), stream_(context_) {
    request_.method(http::verb::post);
    request_.target(target.path);
    request_.version(11);
    request_.set(http::field::host, target.host + ":" + target.port);
    request_.set(http::field::user_agent, fmt::format("headroom/{}", kVersion));
    request_.set(http::field::content_type, "application/json");
    request_.set(http::field::connection, "close");
    if (header != nullptr) request_.set(header->name, header->value);
    request_.body() = body;
    request_.prepare_payload();
    parser_.body_limit(kLongestAnswer);
  }

  Result<HttpAnswer> run(std::chrono::milliseconds timeout) {
    stream_.expires_after(timeout);
    resolver_.async_resolve(target_.host, target_.port,
                            [this](error_code error, const asio::ip::tcp::resolver::results_type& found) {
                              if (error) return finish(error);
                              connect(found);
                            });
    context_.run_for(timeout);
    if (answer_) return *answer_;
    return fail(ErrorCode::kTimedOut, fmt::format("{}:{} did not answer within {} ms", target_.host,
                                                  target_.port, timeout.count()));
  }

 private:
  void connect(const asio::ip::tcp::resolver::results_type& found) {
    stream_.async_connect(found, [this](error_code error, const asio::ip::tcp::endpoint&) {
      if (error) return finish(error);
      send();
    });
  }

  void send() {
    http::async_write(stream_, request_, [this](error_code error, std::size_t) {
      if (error) return finish(error);
      receive();
    });
  }

  void receive() {
    http::async_read(stream_, buffer_, parser_, [this](error_code error, std::size_t) {
      if (error) return finish(error);
      const auto& message = parser_.get();
      answer_ = HttpAnswer{static_cast<int>(message.result_int()),
                           std::string(message[http::field::retry_after]), message.body()};
    });
  }

  void finish(const error_code& error) {
    if (error == beast::error::timeout) return;
    answer_ =
        fail(ErrorCode::kUnavailable, fmt::format("{}:{}: {}", target_.host, target_.port, error.message()));
  }

  const HttpTarget& target_;
  asio::io_context context_{1};
  asio::ip::tcp::resolver resolver_;
  beast::tcp_stream stream_;
  http::request<http::string_body> request_;
  http::response_parser<http::string_body> parser_;
  beast::flat_buffer buffer_;
  std::optional<Result<HttpAnswer>> answer_;
};

}  // namespace

Result<HttpAnswer> post_json(const HttpTarget& target, const HttpHeader* header, const std::string& body,
                             std::chrono::milliseconds timeout) {
  return Exchange(target, header, body).run(timeout);
}

}  // namespace headroom::cli
