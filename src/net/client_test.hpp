#pragma once

// A client that speaks bytes, for the tests of the server.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include "net/endpoint.hpp"

namespace headroom::net {

inline constexpr std::string_view kHost = "Host: localhost\r\n";

/// A client's end of one connection. Every wait ends after ten seconds.
class Client {
 public:
  /// `from`: the last byte of 127.0.0.x, where it comes from.
  explicit Client(const Endpoint& endpoint, unsigned from = 1) : from_(from) {
    if (endpoint.is_unix()) {
      connect_unix(endpoint.path);
    } else {
      connect_tcp(endpoint);
    }
  }
  ~Client() { close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// False when the server has closed.
  bool send(std::string_view bytes) const {
    return ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }

  /// Reads until `count` responses are complete, or the server closes.
  std::string read_responses(std::size_t count) {
    std::string all;
    std::size_t from = 0;
    while (count > 0) {
      const std::size_t end = response_end(all, from);
      if (end != std::string::npos) {
        from = end;
        --count;
      } else if (!read_more(all)) {
        break;
      }
    }
    return all;
  }

  std::string read_all() {
    std::string all;
    while (read_more(all)) {
    }
    return all;
  }

  /// What comes next; empty when the server has closed.
  std::string read_some() {
    std::string bytes;
    (void)read_more(bytes);
    return bytes;
  }

  std::string get(std::string_view path, std::string_view headers = {}) {
    send("GET " + std::string(path) + " HTTP/1.1\r\n" + std::string(kHost) + std::string(headers) + "\r\n");
    return read_responses(1);
  }

  void finish_sending() const { ::shutdown(descriptor_, SHUT_WR); }
  void close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }

 private:
  void connect_tcp(const Endpoint& endpoint) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    descriptor_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in source{};
    source.sin_family = AF_INET;
    source.sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~0xffU) | from_);
    EXPECT_EQ(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&source), sizeof(source)), 0);
    EXPECT_EQ(::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  void connect_unix(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    descriptor_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }

  bool read_more(std::string& all) const {
    pollfd waiting{descriptor_, POLLIN, 0};
    if (::poll(&waiting, 1, 10'000) != 1) {
      ADD_FAILURE() << "nothing came within ten seconds; so far: " << all;
      return false;
    }
    std::array<char, 65536> bytes{};
    const ssize_t size = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
    if (size <= 0) return false;
    all.append(bytes.data(), static_cast<std::size_t>(size));
    return true;
  }

  static std::size_t response_end(const std::string& all, std::size_t from) {
    const std::size_t head = all.find("\r\n\r\n", from);
    if (head == std::string::npos) return std::string::npos;
    const std::size_t length = all.find("Content-Length: ", from);
    const std::size_t body = length > head ? 0 : std::stoul(all.substr(length + 16));
    return all.size() < head + 4 + body ? std::string::npos : head + 4 + body;
  }

  unsigned from_;
  int descriptor_ = -1;
};

}  // namespace headroom::net
