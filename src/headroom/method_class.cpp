#include "headroom/method_class.hpp"

#include <algorithm>
#include <array>

namespace headroom::cli {

namespace {

constexpr std::array<std::string_view, 20> kVerbs{"read",
                                                  "write",
                                                  "create",
                                                  "delete",
                                                  "search",
                                                  "search_read",
                                                  "search_count",
                                                  "copy",
                                                  "get",
                                                  "list",
                                                  "default_get",
                                                  "fields_get",
                                                  "execute",
                                                  "fields_view_get",
                                                  "view_toolbar_get",
                                                  "on_change",
                                                  "on_change_with",
                                                  "autocomplete",
                                                  "export_data",
                                                  "import_data"};

/// Dots and letters as names of methods have them; anything else was no client of ours.
bool is_plain(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char character) {
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') || character == '.' || character == '_' || character == '-';
  });
}

}  // namespace

MethodClass MethodClasses::of(std::string_view method, std::uint64_t succeeded) {
  const std::size_t dot = method.rfind('.');
  const std::string_view name = dot == std::string_view::npos ? method : method.substr(0, dot);
  const std::string_view verb = dot == std::string_view::npos ? std::string_view() : method.substr(dot + 1);
  if (!known_.contains(name)) {
    const bool accepted =
        succeeded > 0 && known_.size() < kMost && !name.empty() && name.size() <= kLongest && is_plain(name);
    if (!accepted) return {"other", "other"};
    known_.emplace(name);
  }
  const bool usual = std::find(kVerbs.begin(), kVerbs.end(), verb) != kVerbs.end();
  return {std::string(name), usual ? std::string(verb) : "other"};
}

}  // namespace headroom::cli
