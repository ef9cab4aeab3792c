// The bytes that a migration writes beside the nodes.
#include <gtest/gtest.h>

#include "mneme/base/checksum.h"
#include "side_entries.h"

namespace mneme::migration {
namespace {

SideKey key_of(SideKind kind, std::uint32_t partition, std::uint32_t chunk, std::uint32_t index = 0) {
  SideKey key{{SpaceId{0x01020304}, {}}, kind, partition, chunk, index};
  key.owner.migration.bytes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return key;
}

PartitionCursor some_cursor() {
  PartitionCursor cursor;
  cursor.seen = 7;
  cursor.migrated = 4;
  cursor.skipped = 2;
  cursor.quarantined = 1;
  cursor.bytes = 0x1122;
  cursor.digest = {{1, 2, 3, 4}, 7};
  cursor.last_key = "key";
  cursor.done = true;
  cursor.next_chunk = 10;
  return cursor;
}

std::string hex(std::string_view text) { return to_hex(as_bytes(text)); }

TEST(SideEntries, AreTheseBytes) {
  const SideEntry cursor = encode_cursor(key_of(SideKind::Cursor, 5, 9), some_cursor());
  EXPECT_EQ(hex(cursor.key),
            "6d6967726174696f6e2f"              // "migration/"
            "01020304"                          // space
            "000102030405060708090a0b0c0d0e0f"  // migration
            "63"                                // 'c'
            "00000005"                          // partition
            "00000009");                        // chunk
  EXPECT_EQ(to_hex(ByteView(cursor.value).subspan(4)),
            "01"                // version
            "01"                // done
            "0000"              //
            "0700000000000000"  // seen
            "0400000000000000"  // migrated
            "0200000000000000"  // skipped
            "0100000000000000"  // quarantined
            "2211000000000000"  // bytes
            "0100000000000000020000000000000003000000000000000400000000000000"
            "03000000"  // length of the key
            "6b6579");  // "key"
  const std::uint32_t crc = crc32c(ByteView(cursor.value).subspan(4), crc32c(as_bytes(cursor.key)));
  EXPECT_EQ(load_le<std::uint32_t>(cursor.value.data()), crc);

  const SideEntry aside = encode_quarantine(key_of(SideKind::Quarantine, 5, 9, 2), {5, "id", "why", {std::byte{0xAB}}});
  EXPECT_EQ(hex(std::string_view(aside.key).substr(30)),
            "71"
            "00000005"
            "00000009"
            "00000002");
  EXPECT_EQ(to_hex(ByteView(aside.value).subspan(4)),
            "01"
            "000000"
            "02000000"
            "03000000"
            "6964"
            "776879"
            "ab");
}

TEST(SideEntries, ComeBackAsTheyWere) {
  const SideEntry cursor = encode_cursor(key_of(SideKind::Cursor, 5, 9), some_cursor());
  const Result<PartitionCursor> read = decode_cursor(cursor.key, cursor.value);
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_EQ(*read, some_cursor());

  const SideEntry aside = encode_quarantine(key_of(SideKind::Quarantine, 3, 0, 1), {3, "", "", {}});
  const Result<QuarantineEntry> entry = decode_quarantine(aside.key, aside.value);
  ASSERT_TRUE(entry.ok()) << entry.status().to_string();
  EXPECT_EQ(entry->partition, 3u);
  EXPECT_TRUE(entry->id.empty() && entry->reason.empty() && entry->encoded.empty());
}

TEST(SideEntries, RefuseEveryFlippedBitOfValueAndKey) {
  const SideEntry good = encode_cursor(key_of(SideKind::Cursor, 5, 9), some_cursor());
  for (std::size_t bit = 0; bit < 8 * good.value.size(); ++bit) {
    SideEntry bad = good;
    bad.value[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(decode_cursor(bad.key, bad.value).ok()) << "bit " << bit << " of the value";
  }
  for (std::size_t bit = 0; bit < 8 * good.key.size(); ++bit) {
    SideEntry bad = good;
    bad.key[bit / 8] = static_cast<char>(bad.key[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(decode_cursor(bad.key, bad.value).ok()) << "bit " << bit << " of the key";
  }
}

TEST(SideEntries, RefuseEveryTruncation) {
  const SideEntry cursor = encode_cursor(key_of(SideKind::Cursor, 5, 9), some_cursor());
  for (std::size_t size = 0; size < cursor.value.size(); ++size)
    EXPECT_FALSE(decode_cursor(cursor.key, ByteView(cursor.value).first(size)).ok()) << size;
  const SideEntry aside = encode_quarantine(key_of(SideKind::Quarantine, 1, 2, 3), {1, "id", "why", {}});
  for (std::size_t size = 0; size < aside.value.size(); ++size)
    EXPECT_FALSE(decode_quarantine(aside.key, ByteView(aside.value).first(size)).ok()) << size;
  for (std::size_t size = 0; size < cursor.key.size(); ++size)
    EXPECT_FALSE(decode_side_key(std::string_view(cursor.key).substr(0, size)).ok()) << size;
}

TEST(SideEntries, RefuseACursorWhoseCountsDoNotAddUp) {
  PartitionCursor cursor = some_cursor();
  ++cursor.migrated;
  const SideEntry entry = encode_cursor(key_of(SideKind::Cursor, 5, 9), cursor);
  const Result<PartitionCursor> read = decode_cursor(entry.key, entry.value);
  ASSERT_FALSE(read.ok());
  EXPECT_NE(read.status().message().find("7 records seen are not 5 migrated"), std::string::npos)
      << read.status().message();
}

}  // namespace
}  // namespace mneme::migration
