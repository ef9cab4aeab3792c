// Any bytes as a file of sections: refused, or sections that are written and read the same.
#include <fstream>
#include <string>
#include <vector>

#include "fuzz.h"
#include "section_seal.h"
#include "temp_directory.h"

using namespace mneme;
using namespace mneme::index;

namespace {

const FileId kId{FileKind::State, Uuid{{1, 2, 3}}, 7};

const std::filesystem::path& directory() {
  static const test::TempDirectory made;
  return made.path();
}

std::shared_ptr<IndexFile> file_of(ByteView bytes) {
  const std::filesystem::path path = directory() / "input";
  const std::string_view text = as_text(bytes);
  std::ofstream(path, std::ios::binary | std::ios::trunc).write(text.data(), static_cast<std::streamsize>(text.size()));
  auto file = IndexFile::open(path, false);
  MNEME_FUZZ_CHECK(file.ok());
  return std::move(*file);
}

// The input behind the beginning of a right header, from the field `bytes` on.
Bytes behind_a_header(ByteView input) {
  const auto made = IndexFile::create(directory() / "made");
  MNEME_FUZZ_CHECK(made.ok() && write_header(**made, kId).ok());
  Bytes file(kFileHeaderBytes);
  MNEME_FUZZ_CHECK((*made)->read(0, file).ok());
  file.resize(test::kBytesAt);
  file.insert(file.end(), input.begin(), input.end());
  file.resize(std::max(file.size(), kFileHeaderBytes));
  return file;
}

// Every section that reads back, written to another file, reads back the same.
void write_again(const SectionReader& reader, const std::vector<std::string>& names) {
  SectionWriter writer(kId);
  std::vector<std::pair<std::string, ByteView>> sound;
  for (const std::string& name : names) {
    const Result<ByteView> bytes = reader.bytes(name);
    MNEME_FUZZ_CHECK(reader.array<std::uint64_t>(name).ok() == (bytes.ok() && bytes->size() % 8 == 0));
    if (bytes && !name.empty()) sound.emplace_back(name, *bytes);
  }
  for (const auto& [name, bytes] : sound) writer.add(name, std::span(bytes));
  const auto file = IndexFile::create(directory() / "again");
  MNEME_FUZZ_CHECK(file.ok());
  const Result<SectionsPlace> place = writer.write(**file, 4096);
  MNEME_FUZZ_CHECK(place.ok());
  const Result<SectionReader> again = SectionReader::open(*file, *place, kId);
  MNEME_FUZZ_CHECK(again.ok());
  for (const auto& [name, bytes] : sound) {
    const Result<ByteView> found = again->bytes(name);
    MNEME_FUZZ_CHECK(found.ok() && fuzz::same(*found, bytes));
  }
}

void check(ByteView bytes, const SectionsPlace& place) {
  const Result<SectionReader> reader = SectionReader::open(file_of(bytes), place, kId);
  if (!reader) {
    MNEME_FUZZ_CHECK(!reader.status().message().empty());
    MNEME_FUZZ_CHECK(reader.status().code() == Code::Corruption || reader.status().code() == Code::VersionMismatch);
    return;
  }
  std::vector<std::string> names;
  for (std::size_t i = 0; i < test::section_count(bytes, 0); ++i) {
    const auto entry = test::section_entry(bytes, 0, i);
    MNEME_FUZZ_CHECK(entry.has_value());
    names.emplace_back(entry->name);
  }
  write_again(*reader, names);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input = fuzz::bytes_of(data, size);
  if (input.empty()) return 0;
  // The first byte chooses: a whole file, what stands behind a header's beginning, or that with right checksums.
  const unsigned choice = static_cast<unsigned>(input[0]) % 4;
  if (choice == 0) {
    check(input.subspan(1), {0, size - 1, 0});
    return 0;
  }
  Bytes file = behind_a_header(input.subspan(1));
  check(file, choice == 1 ? SectionsPlace{0, file.size(), 0} : test::seal_sections(file, 0));
  return 0;
}
