#include "wire/websocket.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace headroom::wire {
namespace {

using Kind = Event::Kind;

constexpr std::size_t kMost = 100'000;
constexpr std::array<unsigned char, 4> kMask{0x37, 0xfa, 0x21, 0x3d};

std::string bytes_of(std::initializer_list<int> numbers) {
  std::string bytes;
  for (const int number : numbers) bytes.push_back(static_cast<char>(number));
  return bytes;
}

/// "text Hello", "ping", "close 1000 bye", "failed 1002": what came out, in order.
std::string told(const Event& event) {
  static constexpr std::array<const char*, 6> kNames{"text", "binary", "ping", "pong", "close", "failed"};
  std::string line = kNames.at(static_cast<std::size_t>(event.kind));
  if (event.code != CloseCode::kNoStatus)
    line.append(" ").append(std::to_string(static_cast<int>(event.code)));
  if (event.kind == Kind::kFailed || event.payload.empty()) return line;
  return line.append(" ").append(event.payload.substr(0, 40));
}

std::vector<std::string> read(std::string_view bytes, Sender sender, std::size_t piece = std::string::npos,
                              std::size_t most = kMost) {
  FrameReader reader(sender, most);
  std::vector<std::string> events;
  while (!bytes.empty()) {
    std::string_view some = bytes.substr(0, piece);
    bytes.remove_prefix(some.size());
    while (!some.empty()) {
      if (const auto event = reader.next(some)) events.push_back(told(*event));
    }
  }
  return events;
}

std::vector<std::string> from_client(std::string_view bytes) {
  return read(bytes, Sender::kClient);
}

std::vector<std::string> from_server(std::string_view bytes) {
  return read(bytes, Sender::kServer);
}

std::string masked(Opcode opcode, std::string_view payload) {
  return masked_frame(opcode, payload, kMask);
}

/// A client's frame with any first byte.
std::string raw(int first, std::string_view payload) {
  std::string bytes = masked(Opcode::kText, payload);
  bytes[0] = static_cast<char>(first);
  return bytes;
}

using Events = std::vector<std::string>;

// The examples of RFC 6455 sections 1.3 and 5.7, byte for byte.

TEST(WebSocketExamples, AnswerTheKey) {
  EXPECT_EQ(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(WebSocketExamples, ASingleTextFrame) {
  const std::string hello = bytes_of({0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f});
  EXPECT_EQ(from_server(hello), Events{"text Hello"});
  EXPECT_EQ(*make_frame(Opcode::kText, "Hello"), hello);
}

TEST(WebSocketExamples, ASingleMaskedTextFrame) {
  const std::string hello = bytes_of({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58});
  EXPECT_EQ(from_client(hello), Events{"text Hello"});
  EXPECT_EQ(masked(Opcode::kText, "Hello"), hello);
}

TEST(WebSocketExamples, AFragmentedTextMessage) {
  EXPECT_EQ(from_server(bytes_of({0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f})),
            Events{"text Hello"});
}

TEST(WebSocketExamples, APingAndItsMaskedPong) {
  EXPECT_EQ(from_server(bytes_of({0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f})), Events{"ping Hello"});
  EXPECT_EQ(from_client(bytes_of({0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58})),
            Events{"pong Hello"});
}

TEST(WebSocketExamples, LongerLengths) {
  const std::string middle(256, 'b');
  EXPECT_EQ(make_frame(Opcode::kBinary, middle)->substr(0, 4), bytes_of({0x82, 0x7e, 0x01, 0x00}));
  const std::string large(65536, 'b');
  EXPECT_EQ(make_frame(Opcode::kBinary, large)->substr(0, 10),
            bytes_of({0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0}));
  for (const std::size_t size : {0U, 1U, 125U, 126U, 127U, 65535U, 65536U}) {
    FrameReader reader(Sender::kServer, kMost);
    const Frame frame = make_frame(Opcode::kBinary, std::string(size, 'x'));
    std::string_view bytes = *frame;
    const auto event = reader.next(bytes);
    ASSERT_TRUE(event) << size;
    EXPECT_EQ(event->payload.size(), size);
  }
}

TEST(FrameReaderTest, GivesTheSameHoweverTheBytesAreCut) {
  const std::string bytes = raw(0x01, "z\xc3\xa9") + masked(Opcode::kPing, "are you there") +
                            raw(0x00, "\xe2\x82\xac and") + raw(0x80, " more") +
                            masked(Opcode::kBinary, std::string(70'000, '\xff')) +
                            masked(Opcode::kClose, bytes_of({0x03, 0xe8}) + "bye");
  const Events expected = from_client(bytes);
  ASSERT_EQ(expected.size(), 4U);
  EXPECT_EQ(expected[0], "ping are you there") << "between the fragments";
  EXPECT_EQ(expected[1], "text z\xc3\xa9\xe2\x82\xac and more");
  EXPECT_EQ(expected[3], "close 1000 bye");
  for (const std::size_t piece : {1U, 2U, 3U, 7U, 64U, 4096U})
    EXPECT_EQ(read(bytes, Sender::kClient, piece), expected) << piece;
}

TEST(FrameReaderTest, AgreesWithANaiveReaderOnRandomMessages) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    std::string wire;
    Events expected;
    for (int i = 0; i < 5; ++i) {
      std::string payload(random() % 300, '\0');
      for (char& c : payload) c = static_cast<char>('a' + random() % 26);
      std::array<unsigned char, 4> mask{};
      for (auto& byte : mask) byte = static_cast<unsigned char>(random());
      wire += masked_frame(Opcode::kText, payload, mask);
      expected.push_back(payload.empty() ? "text" : "text " + payload.substr(0, 40));
    }
    EXPECT_EQ(read(wire, Sender::kClient, 1 + random() % 50), expected);
  }
}

TEST(FrameReaderTest, RefusesFramesThatBreakARule) {
  const auto fails = [](const std::string& bytes, const char* code = "failed 1002") {
    return from_client(bytes) == Events{code};
  };
  EXPECT_TRUE(fails(raw(0xc1, "x"))) << "a reserved bit";
  EXPECT_TRUE(fails(raw(0x91, "x"))) << "a reserved bit";
  EXPECT_TRUE(fails(raw(0x83, "x"))) << "an unknown opcode";
  EXPECT_TRUE(fails(raw(0x8b, "x"))) << "an unknown control opcode";
  EXPECT_TRUE(fails(raw(0x80, "x"))) << "a fragment of nothing";
  EXPECT_TRUE(fails(raw(0x09, "x"))) << "a ping in fragments";
  EXPECT_TRUE(fails(raw(0x89, std::string(126, 'x')))) << "a ping over 125 bytes";
  EXPECT_TRUE(fails(raw(0x01, "x") + raw(0x81, "y"))) << "a message within another";
  EXPECT_TRUE(fails(bytes_of({0x81, 0x05}) + "Hello")) << "not masked";
  EXPECT_EQ(from_server(masked(Opcode::kText, "Hello")), Events{"failed 1002"}) << "masked";
  EXPECT_TRUE(fails(bytes_of({0x81, 0xfe, 0, 125, 0, 0, 0, 0}))) << "not the shortest length";
  EXPECT_TRUE(fails(bytes_of({0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0})));
  EXPECT_TRUE(fails(bytes_of({0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}))) << "the top bit";
}

TEST(FrameReaderTest, RefusesATextThatIsNotUtf8AtItsFirstWrongByte) {
  EXPECT_EQ(from_client(raw(0x01, "good \xff then") + raw(0x80, "more")), Events{"failed 1007"});
  EXPECT_EQ(from_client(raw(0x01, "\xe2\x82") + raw(0x80, "")), Events{"failed 1007"}) << "cut at the end";
  EXPECT_EQ(from_client(masked(Opcode::kBinary, "\xff")).front().substr(0, 6), "binary");
}

TEST(FrameReaderTest, BoundsAMessageOverAllItsFragmentsBeforeItIsKept) {
  const auto limited = [](const std::string& bytes) { return read(bytes, Sender::kClient, 1, 10); };
  EXPECT_EQ(limited(masked(Opcode::kText, std::string(10, 'x'))), Events{"text xxxxxxxxxx"});
  EXPECT_EQ(limited(masked(Opcode::kText, std::string(11, 'x'))), Events{"failed 1009"});
  EXPECT_EQ(limited(raw(0x01, "xxxxxx") + raw(0x80, "xxxxx")), Events{"failed 1009"});
  FrameReader reader(Sender::kClient, 10);
  const std::string announced =
      bytes_of({0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0});
  std::string_view bytes = announced;
  EXPECT_EQ(reader.next(bytes)->code, CloseCode::kMessageTooBig) << "with the header";
  EXPECT_EQ(reader.buffered(), 0U);
}

TEST(FrameReaderTest, HoldsNothingBetweenMessages) {
  FrameReader reader(Sender::kClient, kMost);
  const std::string frame = masked(Opcode::kText, std::string(5000, 'x'));
  std::string_view half = std::string_view(frame).substr(0, 2000);
  EXPECT_FALSE(reader.next(half));
  EXPECT_GT(reader.buffered(), 1900U);
  std::string_view rest = std::string_view(frame).substr(2000);
  EXPECT_TRUE(reader.next(rest));
  EXPECT_EQ(reader.buffered(), 0U);
}

TEST(FrameReaderTest, ChecksWhatACloseFrameSays) {
  const auto closed = [](const std::string& payload) {
    return from_client(masked(Opcode::kClose, payload)).front();
  };
  EXPECT_EQ(closed(""), "close");
  EXPECT_EQ(closed(bytes_of({0x0f, 0xa1})), "close 4001");
  EXPECT_EQ(closed("x"), "failed 1002");
  for (const int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535})
    EXPECT_EQ(closed(bytes_of({code >> 8, code & 0xff})), "failed 1002") << code;
  EXPECT_EQ(closed(bytes_of({0x03, 0xe8, 0xff})), "failed 1007");
}

TEST(FrameReaderTest, ReadsNothingAfterACloseOrAFailure) {
  const std::string more = masked(Opcode::kText, "more");
  EXPECT_EQ(from_client(masked(Opcode::kClose, "") + more), Events{"close"});
  EXPECT_EQ(from_client(raw(0x83, "x") + more), Events{"failed 1002"});
}

TEST(MakeCloseFrame, CutsTheReasonBetweenCharactersAndLeavesCodesOutThatMayNotBeSent) {
  std::string reason(122, 'x');
  reason += "\xe2\x82\xac";
  EXPECT_EQ(from_server(*make_close_frame(CloseCode::kGoingAway, reason)).front().substr(0, 10),
            "close 1001");
  EXPECT_EQ(make_close_frame(CloseCode::kGoingAway, reason)->size(), 2U + 2U + 122U);
  EXPECT_EQ(from_server(*make_close_frame(CloseCode::kAbnormal, "x")), Events{"close"});
}

TEST(IsKey, WantsTheBase64OfSixteenBytes) {
  EXPECT_TRUE(is_key("dGhlIHNhbXBsZSBub25jZQ=="));
  for (const char* key : {"", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ= ",
                          "dGhlIHNhbXBsZSBub25jZQ===", "dGhlIHNh XBsZSBub25jZQ=="}) {
    EXPECT_FALSE(is_key(key)) << key;
  }
}

}  // namespace
}  // namespace headroom::wire
