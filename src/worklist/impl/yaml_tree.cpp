#include "worklist/impl/yaml_tree.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include <fmt/format.h>

#include "sql/utf8.hpp"

namespace headroom::worklist::impl {

namespace {

using base::fail;
using Kind = YamlNode::Kind;

/// Leaves yaml-cpp's parser at the first thing that is wrong or too much.
struct Refused {
  ErrorCode code;
  int line;
  std::string message;
};

std::size_t count_nodes(const YamlNode& node) {
  std::size_t count = 1;
  for (const YamlNode& key : node.keys) count += count_nodes(key);
  for (const YamlNode& item : node.items) count += count_nodes(item);
  return count;
}

std::size_t height(const YamlNode& node) {
  std::size_t below = 0;
  for (const YamlNode& item : node.items) below = std::max(below, height(item));
  return below + 1;
}

/// Builds the tree from the parser's events.
class Builder final : public YAML::EventHandler {
 public:
  [[nodiscard]] YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add_leaf(mark, anchor, {}); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node;
    node.kind = Kind::kScalar;
    node.plain = tag == "?";
    if (!node.plain && tag != "!") refuse(mark, fmt::format("tags such as '{:.40}' are not read", tag));
    if (!sql::is_clean_utf8(value)) refuse(mark, "the text is not UTF-8");
    node.scalar = value;
    add_leaf(mark, anchor, std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Kind::kSequence);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Kind::kMapping);
  }
  void OnMapEnd() override { close(); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) refuse(mark, "an alias stands within what it means");
    count(mark, count_nodes(found->second));
    if (open_.size() + height(found->second) > kDeepestYaml) refuse_depth(mark);
    add(found->second);
  }

 private:
  struct Open {
    YamlNode node;
    YAML::anchor_t anchor;
    std::set<std::string> known;  ///< keys until now
  };

  [[noreturn]] static void refuse(const YAML::Mark& mark, std::string message) {
    throw Refused{ErrorCode::kInvalidArgument, mark.line + 1, std::move(message)};
  }
  [[noreturn]] static void refuse_depth(const YAML::Mark& mark) {
    throw Refused{ErrorCode::kTooLarge, mark.line + 1,
                  fmt::format("more than {} levels within each other", kDeepestYaml)};
  }
  void count(const YAML::Mark& mark, std::size_t more) {
    nodes_ += more;
    if (nodes_ <= kMostNodes) return;
    throw Refused{ErrorCode::kTooLarge, mark.line + 1,
                  fmt::format("more than {} values, those of aliases included", kMostNodes)};
  }
  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Kind kind) {
    if (!tag.empty() && tag != "?") refuse(mark, fmt::format("tags such as '{:.40}' are not read", tag));
    count(mark, 1);
    if (open_.size() >= kDeepestYaml) refuse_depth(mark);
    YamlNode node;
    node.kind = kind;
    node.line = mark.line + 1;
    open_.push_back({std::move(node), anchor, {}});
  }
  void close() {
    Open closed = std::move(open_.back());
    open_.pop_back();
    YAML::Mark mark;
    mark.line = closed.node.line - 1;
    remember(mark, closed.anchor, closed.node);
    add(std::move(closed.node));
  }
  void add_leaf(const YAML::Mark& mark, YAML::anchor_t anchor, YamlNode node) {
    count(mark, 1);
    node.line = mark.line + 1;
    remember(mark, anchor, node);
    add(std::move(node));
  }
  /// What is kept for aliases counts as well: anchors may stand within each other.
  void remember(const YAML::Mark& mark, YAML::anchor_t anchor, const YamlNode& node) {
    if (anchor == YAML::NullAnchor) return;
    count(mark, count_nodes(node));
    anchors_[anchor] = node;
  }
  void add(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    YamlNode& parent = open_.back().node;
    const bool is_key = parent.is(Kind::kMapping) && parent.keys.size() == parent.items.size();
    if (!is_key) {
      parent.items.push_back(std::move(node));
      return;
    }
    // The key `null` of a criterion is what YAML takes for nothing.
    if (node.is(Kind::kNull)) {
      node.kind = Kind::kScalar;
      node.scalar = "null";
    }
    check_key(node);
    parent.keys.push_back(std::move(node));
  }
  void check_key(const YamlNode& key) {
    YAML::Mark mark;
    mark.line = key.line - 1;
    if (!key.is(Kind::kScalar)) refuse(mark, "a key has to be a text");
    if (!open_.back().known.insert(key.scalar).second)
      refuse(mark, fmt::format("'{:.60}' stands here twice", key.scalar));
  }

  YamlNode root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, YamlNode> anchors_;
  std::size_t nodes_ = 0;
};

base::Error located(std::string_view file, const Refused& refused) {
  return {refused.code, one_line(fmt::format("{}:{}: {}", file, refused.line, refused.message))};
}

/// The parser's words, shortened: they may repeat what stands in the file.
std::string words(std::string_view message) {
  return one_line(std::string(sql::cut_utf8(sql::clean_utf8(message), 200)));
}

}  // namespace

std::string one_line(std::string text) {
  for (char& sign : text) {
    const auto byte = static_cast<unsigned char>(sign);
    if (byte < 0x20 || byte == 0x7f) sign = ' ';
  }
  return text;
}

const YamlNode* YamlNode::find(std::string_view key) const {
  for (std::size_t i = 0; i < keys.size() && i < items.size(); ++i) {
    if (keys[i].scalar == key) return &items[i];
  }
  return nullptr;
}

Result<YamlNode> read_yaml(std::string_view text, std::string_view file) {
  if (text.size() > kLargestYaml)
    return fail(ErrorCode::kTooLarge, fmt::format("{}: larger than {} MiB", file, kLargestYaml >> 20U));
  std::istringstream stream{std::string(text)};
  Builder builder;
  try {
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder))
      return fail(ErrorCode::kInvalidArgument, fmt::format("{}: the file is empty", file));
    Builder rest;
    if (parser.HandleNextDocument(rest))
      return fail(ErrorCode::kInvalidArgument, fmt::format("{}: more than one document (---)", file));
  } catch (const Refused& refused) {
    return fail(located(file, refused));
  } catch (const YAML::Exception& error) {
    return fail(
        located(file, {ErrorCode::kInvalidArgument, std::max(error.mark.line + 1, 1), words(error.msg)}));
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", file, words(error.what())));
  }
  return builder.take();
}

}  // namespace headroom::worklist::impl
