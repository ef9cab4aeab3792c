// The bytes of a segment, as literals: table and code age together.
#include "mneme/base/checksum.h"
#include "wal_fixture.h"

namespace mneme::storage {
namespace {

std::string hex_of(ByteView bytes) { return to_hex(bytes); }

class WalBytes : public WalTest {};

TEST_F(WalBytes, ASegmentHeaderAndARecordAreThese) {
  must_open();
  append("memory");
  crash();

  const Bytes file = fs().contents(segment_path(1));
  EXPECT_EQ(hex_of(ByteView(file).first(64)),
            "4d4e454d4557414c"                  // magic
            "0100"                              // kind
            "0100"                              // version
            "00000000"                          // features
            "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"  // database
            "0100000000000000"                  // number
            "0100000000000000"                  // first_lsn
            "0020000000000000"                  // segment_bytes
            "00000000"                          // reserved
            "b750ede5");                        // crc
  EXPECT_TRUE(wal::all_zeros(ByteView(file).subspan(64, 4096 - 64)));
  EXPECT_EQ(hex_of(ByteView(file).subspan(4096, 48)),
            "d373b61b"          // header_crc
            "06000000"          // length
            "0100000000000000"  // lsn
            "0000000000000000"  // synced_lsn
            "01000000"          // segment
            "01"                // kind
            "000000"            // zero_fragments
            "6d656d6f72790000"  // payload and padding
            "ad2e8b0d"          // payload_crc
            "e5a15700");        // end
  EXPECT_TRUE(wal::all_zeros(ByteView(file).subspan(4096 + 48)));
}

TEST_F(WalBytes, ARecordNeverBeginsWithLessThanAHeaderLeftInItsSector) {
  EXPECT_EQ(wal::record_start(4096), 4096u);
  EXPECT_EQ(wal::record_start(4096 + 480), 4096u + 480);
  EXPECT_EQ(wal::record_start(4096 + 488), 4096u + 512);
  EXPECT_EQ(wal::record_start(4096 + 504), 4096u + 512);
  EXPECT_EQ(wal::record_start(4096 + 512), 4096u + 512);
}

TEST_F(WalBytes, ZerosAreCountedBySectorsBehindTheHeadersOwn) {
  Bytes body(3 * 512 + 8);
  EXPECT_EQ(wal::count_zero_fragments(body, 4096 + 32), 3u);  // 480 beside the header, then 512, 512, 40
  EXPECT_EQ(wal::count_zero_fragments(body, 4096 + 512), 4u);
  body[480 + 511] = std::byte{1};
  EXPECT_EQ(wal::count_zero_fragments(body, 4096 + 32), 2u);
  body.back() = std::byte{1};
  EXPECT_EQ(wal::count_zero_fragments(body, 4096 + 32), 1u);
}

TEST_F(WalBytes, NamesOfSegmentsReadBack) {
  EXPECT_EQ(wal::segment_name(0x2a), "000000000000002a.wal");
  EXPECT_EQ(wal::segment_number("000000000000002a.wal"), 0x2au);
  for (const char* name : {"2a.wal", "000000000000002A.wal", "000000000000002a.spare", "000000000000002g.wal", ".wal"})
    EXPECT_EQ(wal::segment_number(name), std::nullopt) << name;
}

TEST_F(WalBytes, HeadersReadBack) {
  const wal::SegmentHeader segment{
      .database = test_database(), .number = 7, .first_lsn = Lsn{99}, .segment_bytes = 1 << 20};
  const auto decoded = wal::decode_segment_header(wal::encode_segment_header(segment));
  ASSERT_TRUE(decoded.ok()) << decoded.status().to_string();
  EXPECT_EQ(*decoded, segment);

  const wal::RecordHeader record{
      .length = 12, .lsn = Lsn{5}, .synced = Lsn{4}, .segment = 3, .kind = 200, .zero_fragments = 0xabcdef};
  std::array<std::byte, wal::kRecordHeaderBytes> bytes{};
  wal::encode_record_header(record, bytes.data());
  EXPECT_EQ(wal::decode_record_header(bytes), record);
}

}  // namespace
}  // namespace mneme::storage
