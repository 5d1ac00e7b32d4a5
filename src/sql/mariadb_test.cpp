// What a connection to MariaDB needs that is text alone; the connection itself is tested by the suite of
// readers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sql/impl/mariadb_text.hpp"

namespace headroom::sql {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(MariaDbUrl, SaysWhereAndAsWhom) {
  const auto address = parse_mariadb_url("mariadb://reader:p%40ss%3Aword@db.example:3307/shop");
  ASSERT_TRUE(address) << address.error().message();
  EXPECT_EQ(address->user, "reader");
  EXPECT_EQ(address->password, "p@ss:word");
  EXPECT_EQ(address->host, "db.example");
  EXPECT_EQ(address->port, 3307);
  EXPECT_EQ(address->database, "shop");
  EXPECT_EQ(address->tls, MariaDbTls::kOff);
  EXPECT_EQ(parse_mariadb_url("mysql://[::1]:3307/shop").value().host, "::1");
  EXPECT_EQ(parse_mariadb_url("mysql://[::1]:3307/shop").value().port, 3307);
  EXPECT_EQ(parse_mariadb_url("mysql://db/shop").value().port, 3306);
}

TEST(MariaDbUrl, SaysHow) {
  EXPECT_EQ(parse_mariadb_url("mariadb:///shop?socket=/run/a.sock").value().socket, "/run/a.sock");
  EXPECT_EQ(parse_mariadb_url("mariadb://db/shop?tls=on").value().tls, MariaDbTls::kEncrypted);
  EXPECT_EQ(parse_mariadb_url("mariadb://db/shop?tls=verify").value().tls, MariaDbTls::kVerified);
  const auto verified = parse_mariadb_url("mariadb://db/shop?ca=/etc/ca.pem&tls=on").value();
  EXPECT_EQ(verified.tls, MariaDbTls::kVerified) << "a file of certificates is there to be used";
  EXPECT_EQ(verified.authorities, "/etc/ca.pem");
}

TEST(MariaDbUrl, IsRefusedWithoutBeingQuoted) {
  for (const char* url :
       {"mariadb://", "mariadb://u:geheim@db", "mariadb://u:geheim@db/", "mariadb://u:geheim@db:0/x",
        "mariadb://u:geheim@db:99999/x", "mariadb://u:geheim@db:a/x", "mariadb://u:geheim%4@db/x",
        "mariadb://u:geheim@db/x?socket=relative", "mariadb://u:geheim@db/x?socket=/s",
        "mariadb://u:geheim@db/x?tls=maybe", "mariadb://u:geheim@db/x?geheim=1", "mariadb://u:geheim@[::1/x",
        "mariadb://u:geheim@db/x/y", "mariadb://u:geheim@db/%00", "oracle://u:geheim@db/x"}) {
    const auto address = parse_mariadb_url(url);
    ASSERT_FALSE(address) << url;
    EXPECT_EQ(address.error().code(), base::ErrorCode::kInvalidArgument);
    EXPECT_THAT(address.error().message(), Not(HasSubstr("geheim"))) << url;
    EXPECT_THAT(address.error().message(), HasSubstr("mariadb://user:password@host:port/database"));
  }
}

TEST(MariaDbValues, StandInPlaceOfTheirNumbersHoweverOften) {
  EXPECT_EQ(with_values("?2 = ?1 OR ?2 IS NULL", {std::int64_t{-7}, 0.5}).value(), "0.5 = -7 OR 0.5 IS NULL");
  EXPECT_EQ(with_values("?10?1", std::vector<Parameter>(10, std::int64_t{3})).value(), "33");
  EXPECT_EQ(with_values("a ? b", {}).value(), "a ? b");
}

TEST(MariaDbValues, AreDigitsWhereTheyAreTexts) {
  EXPECT_EQ(with_values("?1", {std::string("a'\\\xC3\xA4")}).value(), "_utf8mb4 X'61275CC3A4'");
  EXPECT_EQ(with_values("?1", {std::string()}).value(), "''");
}

TEST(MariaDbValues, AreNotPutIntoTextsNamesAndComments) {
  const std::string statement = "'?1''?1\\' \"?1\"\"?1\" `?1``?1` /* ?1 */ -- ?1\n# ?1\nSELECT 5 --?1";
  const auto bound = with_values(statement, {std::int64_t{7}});
  ASSERT_TRUE(bound);
  EXPECT_EQ(*bound, statement.substr(0, statement.size() - 2) + "7") << "without a blank it is no comment";
}

TEST(MariaDbValues, HaveToBeThere) {
  const auto bound = with_values("SELECT ?2", {std::int64_t{7}});
  ASSERT_FALSE(bound);
  EXPECT_THAT(bound.error().message(), HasSubstr("asks for value 2; it has 1"));
  EXPECT_FALSE(with_values("?99999999999999999999", {}));
}

}  // namespace
}  // namespace headroom::sql
