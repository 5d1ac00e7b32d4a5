// What the service tells of its store, with real servers that come, go and are configured badly.

#include "headroom/serve_status.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "headroom/api.hpp"
#include "tests/servers/redis.hpp"

namespace headroom::cli {
namespace {

using headroom::testing::RedisServer;
using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

/// The status over the API, from a store in this Redis server.
class Served {
 public:
  explicit Served(const RedisServer& server)
      : choice_{server.url(), "a test"},
        read_(choice_.url, perf::OpenMode::kRead, 1),
        write_(choice_.url, perf::OpenMode::kWrite, 1) {
    configuration_.perf.state = server.folder().string();
    add_perf_api(router_, {read_, write_, configuration_.perf.state, [this]() -> base::Result<std::string> {
                             return status_json(service_status(configuration_, choice_, read_),
                                                base::utc_now());
                           }});
  }

  json status() {
    const net::Match match = router_.match("GET", {"api", "perf", "status"});
    const net::Response response = match.route->handler(net::Request{});
    EXPECT_EQ(response.status, 200);
    return json::parse(response.body);
  }

 private:
  Configuration configuration_;
  StoreChoice choice_;
  StorePool read_;
  StorePool write_;
  net::Router router_;
};

TEST(ServiceStatus, IsAnsweredWhileTheStoreIsAway) {
  RedisServer server;
  Served served(server);
  EXPECT_EQ(served.status()["store"]["state"], "ok");
  server.kill();
  const json away = served.status();
  EXPECT_EQ(away["store"]["state"], "away");
  EXPECT_EQ(away["store"]["url"], server.url());
  EXPECT_TRUE(away["store"]["calls"].is_null());
  EXPECT_THAT(away["problems"], Contains(away["store"]["error"]));
  EXPECT_TRUE(away["running"].is_array());
  server.start();
  EXPECT_EQ(served.status()["store"]["state"], "ok");
}

TEST(ServiceStatus, WarnsOfAServerThatThrowsKeysAway) {
  const auto evicts = HasSubstr("maxmemory-policy noeviction");
  const auto problems = [](const std::vector<std::string>& options) {
    const RedisServer server(options);
    return Served(server).status()["problems"].get<std::vector<std::string>>();
  };
  EXPECT_THAT(problems({"--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"}), Contains(evicts));
  EXPECT_THAT(problems({"--maxmemory", "64mb", "--maxmemory-policy", "noeviction"}), Not(Contains(evicts)));
  EXPECT_THAT(problems({"--maxmemory", "64mb", "--maxmemory-policy", "volatile-lru"}), Not(Contains(evicts)))
      << "no record expires";
  EXPECT_THAT(problems({"--maxmemory", "0", "--maxmemory-policy", "allkeys-lru"}), Not(Contains(evicts)))
      << "memory without a limit is never full";
}

}  // namespace
}  // namespace headroom::cli
