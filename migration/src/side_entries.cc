#include "side_entries.h"

#include <utility>

#include "mneme/base/checksum.h"

namespace mneme::migration {

namespace {

constexpr std::string_view kOwnerName = "migration/";
constexpr std::size_t kSpaceAt = kOwnerName.size();
constexpr std::size_t kMigrationAt = kSpaceAt + 4;
constexpr std::size_t kKindAt = kMigrationAt + 16;
constexpr std::size_t kPartitionAt = kKindAt + 1;
constexpr std::size_t kChunkAt = kPartitionAt + 4;
constexpr std::size_t kIndexAt = kChunkAt + 4;
constexpr std::size_t kCursorKeyBytes = kIndexAt;
constexpr std::size_t kQuarantineKeyBytes = kIndexAt + 4;
static_assert(kIndexAt == 39);

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kDoneFlag = 1;

constexpr Field kCrc{0, 4};
constexpr Field kVersionField = after(kCrc, 1);
// Cursor.
constexpr Field kFlags = after(kVersionField, 1);
constexpr Field kSeen{8, 8};
constexpr Field kMigrated = after(kSeen, 8);
constexpr Field kSkipped = after(kMigrated, 8);
constexpr Field kQuarantined = after(kSkipped, 8);
constexpr Field kBytes = after(kQuarantined, 8);
constexpr Field kLanes = after(kBytes, 32);
constexpr Field kKeyLength = after(kLanes, 4);
static_assert(kKeyLength.end() == 84);
// Quarantine.
constexpr Field kIdLength{8, 4};
constexpr Field kReasonLength = after(kIdLength, 4);
static_assert(kReasonLength.end() == 16);

std::string place_of(const SideKey& key) {
  return "migration " + key.owner.migration.to_string() + ", partition " + std::to_string(key.partition) + ", chunk " +
         std::to_string(key.chunk);
}

std::uint32_t checksum(std::string_view key, ByteView value) {
  return crc32c(value.subspan(kCrc.end()), crc32c(as_bytes(key)));
}

void seal(SideEntry& entry) { store_le(entry.value.data() + kCrc.offset, checksum(entry.key, entry.value)); }

/// Length, checksum and version, which both kinds of value begin with.
Result<SideKey> open_value(std::string_view raw_key, ByteView value, SideKind kind, std::size_t bytes_min) {
  MNEME_ASSIGN(const SideKey key, decode_side_key(raw_key));
  const auto bad = [&](std::string found) {
    return Status(Code::Corruption, place_of(key) + ": " + (kind == SideKind::Cursor ? "cursor" : "record set aside") +
                                        ": " + std::move(found));
  };
  if (key.kind != kind) return bad("found another kind of entry");
  if (value.size() < bytes_min)
    return bad(std::to_string(value.size()) + " bytes, at least " + std::to_string(bytes_min) + " expected");
  const auto stored = load_le<std::uint32_t>(value.data() + kCrc.offset);
  const std::uint32_t computed = checksum(raw_key, value);
  if (stored != computed) return bad("crc " + std::to_string(stored) + ", computed " + std::to_string(computed));
  const auto version = load_le<std::uint8_t>(value.data() + kVersionField.offset);
  if (version != kVersion)
    return Status(Code::VersionMismatch, place_of(key) + ": version " + std::to_string(version) +
                                             ", this release knows " + std::to_string(kVersion));
  return key;
}

bool adds_up(const PartitionCursor& cursor) {
  return cursor.seen == cursor.migrated + cursor.skipped + cursor.quarantined;
}

bool follows(const PartitionCursor& next, const PartitionCursor& last) {
  return next.seen >= last.seen && next.migrated >= last.migrated && next.skipped >= last.skipped &&
         next.quarantined >= last.quarantined && next.bytes >= last.bytes && next.last_key >= last.last_key;
}

}  // namespace

std::string side_space_prefix(SpaceId space) {
  std::string prefix(kOwnerName);
  append_be(prefix, space.value);
  return prefix;
}

std::string side_prefix(const SideOwner& owner, SideKind kind) {
  std::string prefix = side_space_prefix(owner.space);
  prefix.append(as_text(owner.migration.view()));
  prefix.push_back(static_cast<char>(kind));
  return prefix;
}

std::string encode_side_key(const SideKey& key) {
  std::string out = side_prefix(key.owner, key.kind);
  append_be(out, key.partition);
  append_be(out, key.chunk);
  if (key.kind == SideKind::Quarantine) append_be(out, key.index);
  return out;
}

Result<SideKey> decode_side_key(std::string_view key) {
  const bool shaped = key.starts_with(kOwnerName) && key.size() > kKindAt;
  const auto kind = shaped ? static_cast<SideKind>(key[kKindAt]) : SideKind{};
  const bool cursor = kind == SideKind::Cursor && key.size() == kCursorKeyBytes;
  const bool quarantine = kind == SideKind::Quarantine && key.size() == kQuarantineKeyBytes;
  if (!cursor && !quarantine)
    return Status(Code::Corruption, "a migration's side entry has the key " + to_hex(as_bytes(key)) +
                                        ", which is no cursor and no record set aside");
  SideKey out;
  out.kind = kind;
  out.owner.space = SpaceId{load_be<std::uint32_t>(key.data() + kSpaceAt)};
  MNEME_ASSIGN(out.owner.migration, uuid_from_bytes(as_bytes(key.substr(kMigrationAt, 16))));
  out.partition = load_be<std::uint32_t>(key.data() + kPartitionAt);
  out.chunk = load_be<std::uint32_t>(key.data() + kChunkAt);
  if (quarantine) out.index = load_be<std::uint32_t>(key.data() + kIndexAt);
  return out;
}

SideEntry encode_cursor(const SideKey& key, const PartitionCursor& cursor) {
  SideEntry entry{encode_side_key(key), Bytes(kKeyLength.end())};
  std::byte* const at = entry.value.data();
  store_le(at + kVersionField.offset, kVersion);
  store_le(at + kFlags.offset, static_cast<std::uint8_t>(cursor.done ? kDoneFlag : 0));
  store_le(at + kSeen.offset, cursor.seen);
  store_le(at + kMigrated.offset, cursor.migrated);
  store_le(at + kSkipped.offset, cursor.skipped);
  store_le(at + kQuarantined.offset, cursor.quarantined);
  store_le(at + kBytes.offset, cursor.bytes);
  for (std::size_t lane = 0; lane < cursor.digest.lanes.size(); ++lane)
    store_le(at + kLanes.offset + 8 * lane, cursor.digest.lanes[lane]);
  store_le(at + kKeyLength.offset, static_cast<std::uint32_t>(cursor.last_key.size()));
  ByteWriter(entry.value).raw(as_bytes(cursor.last_key));
  seal(entry);
  return entry;
}

Result<PartitionCursor> decode_cursor(std::string_view key, ByteView value) {
  MNEME_ASSIGN(const SideKey place, open_value(key, value, SideKind::Cursor, kKeyLength.end()));
  const std::byte* const at = value.data();
  PartitionCursor cursor;
  cursor.done = (load_le<std::uint8_t>(at + kFlags.offset) & kDoneFlag) != 0;
  cursor.seen = load_le<std::uint64_t>(at + kSeen.offset);
  cursor.migrated = load_le<std::uint64_t>(at + kMigrated.offset);
  cursor.skipped = load_le<std::uint64_t>(at + kSkipped.offset);
  cursor.quarantined = load_le<std::uint64_t>(at + kQuarantined.offset);
  cursor.bytes = load_le<std::uint64_t>(at + kBytes.offset);
  for (std::size_t lane = 0; lane < cursor.digest.lanes.size(); ++lane)
    cursor.digest.lanes[lane] = load_le<std::uint64_t>(at + kLanes.offset + 8 * lane);
  cursor.digest.count = cursor.seen;
  const auto key_length = load_le<std::uint32_t>(at + kKeyLength.offset);
  if (value.size() != kKeyLength.end() + key_length)
    return Status(Code::Corruption, place_of(place) + ": cursor of " + std::to_string(value.size()) +
                                        " bytes names a key of " + std::to_string(key_length));
  cursor.last_key = as_text(value.subspan(kKeyLength.end()));
  cursor.next_chunk = place.chunk + 1;
  if (!adds_up(cursor))
    return Status(Code::Corruption, place_of(place) + ": " + std::to_string(cursor.seen) + " records seen are not " +
                                        std::to_string(cursor.migrated) + " migrated + " +
                                        std::to_string(cursor.skipped) + " skipped + " +
                                        std::to_string(cursor.quarantined) + " quarantined");
  return cursor;
}

SideEntry encode_quarantine(const SideKey& key, const QuarantineEntry& entry) {
  SideEntry out{encode_side_key(key), Bytes(kReasonLength.end())};
  std::byte* const at = out.value.data();
  store_le(at + kVersionField.offset, kVersion);
  store_le(at + kIdLength.offset, static_cast<std::uint32_t>(entry.id.size()));
  store_le(at + kReasonLength.offset, static_cast<std::uint32_t>(entry.reason.size()));
  ByteWriter writer(out.value);
  writer.raw(as_bytes(entry.id));
  writer.raw(as_bytes(entry.reason));
  writer.raw(entry.encoded);
  seal(out);
  return out;
}

Result<QuarantineEntry> decode_quarantine(std::string_view key, ByteView value) {
  MNEME_ASSIGN(const SideKey place, open_value(key, value, SideKind::Quarantine, kReasonLength.end()));
  const std::uint64_t id_length = load_le<std::uint32_t>(value.data() + kIdLength.offset);
  const std::uint64_t reason_length = load_le<std::uint32_t>(value.data() + kReasonLength.offset);
  const ByteView rest = value.subspan(kReasonLength.end());
  if (id_length + reason_length > rest.size())
    return Status(Code::Corruption, place_of(place) + ": record set aside of " + std::to_string(value.size()) +
                                        " bytes names an id of " + std::to_string(id_length) + " and a reason of " +
                                        std::to_string(reason_length));
  QuarantineEntry entry;
  entry.partition = place.partition;
  entry.id = as_text(rest.first(id_length));
  entry.reason = as_text(rest.subspan(id_length, reason_length));
  const ByteView encoded = rest.subspan(id_length + reason_length);
  entry.encoded.assign(encoded.begin(), encoded.end());
  return entry;
}

Result<std::vector<PartitionCursor>> load_cursors(const Database& target, const SideOwner& owner,
                                                  std::size_t partitions) {
  std::vector<PartitionCursor> cursors(partitions);
  Status found;
  const auto take = [&](std::string_view key, ByteView value) -> Status {
    MNEME_ASSIGN(const SideKey place, decode_side_key(key));
    MNEME_ASSIGN(PartitionCursor next, decode_cursor(key, value));
    if (place.partition >= partitions)
      return Status(Code::Corruption,
                    place_of(place) + ": the plan has " + std::to_string(partitions) + " partitions only");
    PartitionCursor& last = cursors[place.partition];
    if (place.chunk != last.next_chunk)
      return Status(Code::Corruption, place_of(place) + ": chunk " + std::to_string(last.next_chunk) + " is missing");
    if (last.done) return Status(Code::Corruption, place_of(place) + ": follows the chunk that ended the partition");
    if (!follows(next, last)) return Status(Code::Corruption, place_of(place) + ": falls behind the chunk before it");
    last = std::move(next);
    return {};
  };
  MNEME_TRY(target.scan_side(side_prefix(owner, SideKind::Cursor), [&](std::string_view key, ByteView value) {
    found = take(key, value);
    return found.ok();
  }));
  MNEME_TRY(std::move(found));
  return cursors;
}

Status scan_quarantine(const Database& target, const SideOwner& owner,
                       const std::function<Status(const QuarantineEntry&)>& visit) {
  Status found;
  MNEME_TRY(target.scan_side(side_prefix(owner, SideKind::Quarantine), [&](std::string_view key, ByteView value) {
    const Result<QuarantineEntry> entry = decode_quarantine(key, value);
    found = entry ? visit(*entry) : entry.status();
    return found.ok();
  }));
  return found;
}

Result<bool> has_side_entries(const Database& target, SpaceId space) {
  bool any = false;
  MNEME_TRY(target.scan_side(side_space_prefix(space), [&](std::string_view, ByteView) {
    any = true;
    return false;
  }));
  return any;
}

}  // namespace mneme::migration
