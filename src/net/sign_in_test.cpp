// Passwords, sessions, and signing in with both.

#include "net/sign_in.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

namespace headroom::net {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kHourNs = 3'600'000'000'000;
constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";
constexpr std::string_view kPassword = "correct horse battery";
constexpr HashCost kCheap{.memory_kib = 64, .passes = 1};

std::string hash_of(std::string_view password) {
  return hash_password(password, kCheap).value();
}

PasswordFile people() {
  PasswordFile file;
  file.set({"ada", Role::kAdministrator, hash_of(kPassword)});
  file.set({"vic", Role::kViewer, hash_of("another pass phrase")});
  return file;
}

TEST(RandomSecret, IsLongSafeInACookieAndNeverTheSame) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string secret = random_secret();
    EXPECT_EQ(secret.size(), 43U);
    EXPECT_EQ(secret.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
              std::string::npos);
    seen.insert(secret);
  }
  EXPECT_EQ(seen.size(), 100U);
}

TEST(SessionTableTest, FindsASessionByItsIdUntilItIsClosed) {
  SessionTable table({});
  const auto opened = table.open("ada", Role::kAdministrator, 0);
  ASSERT_NE(table.find(opened.id, 1), nullptr);
  EXPECT_EQ(table.find(opened.id, 1)->user, "ada");
  EXPECT_NE(opened.id, opened.session.csrf);
  EXPECT_EQ(table.find(opened.session.csrf, 1), nullptr) << "the other secret signs nobody in";
  table.close(opened.id);
  EXPECT_EQ(table.find(opened.id, 1), nullptr);
}

TEST(SessionTableTest, EndsASessionThatIsIdleOrOld) {
  SessionTable table({.idle = std::chrono::hours{2}, .age = std::chrono::hours{5}});
  const auto idle = table.open("ada", Role::kViewer, 0);
  EXPECT_EQ(table.find(idle.id, 2 * kHourNs), nullptr);
  const auto busy = table.open("ada", Role::kViewer, 0);
  for (int hour = 1; hour < 5; ++hour) EXPECT_NE(table.find(busy.id, hour * kHourNs), nullptr) << hour;
  EXPECT_EQ(table.find(busy.id, 5 * kHourNs), nullptr);
  EXPECT_EQ(table.size(), 0U);
}

TEST(SessionTableTest, KeepsABoundedNumberForEachAndForAll) {
  SessionTable table({.most = 5, .per_user = 2});
  const auto first = table.open("ada", Role::kViewer, 0);
  const auto second = table.open("ada", Role::kViewer, 1);
  EXPECT_NE(table.find(first.id, 2), nullptr);
  const auto third = table.open("ada", Role::kViewer, 3);
  EXPECT_EQ(table.find(second.id, 4), nullptr) << "the one that was not used for the longest time";
  EXPECT_NE(table.find(first.id, 4), nullptr);
  for (int i = 0; i < 20; ++i) (void)table.open("user" + std::to_string(i), Role::kViewer, 10 + i);
  EXPECT_EQ(table.size(), 5U);
}

TEST(PasswordFileTest, ReadsWhatItWrites) {
  const PasswordFile file = people();
  const auto again = PasswordFile::parse("\n# comment\r\n" + file.text(), "users");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->entries(), file.entries());
  EXPECT_EQ(again->find("nobody"), nullptr);
}

TEST(PasswordFileTest, NamesTheLineThatIsWrong) {
  const std::string good = hash_of(kPassword);
  const auto error = [](const std::string& line) {
    const auto file = PasswordFile::parse("# one\n" + line + "\n", "users");
    return file ? std::string("none") : file.error().message();
  };
  EXPECT_THAT(error("ada"), HasSubstr("users:2: expected user:role:hash"));
  EXPECT_THAT(error("ada:root:" + good), HasSubstr("viewer or administrator"));
  EXPECT_THAT(error("ada:local:" + good), HasSubstr("viewer or administrator"));
  EXPECT_THAT(error(":viewer:" + good), HasSubstr("name"));
  EXPECT_THAT(error("a b:viewer:" + good), HasSubstr("name"));
  EXPECT_THAT(error("a\x01:viewer:" + good), HasSubstr("name"));
  EXPECT_THAT(error("ada:viewer:secret"), HasSubstr("Argon2id"));
  EXPECT_THAT(error("ada:viewer:$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"), HasSubstr("Argon2id"));
  EXPECT_THAT(error("ada:viewer:$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"),
              HasSubstr("costs too much"));
  EXPECT_THAT(error("ada:viewer:" + good + "\nada:viewer:" + good), HasSubstr("users:3"));
}

TEST(PasswordFileTest, ReplacesTheFileAndKeepsItsMode) {
  std::string name = (std::filesystem::temp_directory_path() / "headroom-users-XXXXXX").string();
  const std::filesystem::path folder = ::mkdtemp(name.data());
  const auto path = folder / "users";
  ASSERT_TRUE(people().write(path));
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  ::chmod(path.c_str(), 0640);
  PasswordFile fewer = PasswordFile::read(path).value();
  EXPECT_TRUE(fewer.remove("vic"));
  EXPECT_FALSE(fewer.remove("vic"));
  ASSERT_TRUE(fewer.write(path));
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640U);
  EXPECT_EQ(PasswordFile::read(path)->entries().size(), 1U);
  ::chmod(path.c_str(), 0644);
  EXPECT_EQ(PasswordFile::read(path).error().code(), base::ErrorCode::kDenied);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1) << "nothing is left beside it";
  EXPECT_FALSE(people().write(folder / "none" / "users"));
  std::filesystem::remove_all(folder);
}

TEST(Passwords, MatchTheirOwnHashOnly) {
  const std::string hash = hash_of(kPassword);
  EXPECT_THAT(hash, testing::StartsWith("$argon2id$v=19$m=64,t=1,p=1$"));
  EXPECT_TRUE(password_matches(hash, kPassword));
  EXPECT_FALSE(password_matches(hash, "correct horse batterY"));
  EXPECT_FALSE(password_matches(hash, ""));
  EXPECT_FALSE(password_matches(hash, std::string(1'000'000, 'x')));
  EXPECT_NE(hash, hash_of(kPassword)) << "each has a salt of its own";
  EXPECT_FALSE(hash_password("short"));
}

class SignInTest : public testing::Test {
 protected:
  int try_password(std::string_view user, std::string_view password, std::string_view address = "10.0.0.9") {
    const auto outcome = sign_in_.with_password(user, password, address, now_ns_);
    return outcome.opened ? 200 : outcome.refusal.status;
  }

  std::int64_t now_ns_ = 0;
  SignIn sign_in_{Token::from_text(kSecret).value(), people()};
};

TEST_F(SignInTest, OpensASessionWithTheRoleOfThePerson) {
  const auto outcome = sign_in_.with_password("vic", "another pass phrase", "10.0.0.9", 0);
  ASSERT_TRUE(outcome.opened);
  EXPECT_EQ(sign_in_.find(outcome.opened->id, 1)->role, Role::kViewer);
  EXPECT_EQ(sign_in_.with_token(kSecret, "10.0.0.9", 0).opened->session.role, Role::kAdministrator);
}

TEST_F(SignInTest, RefusesAWrongPasswordAndAnUnknownNameInTheSameWords) {
  const auto wrong = sign_in_.with_password("ada", "wrong", "10.0.0.9", 0);
  const auto unknown = sign_in_.with_password("eve", "wrong", "10.0.0.9", 0);
  EXPECT_EQ(wrong.refusal.status, 401);
  EXPECT_EQ(wrong.refusal.body, unknown.refusal.body);
  EXPECT_EQ(try_password("", ""), 401);
}

TEST_F(SignInTest, CountsTokensAndPasswordsAgainstOneAddressTogether) {
  for (std::uint32_t i = 0; i < FailureLimiter::kMost / 2; ++i) {
    EXPECT_EQ(try_password("ada", "wrong"), 401);
    EXPECT_EQ(sign_in_.with_token("wrong", "10.0.0.9", 0).refusal.status, 401);
  }
  EXPECT_EQ(try_password("ada", kPassword), 429) << "even the right one";
  EXPECT_EQ(sign_in_.with_token(kSecret, "10.0.0.9", 0).refusal.status, 429);
  EXPECT_EQ(try_password("ada", kPassword, "10.0.0.10"), 200) << "others are not kept out";
  now_ns_ = FailureLimiter::kWindowNs;
  EXPECT_EQ(try_password("ada", kPassword), 200);
}

TEST_F(SignInTest, DoesNotCountWhatWasRight) {
  for (std::uint32_t i = 0; i < FailureLimiter::kMost * 2; ++i)
    EXPECT_EQ(try_password("ada", kPassword), 200);
}

TEST_F(SignInTest, CountsTriesThatComeAllAtOnce) {
  std::atomic<int> computed{0};
  std::vector<std::thread> threads;
  threads.reserve(40);
  for (int i = 0; i < 40; ++i) {
    threads.emplace_back([&] {
      if (sign_in_.with_password("ada", "wrong", "10.0.0.9", 0).refusal.status == 401) ++computed;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(computed, static_cast<int>(FailureLimiter::kMost));
}

TEST_F(SignInTest, EndsTheSessionsOfPeopleWhoAreGoneOrChanged) {
  const auto ada = sign_in_.with_password("ada", kPassword, "a", 0).opened.value();
  const auto vic = sign_in_.with_password("vic", "another pass phrase", "a", 0).opened.value();
  const auto token = sign_in_.with_token(kSecret, "a", 0).opened.value();
  PasswordFile changed = people();
  sign_in_.replace_passwords(changed);  // other salts: both have to sign in again
  EXPECT_FALSE(sign_in_.find(ada.id, 1));
  EXPECT_FALSE(sign_in_.find(vic.id, 1));
  EXPECT_TRUE(sign_in_.find(token.id, 1));
  const auto again = sign_in_.with_password("ada", kPassword, "a", 0).opened.value();
  EXPECT_TRUE(changed.remove("vic"));
  sign_in_.replace_passwords(changed);
  EXPECT_TRUE(sign_in_.find(again.id, 1)) << "who did not change stays";
  EXPECT_EQ(try_password("vic", "another pass phrase"), 401);
}

TEST(SignInWithout, SaysWhatIsNotConfigured) {
  SignIn nothing(std::nullopt, std::nullopt);
  EXPECT_THAT(nothing.with_token(kSecret, "a", 0).refusal.body, HasSubstr("token_file"));
  EXPECT_THAT(nothing.with_password("ada", kPassword, "a", 0).refusal.body, HasSubstr("password_file"));
}

}  // namespace
}  // namespace headroom::net
