// The bytes that index/FORMAT.md shows, and what of them may not be trusted.

#include <gtest/gtest.h>

#include <bit>
#include <cstdio>
#include <limits>
#include <string>

#include "effort.h"
#include "mneme/base/checksum.h"
#include "section_file.h"
#include "temp_directory.h"

namespace mneme::index {
namespace {

const Uuid kIndex{{1, 2, 3}};

class IndexFormat : public testing::Test {
 protected:
  std::shared_ptr<IndexFile> create() const { return std::move(IndexFile::create(directory_ / "file")).value(); }
  test::TempDirectory directory_;
};

TEST_F(IndexFormat, WritesTheBytesThatTheFormatShows) {
  const auto file = create();
  ASSERT_TRUE(write_header(*file, {FileKind::Rows, kIndex, 0}));
  Bytes bytes(kFileHeaderBytes);
  ASSERT_TRUE(file->read(0, bytes));
  EXPECT_EQ(to_hex(bytes),
            "4d4e454d454944580100010000000000"
            "01020300000000000000000000000000"
            "00000000000000000000000000000000"
            "0000000000000000abcc6f25bcd0d751");
}

TEST_F(IndexFormat, GivesBackSectionsAndRefusesThemUnderAnotherName) {
  const auto file = create();
  SectionWriter writer({FileKind::Book, kIndex, 7});
  const std::vector<std::uint32_t> numbers{1, 2, 3};
  writer.add("numbers", numbers);
  writer.add("nothing", std::span<const float>());
  const auto place = writer.write(*file, kFilePage);
  ASSERT_TRUE(place);
  const auto reader = SectionReader::open(file, *place, {FileKind::Book, kIndex, 7});
  ASSERT_TRUE(reader) << reader.status().to_string();
  const auto read = reader->array<std::uint32_t>("numbers");
  ASSERT_TRUE(read);
  EXPECT_EQ(std::vector<std::uint32_t>(read->begin(), read->end()), numbers);
  EXPECT_TRUE(reader->array<float>("nothing")->empty());
  EXPECT_EQ(reader->bytes("absent").status().code(), Code::Corruption);
  EXPECT_EQ(reader->array<std::uint64_t>("numbers").status().code(), Code::Corruption);
  EXPECT_EQ(SectionReader::open(file, *place, {FileKind::Book, kIndex, 8}).status().code(), Code::Corruption);
  EXPECT_EQ(SectionReader::open(file, *place, {FileKind::Codes, kIndex, 7}).status().code(), Code::Corruption);
  EXPECT_EQ(SectionReader::open(file, *place, {FileKind::Book, Uuid{}, 7}).status().code(), Code::Corruption);
}

TEST_F(IndexFormat, RefusesALaterVersionAndAFeatureItDoesNotKnow) {
  const auto file = create();
  for (const std::uint64_t offset : {10, 12}) {
    ASSERT_TRUE(write_header(*file, {FileKind::Rows, kIndex, 0}));
    Bytes bytes(kFileHeaderBytes);
    ASSERT_TRUE(file->read(0, bytes));
    bytes[offset] = std::byte{2};
    store_le(bytes.data() + 56, xxh3_64({}, xxh3_64(ByteView(bytes).first(56))));
    ASSERT_TRUE(file->write(0, bytes));
    EXPECT_EQ(check_header(*file, {FileKind::Rows, kIndex, 0}).code(), Code::VersionMismatch);
  }
}

// A table of efforts without any: sizes, a flag each, the nearness of queries.
Bytes effort_bytes(float most, std::uint8_t numbers = 4) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.fixed(std::uint8_t{4});
  writer.fixed(std::uint8_t{3});
  writer.fixed(numbers);
  for (int i = 0; i < 12; ++i) writer.fixed(std::uint8_t{0});
  for (const float value : {-1.0F, most}) writer.fixed(std::bit_cast<std::uint32_t>(value));
  return bytes;
}

TEST(IndexEfforts, AreReadAsTheyAreWritten) {
  const Bytes bytes = effort_bytes(2.5F);
  ByteReader reader(bytes);
  const Result<EffortTable> table = EffortTable::decode(reader);
  ASSERT_TRUE(table) << table.status().to_string();
  EXPECT_EQ(table->nearness_most(), 2.5F);
  Bytes again;
  ByteWriter writer(again);
  table->encode(writer);
  EXPECT_EQ(again, bytes);
}

// A nearness that is no number makes every query usual, an effort that is none keeps nothing: the recall that was
// promised would silently be another. Checksums do not tell of a writer that meant it.
TEST(IndexEfforts, AreRefusedWhenAValueIsNoNumberOrAFlagIsNone) {
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const Bytes bytes = effort_bytes(value);
    ByteReader reader(bytes);
    EXPECT_EQ(EffortTable::decode(reader).status().code(), Code::Corruption);
  }
  Bytes bytes = effort_bytes(1);
  bytes[3] = std::byte{2};
  ByteReader reader(bytes);
  EXPECT_EQ(EffortTable::decode(reader).status().code(), Code::Corruption);
}

TEST(IndexEfforts, AreRefusedWhenTheyAreOfAnotherKind) {
  const Bytes bytes = effort_bytes(1, 3);
  ByteReader reader(bytes);
  EXPECT_EQ(EffortTable::decode(reader).status().code(), Code::VersionMismatch);
}

}  // namespace
}  // namespace mneme::index
