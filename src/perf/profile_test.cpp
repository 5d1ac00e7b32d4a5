#include "perf/profile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "perf/profile_text.hpp"

namespace headroom::perf {
namespace {

using base::ErrorCode;
using base::Nanoseconds;
using std::chrono::milliseconds;
using testing::HasSubstr;

const Frame kRead{"sale.sale:read", "sale.py", 10};
const Frame kBrowse{"Model.browse", "model.py", 20};
const Frame kLen{"<built-in builtins.len>", "~", 0};

Profile small_profile() {
  ProfileBuilder builder(Profile::Kind::kExact);
  const auto read = builder.child(0, kRead);
  const auto browse = builder.child(read, kBrowse);
  const auto len = builder.child(browse, kLen);
  const auto again = builder.child(browse, kRead);
  builder.add(0, 0, milliseconds{1});
  builder.add(read, 1, milliseconds{10});
  builder.add(browse, 1, milliseconds{20});
  builder.add(len, 100, milliseconds{3});
  builder.add(again, 2, milliseconds{6});
  return std::move(builder).take();
}

Profile random_profile(std::uint32_t seed) {
  std::mt19937 random(seed);
  ProfileBuilder builder(random() % 2 == 0 ? Profile::Kind::kExact : Profile::Kind::kSampled);
  std::uint32_t nodes = 1;
  for (int i = 0; i < 300; ++i) {
    const auto name = "function" + std::to_string(random() % 40);
    const auto node = builder.child(static_cast<std::uint32_t>(random() % nodes),
                                    {name, "file.py", static_cast<std::uint32_t>(random() % 50)});
    builder.add(node, random(), Nanoseconds(random()), Nanoseconds(random() % 1000));
    nodes = static_cast<std::uint32_t>(builder.profile().nodes.size());
  }
  builder.count_samples(random(), random());
  return std::move(builder).take();
}

Nanoseconds total(const Profile& profile) {
  Nanoseconds sum{0};
  for (const ProfileNode& node : profile.nodes) sum += node.wall;
  return sum;
}

TEST(ProfileBuilder, FindsTheNodeOfAFrameBelowItsParentAgain) {
  ProfileBuilder builder(Profile::Kind::kExact);
  const auto read = builder.child(0, kRead);
  EXPECT_EQ(builder.child(0, kRead), read);
  EXPECT_NE(builder.child(read, kRead), read);
  EXPECT_EQ(builder.profile().frames.size(), 1U);
  EXPECT_EQ(builder.profile().nodes.size(), 3U);
}

TEST(ProfileBuilder, GivesTheTimeOfNodesBeyondTheBoundToTheirParent) {
  ProfileBuilder builder(Profile::Kind::kExact, 2);
  const auto read = builder.child(0, kRead);
  const auto beyond = builder.child(read, kBrowse);
  EXPECT_EQ(beyond, read);
  builder.add(beyond, 0, milliseconds{5});
  EXPECT_EQ(builder.child(0, kRead), read) << "a node that exists is still found";
  EXPECT_EQ(builder.child(read, kRead), read) << "a known frame makes no node either";
  const Profile profile = std::move(builder).take();
  EXPECT_EQ(profile.nodes.size(), 2U);
  EXPECT_EQ(profile.frames.size(), 1U);
  EXPECT_EQ(profile.dropped_nodes, 2U);
  EXPECT_EQ(total(profile), milliseconds{5});
}

TEST(ProfileMerge, AddsUpNodesOnTheSamePath) {
  const Profile one = small_profile();
  const Profile both = merge(std::vector{one, one}).value();
  ASSERT_EQ(both.nodes.size(), one.nodes.size());
  EXPECT_EQ(total(both), 2 * total(one));
  EXPECT_EQ(both.nodes[3].calls, 200U);
}

TEST(ProfileMerge, RefusesToMixKinds) {
  Profile sampled = small_profile();
  sampled.kind = Profile::Kind::kSampled;
  const auto merged = merge(std::vector{small_profile(), sampled});
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().code(), ErrorCode::kInvalidArgument);
}

TEST(ProfileMerge, OfNothingIsAnEmptyProfileWithARoot) {
  EXPECT_EQ(merge({}).value().nodes.size(), 1U);
}

TEST(PackedProfile, ComesBackAsItWas) {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    const Profile profile = random_profile(seed);
    const auto back = unpack_profile(pack_profile(profile));
    ASSERT_TRUE(back) << "seed " << seed << ": " << back.error().message();
    EXPECT_EQ(*back, profile) << "seed " << seed;
  }
}

TEST(PackedProfile, IsSmall) {
  ProfileBuilder builder(Profile::Kind::kExact);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const auto node =
        builder.child(i, {"trytond.model:function" + std::to_string(i % 100), "model.py", i % 100});
    builder.add(node, i, Nanoseconds(i * 1000));
  }
  EXPECT_LT(pack_profile(builder.profile()).size(), 10'000U);
}

TEST(PackedProfile, RefusesEveryCutAndTellsDamage) {
  const std::string bytes = pack_profile(small_profile());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto back = unpack_profile(std::string_view(bytes).substr(0, size));
    ASSERT_FALSE(back) << size;
    EXPECT_EQ(back.error().code(), ErrorCode::kProtocol);
  }
}

TEST(PackedProfile, SurvivesEveryFlippedByte) {
  const std::string bytes = pack_profile(small_profile());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x41);
    const auto back = unpack_profile(damaged);
    if (!back) continue;
    for (std::size_t node = 1; node < back->nodes.size(); ++node) {
      ASSERT_LT(back->nodes[node].parent, node);
      ASSERT_LT(back->nodes[node].frame, back->frames.size());
    }
  }
}

TEST(PackedProfile, AllocatesNothingForALengthThatCannotBeTrue) {
  const auto huge = unpack_profile(std::string("HRP\x01\xff\xff\xff\xff\x0f", 9));
  ASSERT_FALSE(huge);
  EXPECT_EQ(huge.error().code(), ErrorCode::kTooLarge);
  const auto wrong = unpack_profile(std::string("HRP\x01\xff\xff\xff\x0fxx", 10));
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code(), ErrorCode::kProtocol);
}

TEST(PstatsText, LooksAsPstatsPrintsIt) {
  EXPECT_EQ(pstats_text(small_profile()),
            "         104 function calls (102 primitive calls) in 0.040 seconds\n"
            "\n"
            "   Ordered by: cumulative time\n"
            "\n"
            "   ncalls  tottime  percall  cumtime  percall filename:lineno(function)\n"
            "      3/1    0.016    0.005    0.039    0.039 sale.py:10(sale.sale:read)\n"
            "        1    0.020    0.020    0.029    0.029 model.py:20(Model.browse)\n"
            "      100    0.003    0.000    0.003    0.000 {built-in builtins.len}\n");
}

TEST(PstatsText, OfASampledProfileTellsWhatWasMissed) {
  Profile profile = small_profile();
  profile.kind = Profile::Kind::kSampled;
  profile.samples = 40;
  profile.missed = 3;
  EXPECT_THAT(pstats_text(profile), HasSubstr("37 samples (3 missed) in 0.040 seconds"));
  EXPECT_THAT(pstats_text(profile), HasSubstr("      104        0    0.001    0.000    0.040 (call)\n"));
}

TEST(PstatsText, OfASampledProfileAddsTheLinesOfAFunctionUp) {
  using std::chrono::milliseconds;
  ProfileBuilder builder(Profile::Kind::kSampled);
  const std::uint32_t first = builder.child(0, {"Sale.confirm", "sale.py", 12});
  const std::uint32_t second = builder.child(0, {"Sale.confirm", "sale.py", 15});
  builder.add(first, 1, milliseconds(1));
  builder.add(second, 2, milliseconds(2));
  builder.add(builder.child(second, {"Line.save", "line.py", 7}), 4, milliseconds(4));
  // It calls itself: what is below counts once.
  builder.add(builder.child(second, {"Sale.confirm", "sale.py", 12}), 1, milliseconds(1));
  const std::string text = pstats_text(builder.profile());
  EXPECT_THAT(text, HasSubstr("        8        4    0.004    0.000    0.008 sale.py:15(Sale.confirm)\n"));
  EXPECT_THAT(text, HasSubstr("        4        4    0.004    0.000    0.004 line.py:7(Line.save)\n"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("sale.py:12")));
}

TEST(PstatsText, OfADeepTreeIsQuick) {
  ProfileBuilder builder(Profile::Kind::kExact);
  for (std::uint32_t i = 0; i + 1 < ProfileBuilder::kNodeLimit; ++i) {
    builder.add(builder.child(i, kRead), 1, Nanoseconds{1'000});
  }
  EXPECT_THAT(pstats_text(builder.profile()), HasSubstr("99999/1 "));
}

TEST(CollapsedText, HoldsOneFoldedPathALine) {
  EXPECT_EQ(collapsed(small_profile()),
            "(call) 1000\n"
            "sale.sale:read (sale.py:10) 10000\n"
            "sale.sale:read (sale.py:10);Model.browse (model.py:20) 20000\n"
            "sale.sale:read (sale.py:10);Model.browse (model.py:20);<built-in builtins.len> 3000\n"
            "sale.sale:read (sale.py:10);Model.browse (model.py:20);sale.sale:read (sale.py:10) 6000\n");
}

TEST(CollapsedText, KeepsSeparatorsOutOfNames) {
  ProfileBuilder builder(Profile::Kind::kExact);
  builder.add(builder.child(0, {"a;b\nc", "~", 0}), 1, milliseconds{1});
  EXPECT_EQ(collapsed(builder.profile()), "a:b c 1000\n");
}

}  // namespace
}  // namespace headroom::perf
