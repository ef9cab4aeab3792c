#include "index_record.h"

#include "mneme/base/checksum.h"
#include "mneme/storage/families.h"

namespace mneme {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kRecordBytes = 1 + 16 + 5 * 8 + 4;

std::string key_of(char kind, SpaceId space) {
  std::string key(1, kind);
  append_be(key, space.value);
  return key;
}

}  // namespace

std::string index_record_key(SpaceId space, GenerationId generation) {
  std::string key = key_of('i', space);
  append_be(key, generation.value);
  return key;
}

void encode_index_record(const IndexRecord& record, Bytes& out) {
  const std::size_t begin = out.size();
  ByteWriter writer(out);
  writer.fixed(kVersion);
  writer.raw(record.id.view());
  writer.fixed(record.saved.number);
  writer.fixed(record.saved.bytes);
  writer.fixed(record.saved.xxh3);
  writer.fixed(record.saved.slots);
  writer.fixed(record.reflected.value);
  const std::uint32_t crc = crc32c(ByteView(out).subspan(begin));
  writer.fixed(crc);
}

Result<IndexRecord> decode_index_record(ByteView bytes) {
  if (bytes.size() != kRecordBytes)
    return {Code::Corruption,
            "index record: " + std::to_string(bytes.size()) + " bytes, expected " + std::to_string(kRecordBytes)};
  const auto stored = load_le<std::uint32_t>(bytes.data() + kRecordBytes - 4);
  if (const std::uint32_t computed = crc32c(bytes.first(kRecordBytes - 4)); computed != stored)
    return {Code::Corruption, "index record: crc " + std::to_string(stored) + ", computed " + std::to_string(computed)};
  ByteReader reader(bytes);
  IndexRecord record;
  MNEME_ASSIGN(const auto version, reader.fixed<std::uint8_t>());
  if (version != kVersion) return {Code::VersionMismatch, "index record: version " + std::to_string(version)};
  MNEME_ASSIGN(const ByteView id, reader.raw(16));
  MNEME_ASSIGN(record.id, uuid_from_bytes(id));
  for (std::uint64_t* field :
       {&record.saved.number, &record.saved.bytes, &record.saved.xxh3, &record.saved.slots, &record.reflected.value}) {
    MNEME_ASSIGN(*field, reader.fixed<std::uint64_t>());
  }
  return record;
}

std::string change_key(SpaceId space, Lsn lsn, RowId row) {
  std::string key = key_of('x', space);
  append_be(key, lsn.value);
  append_be(key, row.value);
  return key;
}

std::string changes_after(SpaceId space, Lsn lsn) {
  if (lsn == kMaxLsn) return storage::prefix_end(key_of('x', space));
  std::string key = key_of('x', space);
  append_be(key, lsn.value + 1);
  return key;
}

std::string index_prefix(SpaceId space) { return "s" + std::to_string(space.value) + "-"; }
std::string index_prefix(SpaceId space, GenerationId generation) {
  return index_prefix(space) + "g" + std::to_string(generation.value) + "-";
}
std::string index_stem(SpaceId space, GenerationId generation, const Uuid& id) {
  return index_prefix(space, generation) + id.to_string();
}

}  // namespace mneme
