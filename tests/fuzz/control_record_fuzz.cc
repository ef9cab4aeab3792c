// Any payload behind a right header, and any file: refused, or a record that is written and read the same.
#include <unistd.h>

#include <filesystem>

#include "fuzz.h"
#include "mneme/base/checksum.h"
#include "mneme/storage/control_record.h"

using namespace mneme;
using namespace mneme::storage;

namespace {

const Path& directory() {
  static const Path made = [] {
    std::string name = (std::filesystem::temp_directory_path() / "mneme-control-fuzz-XXXXXX").string();
    MNEME_FUZZ_CHECK(::mkdtemp(name.data()) != nullptr);
    std::atexit([] { MNEME_FUZZ_CHECK(posix_file_system().remove_all(directory())); });
    return Path(name);
  }();
  return made;
}

// The payload as the file of a MigrationPlan whose every checksum is right, so that cereal sees it.
Bytes plan_file(ByteView payload) {
  Bytes file(48);
  std::memcpy(file.data(), "MNEMECTL", 8);
  store_le<std::uint16_t>(file.data() + 8, static_cast<std::uint16_t>(ControlKind::MigrationPlan));
  store_le<std::uint16_t>(file.data() + 10, MigrationPlan::kVersion);
  store_le<std::uint64_t>(file.data() + 32, payload.size());
  store_le<std::uint32_t>(file.data() + 40, crc32c(payload));
  store_le<std::uint32_t>(file.data() + 44, crc32c(ByteView(file).first(44)));
  file.insert(file.end(), payload.begin(), payload.end());
  return file;
}

void read_and_write_again(ByteView file) {
  FileSystem& files = posix_file_system();
  const Path path = directory() / "record";
  {
    Result<std::unique_ptr<File>> out = files.open(path, OpenMode::CreateOrTruncate);
    MNEME_FUZZ_CHECK(out && (*out)->write_at(0, file) && (*out)->close());
  }
  const auto plan = read_control<MigrationPlan>(files, path);
  if (!plan) {
    MNEME_FUZZ_CHECK(!plan.status().message().empty());
    return;
  }
  MNEME_FUZZ_CHECK(write_control(files, path, plan->database, plan->record));
  const auto again = read_control<MigrationPlan>(files, path);
  MNEME_FUZZ_CHECK(again && again->record == plan->record && again->database == plan->database);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes = fuzz::bytes_of(data, size);
  read_and_write_again(bytes);
  read_and_write_again(plan_file(bytes));
  return 0;
}
