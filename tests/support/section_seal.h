// Makes the checksums of a section file right again after its bytes were changed, so that what stands behind them is
// read. index/FORMAT.md draws the file.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "mneme/base/bytes.h"
#include "mneme/base/checksum.h"
#include "section_file.h"

namespace mneme::test {

inline constexpr std::size_t kSectionEntryBytes = 32;
inline constexpr std::size_t kSectionsAt = 48, kBytesAt = 40, kSumAt = 56;  // in the header

struct SectionEntry {
  std::string_view name;
  std::uint64_t offset = 0, bytes = 0;
};

/// Entry `i` of the table behind the header at `header`, where it lies in the file and speaks of bytes in it.
inline std::optional<SectionEntry> section_entry(ByteView file, std::size_t header, std::size_t i) {
  const std::size_t at = header + index::kFileHeaderBytes + i * kSectionEntryBytes;
  if (at + kSectionEntryBytes > file.size()) return std::nullopt;
  const auto* const name = reinterpret_cast<const char*>(file.data() + at);
  const SectionEntry entry{{name, ::strnlen(name, 8)},
                           load_le<std::uint64_t>(file.data() + at + 8),
                           load_le<std::uint64_t>(file.data() + at + 16)};
  const std::size_t left = file.size() - header;
  if (entry.offset > left || entry.bytes > left - entry.offset) return std::nullopt;
  return entry;
}

inline std::size_t section_count(ByteView file, std::size_t header) {
  return std::min<std::size_t>(load_le<std::uint32_t>(file.data() + header + kSectionsAt), 64);
}

/// The bytes of a section that is there, in the file.
inline std::span<std::byte> section_bytes(Bytes& file, std::size_t header, std::string_view name) {
  for (std::size_t i = 0; i < section_count(file, header); ++i)
    if (const auto entry = section_entry(file, header, i); entry && entry->name == name)
      return std::span(file).subspan(header + entry->offset, entry->bytes);
  return {};
}

/// The checksums of the sections, but of those that are verified in pieces, and that of the header. @return where they
/// are, as whoever notes it would
inline index::SectionsPlace seal_sections(Bytes& file, std::size_t header) {
  const std::size_t count = section_count(file, header);
  for (std::size_t i = 0; i < count; ++i) {
    const auto entry = section_entry(file, header, i);
    if (!entry || entry->name == "eightbit") continue;
    const std::uint64_t sum = xxh3_64(ByteView(file).subspan(header + entry->offset, entry->bytes));
    // The table may lie over its own sections.
    store_le(file.data() + header + index::kFileHeaderBytes + i * kSectionEntryBytes + 24, sum);
  }
  const std::size_t table = header + index::kFileHeaderBytes;
  const std::size_t table_bytes = std::min(count * kSectionEntryBytes, file.size() - table);
  const std::uint64_t sum =
      xxh3_64(ByteView(file).subspan(table, table_bytes), xxh3_64(ByteView(file).subspan(header, kSumAt)));
  store_le(file.data() + header + kSumAt, sum);
  return {header, load_le<std::uint64_t>(file.data() + header + kBytesAt), sum};
}

}  // namespace mneme::test
