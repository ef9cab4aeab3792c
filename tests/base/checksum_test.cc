#include "mneme/base/checksum.h"

#include "seeded_test.h"

namespace mneme {
namespace {

class Checksums : public testing::SeededTest {
 protected:
  Bytes random_bytes(std::size_t size) {
    Bytes bytes(size);
    random().fill({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
    return bytes;
  }
};

// Vectors of RFC 3720, B.4, and the check value of the CRC catalogue.
TEST_F(Checksums, MatchTheKnownCrcVectors) {
  const Bytes zeros(32), ones(32, std::byte{0xff});
  Bytes ascending, descending;
  for (int i = 0; i < 32; ++i) {
    ascending.push_back(static_cast<std::byte>(i));
    descending.push_back(static_cast<std::byte>(31 - i));
  }
  for (const auto crc : {crc32c, crc32c_portable}) {
    EXPECT_EQ(crc(as_bytes("123456789"), 0), 0xE3069283U);
    EXPECT_EQ(crc({}, 0), 0U);
    EXPECT_EQ(crc(zeros, 0), 0x8A9136AAU);
    EXPECT_EQ(crc(ones, 0), 0x62A8AB43U);
    EXPECT_EQ(crc(ascending, 0), 0x46DD794EU);
    EXPECT_EQ(crc(descending, 0), 0x113FDB5CU);
  }
}

TEST_F(Checksums, AgreeInHardwareAndTableForEveryLengthAndOffset) {
  const Bytes bytes = random_bytes(1000);
  for (std::size_t length = 0; length <= 300; ++length)
    for (int repeat = 0; repeat < 4; ++repeat) {
      const ByteView view = ByteView(bytes).subspan(below(700), length);
      const auto seed = static_cast<std::uint32_t>(random().next());
      EXPECT_EQ(crc32c(view, seed), crc32c_portable(view, seed)) << "length " << length;
    }
  for (const std::size_t length : {4096U, 65'535U, 1'000'003U}) {
    const Bytes large = random_bytes(length);
    EXPECT_EQ(crc32c(large), crc32c_portable(large));
  }
}

TEST_F(Checksums, ContinueACrcAcrossAnyCut) {
  const Bytes bytes = random_bytes(333);
  const std::uint32_t whole = crc32c(bytes);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    const ByteView front = ByteView(bytes).first(cut), back = ByteView(bytes).subspan(cut);
    EXPECT_EQ(crc32c(back, crc32c(front)), whole);
    EXPECT_EQ(crc32c_portable(back, crc32c_portable(front)), whole);
  }
}

// FIPS 180-4 examples.
TEST_F(Checksums, MatchTheKnownSha256Vectors) {
  EXPECT_EQ(to_hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(to_hex(sha256(Bytes(1'000'000, std::byte{'a'}))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_F(Checksums, HashAStreamLikeItsWhole) {
  const Bytes bytes = random_bytes(5000);
  for (int repeat = 0; repeat < 20; ++repeat) {
    Sha256 stream;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t size = std::min<std::size_t>(bytes.size() - at, below(700));
      stream.update(ByteView(bytes).subspan(at, size));
      at += size;
    }
    Sha256 moved = std::move(stream);
    EXPECT_EQ(moved.finish(), sha256(bytes));
  }
}

// Vectors of the XXH3 specification's sanity test: empty input, seeds 0 and PRIME64.
TEST_F(Checksums, MatchTheKnownXxh3Vectors) {
  EXPECT_EQ(xxh3_64({}), 0x2D06800538D394C2U);
  EXPECT_EQ(xxh3_64({}, 0x9E3779B185EBCA8DU), 0xA8A6B918B2F0364AU);
}

TEST_F(Checksums, WriteHexInLowerCase) {
  const Bytes bytes = {std::byte{0x00}, std::byte{0xab}, std::byte{0x9f}};
  EXPECT_EQ(to_hex(bytes), "00ab9f");
}

}  // namespace
}  // namespace mneme
