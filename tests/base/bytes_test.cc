#include "mneme/base/bytes.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace mneme {
namespace {

class ByteStrings : public ::testing::Test {
 protected:
  static Bytes varint(std::uint64_t value) {
    Bytes out;
    ByteWriter(out).varint(value);
    return out;
  }
  static Bytes bytes(std::initializer_list<int> values) {
    Bytes out;
    for (const int value : values) out.push_back(static_cast<std::byte>(value));
    return out;
  }
};

TEST_F(ByteStrings, WriteVarintsInTheirShortestForm) {
  EXPECT_EQ(varint(0), bytes({0}));
  EXPECT_EQ(varint(127), bytes({0x7f}));
  EXPECT_EQ(varint(128), bytes({0x80, 0x01}));
  EXPECT_EQ(varint(300), bytes({0xac, 0x02}));
  EXPECT_EQ(varint(std::numeric_limits<std::uint64_t>::max()),
            bytes({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}));
}

TEST_F(ByteStrings, ReadBackEveryVarintAroundEveryPowerOfTwo) {
  for (int bit = 0; bit < 64; ++bit)
    for (const std::uint64_t value :
         {std::uint64_t{1} << bit, (std::uint64_t{1} << bit) - 1, ~std::uint64_t{0} >> bit}) {
      const Bytes encoded = varint(value);
      ByteReader reader(encoded);
      EXPECT_EQ(reader.varint().value(), value);
      EXPECT_TRUE(reader.at_end());
    }
}

TEST_F(ByteStrings, RefuseVarintsThatAreLongTooLargeOrCutShort) {
  for (const Bytes& bad : {bytes({0x80, 0x00}), bytes({0xff, 0x80, 0x00}), bytes({}), bytes({0x80}),
                           bytes({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}),
                           bytes({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0x00})}) {
    ByteReader reader(bad);
    const auto read = reader.varint();
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.status().code(), Code::Corruption);
    EXPECT_EQ(reader.offset(), 0U) << "a failed read consumes nothing";
  }
}

TEST_F(ByteStrings, ReadBackWhatWasWritten) {
  Bytes out;
  ByteWriter writer(out);
  writer.fixed<std::uint8_t>(0xab);
  writer.fixed<std::int64_t>(-2);
  writer.sized("text");
  writer.raw(as_bytes("xy"));
  EXPECT_EQ(writer.size(), 1U + 8 + 5 + 2);

  ByteReader reader(out);
  EXPECT_EQ(reader.fixed<std::uint8_t>().value(), 0xab);
  EXPECT_EQ(reader.fixed<std::int64_t>().value(), -2);
  EXPECT_EQ(as_text(reader.sized().value()), "text");
  EXPECT_EQ(as_text(reader.raw(2).value()), "xy");
  EXPECT_TRUE(reader.at_end());
}

TEST_F(ByteStrings, SayWhereAReadRanPastTheEnd) {
  const Bytes five = bytes({1, 2, 3, 4, 5});
  ByteReader reader(five);
  ASSERT_TRUE(reader.raw(2).ok());
  const auto read = reader.fixed<std::uint32_t>();
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.status().message(), "byte 2: wanted 4 bytes, found 3");
  EXPECT_EQ(reader.remaining(), 3U);
}

TEST_F(ByteStrings, RefuseALengthBeyondTheEndWhateverItsSize) {
  for (const std::uint64_t length : {std::uint64_t{1}, std::uint64_t{1} << 32, ~std::uint64_t{0}}) {
    const Bytes encoded = varint(length);
    ByteReader reader(encoded);
    EXPECT_FALSE(reader.sized().ok());
    EXPECT_EQ(reader.offset(), 0U);
  }
}

TEST_F(ByteStrings, OrderBigEndianKeysAsTheirNumbers) {
  std::string before;
  for (const std::uint32_t value : {0U, 1U, 255U, 256U, 65'536U, 0xffff'ffffU}) {
    std::string key;
    append_be(key, value);
    EXPECT_EQ(load_be<std::uint32_t>(key.data()), value);
    EXPECT_TRUE(before.empty() || before < key);
    before = key;
  }
}

TEST_F(ByteStrings, DrawFieldsAsTables) {
  constexpr Field kFirst{0, 4};
  constexpr Field kSecond = after(kFirst, 8);
  static_assert(kSecond.offset == 4 && kSecond.end() == 12);
  std::array<std::byte, 12> record{};
  store_le(record.data() + kSecond.offset, std::uint64_t{0x0102030405060708});
  EXPECT_EQ(record[4], std::byte{8});
  EXPECT_EQ(load_le<std::uint64_t>(record.data() + kSecond.offset), 0x0102030405060708U);
}

}  // namespace
}  // namespace mneme
