#include "perf/redact.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "sql/utf8.hpp"

namespace headroom::perf {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::size_t kNoLimit = 1U << 20U;
const std::string kToken = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

std::string body(std::string_view text, std::size_t limit = kNoLimit) {
  return Redactor{}.body(text, limit);
}
std::string sql(std::string_view text) {
  return Redactor{}.sql(text, kNoLimit);
}
std::string text(std::string_view text) {
  return Redactor{}.text(text, kNoLimit);
}
std::string parameters(std::string_view statement, const std::vector<std::string>& values) {
  return Redactor{}.parameters(statement, values, kNoLimit);
}

TEST(SecretName, IsMatchedByWholeWordPartsInAnyCase) {
  const std::vector<std::string> names{"card_number"};
  const Redactor redactor{names};
  for (const char* secret :
       {"password", "PASSWORD", "password_hash", "new-password", "newPassword", "password2", "passwords",
        "dbpasswd", "apiKey", "API_KEY", "x-api-key", "Authorization", "session_key", "userSession",
        "card_number", "CardNumber", "old.card-number"}) {
    EXPECT_TRUE(redactor.is_secret_name(secret)) << secret;
  }
  for (const char* open :
       {"", "name", "secretary", "keyboard", "key", "tokenizer", "card", "number_card", "obsession"}) {
    EXPECT_FALSE(redactor.is_secret_name(open)) << open;
  }
}

struct Pair {
  const char* input;
  const char* expected;
};

TEST(JsonBody, LosesWhatStandsUnderASecretName) {
  for (
      const auto& [input, expected] : std::initializer_list<Pair>{
          {R"({"method":"model.res.user.write","params":[[1],{"name":"Bob","password":"hunter2"},{"language":"en"}]})",
           R"({"method":"model.res.user.write","params":[[1],{"name":"Bob","password":"***"},{"language":"en"}]})"},
          {R"({ "result" : [ {"id" : 5, "password_hash" : null, "Api-Key": 12345 } ] })",
           R"({ "result" : [ {"id" : 5, "password_hash" : null, "Api-Key": "***" } ] })"},
          {R"({"secret":{"a":["x",{"b":"y"}]},"c":1})", R"({"secret":"***","c":1})"},
          {R"({"p\u0061ssword":"hunter2"})", R"({"p\u0061ssword":"***"})"}}) {
    EXPECT_EQ(body(input), expected);
  }
}

TEST(JsonBody, LosesTheValueOfADomainClauseOnASecretField) {
  EXPECT_EQ(
      body(
          R"({"method":"model.res.user.search","params":[[["password","=","hunter2"],["name","=","Bob"]],0]})"),
      R"({"method":"model.res.user.search","params":[[["password","=","***"],["name","=","Bob"]],0]})");
}

TEST(JsonBody, OfALoginLosesTheParametersButNotTheLogin) {
  EXPECT_EQ(
      body(R"({"id":0,"method":"common.db.login","params":["bob",{"password":"hunter2","x":"y"},"en"]})"),
      R"({"id":0,"method":"common.db.login","params":["bob",{"password":"***","x":"***"},"en"]})");
  EXPECT_EQ(body(R"({"params":["bob","hunter2"],"method":"common.db.login"})"),
            R"({"params":["bob","***"],"method":"common.db.login"})");
  EXPECT_EQ(body(R"({"method":"model.res.user.set_preferences","params":[{"language":1},"hunter2",{}]})"),
            R"({"method":"model.res.user.set_preferences","params":[{"language":1},"***",{}]})");
}

TEST(JsonBody, OfALoginThatWasCutBeforeItsMethodLosesThemToo) {
  EXPECT_THAT(body(R"({"params":["bob",["hunter2"],"en"], "meth)"), Not(HasSubstr("hunter2")));
}

TEST(JsonBody, LosesTheSessionThatALoginAnswers) {
  EXPECT_EQ(body(R"({"id":1,"result":[1,")" + kToken + R"("]})"), R"({"id":1,"result":[1,"***"]})");
  EXPECT_EQ(body(R"({"id":1,"result":[1,"a-token-of-another-kind"]})"), R"({"id":1,"result":[1,"***"]})");
  EXPECT_EQ(body(R"({"id":1,"result":[1,"Administrator"]})"), R"({"id":1,"result":[1,"Administrator"]})");
}

TEST(JsonBody, StaysAsItWasWhenNothingIsSecret) {
  const std::string plain =
      R"({"id":1,"method":"model.sale.sale.read","params":[[1,2],["party.rec_name","a\u00e9\n\"b\""],{"company":1.50e2}]})";
  EXPECT_EQ(body(plain), plain);
}

TEST(JsonBody, LosesAStringThatACutLeftOpen) {
  EXPECT_THAT(body(R"({"name":"hunt)"), Not(HasSubstr("hunt")));
  EXPECT_THAT(body(R"({"password":"hunter2)"), Not(HasSubstr("hunter2")));
  EXPECT_THAT(body(R"({"password":"hunter2\)"), Not(HasSubstr("hunter2")));
  EXPECT_THAT(body(R"({"password" : {"a": "hunter2)"), Not(HasSubstr("hunter2")));
}

TEST(JsonBody, KeepsTheBeginningOfAStringThatACutLeftOpenButItsLastWord) {
  EXPECT_EQ(body(R"({"name":"a first \"sentence\" and hunt)"), R"({"name":"a first \"sentence\" and ***)");
  EXPECT_EQ(body(R"({"name":"a first\)"), R"({"name":"a ***)");
  const std::string text(65'536, 'x');
  EXPECT_THAT(body(R"({"data":")" + text), HasSubstr(text.substr(200)));
  for (const char* cut :
       {R"({"password":"correct horse bat)", R"({"a":["password","=","correct horse bat)",
        R"({"method":"common.db.login","params":["admin","correct horse bat)",
        R"({"result":[1,"0123456789correct)", R"({"correct horse bat)",
        R"({"a":"postgresql://tryton:correct)", R"({"a":"{\"password\": \"correct horse)"}) {
    EXPECT_THAT(body(cut), Not(HasSubstr("correct"))) << cut;
  }
}

TEST(XmlBody, KeepsTheBeginningOfAValueThatACutLeftOpenButItsLastWord) {
  EXPECT_THAT(body("<methodCall><params><param><value><string>a first sentence and hunt"),
              HasSubstr("<string>a first sentence and ***"));
  EXPECT_THAT(body("<struct><member><name>password</name><value><string>correct horse bat"),
              Not(HasSubstr("correct")));
}

TEST(Body, SaysThatItIsCutOnlyWhenItIs) {
  const Redactor redactor;
  const std::string text = R"({"password":"hunter2hunter2","name":"x"})";
  EXPECT_FALSE(redactor.body(Body{text, text.size()}, 1000).cut);
  EXPECT_TRUE(redactor.body(Body{text, text.size()}, 20).cut);
  EXPECT_TRUE(redactor.body(Body{text, 5000, true}, 1000).cut);
}

TEST(JsonBody, LosesSecretsWithinStringsThatHoldJsonOrAssignments) {
  EXPECT_THAT(body(R"({"value":"{\"password\": \"hunter2\", \"a\": 1}"})"), Not(HasSubstr("hunter2")));
  EXPECT_THAT(body(R"({"error":["psycopg2.Error","postgresql://tryton:hunter2@db/x"]})"),
              Not(HasSubstr("hunter2")));
}

TEST(Body, IsCutAfterRedactionBetweenCharacters) {
  const std::string input =
      R"({"password":"hunter2hunter2hunter2","name":"\u00e9)" + std::string(100, 'x') + "\xC3\xA9\"}";
  for (std::size_t limit = 0; limit < input.size(); ++limit) {
    const std::string output = body(input, limit);
    EXPECT_LE(output.size(), limit);
    EXPECT_THAT(output, Not(HasSubstr("hunter")));
    EXPECT_TRUE(sql::is_clean_utf8(output));
  }
}

TEST(Body, OfRandomJsonStaysJsonAndLosesEverySecretOfAPlantedField) {
  const unsigned seed = 20261121;
  SCOPED_TRACE(seed);
  std::mt19937 random{seed};
  const std::vector<std::string> keys{"name",   "password", "token",  "values",
                                      "method", "params",   "result", "a\"b"};
  const std::function<nlohmann::json(int, bool)> make = [&](int depth, bool secret) -> nlohmann::json {
    const auto pick = random() % (depth > 4 ? 4 : 6);
    if (pick == 0) return nullptr;
    if (pick == 1) return random() % 1000;
    if (pick < 4) return secret ? "hunter2-\"\\\n" : "plain \u00e9 \\ \" text";
    nlohmann::json value = pick == 4 ? nlohmann::json::array() : nlohmann::json::object();
    for (auto i = random() % 5; i > 0; --i) {
      const std::string& key = keys[random() % keys.size()];
      const bool below = secret || (pick == 5 && Redactor{}.is_secret_name(key));
      if (pick == 4) {
        value.push_back(make(depth + 1, secret));
      } else {
        value[key] = make(depth + 1, below);
      }
    }
    return value;
  };
  for (int i = 0; i < 2'000; ++i) {
    const std::string input = make(0, false).dump(random() % 2 == 0 ? -1 : 1);
    const std::string output = body(input);
    EXPECT_TRUE(nlohmann::json::accept(output)) << input << "\n" << output;
    EXPECT_THAT(output, Not(HasSubstr("hunter2"))) << input;
  }
}

TEST(XmlBody, LosesWhatStandsUnderASecretName) {
  const std::string input =
      "<?xml "
      "version='1.0'?><methodCall><methodName>model.res.user.write</methodName><params><param><value><struct>"
      "<member><name>password</name><value><string>hunter2</string></value></member>"
      "<member><name>api_key</name><value><![CDATA[hunter2]]></value></member>"
      "<member><name>name</name><value><string>Bob</string></value></member></struct></value></param></"
      "params></methodCall>";
  EXPECT_THAT(body(input), Not(HasSubstr("hunter2")));
  EXPECT_THAT(body(input), HasSubstr("Bob"));
  EXPECT_THAT(body(input.substr(0, input.find("hunter2") + 4)), Not(HasSubstr("hunt")));
}

TEST(XmlBody, OfALoginLosesAllButTheLogin) {
  const std::string output = body(
      "<methodCall><methodName>common.db.login</methodName><params><param><value><string>bob</string></"
      "value></param>"
      "<param ><value>hunter2</value></param></params></methodCall>");
  EXPECT_THAT(output, Not(HasSubstr("hunter2")));
  EXPECT_THAT(output, HasSubstr("bob"));
}

TEST(Sql, LosesLiteralsOfSecretColumns) {
  for (
      const auto& [input, expected] : std::initializer_list<Pair>{
          {R"(UPDATE "res_user" SET "password_hash" = 'h', "name" = 'Bob' WHERE "id" = 1)",
           R"(UPDATE "res_user" SET "password_hash" = '***', "name" = 'Bob' WHERE "id" = 1)"},
          {R"(INSERT INTO "res_user" AS "a" ("name", "password_hash", "active") VALUES ('Bob', 'h', true), ('Al', 'i', true))",
           R"(INSERT INTO "res_user" AS "a" ("name", "password_hash", "active") VALUES ('Bob', '***', true), ('Al', '***', true))"},
          {R"(SELECT 1 FROM t WHERE (("a"."password" = 'x') AND ("a"."name" = 'y')))",
           R"(SELECT 1 FROM t WHERE (("a"."password" = '***') AND ("a"."name" = 'y')))"},
          {"SELECT 1 FROM t WHERE password IN ('x', 'y') OR 'z' = t.password",
           "SELECT 1 FROM t WHERE password IN ('***', '***') OR '***' = t.password"},
          {"UPDATE t SET password = CASE WHEN a = 1 AND b = 2 THEN 'x' ELSE 'y' END, c = 'd'",
           "UPDATE t SET password = CASE WHEN a = '***' AND b = '***' THEN '***' ELSE '***' END, c = 'd'"},
          {"ALTER ROLE bob PASSWORD 'x'", "ALTER ROLE bob PASSWORD '***'"},
          {"INSERT INTO t (password) SELECT 'x' FROM u", "INSERT INTO t (password) SELECT '***' FROM u"}}) {
    EXPECT_EQ(sql(input), expected);
  }
}

TEST(Sql, LosesTheArgumentsBesideASecretColumn) {
  EXPECT_EQ(sql("SELECT crypt('x', password), 'z' FROM t"), "SELECT crypt('***', password), 'z' FROM t");
}

TEST(Sql, LosesEveryValueOfStatementsOnTablesOfSessions) {
  for (const char* table :
       {"\"ir_session\"", "ir_session", "IR_SESSION", "res_user_application", "public.ir_session",
        "res_user_login_attempt", "web_user_session", "shop_session"}) {
    const std::string output =
        sql("SELECT * FROM " + std::string{table} + " WHERE \"key\" = 'hunter2' AND a = 'hunter2'");
    EXPECT_THAT(output, Not(HasSubstr("hunter2"))) << table;
  }
}

TEST(Sql, LosesWhatIsHiddenInCommentsDollarQuotesAndOpenStrings) {
  for (const char* input :
       {"SELECT 1 /* password = 'hunter2' */ FROM t -- hunter2",
        "SELECT 1 FROM t WHERE password = $a$hunter2$a$", "SELECT 1 FROM t WHERE password = 'hunter2",
        "UPDATE t SET password=E'\\'hunter2'", "UPDATE t SET password = 'it''s hunter2'",
        "INSERT INTO t(a,password)VALUES((1,2),'hunter2')"}) {
    EXPECT_THAT(sql(input), Not(HasSubstr("hunter2"))) << input;
  }
}

TEST(Sql, KeepsStatementsWithoutSecrets) {
  const std::string plain =
      R"(SELECT "a"."id" FROM "sale_sale" AS "a" WHERE ("a"."id" IN (1, 2)) AND "a"."name" LIKE 'x:%')";
  EXPECT_EQ(sql(plain), plain);
}

TEST(Parameters, LoseThoseOfSecretColumns) {
  EXPECT_EQ(parameters(R"(UPDATE "res_user" SET "name" = %s, "password_hash" = %s WHERE "id" = %s)",
                       {"'Bob'", "'h'", "1"}),
            R"(["'Bob'", "***", "1"])");
  EXPECT_EQ(parameters(R"(INSERT INTO "t" ("a", "token") VALUES (?, ?), (?, ?))", {"1", "'x'", "2", "'y'"}),
            R"(["1", "***", "2", "***"])");
  EXPECT_EQ(parameters(R"(SELECT 1 FROM "ir_session" WHERE "key" = %s)", {"'k'"}), R"(["***"])");
  EXPECT_EQ(parameters("SELECT 1 FROM sale WHERE id = %s", {"'a\"b'"}), R"(["'a\"b'"])");
}

TEST(Parameters, AreAllDroppedWhenTheirPlacesAreUnsure) {
  EXPECT_EQ(parameters("UPDATE t SET password = %s", {"'a'", "'b'"}), R"(["***", "***"])");
  EXPECT_EQ(parameters("UPDATE t SET name = %s", {"'a'", "'b'"}), R"(["'a'", "'b'"])");
}

TEST(Parameters, AreCutBetweenValues) {
  const std::vector<std::string> values(1'000, "'abcdef'");
  const std::string output = Redactor{}.parameters("SELECT %s", values, 100);
  EXPECT_LE(output.size(), 100U);
  EXPECT_TRUE(nlohmann::json::accept(output));
  EXPECT_THAT(output, HasSubstr(R"("..."])"));
}

TEST(Text, LosesCredentialsOfEveryCommonForm) {
  for (const char* input :
       {"Authorization: Session Ym9iOjE6aHVudGVyMg==", "authorization: Basic hunter2",
        "Cookie: tryton_session=bob:1:hunter2; a=b", "password=hunter2&a=b",
        "{'password': 'hunter2', 'a': 1}", "login(password='hunter2')", "PGPASSWORD=hunter2 psql",
        "postgresql://tryton:hunter2@localhost/db", "redis://:hunter2@localhost:6379/0",
        "https://a:p@ss:hunter2@host/", "DETAIL:  Key (login, password)=(admin, hunter2) already exists.",
        "DETAIL:  Failing row contains (1, hunter2, null).", "headers['Api-Key'] = \"hunter2\"",
        "kwargs={\\\"password\\\": \\\"hunter2\\\"}", "token: b'hunter2'",
        "$argon2id$v=19$m=102400,t=2$hunter2$abcdefghi", "password = 'it\\'s hunter2'",
        "password='hunter2"}) {
    EXPECT_THAT(text(input), Not(HasSubstr("hunter2"))) << input;
    EXPECT_THAT(text(input), HasSubstr(kRedacted)) << input;
  }
  EXPECT_THAT(text("Authorization: Session Ym9iOjE6aHVudGVyMg=="), Not(HasSubstr("Ym9i")));
  EXPECT_THAT(text("sent Session Ym9iOjE6aHVudGVyMg=="), Not(HasSubstr("Ym9i")));
  EXPECT_THAT(text("row " + kToken + " is gone"), "row *** is gone");
}

TEST(Error, KeepsItsClassAndTheWordBehindIt) {
  const Redactor redactor;
  const std::string sentence = "trytond.res.user.PasswordError: Your password is too short.";
  EXPECT_EQ(redactor.error(sentence, kNoLimit), sentence);
  EXPECT_THAT(redactor.error("shop.TokenError: password: hunter2hunter2", kNoLimit),
              Not(HasSubstr("hunter2")));
  EXPECT_THAT(redactor.error("password: hunter2hunter2", kNoLimit), Not(HasSubstr("hunter2")));
  EXPECT_THAT(redactor.error("a password.x, token: hunter2hunter2", kNoLimit), Not(HasSubstr("hunter2")));
  EXPECT_EQ(redactor.error("shop.Error: too long", 15), "shop.Error: too");
  EXPECT_EQ(redactor.error("shop.Error: too long", 4), "shop");
}

TEST(Text, KeepsBacktracesReadable) {
  const std::string trace =
      "  File \"/usr/lib/python3/dist-packages/trytond/model/modelsql.py\", line 1432, in search\n"
      "    cursor.execute(*table.select(*columns, where=expression))\n"
      "psycopg2.errors.UndefinedColumn: column \"x\" does not exist\nLINE 1: SELECT \"a\".\"x\" FROM "
      "\"sale_sale\"\n"
      "a basic understanding of the session is needed";
  EXPECT_EQ(text(trace), trace);
}

TEST(KnownSecrets, AreRemovedInEveryFormWhereverTheyStand) {
  const std::string secret = "p\"a's w/rd+1?";
  KnownSecrets secrets;
  secrets.add(secret);
  const Redactor redactor;
  nlohmann::json json;
  json["x"] = {"before " + secret + " after", 1};
  json[secret] = "y";
  const std::string output = redactor.body(json.dump(), kNoLimit, secrets);
  EXPECT_TRUE(nlohmann::json::accept(output));
  EXPECT_THAT(output, Not(HasSubstr("w/rd")));
  EXPECT_THAT(redactor.text("GET /?x=p%22a%27s%20w%2Frd%2B1%3F HTTP/1.1", kNoLimit, secrets),
              Not(HasSubstr("w%2Frd")));
  EXPECT_THAT(redactor.sql("SELECT 'p\"a''s w/rd+1?'", kNoLimit, secrets), Not(HasSubstr("w/rd")));
  EXPECT_THAT(
      redactor.parameters("SELECT %s", std::vector<std::string>{"'p\"a''s w/rd+1?'"}, kNoLimit, secrets),
      Not(HasSubstr("w/rd")));
}

TEST(KnownSecrets, AreRemovedFromNumbersWithoutBreakingJson) {
  KnownSecrets secrets;
  secrets.add("123456");
  EXPECT_EQ(Redactor{}.body(R"({"a":123456,"b":1234567,"c":12345})", kNoLimit, secrets),
            R"({"a":"***","b":"***","c":12345})");
}

TEST(KnownSecrets, AreRemovedFromBase64AtEveryAlignment) {
  const std::string secret = "hunter2hunter2";
  KnownSecrets secrets;
  secrets.add(secret);
  // base64 of "b:1:hunter2hunter2", "bo:1:hunter2hunter2" and "bob:1:hunter2hunter2".
  for (const char* encoded :
       {"YjoxOmh1bnRlcjJodW50ZXIy", "Ym86MTpodW50ZXIyaHVudGVyMg==", "Ym9iOjE6aHVudGVyMmh1bnRlcjI="}) {
    EXPECT_THAT(Redactor{}.text(std::string{"x "} + encoded, kNoLimit, secrets), HasSubstr(kRedacted))
        << encoded;
  }
}

TEST(KnownSecrets, AreReadFromAnAuthorizationHeader) {
  KnownSecrets secrets;
  secrets.add_authorization("Session Ym9iOjE6aHVudGVyMmh1bnRlcjI=");
  EXPECT_EQ(Redactor{}.text("is hunter2hunter2 here", kNoLimit, secrets), "is *** here");
  EXPECT_EQ(Redactor{}.text("is Ym9iOjE6aHVudGVyMmh1bnRlcjI= here", kNoLimit, secrets), "is *** here");
}

TEST(KnownSecrets, AreRemovedWhenACutLeftOnlyTheirBeginning) {
  KnownSecrets secrets;
  secrets.add("correcthorsebattery");
  EXPECT_EQ(Redactor{}.text("it is correcthorse", kNoLimit, secrets), "it is ***");
}

TEST(Redactor, AnswersBytesThatAreNoText) {
  for (const std::string_view bytes :
       {std::string_view{"{\"a\":\"\xFF\0\"}", 9}, std::string_view{"\xFF\xFE"}, std::string_view{"<"},
        std::string_view{"{"}, std::string_view{"\""}, std::string_view{"]}]}"}}) {
    EXPECT_TRUE(sql::is_clean_utf8(body(bytes)));
    EXPECT_TRUE(sql::is_clean_utf8(sql(bytes)));
    EXPECT_TRUE(sql::is_clean_utf8(text(bytes)));
  }
  const std::string deep(200'000, '[');
  EXPECT_EQ(body(deep).size(), deep.size());
}

}  // namespace
}  // namespace headroom::perf
