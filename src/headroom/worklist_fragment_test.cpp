// A user's lists as HTML: what hostile definitions put into it is text.

#include "headroom/worklist_fragment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace headroom::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using worklist::Action;

Action action(std::string list, std::string name, std::string url, std::string category = "global") {
  return {std::move(list), "sale", std::move(name), std::move(url), std::move(category), 2};
}

TEST(WorklistFragment, NamesListsInTheirGroups) {
  const std::vector<Action> lists{action("sale/draft", "Drafts (2)", "sale?state=draft"),
                                  action("sale/late", "Late (2)", "", "urgent"),
                                  action("sale/mine", "Mine (2)", "https://erp.example.com/?a=1&b=2")};
  EXPECT_EQ(worklist_fragment(lists, FragmentGroup::kCategory),
            R"html(<div class="headroom-worklists">
<section class="headroom-worklists-group" data-group="global">
<h3 class="headroom-worklists-title">global</h3>
<ul class="headroom-worklists-items">
<li class="headroom-worklist" data-list="sale/draft" data-count="2"><a class="headroom-worklist-name" href="sale?state=draft">Drafts (2)</a></li>
<li class="headroom-worklist" data-list="sale/mine" data-count="2"><a class="headroom-worklist-name" href="https://erp.example.com/?a=1&amp;b=2">Mine (2)</a></li>
</ul>
</section>
<section class="headroom-worklists-group" data-group="urgent">
<h3 class="headroom-worklists-title">urgent</h3>
<ul class="headroom-worklists-items">
<li class="headroom-worklist" data-list="sale/late" data-count="2"><span class="headroom-worklist-name">Late (2)</span></li>
</ul>
</section>
</div>
)html");
  EXPECT_THAT(worklist_fragment(lists, FragmentGroup::kWorkflow), HasSubstr("data-group=\"sale\""));
  EXPECT_THAT(worklist_fragment(lists, FragmentGroup::kNone), Not(HasSubstr("<section")));
  EXPECT_EQ(worklist_fragment({}, FragmentGroup::kNone),
            "<div class=\"headroom-worklists headroom-worklists-empty\"></div>\n");
}

TEST(WorklistFragment, EscapesWhateverDefinitionsSay) {
  const std::string markup = "<img src=x onerror=\"a('1')\">&lt;\x1b\n";
  const std::string html =
      worklist_fragment({action("sale/" + markup, markup, "?a=" + std::string("\"><script>"), markup)},
                        FragmentGroup::kCategory);
  const std::string escaped =
      "&lt;img src=x onerror=&quot;a(&#39;1&#39;)&quot;&gt;&amp;lt;\xEF\xBF\xBD\xEF\xBF\xBD";
  EXPECT_THAT(html, AllOf(Not(HasSubstr("<img")), Not(HasSubstr("<script")), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(html, AllOf(HasSubstr("data-group=\"" + escaped + "\""), HasSubstr(">" + escaped + "</h3>"),
                          HasSubstr("data-list=\"sale/" + escaped + "\""),
                          HasSubstr("href=\"?a=&quot;&gt;&lt;script&gt;\">" + escaped + "</a>")));
}

TEST(WorklistFragment, LinksToTheWebAlone) {
  for (const char* url :
       {"http://a/", "HTTPS://a/", "//a/b", "/a?b=c:d", "sale?state:list=draft", "?a", "#a:b", "a/b:c", ""})
    EXPECT_TRUE(is_link(url)) << url;
  for (const char* url : {"javascript:alert(1)", "JavaScript:alert(1)", " javascript:alert(1)",
                          "\tjavascript:a", "java\nscript:alert(1)", "\x01javascript:a", "data:text/html,a",
                          "vbscript:a", ":a", "file:///etc/passwd",
                          "a\x7f"
                          "b"})
    EXPECT_FALSE(is_link(url)) << url;
  const std::string html =
      worklist_fragment({action("sale/a", "A (2)", "javascript:alert(1)")}, FragmentGroup::kNone);
  EXPECT_THAT(html, AllOf(Not(HasSubstr("javascript")), Not(HasSubstr("<a ")), HasSubstr("A (2)</span>")));
}

}  // namespace
}  // namespace headroom::cli
