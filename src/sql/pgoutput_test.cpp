#include "sql/pgoutput.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headroom::sql {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using namespace std::string_literals;

/// What is read points into the bytes, so they have to live on.
template <typename Message>
Message read(std::string&& bytes) = delete;
template <typename Message>
Message read(const std::string& bytes) {
  const auto message = parse_replication_message(bytes);
  EXPECT_TRUE(message) << message.error().message();
  return std::get<Message>(*message);
}

const std::string kRow = "\0\3t\0\0\0\2abnu"s;  // "ab", NULL, unchanged

TEST(Pgoutput, ReadsTheBoundsOfATransaction) {
  const std::string begin_bytes = "B\0\0\0\x16\xb3\x74\xd8\x48\0\0\0\0\0\0\0\1\0\0\2\x01"s;
  const auto begin = read<TransactionBegin>(begin_bytes);
  EXPECT_EQ(lsn_text(begin.commit), "16/B374D848");
  EXPECT_EQ(begin.commit_us, 946'684'800'000'001);
  EXPECT_EQ(begin.transaction, 513U);
  const std::string commit_bytes = "C\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0"s;
  const auto commit = read<TransactionCommit>(commit_bytes);
  EXPECT_EQ(commit.commit, 1U);
  EXPECT_EQ(commit.end, 2U);
}

TEST(Pgoutput, ReadsARelationWithItsKey) {
  const std::string relation_bytes =
      "R\0\0\x40\1public\0sale\0d\0\2\1id\0\0\0\0\x17\xff\xff\xff\xff\0state\0\0\0\4\x13\0\0\0\5"s;
  const auto relation = read<ReplicatedRelation>(relation_bytes);
  EXPECT_EQ(relation.relation, 16'385U);
  EXPECT_EQ(relation.schema, "public");
  EXPECT_EQ(relation.name, "sale");
  EXPECT_EQ(relation.identity, 'd');
  ASSERT_THAT(relation.columns, SizeIs(2));
  EXPECT_TRUE(relation.columns[0].is_key);
  EXPECT_EQ(relation.columns[0].modifier, -1);
  EXPECT_EQ(relation.columns[1].name, "state");
  EXPECT_EQ(relation.columns[1].type, 1043U);
}

TEST(Pgoutput, ReadsRowsWithNullsAndValuesThatAreNotSent) {
  const std::string inserted_bytes = "I\0\0\0\1N"s + kRow;
  const auto inserted = read<RowInserted>(inserted_bytes);
  ASSERT_THAT(inserted.row, SizeIs(3));
  EXPECT_EQ(inserted.row[0].data, "ab");
  EXPECT_EQ(inserted.row[1].kind, ReplicatedValue::Kind::kNull);
  EXPECT_EQ(inserted.row[2].kind, ReplicatedValue::Kind::kUnchanged);
  const std::string moved_bytes = "U\0\0\0\1K"s + kRow + "N" + kRow;
  const auto moved = read<RowUpdated>(moved_bytes);
  EXPECT_TRUE(moved.old_is_key);
  EXPECT_THAT(moved.old_row, SizeIs(3));
  const std::string updated_bytes = "U\0\0\0\1N"s + kRow;
  const auto updated = read<RowUpdated>(updated_bytes);
  EXPECT_THAT(updated.old_row, SizeIs(0));
  const std::string deleted_bytes = "D\0\0\0\1O"s + kRow;
  const auto deleted = read<RowDeleted>(deleted_bytes);
  EXPECT_FALSE(deleted.old_is_key);
  EXPECT_EQ(deleted.old_row[0].data, "ab");
}

TEST(Pgoutput, ReadsATruncateOfSeveralRelations) {
  const std::string truncated_bytes = "T\0\0\0\2\3\0\0\0\1\0\0\0\2"s;
  const auto truncated = read<RelationsTruncated>(truncated_bytes);
  EXPECT_TRUE(truncated.cascade);
  EXPECT_TRUE(truncated.restart_identity);
  EXPECT_THAT(truncated.relations, ElementsAre(1, 2));
}

TEST(Pgoutput, PassesOverWhatSaysNothingOfRows) {
  const std::string bytes = "O\0\0\0\0\0\0\0\1a\0"s;
  EXPECT_EQ(read<OtherMessage>(bytes).kind, 'O');
}

TEST(Pgoutput, ReadsMessagesOfApplications) {
  const std::string bytes = "M\1\0\0\0\0\0\0\0\7app\0\0\0\0\3x\0y"s;
  const auto message = read<LogicalMessage>(bytes);
  EXPECT_TRUE(message.transactional);
  EXPECT_EQ(message.at, 7U);
  EXPECT_EQ(message.prefix, "app");
  EXPECT_EQ(message.content, "x\0y"s);
  const std::string alone = "M\0\0\0\0\0\0\0\0\7app\0\0\0\0\0"s;
  EXPECT_FALSE(read<LogicalMessage>(alone).transactional);
}

TEST(Pgoutput, RefusesEveryCutMessage) {
  for (const std::string& whole :
       {"B\0\0\0\x16\xb3\x74\xd8\x48\0\0\0\0\0\0\0\1\0\0\2\x01"s, "I\0\0\0\1N"s + kRow,
        "U\0\0\0\1K"s + kRow + "N" + kRow, "D\0\0\0\1O"s + kRow, "T\0\0\0\2\3\0\0\0\1\0\0\0\2"s,
        "M\1\0\0\0\0\0\0\0\7app\0\0\0\0\3xyz"s}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const auto message = parse_replication_message(std::string_view(whole).substr(0, size));
      ASSERT_FALSE(message) << size;
      EXPECT_EQ(message.error().code(), base::ErrorCode::kProtocol);
    }
    EXPECT_FALSE(parse_replication_message(whole + "x")) << "bytes left over";
  }
  EXPECT_FALSE(parse_replication_message("Z"));
  EXPECT_FALSE(parse_replication_message("T\xff\xff\xff\xff\0"s)) << "more than the bytes hold";
}

TEST(Pgoutput, ReadsFramesAndAnswersThem) {
  const std::string frame = "w\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3Bytes"s;
  const auto data = parse_replication_frame(frame);
  ASSERT_TRUE(data);
  EXPECT_EQ(std::get<WalData>(*data).start, 1U);
  EXPECT_EQ(std::get<WalData>(*data).message, "Bytes");
  const std::string sign_of_life = "k\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3\1"s;
  const auto alive = parse_replication_frame(sign_of_life);
  ASSERT_TRUE(alive);
  EXPECT_TRUE(std::get<KeepAlive>(*alive).wants_reply);
  EXPECT_FALSE(parse_replication_frame("k\0"s));
  EXPECT_FALSE(parse_replication_frame(""));
  const std::string status = standby_status(258, 946'684'800'000'001, true);
  EXPECT_EQ(status, "r\0\0\0\0\0\0\1\2\0\0\0\0\0\0\1\2\0\0\0\0\0\0\1\2\0\0\0\0\0\0\0\1\1"s);
}

TEST(Pgoutput, ReadsAndWritesPositions) {
  EXPECT_EQ(parse_lsn("16/B374D848").value(), 0x16B374D848U);
  EXPECT_EQ(parse_lsn(lsn_text(0xffffffff00000001)).value(), 0xffffffff00000001U);
  for (const char* text : {"", "16", "16/", "/1", "16/G", "1/2/3", "100000000/0"}) {
    const auto lsn = parse_lsn(text);
    ASSERT_FALSE(lsn) << text;
    EXPECT_THAT(lsn.error().message(), HasSubstr("expected one such as 16/B374D848"));
  }
}

}  // namespace
}  // namespace headroom::sql
