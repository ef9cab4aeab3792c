#include "mneme/storage/wal_format.h"

#include <algorithm>

#include "mneme/base/checksum.h"
#include "mneme/base/limits.h"

namespace mneme::storage::wal {

namespace {

constexpr std::string_view kSuffix = ".wal";
constexpr std::size_t kNumberDigits = 16;

ByteView at(ByteView bytes, Field field) { return bytes.subspan(field.offset, field.size); }

std::string hex32(std::uint32_t value) {
  std::string text(8, '0');
  for (std::size_t i = 8; i-- > 0; value >>= 4) text[i] = "0123456789abcdef"[value & 15];
  return text;
}

}  // namespace

std::string segment_name(std::uint64_t number) {
  std::string name(kNumberDigits, '0');
  for (std::size_t i = kNumberDigits; i-- > 0; number >>= 4) name[i] = "0123456789abcdef"[number & 15];
  return name.append(kSuffix);
}

std::optional<std::uint64_t> segment_number(std::string_view name) {
  if (name.size() != kNumberDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : name.substr(0, kNumberDigits)) {
    const std::size_t digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    number = number << 4 | digit;
  }
  return number;
}

Bytes encode_segment_header(const SegmentHeader& header) {
  namespace f = segment_field;
  Bytes block(kSegmentHeaderBytes);
  std::byte* out = block.data();
  std::memcpy(out, kSegmentMagic.data(), kSegmentMagic.size());
  store_le(out + f::kKind.offset, kSegmentKind);
  store_le(out + f::kVersion.offset, header.version);
  store_le(out + f::kFeatures.offset, header.features);
  std::memcpy(out + f::kDatabase.offset, header.database.bytes.data(), f::kDatabase.size);
  store_le(out + f::kNumber.offset, header.number);
  store_le(out + f::kFirstLsn.offset, header.first_lsn.value);
  store_le(out + f::kSegmentBytes.offset, header.segment_bytes);
  store_le(out + f::kCrc.offset, crc32c(ByteView(block).first(f::kCrc.offset)));
  return block;
}

Result<SegmentHeader> decode_segment_header(ByteView bytes) {
  namespace f = segment_field;
  if (bytes.size() < kSegmentHeaderBytes)
    return {Code::Corruption, "segment header: " + std::to_string(bytes.size()) + " bytes of 4096"};
  if (as_text(at(bytes, f::kMagic)) != kSegmentMagic) return {Code::Corruption, "segment header: wrong magic"};
  const auto crc = load_le<std::uint32_t>(bytes.data() + f::kCrc.offset);
  const std::uint32_t computed = crc32c(bytes.first(f::kCrc.offset));
  if (crc != computed) return {Code::Corruption, "segment header: crc " + hex32(crc) + ", computed " + hex32(computed)};
  if (const auto kind = load_le<std::uint16_t>(bytes.data() + f::kKind.offset); kind != kSegmentKind)
    return {Code::Corruption, "segment header: file kind " + std::to_string(kind) + " is not a log segment"};

  SegmentHeader header;
  header.version = load_le<std::uint16_t>(bytes.data() + f::kVersion.offset);
  if (header.version != kSegmentVersion)
    return {Code::VersionMismatch, "segment header: format version " + std::to_string(header.version) +
                                       ", this release reads " + std::to_string(kSegmentVersion)};
  header.features = load_le<std::uint32_t>(bytes.data() + f::kFeatures.offset);
  if ((header.features & ~kKnownFeatures) != 0)
    return {Code::VersionMismatch, "segment header: unknown incompatible features " + hex32(header.features)};
  std::memcpy(header.database.bytes.data(), bytes.data() + f::kDatabase.offset, f::kDatabase.size);
  header.number = load_le<std::uint64_t>(bytes.data() + f::kNumber.offset);
  header.first_lsn.value = load_le<std::uint64_t>(bytes.data() + f::kFirstLsn.offset);
  header.segment_bytes = load_le<std::uint64_t>(bytes.data() + f::kSegmentBytes.offset);
  constexpr std::uint64_t kSegmentBytesLimit = std::uint64_t{1} << 40;
  if (header.first_lsn.value == 0 || header.segment_bytes < kSegmentHeaderBytes ||
      header.segment_bytes > kSegmentBytesLimit)
    return {Code::Corruption, "segment header: first LSN " + std::to_string(header.first_lsn.value) + ", size " +
                                  std::to_string(header.segment_bytes) + " cannot be"};
  return header;
}

std::uint32_t encode_record_header(const RecordHeader& header, std::byte* out) {
  namespace f = record_field;
  store_le(out + f::kLength.offset, header.length);
  store_le(out + f::kLsn.offset, header.lsn.value);
  store_le(out + f::kSyncedLsn.offset, header.synced.value);
  store_le(out + f::kSegment.offset, header.segment);
  store_le(out + f::kKindAndZeros.offset, static_cast<std::uint32_t>(header.kind | header.zero_fragments << 8));
  const std::uint32_t crc = crc32c({out + f::kHeaderCrc.end(), kRecordHeaderBytes - f::kHeaderCrc.size});
  store_le(out, crc);
  return crc;
}

std::optional<RecordHeader> decode_record_header(ByteView bytes) {
  namespace f = record_field;
  if (bytes.size() < kRecordHeaderBytes) return std::nullopt;
  const std::byte* in = bytes.data();
  if (load_le<std::uint32_t>(in) != crc32c(bytes.subspan(f::kHeaderCrc.end(), kRecordHeaderBytes - f::kHeaderCrc.size)))
    return std::nullopt;
  RecordHeader header;
  header.length = load_le<std::uint32_t>(in + f::kLength.offset);
  header.lsn.value = load_le<std::uint64_t>(in + f::kLsn.offset);
  header.synced.value = load_le<std::uint64_t>(in + f::kSyncedLsn.offset);
  header.segment = load_le<std::uint32_t>(in + f::kSegment.offset);
  const auto kind_and_zeros = load_le<std::uint32_t>(in + f::kKindAndZeros.offset);
  header.kind = static_cast<RecordKind>(kind_and_zeros & 0xff);
  header.zero_fragments = kind_and_zeros >> 8;
  return header;
}

bool all_zeros(ByteView bytes) {
  while (bytes.size() >= sizeof(std::uint64_t)) {
    if (load_le<std::uint64_t>(bytes.data()) != 0) return false;
    bytes = bytes.subspan(sizeof(std::uint64_t));
  }
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

std::uint32_t count_zero_fragments(ByteView body, std::uint64_t body_offset) {
  const std::uint64_t beside_header = (kSectorBytes - body_offset % kSectorBytes) % kSectorBytes;
  if (beside_header >= body.size()) return 0;
  body = body.subspan(beside_header);
  std::uint32_t zeros = 0;
  while (!body.empty()) {
    const std::size_t size = std::min<std::size_t>(kSectorBytes, body.size());
    zeros += all_zeros(body.first(size));
    body = body.subspan(size);
  }
  return zeros;
}

void seal_record(RecordHeader header, std::uint64_t file_offset, std::byte* at) {
  const std::uint64_t content_bytes = padded(header.length);
  std::byte* const content = at + kRecordHeaderBytes;
  std::byte* const trailer = content + content_bytes;
  std::memset(content + header.length, 0, content_bytes - header.length);
  // The crc of the trailer depends on the header and the header counts zeros in the trailer's fragment, which
  // `end` keeps from being zeros: so the count is the same whatever the crc will be.
  store_le(trailer, std::uint32_t{0});
  store_le(trailer + sizeof(std::uint32_t), kRecordEnd);
  header.zero_fragments =
      count_zero_fragments({content, content_bytes + kRecordTrailerBytes}, file_offset + kRecordHeaderBytes);
  const std::uint32_t header_crc = encode_record_header(header, at);
  store_le(trailer, crc32c({content, content_bytes}, header_crc));
}

}  // namespace mneme::storage::wal
