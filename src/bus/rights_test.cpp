// Tokens, rules, revocations, close reasons and pacing.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>
#include <random>

#include "bus/disconnect.hpp"
#include "bus/pacing.hpp"
#include "bus/rules.hpp"
#include "bus/token.hpp"
#include "wire/utf8.hpp"

namespace headroom::bus {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kTime = 1'800'000'000;
constexpr std::int64_t kSecond = 1'000'000'000;

SigningKey key_of(std::string_view secret = "0123456789abcdef0123456789abcdef") {
  return SigningKey::from_text(secret).value();
}

/// By OpenSSL, so that not our own coder is its test.
std::string base64url(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3), '\0');
  text.push_back('\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text.substr(0, text.find('='));
}

std::string token_of(std::string_view claims, std::string_view header = R"({"alg":"HS256","typ":"JWT"})") {
  const std::string text = base64url(header) + "." + base64url(claims);
  return text + "." + base64url(key_of().sign(text));
}

std::string with_times(std::string_view more) {
  return R"({"sub":"alice","iat":1800000000,"exp":1800000060)" + std::string(more) + "}";
}

Result<Grant> read(std::string_view token, std::int64_t now = kTime) {
  return read_token(token, {key_of()}, {}, now);
}

TEST(Token, OneThatWasWrittenElsewhereIsRead) {
  const auto grant = read(token_of(
      with_times(R"(,"sid":"s1","channels":["room:*","news"],"publish":["room:1"],"admin":true,"x":{})")));
  ASSERT_TRUE(grant) << grant.error().message();
  EXPECT_EQ(grant->user, "alice");
  EXPECT_EQ(grant->session, "s1");
  EXPECT_THAT(grant->channels, testing::ElementsAre("room:*", "news"));
  EXPECT_THAT(grant->publish, testing::ElementsAre("room:1"));
  EXPECT_TRUE(grant->admin);
  EXPECT_EQ(grant->expires_unix_s, kTime + 60);
}

TEST(Token, TheExampleOfTheStandardIsSignedAsItSays) {
  // RFC 7515, appendix A.1: the key is 64 bytes.
  constexpr std::string_view kText =
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
  constexpr std::string_view kKey =
      "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
  std::string padded(kKey);
  std::replace(padded.begin(), padded.end(), '-', '+');
  std::replace(padded.begin(), padded.end(), '_', '/');
  padded += "==";
  std::string secret(66, '\0');
  ASSERT_EQ(
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(secret.data()),
                      reinterpret_cast<const unsigned char*>(padded.data()), static_cast<int>(padded.size())),
      66);
  secret.resize(64);
  EXPECT_EQ(base64url(key_of(secret).sign(kText)), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

TEST(Token, WhatIsWrittenIsRead) {
  Grant grant;
  grant.user = "7";
  grant.session = "s\"1";
  grant.channels = {"room:*"};
  grant.publish = {"room:1"};
  grant.presence = {"8", "team-*"};
  grant.issued_unix_s = kTime;
  grant.expires_unix_s = kTime + 60;
  const auto back = read(write_token(grant, key_of()));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->session, grant.session);
  EXPECT_EQ(back->channels, grant.channels);
  EXPECT_EQ(back->publish, grant.publish);
  EXPECT_EQ(back->presence, grant.presence);
}

TEST(Token, EverythingElseIsRefused) {
  const std::string good = with_times("");
  ASSERT_TRUE(read(token_of(good)));
  const std::string unsigned_text = base64url(R"({"alg":"none"})") + "." + base64url(good) + ".";
  const std::vector<std::string> wrong{
      "",
      "..",
      "a.b",
      unsigned_text,
      token_of(good) + ".x",
      token_of(good) + "=",
      token_of(good, R"({"alg":"none"})"),
      token_of(good, R"({"alg":"HS512"})"),
      token_of(good, R"({"alg":"RS256"})"),
      token_of(good, R"({"alg":"hs256"})"),
      token_of(good, R"({"alg":["HS256"]})"),
      token_of(good, R"({"alg":"HS256","alg":"none"})"),
      token_of(good, R"({"alg":"HS256","crit":["b64"],"b64":false})"),
      token_of(good, R"("alg")"),
      token_of("[]"),
      token_of("{"),
      token_of(with_times(R"(,"sub":"bob")")),
      token_of(R"({"iat":1800000000,"exp":1800000060})"),
      token_of(R"({"sub":7,"iat":1800000000,"exp":1800000060})"),
      token_of(R"({"sub":"","iat":1800000000,"exp":1800000060})"),
      token_of(R"({"sub":"a:b","iat":1800000000,"exp":1800000060})"),
      token_of(R"({"sub":"alice","exp":1800000060})"),
      token_of(R"({"sub":"alice","iat":1800000000})"),
      token_of(R"({"sub":"alice","iat":1800000000,"exp":18000000600000000000000})"),
      token_of(R"({"sub":"alice","iat":1800000000,"exp":9007199254740991})"),
      token_of(R"({"sub":"alice","iat":-9223372036854775808,"exp":9223372036854775807})"),
      token_of(R"({"sub":"alice","iat":1800000100,"exp":1800000160})"),
      token_of(with_times(R"(,"nbf":1800000100)")),
      token_of(with_times(R"(,"admin":"true")")),
      token_of(with_times(R"(,"channels":"room")")),
      token_of(with_times(R"(,"channels":[7])")),
      token_of(with_times("\xff")),
      std::string(kMostTokenBytes + 1, 'a'),
  };
  for (const std::string& token : wrong) {
    const auto grant = read(token);
    ASSERT_FALSE(grant) << token;
    EXPECT_EQ(grant.error().code(), ErrorCode::kDenied) << token;
  }
}

TEST(Token, TimesAreIntegersOnly) {
  for (const std::string exp :
       {"1.8e9", "1800000060.0", "18e8", "\"1800000060\"", "true", "null", "+1800000060"}) {
    EXPECT_FALSE(read(token_of(R"({"sub":"alice","iat":1800000000,"exp":)" + exp + "}"))) << exp;
    EXPECT_FALSE(read(token_of(with_times(",\"nbf\":" + exp)))) << exp;
  }
}

TEST(Token, AnExpiredOneIsToldApart) {
  const std::string token = token_of(with_times(""));
  EXPECT_TRUE(read(token, kTime + 64)) << "clocks may differ by 5 s";
  const auto late = read(token, kTime + 65);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), ErrorCode::kTimedOut);
}

TEST(Token, OneChangedBitIsRefused) {
  const std::string token = token_of(with_times(""));
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(read(changed)) << i;
  }
}

TEST(Token, EachOfSeveralKeysIsAccepted) {
  const SigningKey old = key_of("an older key that is to be replaced");
  const std::string token = token_of(with_times(""));
  EXPECT_TRUE(read_token(token, {old, key_of()}, {}, kTime));
  EXPECT_FALSE(read_token(token, {old}, {}, kTime));
  EXPECT_FALSE(read_token(token, {}, {}, kTime));
}

TEST(Token, AShortSecretIsNoKey) {
  EXPECT_FALSE(SigningKey::from_text(std::string(31, 'x')));
  EXPECT_TRUE(SigningKey::from_text(std::string(32, 'x')));
  EXPECT_FALSE(SigningKey::from_text(std::string(513, 'x')));
}

TEST(SignedChannel, NameAndUserAndTimeAreCovered) {
  const auto holds = [](std::string_view channel, std::string_view user, std::string_view signature) {
    return is_signed(channel, user, signature, {key_of()}, kTime);
  };
  const std::string signature = sign_channel("doc:5", "alice", kTime + 60, key_of());
  EXPECT_TRUE(holds("doc:5", "alice", signature));
  EXPECT_FALSE(holds("doc:5", "bob", signature));
  EXPECT_FALSE(holds("doc:55", "alice", signature));
  std::string longer = signature;
  longer.replace(0, longer.find('.'), std::to_string(kTime + 6'000));
  EXPECT_FALSE(holds("doc:5", "alice", longer));
  for (const std::string& wrong : std::vector<std::string>{"", ".", "1", "x." + signature, signature + "="})
    EXPECT_FALSE(holds("doc:5", "alice", wrong));
}

ChannelRule rule_of(std::string prefix, Who subscribe = Who::kGranted, Who publish = Who::kGranted) {
  ChannelRule rule;
  rule.prefix = std::move(prefix);
  rule.subscribe = subscribe;
  rule.publish = publish;
  return rule;
}

TEST(Rules, TheLongestPrefixWins) {
  const auto rules =
      ChannelRules::make({rule_of("room:"), rule_of("room:a"), rule_of("room:abc"), rule_of("z")});
  ASSERT_TRUE(rules);
  const auto prefix = [&](std::string_view channel) { return rules->find(channel).prefix; };
  EXPECT_EQ(prefix("room:abd"), "room:a");
  EXPECT_EQ(prefix("room:abcd"), "room:abc");
  EXPECT_EQ(prefix("room:"), "room:");
  EXPECT_EQ(prefix("room"), "");
  EXPECT_EQ(prefix("user:7"), "user:");
  EXPECT_EQ(prefix("zz"), "z");
}

TEST(Rules, RandomNamesFindWhatALookAtAllFinds) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const auto word = [&](std::size_t most) {
    std::string text;
    for (std::size_t size = random() % (most + 1); size > 0; --size)
      text += static_cast<char>('a' + random() % 3);
    return text;
  };
  for (int turn = 0; turn < 200; ++turn) {
    std::vector<ChannelRule> given;
    for (int i = 0; i < 12; ++i) {
      const std::string prefix = word(4);
      if (std::none_of(given.begin(), given.end(), [&](const auto& one) { return one.prefix == prefix; }))
        given.push_back(rule_of(prefix));
    }
    const auto rules = ChannelRules::make(given);
    ASSERT_TRUE(rules);
    for (int i = 0; i < 50; ++i) {
      const std::string channel = word(6);
      std::string longest;
      for (const ChannelRule& rule : rules->all()) {
        if (channel.starts_with(rule.prefix) && rule.prefix.size() > longest.size()) longest = rule.prefix;
      }
      ASSERT_EQ(rules->find(channel).prefix, longest) << channel;
    }
  }
}

TEST(Rules, WrongOnesAreRefusedByName) {
  const auto problem = [](std::vector<ChannelRule> rules) {
    const auto made = ChannelRules::make(std::move(rules));
    return made ? std::string() : made.error().message();
  };
  EXPECT_THAT(problem({rule_of("a"), rule_of("a")}), HasSubstr("'a'"));
  EXPECT_THAT(problem({rule_of("a\"b")}), HasSubstr("never apply"));
  EXPECT_THAT(problem({rule_of(std::string(256, 'a'))}), HasSubstr("never apply"));
  EXPECT_THAT(problem({rule_of("a", Who::kGranted, Who::kSigned)}), HasSubstr("signed"));
  EXPECT_THAT(problem({rule_of("user:", Who::kUsers)}), HasSubstr("owner"));
  EXPECT_THAT(problem({rule_of("user:7:", Who::kGranted)}), HasSubstr("owner"));
  EXPECT_THAT(problem({rule_of("user:7:", Who::kOwner)}), HasSubstr("already"));
  EXPECT_THAT(problem({rule_of("inbox", Who::kOwner)}), HasSubstr("':'"));
  EXPECT_EQ(problem({rule_of("inbox:", Who::kOwner), rule_of("user:x", Who::kNobody, Who::kNobody)}), "");
  const auto limits_of = [&](void (*change)(ChannelRule&)) {
    ChannelRule rule = rule_of("a");
    change(rule);
    return problem({rule});
  };
  EXPECT_THAT(limits_of([](ChannelRule& rule) { rule.history_age_ns = 0; }), HasSubstr("'a'"));
  EXPECT_THAT(limits_of([](ChannelRule& rule) { rule.history_age_ns = 31LL * 86'400 * 1'000'000'000; }),
              HasSubstr("30 days"));
  EXPECT_THAT(limits_of([](ChannelRule& rule) { rule.budget_ids = 0; }), HasSubstr("budget_ids"));
  EXPECT_THAT(limits_of([](ChannelRule& rule) { rule.message_bytes = 2U << 20U; }), HasSubstr("1 MiB"));
}

TEST(Revocations, TokensOfBeforeAreRefusedAndTheTableIsBounded) {
  Revocations revocations({2, 1'000});
  Now now{0, kTime};
  Grant grant;
  grant.user = "alice";
  grant.session = "s";
  grant.issued_unix_s = kTime;
  EXPECT_FALSE(revocations.is_revoked(grant));
  revocations.revoke_session("s", now);
  EXPECT_TRUE(revocations.is_revoked(grant)) << "of the same second";
  grant.issued_unix_s = kTime + 1;
  EXPECT_FALSE(revocations.is_revoked(grant));
  now.unix_s += 10;
  revocations.revoke_user("alice", now);
  EXPECT_TRUE(revocations.is_revoked(grant));
  revocations.revoke_user("bob", now);
  EXPECT_EQ(revocations.size(), 2U);
  EXPECT_EQ(revocations.forgotten_early(), 1U);
  now.unix_s += 2'000;
  revocations.forget_old(now);
  EXPECT_EQ(revocations.size(), 0U);
}

TEST(Revocations, OfSeveralOfOneUserTheLatestHolds) {
  Revocations revocations({});
  EXPECT_TRUE(revocations.add({"ualice", kTime + 5}));
  EXPECT_FALSE(revocations.add({"ualice", kTime + 5}));
  EXPECT_FALSE(revocations.add({"ualice", kTime + 1})) << "told late";
  EXPECT_TRUE(revocations.add({"ualice", kTime + 9}));
  ASSERT_EQ(revocations.all().size(), 1U);
  EXPECT_EQ(revocations.all()[0].before_unix_s, kTime + 9);
}

TEST(Disconnect, AReasonFitsAndIsUtf8) {
  for (std::size_t size = 0; size < 300; ++size) {
    std::string message(size, 'x');
    for (std::size_t i = 1; i + 1 < size; i += 3) message.replace(i, 2, "\u00e9");
    const std::string text = reason({DisconnectCode::kTokenInvalid, {}, message + "\"\n"});
    EXPECT_LE(text.size(), 123U);
    EXPECT_TRUE(wire::is_utf8(text)) << text;
    EXPECT_TRUE(text.ends_with("\"}")) << text;
  }
}

AdmissionLimits limits_of(Rate all, Rate per_address) {
  AdmissionLimits limits;
  limits.all = all;
  limits.per_address = per_address;
  return limits;
}

TEST(Admission, OneAddressDoesNotStarveTheOthers) {
  Admission admission(limits_of({100, 100}, {50, 60}));
  Now now{1'000 * kSecond, kTime};
  int greedy = 0;
  int others = 0;
  for (int i = 0; i < 1'000; ++i) {
    now.monotonic_ns += kSecond / 100;
    for (int j = 0; j < 10; ++j) greedy += admission.enter("192.0.2.1", now) ? 0 : 1;
    if (i % 10 == 0) others += admission.enter("198.51.100." + std::to_string(i % 200), now) ? 0 : 1;
  }
  EXPECT_EQ(others, 100);
  EXPECT_GT(greedy, 100);
}

TEST(Admission, ThoseThatAreRefusedAllFitIntoTheWindowTheyAreTold) {
  Admission admission(limits_of({100, 100}, {0, 0}));
  const Now now{1'000 * kSecond, kTime};
  std::int64_t window = 0;
  for (int i = 0; i < 1'100; ++i) {
    const auto refused = admission.enter("192.0.2." + std::to_string(i % 200), now);
    if (refused) window = refused->reconnect.window_ms;
  }
  EXPECT_GE(window, 10'000) << "1,000 at 100 a second";
  EXPECT_EQ(admission.connections(), 100U);
  EXPECT_EQ(admission.refused(), 1'000U);
}

TEST(Admission, TheNumberOfConnectionsIsBounded) {
  AdmissionLimits limits;
  limits.connections = 3;
  limits.connections_per_address = 2;
  Admission admission(limits);
  const Now now{1'000 * kSecond, kTime};
  EXPECT_FALSE(admission.enter("192.0.2.1", now));
  EXPECT_FALSE(admission.enter("192.0.2.1", now));
  EXPECT_EQ(admission.enter("192.0.2.1", now)->code, DisconnectCode::kRateLimited);
  EXPECT_FALSE(admission.enter("192.0.2.2", now));
  EXPECT_EQ(admission.enter("192.0.2.3", now)->code, DisconnectCode::kOverloaded);
  admission.left("192.0.2.1");
  EXPECT_FALSE(admission.enter("192.0.2.3", now));
}

TEST(Admission, AFloodOfAddressesKeepsTheTableBounded) {
  AdmissionLimits limits;
  limits.addresses = 100;
  limits.connections = 10;
  Admission admission(limits);
  Now now{1'000 * kSecond, kTime};
  ASSERT_FALSE(admission.enter("192.0.2.1", now));
  for (int i = 0; i < 10'000; ++i) {
    now.monotonic_ns += kSecond;
    const std::string address = "2001:db8:" + std::to_string(i) + "::1";
    if (!admission.enter(address, now)) admission.left(address);
  }
  admission.left("192.0.2.1");
  EXPECT_EQ(admission.connections(), 0U) << "who is connected is not forgotten";
}

TEST(Admission, AddressesOfVersion6CountByTheirNetwork) {
  EXPECT_EQ(counted_address("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(counted_address("2001:db8:1:2:3:4:5:6"), counted_address("2001:db8:1:2::9"));
  EXPECT_NE(counted_address("2001:db8:1:2::1"), counted_address("2001:db8:1:3::1"));
  EXPECT_EQ(counted_address("::ffff:192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(counted_address("::1"), counted_address("::2"));
  EXPECT_EQ(counted_address("unix"), "unix");
}

}  // namespace
}  // namespace headroom::bus
