#include "perf/profile_tree.hpp"

#include <fmt/format.h>

#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>

#include "perf/impl/report_parts.hpp"

namespace headroom::perf {

namespace {

using base::ErrorCode;
using base::fail;
using nlohmann::json;

json frames_json(const Profile& profile) {
  json functions = json::array();
  json files = json::array();
  json lines = json::array();
  for (const Frame& frame : profile.frames) {
    functions.push_back(frame.function);
    files.push_back(frame.file);
    lines.push_back(frame.line);
  }
  return {{"function", functions}, {"file", files}, {"line", lines}};
}

/// One value of every node, as a JSON list. Written by hand: there may be a hundred thousand of them.
template <typename Value>
std::string list_of(const Profile& profile, Value value) {
  std::string text = "[";
  for (const ProfileNode& node : profile.nodes) {
    if (text.size() > 1) text += ',';
    fmt::format_to(std::back_inserter(text), "{}", value(node));
  }
  return text + "]";
}

std::string nodes_json(const Profile& profile) {
  const bool sampled = profile.kind == Profile::Kind::kSampled;
  return fmt::format(
      R"({{"parent":{},"frame":{},"calls":{},"self_ns":{},"cpu_ns":{}}})",
      list_of(profile, std::mem_fn(&ProfileNode::parent)), list_of(profile, std::mem_fn(&ProfileNode::frame)),
      list_of(profile, std::mem_fn(&ProfileNode::calls)),
      list_of(profile, [](const ProfileNode& node) { return node.wall.count(); }),
      sampled ? list_of(profile, [](const ProfileNode& node) { return node.cpu.count(); }) : "[]");
}

std::string tree_json(const Profile& profile) {
  const json head{{"kind", profile.kind == Profile::Kind::kExact ? "exact" : "sampled"},
                  {"samples", profile.samples},
                  {"missed", profile.missed},
                  {"dropped_nodes", profile.dropped_nodes},
                  {"frames", frames_json(profile)}};
  std::string text = head.dump(-1, ' ', false, json::error_handler_t::replace);
  text.pop_back();  // the object goes on with its nodes
  return text + ",\"nodes\":" + nodes_json(profile) + "}";
}

}  // namespace

Result<std::string> profile_trees(Store& store, const ReportRequest& request) {
  if (request.argument.empty()) {
    return fail(ErrorCode::kInvalidArgument, "call: expected the number of a call that has a profile");
  }
  const auto records = impl::load_call(store, request);
  if (!records) return fail(records.error());
  const CallRecord& record = records->calls().front();
  std::string trees;
  for (const auto* profile : {&record.exact_profile, &record.sampled_profile}) {
    if (*profile) trees += (trees.empty() ? "" : ",") + tree_json(**profile);
  }
  if (trees.empty()) {
    return fail(ErrorCode::kNotFound, fmt::format("call {} was recorded without a profile; 'headroom profile "
                                                  "{}' lists the calls that have it",
                                                  request.argument, request.session));
  }
  return fmt::format("{{\"profiles\":[{}]}}", trees);
}

}  // namespace headroom::perf
