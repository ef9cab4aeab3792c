#include "section_file.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdio>
#include <cstring>

#include "mneme/base/checksum.h"

namespace mneme::index {
namespace {

constexpr std::string_view kMagic = "MNEMEIDX";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kEntryBytes = 32;
constexpr std::size_t kNameBytes = 8;
constexpr std::size_t kAlign = 64;
constexpr std::uint32_t kSectionsMax = 64;

constexpr Field kKind{8, 2}, kVersionField = after(kKind, 2), kFeatures = after(kVersionField, 4),
                             kIndex = after(kFeatures, 16), kNumber = after(kIndex, 8), kBytes = after(kNumber, 8),
                             kSections = after(kBytes, 4), kReserved = after(kSections, 4), kSum = after(kReserved, 8);
static_assert(kSum.end() == kFileHeaderBytes);

std::uint64_t aligned(std::uint64_t offset) { return (offset + kAlign - 1) / kAlign * kAlign; }

std::uint64_t sum_of(ByteView header_and_table) {
  return xxh3_64(header_and_table.subspan(kFileHeaderBytes), xxh3_64(header_and_table.first(kSum.offset)));
}

// Header and table; the checksum is put in last.
Bytes make_header(const FileId& id, std::uint64_t bytes, std::uint32_t sections) {
  Bytes out(kFileHeaderBytes + sections * kEntryBytes);
  std::memcpy(out.data(), kMagic.data(), kMagic.size());
  store_le(out.data() + kKind.offset, static_cast<std::uint16_t>(id.kind));
  store_le(out.data() + kVersionField.offset, kVersion);
  std::memcpy(out.data() + kIndex.offset, id.index.bytes.data(), id.index.bytes.size());
  store_le(out.data() + kNumber.offset, id.number);
  store_le(out.data() + kBytes.offset, bytes);
  store_le(out.data() + kSections.offset, sections);
  return out;
}

// What can be said before the checksum is known to be right: only what a file of another format differs in.
Status check_start(const IndexFile& file, ByteView header) {
  const auto bad = [&](Code code, const std::string& what) { return Status(code, file.path().string() + ": " + what); };
  if (as_text(header.first(kMagic.size())) != kMagic) return bad(Code::Corruption, "header: it is no index file");
  if (const auto version = load_le<std::uint16_t>(header.data() + kVersionField.offset); version != kVersion)
    return bad(Code::VersionMismatch, "header: version " + std::to_string(version) + ", known is 1");
  return ok_status();
}

Status check_id(const IndexFile& file, ByteView header, const FileId& id) {
  const auto bad = [&](Code code, const std::string& what) { return Status(code, file.path().string() + ": " + what); };
  if (const auto features = load_le<std::uint32_t>(header.data() + kFeatures.offset); features != 0)
    return bad(Code::VersionMismatch, "header: features " + std::to_string(features) + ", known are none");
  if (const auto kind = load_le<std::uint16_t>(header.data() + kKind.offset);
      kind != static_cast<std::uint16_t>(id.kind))
    return bad(Code::Corruption, "header: kind " + std::to_string(kind) + ", expected " +
                                     std::to_string(static_cast<std::uint16_t>(id.kind)));
  if (std::memcmp(header.data() + kIndex.offset, id.index.bytes.data(), id.index.bytes.size()) != 0)
    return bad(Code::Corruption, "header: the file is of another index than " + id.index.to_string());
  if (const auto number = load_le<std::uint64_t>(header.data() + kNumber.offset); number != id.number)
    return bad(Code::Corruption,
               "header: written by save " + std::to_string(number) + ", expected " + std::to_string(id.number));
  return ok_status();
}

}  // namespace

std::string two_sums(std::uint64_t expected, std::uint64_t computed) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "xxh3 %016llx, computed %016llx", static_cast<unsigned long long>(expected),
                static_cast<unsigned long long>(computed));
  return text.data();
}

Result<SectionsPlace> SectionWriter::write(const IndexFile& file, std::uint64_t offset) const {
  assert(offset % kFilePage == 0 && sections_.size() <= kSectionsMax);
  std::uint64_t end = kFileHeaderBytes + sections_.size() * kEntryBytes;
  std::vector<std::uint64_t> offsets;
  for (const Section& section : sections_) {
    offsets.push_back(aligned(end));
    end = offsets.back() + section.bytes.size();
  }
  Bytes header = make_header(id_, end, static_cast<std::uint32_t>(sections_.size()));
  for (std::size_t i = 0; i < sections_.size(); ++i) {
    const Section& section = sections_[i];
    assert(!section.name.empty() && section.name.size() <= kNameBytes);
    std::byte* const entry = header.data() + kFileHeaderBytes + i * kEntryBytes;
    std::memcpy(entry, section.name.data(), section.name.size());
    store_le(entry + 8, offsets[i]);
    store_le<std::uint64_t>(entry + 16, section.bytes.size());
    store_le<std::uint64_t>(entry + 24, section.whole ? xxh3_64(section.bytes) : 0);
  }
  const std::uint64_t sum = sum_of(header);
  store_le(header.data() + kSum.offset, sum);
  // The file reaches to the end of the last section's page, so that mapping it touches nothing beyond.
  MNEME_ASSIGN(const std::uint64_t size, file.size());
  const std::uint64_t pages_end = (offset + end + kFilePage - 1) / kFilePage * kFilePage;
  if (size < pages_end) MNEME_TRY(file.resize(pages_end));
  MNEME_TRY(file.write(offset, header));
  for (std::size_t i = 0; i < sections_.size(); ++i) MNEME_TRY(file.write(offset + offsets[i], sections_[i].bytes));
  return SectionsPlace{offset, end, sum};
}

Result<SectionReader> SectionReader::open(const std::shared_ptr<IndexFile>& file, const SectionsPlace& place,
                                          const FileId& id) {
  const auto bad = [&](const std::string& what) {
    return Status(Code::Corruption, file->path().string() + ": " + what);
  };
  MNEME_ASSIGN(const std::uint64_t size, file->size());
  if (place.offset % kFilePage != 0 || place.offset > size)
    return bad("header at byte " + std::to_string(place.offset) + " of " + std::to_string(size));
  Bytes header(kFileHeaderBytes);
  MNEME_TRY(file->read(place.offset, header));
  MNEME_TRY(check_start(*file, header));
  const auto count = load_le<std::uint32_t>(header.data() + kSections.offset);
  if (count > kSectionsMax) return bad("header: " + std::to_string(count) + " sections, at most 64 are possible");
  header.resize(kFileHeaderBytes + count * kEntryBytes);
  MNEME_TRY(file->read(place.offset, header));
  const auto expected = load_le<std::uint64_t>(header.data() + kSum.offset);
  if (const std::uint64_t computed = sum_of(header); computed != expected)
    return bad("header at byte " + std::to_string(place.offset) + ": " + two_sums(expected, computed));
  MNEME_TRY(check_id(*file, header, id));
  const auto bytes = load_le<std::uint64_t>(header.data() + kBytes.offset);
  if (bytes != place.bytes || expected != place.xxh3)
    return bad("header at byte " + std::to_string(place.offset) +
               ": it is not the one that was saved last: " + two_sums(place.xxh3, expected));
  SectionReader reader;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::byte* const entry = header.data() + kFileHeaderBytes + i * kEntryBytes;
    const auto* const name = reinterpret_cast<const char*>(entry);
    Section section{std::string(name, ::strnlen(name, kNameBytes)), load_le<std::uint64_t>(entry + 8),
                    load_le<std::uint64_t>(entry + 16), load_le<std::uint64_t>(entry + 24)};
    if (section.offset > bytes || section.bytes > bytes - section.offset || section.offset % kAlign != 0)
      return bad("section " + section.name + ": " + std::to_string(section.bytes) + " bytes at byte " +
                 std::to_string(section.offset) + " of " + std::to_string(bytes));
    reader.sections_.push_back(std::move(section));
  }
  MNEME_ASSIGN(Mapping mapping, file->map(place.offset, bytes));
  reader.mapping_ = std::make_shared<Mapping>(std::move(mapping));
  reader.file_ = file;
  reader.offset_ = place.offset;
  reader.xxh3_ = expected;
  return reader;
}

std::string SectionReader::where(std::string_view name) const {
  const auto found = std::find_if(sections_.begin(), sections_.end(), [&](const Section& s) { return s.name == name; });
  return file_->path().string() + ": section " + std::string(name) +
         (found == sections_.end() ? "" : " at byte " + std::to_string(offset_ + found->offset));
}

Result<const SectionReader::Section*> SectionReader::find(std::string_view name) const {
  for (const Section& section : sections_)
    if (section.name == name) return &section;
  return {Code::Corruption, where(name) + ": it is not there"};
}

Result<ByteView> SectionReader::unverified(std::string_view name) const {
  MNEME_ASSIGN(const Section* const section, find(name));
  return mapping_->bytes().subspan(section->offset, section->bytes);
}

Result<ByteView> SectionReader::bytes(std::string_view name) const {
  MNEME_ASSIGN(const Section* const section, find(name));
  const ByteView found = mapping_->bytes().subspan(section->offset, section->bytes);
  if (const std::uint64_t computed = xxh3_64(found); computed != section->xxh3)
    return {Code::Corruption, where(name) + ": " + two_sums(section->xxh3, computed)};
  return found;
}

Status SectionReader::odd_size(std::string_view name, std::size_t bytes, std::size_t unit) const {
  return {Code::Corruption,
          where(name) + ": " + std::to_string(bytes) + " bytes, no multiple of " + std::to_string(unit)};
}

Status write_header(const IndexFile& file, const FileId& id) {
  Bytes header = make_header(id, 0, 0);
  store_le(header.data() + kSum.offset, sum_of(header));
  return file.write(0, header);
}

Status check_header(const IndexFile& file, const FileId& id) {
  Bytes header(kFileHeaderBytes);
  MNEME_TRY(file.read(0, header));
  MNEME_TRY(check_start(file, header));
  const auto expected = load_le<std::uint64_t>(header.data() + kSum.offset);
  if (const std::uint64_t computed = sum_of(header); computed != expected)
    return {Code::Corruption, file.path().string() + ": header: " + two_sums(expected, computed)};
  return check_id(file, header, id);
}

}  // namespace mneme::index
