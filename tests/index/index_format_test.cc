// The bytes that index/FORMAT.md shows, and what of them may not be trusted.

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

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

}  // namespace
}  // namespace mneme::index
