// XML-RPC without a parser: tags are copied, the text between them is judged. A member's name arms the value
// that follows it, up to the end of that value; in a login everything from the second parameter on is secret.

#include <algorithm>

#include "perf/impl/redact_parts.hpp"

namespace headroom::perf::impl {
namespace {

class Rewriter {
 public:
  Rewriter(std::string_view xml, const IsSecret& is_secret) : xml_(xml), is_secret_(is_secret) {}

  std::string run() {
    while (position_ < xml_.size()) {
      if (xml_[position_] == '<') {
        tag();
      } else {
        text(xml_.find('<', position_));
      }
    }
    return std::move(out_);
  }

 private:
  void tag() {
    if (xml_.substr(position_).starts_with("<![CDATA[")) return text(xml_.find("]]>", position_));
    const std::size_t end = std::min(xml_.find('>', position_), xml_.size() - 1);
    const std::string_view tag = xml_.substr(position_, end + 1 - position_);
    position_ = end + 1;
    out_ += scrub_text(tag, is_secret_);
    tag_ = std::string{tag.substr(0, tag.find_first_of(" \t\r\n>"))} + '>';
    if (tag_ == "<param>") ++params_;
    if (armed_ && tag_ == "<value>") ++values_;
    if (armed_ && tag_ == "</value>" && --values_ <= 0) armed_ = false;
    if (tag_ == "</member>" && values_ <= 0) armed_ = false;
  }

  void text(std::size_t found_end) {
    const std::size_t end = std::min(found_end, xml_.size());
    const std::string_view text = xml_.substr(position_, end - position_);
    position_ = end;
    if (tag_ == "<methodName>") login_ = text.find("login") != std::string_view::npos;
    if (tag_ == "<name>") arm(text);
    const bool blank = text.find_first_not_of(" \t\r\n") == std::string_view::npos;
    const bool is_name = tag_ == "<name>" || tag_ == "<methodName>";
    const bool secret = (armed_ && !is_name) || (login_ && params_ >= 2 && !is_name);
    if (secret && !blank) {
      out_ += kRedacted;
    } else if (end == xml_.size() && !blank) {
      out_ += without_last_word(scrub_text(text, is_secret_));
    } else {
      out_ += scrub_text(text, is_secret_);
    }
  }

  void arm(std::string_view name) {
    if (armed_ || !is_secret_(name)) return;
    armed_ = true;
    values_ = 0;
  }

  std::string_view xml_;
  const IsSecret& is_secret_;
  std::string out_;
  std::string tag_;  ///< the last one, without attributes
  std::size_t position_ = 0;
  int params_ = 0;
  int values_ = 0;
  bool armed_ = false;
  bool login_ = false;
};

}  // namespace

std::string redact_xml(std::string_view xml, const IsSecret& is_secret) {
  return Rewriter{xml, is_secret}.run();
}

}  // namespace headroom::perf::impl
