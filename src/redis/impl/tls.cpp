// TLS without giving OpenSSL the socket: it reads and writes two memory buffers, and this file carries the
// bytes to and from the stream below. So deadlines and SIGPIPE are handled in one place, the socket.

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "redis/impl/transport.hpp"

namespace headroom::redis {

namespace {

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* session) const { SSL_free(session); }
};
using Context = std::unique_ptr<SSL_CTX, Free>;
using Session = std::unique_ptr<SSL, Free>;

std::string last_error() {
  const auto code = ERR_peek_last_error();
  ERR_clear_error();
  const char* const text = code == 0 ? nullptr : ERR_reason_error_string(code);
  return text == nullptr ? "unknown error" : text;
}

bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

Result<Context> make_context(const Url& url) {
  Context context(SSL_CTX_new(TLS_client_method()));
  if (!context) return fail(ErrorCode::kInternal, fmt::format("TLS: {}", last_error()));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  const int loaded = url.ca_file.empty() ? SSL_CTX_set_default_verify_paths(context.get())
                                         : SSL_CTX_load_verify_file(context.get(), url.ca_file.c_str());
  if (loaded != 1) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("ca file '{}' can't be read as PEM certificates: {}", url.ca_file, last_error()));
  }
  return context;
}

/// The name that the certificate must carry.
bool expect_host(SSL* session, const std::string& host) {
  if (is_address(host)) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host.c_str()) == 1;
  return SSL_set1_host(session, host.c_str()) == 1 && SSL_set_tlsext_host_name(session, host.c_str()) == 1;
}

class Tls final : public Transport {
 public:
  Tls(std::unique_ptr<Transport> stream, Session session, BIO* incoming, BIO* outgoing)
      : stream_(std::move(stream)), session_(std::move(session)), incoming_(incoming), outgoing_(outgoing) {}

  Result<void> handshake(Deadline deadline) {
    for (;;) {
      ERR_clear_error();
      const int done = SSL_connect(session_.get());
      if (done == 1) return flush(deadline);
      if (auto moved = carry(done, deadline); !moved) return handshake_failed(std::move(moved.error()));
    }
  }

  Result<void> send(std::string_view bytes, Deadline deadline) override {
    while (!bytes.empty()) {
      std::size_t written = 0;
      ERR_clear_error();
      // A record at a time, so that the buffer between stays small.
      const int done = SSL_write_ex(session_.get(), bytes.data(), std::min(bytes.size(), kRecord), &written);
      if (done == 1) {
        bytes.remove_prefix(written);
        if (auto sent = flush(deadline); !sent) return sent;
      } else if (auto moved = carry(done, deadline); !moved) {
        return moved;
      }
    }
    return {};
  }

  Result<std::size_t> receive(std::span<char> buffer, Deadline deadline) override {
    for (;;) {
      std::size_t read = 0;
      ERR_clear_error();
      const int done = SSL_read_ex(session_.get(), buffer.data(), buffer.size(), &read);
      if (done == 1) return read;
      if (auto moved = carry(done, deadline); !moved) return fail(std::move(moved.error()));
    }
  }

  bool closed_by_server() override { return stream_->closed_by_server(); }

 private:
  static constexpr std::size_t kRecord = 16'384;

  /// Does what OpenSSL waits for.
  Result<void> carry(int done, Deadline deadline) {
    switch (SSL_get_error(session_.get(), done)) {
      case SSL_ERROR_WANT_READ:
        if (auto sent = flush(deadline); !sent) return sent;
        return fill(deadline);
      case SSL_ERROR_WANT_WRITE:
        return flush(deadline);
      case SSL_ERROR_ZERO_RETURN:
        return fail(ErrorCode::kUnavailable, "connection closed by the server");
      default:
        return fail(ErrorCode::kUnavailable, fmt::format("TLS: {}", last_error()));
    }
  }

  Result<void> flush(Deadline deadline) {
    std::array<char, kRecord> buffer;
    for (;;) {
      const int size = BIO_read(outgoing_, buffer.data(), static_cast<int>(buffer.size()));
      if (size <= 0) return {};
      if (auto sent = stream_->send({buffer.data(), static_cast<std::size_t>(size)}, deadline); !sent)
        return sent;
    }
  }

  Result<void> fill(Deadline deadline) {
    std::array<char, kRecord> buffer;
    auto received = stream_->receive(buffer, deadline);
    if (!received) return fail(std::move(received.error()));
    if (BIO_write(incoming_, buffer.data(), static_cast<int>(*received)) == static_cast<int>(*received))
      return {};
    return fail(ErrorCode::kOverloaded, "no memory for TLS");
  }

  /// A certificate that is refused is told as such, with OpenSSL's reason.
  Result<void> handshake_failed(base::Error error) {
    const auto verdict = SSL_get_verify_result(session_.get());
    if (verdict == X509_V_OK) return fail(std::move(error).within("TLS handshake"));
    return fail(ErrorCode::kDenied,
                fmt::format("the server's certificate is not trusted: {} (a CA file is named by "
                            "?ca=/path)",
                            X509_verify_cert_error_string(verdict)));
  }

  std::unique_ptr<Transport> stream_;
  Session session_;
  BIO* incoming_;  ///< owned by session_
  BIO* outgoing_;  ///< owned by session_
};

}  // namespace

Result<std::unique_ptr<Transport>> start_tls(std::unique_ptr<Transport> stream, const Url& url,
                                             Deadline deadline) {
  auto context = make_context(url);
  if (!context) return fail(std::move(context.error()));
  Session session(SSL_new(context->get()));
  BIO* const incoming = BIO_new(BIO_s_mem());
  BIO* const outgoing = BIO_new(BIO_s_mem());
  if (!session || incoming == nullptr || outgoing == nullptr) {
    BIO_free(incoming);
    BIO_free(outgoing);
    return fail(ErrorCode::kOverloaded, "no memory for TLS");
  }
  SSL_set_bio(session.get(), incoming, outgoing);
  if (!expect_host(session.get(), url.host)) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is no host name for TLS", url.host));
  }
  auto tls = std::make_unique<Tls>(std::move(stream), std::move(session), incoming, outgoing);
  if (auto done = tls->handshake(deadline); !done) return fail(std::move(done.error()));
  return tls;
}

}  // namespace headroom::redis
