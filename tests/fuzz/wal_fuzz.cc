// A log's one segment with any bytes in it: refused, or opened to records that a second open gives again.
#include "fault_file_system.h"
#include "fuzz.h"
#include "mneme/storage/wal.h"
#include "mneme/storage/wal_format.h"

using namespace mneme;
using namespace mneme::storage;
using mneme::testing::FaultFileSystem;

namespace {

WalOptions options() {
  WalOptions options;
  options.segment_bytes_min = options.segment_bytes_max = 8 * kKiB;
  return options;
}

Bytes segment_of(ByteView records) {
  Bytes file =
      wal::encode_segment_header({.database = {}, .number = 1, .first_lsn = Lsn{1}, .segment_bytes = 64 * kKiB});
  file.insert(file.end(), records.begin(), records.end());
  return file;
}

// Seals what lies in the input as records, one behind the other, so that deeper checks see them.
Bytes sealed_records(ByteView input) {
  Bytes file = segment_of({});
  std::uint64_t lsn = 0;
  while (input.size() > 3 && file.size() < 48 * kKiB) {
    const std::size_t length = std::min<std::size_t>(static_cast<std::size_t>(input[0]) * 8, input.size() - 3);
    const auto mark_distance = static_cast<std::uint64_t>(input[1]);
    const auto kind = static_cast<RecordKind>(input[2]);
    const std::uint64_t begin = wal::record_start(file.size());
    file.resize(begin + wal::record_bytes(length));
    std::memcpy(file.data() + begin + wal::kRecordHeaderBytes, input.data() + 3, length);
    ++lsn;
    wal::seal_record({.length = static_cast<std::uint32_t>(length),
                      .lsn = Lsn{lsn},
                      .synced = Lsn{lsn - std::min(lsn, mark_distance + 1)},
                      .segment = 1,
                      .kind = kind},
                     begin, file.data() + begin);
    input = input.subspan(3 + length);
  }
  // What is left cuts the file, or changes a byte of it.
  if (input.size() >= 2) {
    const std::size_t at = (static_cast<std::size_t>(input[0]) << 8 | static_cast<std::size_t>(input[1])) % file.size();
    if (input.size() == 2) file.resize(at);
    if (input.size() == 3) file[at] ^= input[2];
  }
  return file;
}

struct Outcome {
  Status status;
  std::vector<std::string> records;
};

Outcome open(FaultFileSystem& fs, const WalOptions& with) {
  Outcome outcome;
  const auto replay = [&](const WalRecord& record) {
    outcome.records.emplace_back(as_text(record.payload));
    return Status();
  };
  outcome.status = Wal::open(fs, system_clock(), "log", {}, with, {}, replay, nullptr).status();
  return outcome;
}

void check(Bytes file) {
  FaultFileSystem fs;
  MNEME_FUZZ_CHECK(fs.make_directory("log").ok());
  const Path path = Path("log") / wal::segment_name(1);
  fs.set_contents(path, file);
  WalOptions read_only = options();
  read_only.read_only = true;
  const Outcome seen = open(fs, read_only);
  MNEME_FUZZ_CHECK(fs.contents(path) == file);

  const Outcome first = open(fs, options());
  if (first.status.ok()) {
    const Outcome second = open(fs, options());
    MNEME_FUZZ_CHECK(second.status.ok() && second.records == first.records && seen.records == first.records);
    return;
  }
  MNEME_FUZZ_CHECK(fs.contents(path) == file);  // a refused log is left as it is
  if (first.status.code() != Code::DataLoss) return;
  WalOptions accept = options();
  accept.accept_data_loss = true;
  const Outcome accepted = open(fs, accept);
  MNEME_FUZZ_CHECK(accepted.status.ok() && accepted.records == seen.records);
  MNEME_FUZZ_CHECK(open(fs, options()).status.ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input = fuzz::bytes_of(data, size);
  if (input.empty()) return 0;
  // The first byte chooses: a whole file, the bytes behind a right header, or records with right checksums.
  const ByteView rest = input.subspan(1);
  switch (static_cast<unsigned>(input[0]) % 3) {
    case 0:
      check(Bytes(rest.begin(), rest.end()));
      break;
    case 1:
      check(segment_of(rest));
      break;
    default:
      check(sealed_records(rest));
      break;
  }
  return 0;
}
