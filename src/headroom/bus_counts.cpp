#include "headroom/bus_counts.hpp"

#include <utility>

#include "bus/rules.hpp"

namespace headroom::cli {

std::vector<CountsChannel::Listener> BusCounts::listeners() {
  std::vector<Listener> all;
  for (const bus::ChannelInfo& info : hub_.channels(bus::kUserPrefix, kMostListeners)) {
    std::string user = info.channel.substr(bus::kUserPrefix.size());
    if (user.find(':') != std::string::npos) continue;
    const std::size_t at = user.rfind('@');
    if (at != std::string::npos && !database_.empty() && user.substr(at + 1) == database_) user.resize(at);
    if (!user.empty()) all.push_back({info.channel, std::move(user)});
  }
  return all;
}

void BusCounts::publish(const std::string& channel, std::string data) {
  bus::Publication publication;
  publication.channel = channel;
  publication.data = std::move(data);
  hub_.publish(std::move(publication), bus::read_clocks(), [](const base::Result<bus::Published>&) {});
}

}  // namespace headroom::cli
