#include "headroom/worklist_fragment.hpp"

#include <algorithm>
#include <cstddef>
#include <map>

#include <fmt/format.h>

#include "net/http.hpp"

namespace headroom::cli {

using base::ErrorCode;
using base::fail;
using base::Result;
using worklist::Action;

namespace {

bool is_control(char character) {
  return static_cast<unsigned char>(character) < 0x20U || character == '\x7f';
}

/// For text and for values in double quotes. Control characters, which HTML has no way to write, become the
/// mark of what can't be shown.
std::string escaped(std::string_view text) {
  std::string html;
  html.reserve(text.size());
  for (const char character : text) {
    switch (character) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      case '\'':
        html += "&#39;";
        break;
      default:
        if (is_control(character)) {
          html += "\xEF\xBF\xBD";
        } else {
          html += character;
        }
    }
  }
  return html;
}

const std::string& title_of(const Action& list, FragmentGroup group) {
  return group == FragmentGroup::kWorkflow ? list.workflow : list.category;
}

std::string item(const Action& list) {
  const std::string name = escaped(list.name);
  std::string inside = fmt::format("<span class=\"headroom-worklist-name\">{}</span>", name);
  if (!list.url.empty() && is_link(list.url))
    inside = fmt::format("<a class=\"headroom-worklist-name\" href=\"{}\">{}</a>", escaped(list.url), name);
  return fmt::format("<li class=\"headroom-worklist\" data-list=\"{}\" data-count=\"{}\">{}</li>\n",
                     escaped(list.list), list.count, inside);
}

std::string items(const std::vector<const Action*>& lists) {
  std::string html = "<ul class=\"headroom-worklists-items\">\n";
  for (const Action* list : lists) html += item(*list);
  return html + "</ul>\n";
}

struct Group {
  std::string title;
  std::vector<const Action*> lists;
};

std::vector<Group> groups_of(const std::vector<Action>& lists, FragmentGroup group) {
  std::vector<Group> groups;
  std::map<std::string_view, std::size_t> places;
  for (const Action& list : lists) {
    const std::string& title = title_of(list, group);
    const auto [place, is_new] = places.try_emplace(title, groups.size());
    if (is_new) groups.push_back({title, {}});
    groups[place->second].lists.push_back(&list);
  }
  return groups;
}

}  // namespace

Result<FragmentGroup> parse_fragment_group(std::string_view text) {
  if (text == "category") return FragmentGroup::kCategory;
  if (text == "workflow") return FragmentGroup::kWorkflow;
  if (text == "none") return FragmentGroup::kNone;
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("'{:.40}': expected category, workflow or none", text));
}

bool is_link(std::string_view url) {
  if (std::any_of(url.begin(), url.end(), is_control)) return false;
  const std::size_t end = url.find_first_of(":/?#\\");
  if (end == std::string_view::npos || url[end] != ':') return true;
  const std::string_view scheme = url.substr(0, end);
  return net::equals_ignoring_case(scheme, "http") || net::equals_ignoring_case(scheme, "https");
}

std::string worklist_fragment(const std::vector<Action>& lists, FragmentGroup group) {
  if (lists.empty()) return "<div class=\"headroom-worklists headroom-worklists-empty\"></div>\n";
  std::string html = "<div class=\"headroom-worklists\">\n";
  if (group == FragmentGroup::kNone) {
    std::vector<const Action*> all;
    for (const Action& list : lists) all.push_back(&list);
    html += items(all);
  } else {
    for (const Group& one : groups_of(lists, group)) {
      const std::string title = escaped(one.title);
      html += fmt::format(
          "<section class=\"headroom-worklists-group\" data-group=\"{}\">\n"
          "<h3 class=\"headroom-worklists-title\">{}</h3>\n{}</section>\n",
          title, title, items(one.lists));
    }
  }
  return html + "</div>\n";
}

}  // namespace headroom::cli
