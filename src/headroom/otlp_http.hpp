#pragma once

// HTTP POSTs with a deadline, in the clear or over TLS: what the OTLP exporter needs of a client.

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "headroom/otlp_section.hpp"

namespace headroom::cli {

struct HttpAnswer {
  int status = 0;
  std::string retry_after;
  std::string body;  ///< at most 64 KiB
};

/// Sends to one receiver, each time over a connection of its own. Threads: const methods may run at once.
class HttpSender final {
 public:
  /// `ca_file`: PEM certificates that are trusted in place of the system's; empty are the system's, which
  /// $SSL_CERT_FILE and $SSL_CERT_DIR may name. They are read here, once.
  /// Errors: invalid_argument (no certificate can be read from the file).
  [[nodiscard]] static base::Result<HttpSender> create(HttpTarget target, std::optional<HttpHeader> header,
                                                       const std::string& ca_file);
  HttpSender(HttpSender&&) noexcept;
  HttpSender& operator=(HttpSender&&) noexcept;
  ~HttpSender();

  /// Connects, sends a JSON body and reads the answer. Of https the certificate must be trusted, in force and
  /// for the host, before anything is sent. Errors: timed_out, unavailable, denied (the certificate). The
  /// look-up of the name is part of the deadline.
  [[nodiscard]] base::Result<HttpAnswer> post_json(const std::string& body,
                                                   std::chrono::milliseconds timeout) const;

 private:
  struct Impl;
  explicit HttpSender(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace headroom::cli
