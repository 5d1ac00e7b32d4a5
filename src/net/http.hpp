#pragma once

// A request and its response as plain values: what handlers see. No network type stands here.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace headroom::net {

/// Header fields in order of arrival. Names compare without regard to case.
class Headers {
 public:
  /// The first value of that name, or nullptr.
  [[nodiscard]] const std::string* find(std::string_view name) const;
  [[nodiscard]] std::size_t count(std::string_view name) const;
  void add(std::string name, std::string value);
  /// Replaces every value of that name by one.
  void set(std::string_view name, std::string value);
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& all() const { return all_; }

 private:
  std::vector<std::pair<std::string, std::string>> all_;
};

/// Decoded `name=value` pairs, in order; a name without "=" has an empty value.
class Parameters {
 public:
  /// The first value of that name, or nullptr.
  [[nodiscard]] const std::string* find(std::string_view name) const;
  void add(std::string name, std::string value);
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& all() const { return all_; }

 private:
  std::vector<std::pair<std::string, std::string>> all_;
};

/// Who is at the other end.
struct Remote {
  /// "127.0.0.1", "::1", or "unix" for a client of the unix socket; of a client behind a proxy that is
  /// trusted, what the proxy says.
  std::string address;
  /// The connection came in on a loopback address or the unix socket, and no proxy brought it.
  bool local = false;
  /// A proxy that is trusted says that the client came by https.
  bool https = false;
  /// It came to an address where several processes listen: Endpoint::shared.
  bool shared = false;
};

/// What a caller may do; each includes those before it.
enum class Role : std::uint8_t {
  kNobody,
  kViewer,         ///< reads, but no bodies and parameters of calls
  kLocal,          ///< this machine, where nobody needs to sign in: reads everything
  kAdministrator,  ///< reads everything and changes rules
};
[[nodiscard]] std::string_view name(Role role);
/// The roles that a person may have: "viewer" and "administrator".
[[nodiscard]] std::optional<Role> parse_role(std::string_view text);

/// Who asks, as the gate found out.
struct Caller {
  Role role = Role::kNobody;
  std::string user;  ///< of a session; empty otherwise
  std::string csrf;  ///< of a session: what X-Headroom-CSRF must hold; empty otherwise

  [[nodiscard]] bool has_session() const { return !csrf.empty(); }
};

/// One request, complete and decoded.
struct Request {
  std::string method;  ///< as sent: "GET"
  std::string path;    ///< decoded, always begins with "/"
  Parameters query;
  Parameters parameters;  ///< what stood at the `{name}` segments of the route
  Headers headers;
  std::string body;
  Remote remote;
  Caller caller;
  std::int64_t deadline_ns = 0;  ///< on the monotonic clock; the answer is of no use after it
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
  /// Sent in place of `body` when it is not empty: bytes that live as long as the server, sent from where
  /// they lie.
  std::string_view lasting_body{};

  [[nodiscard]] std::string_view content() const { return lasting_body.empty() ? body : lasting_body; }
};

/// A response of that type; the body is sent as it stands.
[[nodiscard]] Response make_response(int status, std::string_view content_type, std::string body);
/// `{"error":{"code":...,"message":...}}`, as every error of this server looks.
[[nodiscard]] Response error_response(int status, std::string_view code, std::string_view message);
[[nodiscard]] Response error_response(const base::Error& error);

/// The body is said to be JSON. A browser sends that type to another site only after asking it, so it is a
/// second lock beside the secret of whatever changes something.
[[nodiscard]] bool is_json(const Request& request);

/// "Not Found" for 404; "Unknown" for a number that HTTP does not know.
[[nodiscard]] std::string_view reason_phrase(int status);
/// "GET", "HEAD", "POST", ... for the methods of RFC 9110, else "other": a bounded label for metrics.
[[nodiscard]] std::string_view method_class(std::string_view method);

/// Equal but for the case of ASCII letters.
[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b);

/// The head and the body as they go over the wire, with Date, Content-Length and the security headers that
/// the handler did not set itself. `head_only` answers HEAD: same length, no body.
/// Guarantees: CR and LF in header values become blanks, so that no value can start a header of its own.
struct WireOptions {
  bool keep_alive = true;
  bool head_only = false;
  bool with_length = true;  ///< else the body ends with the connection
};
[[nodiscard]] std::string serialize_head(const Response& response, const WireOptions& options,
                                         std::int64_t unix_seconds);

}  // namespace headroom::net
