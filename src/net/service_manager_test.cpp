#include "net/service_manager.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace headroom::net {
namespace {

class NotifySocket : public testing::Test {
 protected:
  NotifySocket() {
    std::string folder = (std::filesystem::temp_directory_path() / "headroom-notify-XXXXXX").string();
    folder_ = ::mkdtemp(folder.data());
    path_ = (folder_ / "socket").string();
    descriptor_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    EXPECT_EQ(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  ~NotifySocket() override {
    ::close(descriptor_);
    std::filesystem::remove_all(folder_);
  }
  std::string received() const {
    std::array<char, 256> bytes{};
    const ssize_t size = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
    return size < 0 ? "" : std::string(bytes.data(), static_cast<std::size_t>(size));
  }

  std::filesystem::path folder_;
  std::string path_;
  int descriptor_ = -1;
};

TEST_F(NotifySocket, ReceivesTheState) {
  ::setenv("NOTIFY_SOCKET", path_.c_str(), 1);
  const ServiceManager manager = ServiceManager::from_environment();
  EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr);
  EXPECT_TRUE(manager.listens());
  EXPECT_TRUE(manager.notify("READY=1\nSTATUS=serving"));
  EXPECT_EQ(received(), "READY=1\nSTATUS=serving");
}

TEST(ServiceManager, IsSilentWithoutASocket) {
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_FALSE(ServiceManager::from_environment().listens());
  EXPECT_TRUE(ServiceManager("").notify("READY=1"));
}

TEST(ServiceManager, ReportsASocketThatIsGone) {
  EXPECT_FALSE(ServiceManager("/nonexistent/socket").notify("READY=1"));
  EXPECT_FALSE(ServiceManager("relative").notify("READY=1"));
}

}  // namespace
}  // namespace headroom::net
