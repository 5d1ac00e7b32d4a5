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

constexpr int kDeepest = 64;

Result<json> parse(std::string_view body) {
  bool too_deep = false;
  const json::parser_callback_t look = [&](int depth, json::parse_event_t, json&) {
    too_deep = too_deep || depth > kDeepest;
    return !too_deep;
  };
  json parsed = json::parse(body, look, false);
  if (too_deep)
    return fail(ErrorCode::kInvalidArgument, fmt::format("the JSON is nested deeper than {}", kDeepest));
  if (parsed.is_discarded()) return fail(ErrorCode::kInvalidArgument, "the body is not JSON in UTF-8");
  return parsed;
}

Result<bus::Publication> publication_of(const json& object) {
  if (!object.is_object() || !object.contains("channel") || !object.at("channel").is_string())
    return fail(ErrorCode::kInvalidArgument, "expected an object with 'channel', a text, and 'data'");
  bus::Publication made;
  made.channel = object.at("channel").get<std::string>();
  if (auto checked = bus::check_channel(made.channel); !checked) return fail(std::move(checked.error()));
  if (!object.contains("data"))
    return fail(ErrorCode::kInvalidArgument, fmt::format("channel '{}': 'data' is missing", made.channel));
  made.data = object.at("data").dump();
  if (!object.contains("id")) return made;
  const json& id = object.at("id");
  if (!id.is_string() || id.get_ref<const std::string&>().size() > bus::kMostPublicationIdBytes) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("channel '{}': 'id' is a text of at most {} bytes",
                                                         made.channel, bus::kMostPublicationIdBytes));
  }
  made.id = id.get<std::string>();
  return made;
}

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

Result<WantedPublications> parse_publications(std::string_view body) {
  auto parsed = parse(body);
  if (!parsed) return fail(std::move(parsed.error()));
  WantedPublications wanted;
  wanted.batch = parsed->is_object() && parsed->contains("messages");
  if (!wanted.batch) {
    wanted.all.push_back(publication_of(*parsed));
    return wanted;
  }
  const json& messages = parsed->at("messages");
  if (!messages.is_array() || messages.empty())
    return fail(ErrorCode::kInvalidArgument, "'messages' is a list of objects with 'channel' and 'data'");
  if (messages.size() > kMostPublications) {
    return fail(ErrorCode::kTooLarge, fmt::format("{} messages in one request; expected {} at most",
                                                  messages.size(), kMostPublications));
  }
  for (const json& message : messages) wanted.all.push_back(publication_of(message));
  return wanted;
}

void publish_all(bus::Hub& hub, WantedPublications wanted, const bus::Grant& grant,
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
