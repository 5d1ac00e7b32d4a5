#include "headroom/bus_publish.hpp"

#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace headroom::cli {
namespace {

using base::Error;
using base::ErrorCode;
using base::fail;
using base::Result;
using json = nlohmann::ordered_json;

json published_json(const bus::Published& published) {
  json made{{"offset", published.position.offset}, {"epoch", published.position.epoch}};
  if (published.repeated) made["repeated"] = true;
  return made;
}

json error_json(const Error& error) {
  return {{"error", {{"code", base::name(error.code())}, {"message", error.message()}}}};
}

std::string text_of(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

/// The outcomes so far of one request.
struct Outcomes {
  std::vector<Result<bus::Published>> all;
  std::size_t left = 0;
  bool batch = false;
  std::function<void(net::Response)> answer;

  void finish() {
    if (!batch && !all.front()) return answer(net::error_response(all.front().error()));
    if (!batch)
      return answer(net::make_response(200, "application/json", text_of(published_json(*all.front()))));
    json results = json::array();
    for (const auto& one : all) results.push_back(one ? published_json(*one) : error_json(one.error()));
    answer(net::make_response(200, "application/json", text_of({{"results", std::move(results)}})));
  }
};

}  // namespace

void publish_all(bus::Hub& hub, bus::WantedPublications wanted, const bus::Grant& grant,
                 std::function<void(net::Response)> answer) {
  const bus::Now now = bus::read_clocks();
  const auto outcomes = std::make_shared<Outcomes>();
  outcomes->batch = wanted.batch;
  outcomes->answer = std::move(answer);
  outcomes->left = wanted.all.size();
  outcomes->all.assign(wanted.all.size(), fail(ErrorCode::kTimedOut, "not answered"));
  for (std::size_t i = 0; i < wanted.all.size(); ++i) {
    const auto done = [outcomes, i](Result<bus::Published> published) {
      outcomes->all[i] = std::move(published);
      if (--outcomes->left == 0) outcomes->finish();
    };
    Result<bus::Publication>& one = wanted.all[i];
    if (!one) {
      done(fail(std::move(one.error())));
    } else if (!grant.admin && !bus::grants(grant.publish, one->channel)) {
      done(fail(ErrorCode::kDenied, fmt::format("this token may not publish to channel '{}'", one->channel)));
    } else {
      hub.publish(std::move(*one), now, done);
    }
  }
}

}  // namespace headroom::cli
