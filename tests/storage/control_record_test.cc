// Control records: what is written is read, and every damaged file is refused before its payload is parsed.
#include "mneme/storage/control_record.h"

#include <gtest/gtest.h>

#include "fault_file_system.h"
#include "mneme/base/checksum.h"

namespace mneme::storage {
namespace {

using mneme::testing::FaultFileSystem;

Uuid uuid_of(std::uint8_t first) {
  Uuid id;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<std::uint8_t>(first + i);
  return id;
}

MigrationPlan plan() {
  MigrationPlan plan;
  plan.migration_id = uuid_of(1);
  plan.source_id = uuid_of(2);
  plan.target_id = uuid_of(3);
  plan.space = 7;
  plan.space_name = "agent \xc3\xa9";
  plan.source_lsn = 1'000'000;
  plan.source_records = 117'659;
  plan.options_hash.fill(0xaa);
  plan.transform_hash.fill(0xbb);
  plan.created_at_us = -5;
  plan.partitions = {{"", "m"}, {"m", std::string("n\0o", 3)}, {"z", ""}};
  return plan;
}

MigrationReport report() {
  MigrationReport report;
  report.migration_id = uuid_of(9);
  report.source_records = 10;
  report.migrated = 7;
  report.skipped = 2;
  report.quarantined = 1;
  report.bytes = ~std::uint64_t{0};
  report.source_digest.fill(1);
  report.target_digest.fill(2);
  report.target_lsn = 4;
  report.finished_at_us = 1'700'000'000'000'000;
  report.copy_seconds = 1.5;
  report.verify_seconds = 5e-324;
  report.verified = true;
  return report;
}

class ControlRecords : public ::testing::Test {
 protected:
  template <class T>
  void expect_same_after_a_write(const T& record) {
    ASSERT_TRUE(write_control(fs_, "record", uuid_of(0x40), record).ok());
    const auto read = read_control<T>(fs_, "record");
    ASSERT_TRUE(read.ok()) << read.status().to_string();
    EXPECT_EQ(read->record, record);
    EXPECT_EQ(read->database, uuid_of(0x40));
  }
  template <class T = MigrationPlan>
  Code code_of(Bytes file) {
    fs_.set_contents("changed", std::move(file));
    return read_control<T>(fs_, "changed").status().code();
  }
  /// A file of a plan with this payload whose checksums are right; `change` may touch the head before it is sealed.
  static Bytes sealed(ByteView payload, const std::function<void(Bytes&)>& change = {}) {
    Bytes file(48);
    std::memcpy(file.data(), "MNEMECTL", 8);
    store_le<std::uint16_t>(file.data() + 8, 3);
    store_le<std::uint16_t>(file.data() + 10, 1);
    store_le<std::uint64_t>(file.data() + 32, payload.size());
    store_le<std::uint32_t>(file.data() + 40, crc32c(payload));
    if (change) change(file);
    store_le<std::uint32_t>(file.data() + 44, crc32c(ByteView(file).first(44)));
    file.insert(file.end(), payload.begin(), payload.end());
    return file;
  }
  Bytes written_plan() {
    EXPECT_TRUE(write_control(fs_, "plan", uuid_of(0), plan()).ok());
    return fs_.contents("plan");
  }

  FaultFileSystem fs_;
};

TEST_F(ControlRecords, ReadBackWhatWasWritten) {
  expect_same_after_a_write(DatabaseManifest{768, 1, 1'700'000'000'000'000, "0.1.0"});
  expect_same_after_a_write(LegacyManifest{-1, ""});
  expect_same_after_a_write(plan());
  expect_same_after_a_write(MigrationPlan{});
  expect_same_after_a_write(report());
  MigrationPlan large = plan();
  large.partitions.assign(10'000, {std::string(300, 'k'), std::string(300, 'l')});
  expect_same_after_a_write(large);
}

TEST_F(ControlRecords, AManifestIsTheseBytes) {
  ASSERT_TRUE(write_control(fs_, "m", uuid_of(0xd0), DatabaseManifest{768, 1, 1'000'000, "0.1.0"}).ok());
  EXPECT_EQ(to_hex(fs_.contents("m")),
            "4d4e454d4543544c"                  // magic
            "0100"                              // kind
            "0100"                              // version
            "00000000"                          // features
            "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"  // database
            "1b00000000000000"                  // length
            "08f70eae"                          // crc
            "766520f8"                          // head_crc
            "01"                                // payload: cereal's mark of little-endian
            "00030000"                          // default_dimension
            "01"                                // default_metric
            "40420f0000000000"                  // created_at_us
            "0500000000000000302e312e30");      // created_by
}

TEST_F(ControlRecords, EveryCutIsRefused) {
  const Bytes whole = written_plan();
  for (std::size_t size = 0; size < whole.size(); ++size)
    ASSERT_EQ(code_of(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))), Code::Corruption)
        << size;
  Bytes longer = whole;
  longer.push_back(std::byte{0});
  EXPECT_EQ(code_of(longer), Code::Corruption);
}

TEST_F(ControlRecords, EveryFlippedBitIsRefused) {
  const Bytes whole = written_plan();
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    Bytes flipped = whole;
    flipped[bit / 8] ^= std::byte{static_cast<unsigned char>(1 << bit % 8)};
    ASSERT_EQ(code_of(flipped), Code::Corruption) << "bit " << bit;
  }
}

TEST_F(ControlRecords, AnotherKindAndANewerFormatAreRefused) {
  const Bytes whole = written_plan();
  const ByteView payload = ByteView(whole).subspan(48);
  EXPECT_EQ(code_of(sealed(payload)), Code::Ok);
  EXPECT_EQ(code_of<MigrationReport>(sealed(payload)), Code::Corruption);
  EXPECT_EQ(code_of(sealed(payload, [](Bytes& head) { head[10] = std::byte{2}; })), Code::VersionMismatch);
  EXPECT_EQ(code_of(sealed(payload, [](Bytes& head) { head[12] = std::byte{1}; })), Code::VersionMismatch);
}

TEST_F(ControlRecords, APayloadThatLiesAboutItsSizesIsRefusedWithoutAllocating) {
  const Bytes whole = written_plan();
  const ByteView payload = ByteView(whole).subspan(48);
  // space_name's length, behind the endian mark, three ids and the space's number.
  for (const std::uint64_t lie : {~std::uint64_t{0}, std::uint64_t{1} << 40, std::uint64_t{1} << 33}) {
    Bytes lying(payload.begin(), payload.end());
    store_le<std::uint64_t>(lying.data() + 1 + 48 + 4, lie);
    EXPECT_EQ(code_of(sealed(lying)), Code::Corruption);
  }
  const std::size_t partitions = payload.size() - (8 + 3 * 16 + 1 + 1 + 3 + 1);
  ASSERT_EQ(load_le<std::uint64_t>(payload.data() + partitions), 3u);
  Bytes lying(payload.begin(), payload.end());
  store_le<std::uint64_t>(lying.data() + partitions, std::uint64_t{1} << 32);
  EXPECT_EQ(code_of(sealed(lying)), Code::Corruption);

  Bytes trailing(payload.begin(), payload.end());
  trailing.push_back(std::byte{0});
  EXPECT_EQ(code_of(sealed(trailing)), Code::Corruption);
  EXPECT_EQ(code_of(sealed({})), Code::Corruption);
}

TEST_F(ControlRecords, AFlagIsZeroOrOne) {
  ASSERT_TRUE(write_control(fs_, "r", uuid_of(0), report()).ok());
  const Bytes whole = fs_.contents("r");
  Bytes payload(whole.begin() + 48, whole.end());
  payload.back() = std::byte{2};
  EXPECT_EQ(code_of<MigrationReport>(sealed(payload, [](Bytes& head) { head[8] = std::byte{4}; })), Code::Corruption);
}

TEST_F(ControlRecords, AbsenceIsNotFoundAndFaultsAreTheirOwn) {
  EXPECT_EQ(read_control<DatabaseManifest>(fs_, "absent").status().code(), Code::NotFound);
  written_plan();
  fs_.fail(FaultFileSystem::Call::Read, 1);
  EXPECT_EQ(read_control<MigrationPlan>(fs_, "plan").status().code(), Code::IoError);
  fs_.fail(FaultFileSystem::Call::Write, 1, Code::NoSpace);
  EXPECT_EQ(write_control(fs_, "plan", uuid_of(0), report()).code(), Code::NoSpace);
  EXPECT_TRUE(read_control<MigrationPlan>(fs_, "plan").ok()) << "the record before is untouched";
}

}  // namespace
}  // namespace mneme::storage
