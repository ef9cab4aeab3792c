#include "mneme/storage/control_record.h"

#include <cereal/archives/portable_binary.hpp>
#include <cereal/cereal.hpp>
#include <cereal/types/string.hpp>
#include <exception>
#include <istream>
#include <ostream>
#include <streambuf>

#include "mneme/base/checksum.h"

namespace mneme::storage {

namespace {

namespace field {
constexpr Field kMagic{0, 8};
constexpr Field kKind = after(kMagic, 2);
constexpr Field kVersion = after(kKind, 2);
constexpr Field kFeatures = after(kVersion, 4);
constexpr Field kDatabase = after(kFeatures, 16);
constexpr Field kLength = after(kDatabase, 8);
constexpr Field kCrc = after(kLength, 4);
constexpr Field kHeadCrc = after(kCrc, 4);
}  // namespace field

constexpr std::string_view kMagic = "MNEMECTL";
constexpr std::size_t kHeadBytes = field::kHeadCrc.end();
static_assert(kHeadBytes == 48);
constexpr std::uint32_t kKnownFeatures = 0;

/// Bytes as a stream buffer that knows how many are left.
class PayloadBuffer final : public std::streambuf {
 public:
  explicit PayloadBuffer(std::string& bytes) { setg(bytes.data(), bytes.data(), bytes.data() + bytes.size()); }
  std::uint64_t remaining() const { return static_cast<std::uint64_t>(egptr() - gptr()); }
};

/// Appends to a string.
class StringBuffer final : public std::streambuf {
 public:
  std::string take() { return std::move(bytes_); }

 private:
  std::streamsize xsputn(const char* from, std::streamsize size) override {
    bytes_.append(from, static_cast<std::size_t>(size));
    return size;
  }
  int_type overflow(int_type c) override {
    if (!traits_type::eq_int_type(c, traits_type::eof())) bytes_.push_back(traits_type::to_char_type(c));
    return traits_type::not_eof(c);
  }
  std::string bytes_;
};

using Output = cereal::PortableBinaryOutputArchive;

/// An archive and the bytes it reads.
struct Input {
  explicit Input(std::string& bytes) : buffer(bytes), stream(&buffer), archive(stream) {}
  PayloadBuffer buffer;
  std::istream stream;
  cereal::PortableBinaryInputArchive archive;
};

/// A size that the bytes behind it can bear: cereal would allocate whatever the file says.
std::size_t checked_size(Input& in, std::uint64_t bytes_each) {
  cereal::size_type size = 0;
  in.archive(cereal::make_size_tag(size));
  const std::uint64_t remaining = in.buffer.remaining();
  if (size > remaining / bytes_each)
    throw cereal::Exception("a size of " + std::to_string(size) + " with " + std::to_string(remaining) + " bytes left");
  return static_cast<std::size_t>(size);
}

template <class... Fields>
void put(Output& out, const Fields&... fields);

void put_one(Output& out, const std::string& text) { out(text); }
void put_one(Output& out, bool flag) { out(static_cast<std::uint8_t>(flag)); }
void put_one(Output& out, const Uuid& id) { out(cereal::binary_data(id.bytes.data(), id.bytes.size())); }
template <std::size_t N>
void put_one(Output& out, const std::array<std::uint8_t, N>& bytes) {
  out(cereal::binary_data(bytes.data(), N));
}
template <class T>
requires std::is_arithmetic_v<T>
void put_one(Output& out, T number) { out(number); }
void put_one(Output& out, const std::vector<PartitionBounds>& partitions) {
  out(cereal::make_size_tag(static_cast<cereal::size_type>(partitions.size())));
  for (const PartitionBounds& bounds : partitions) put(out, bounds.begin, bounds.end);
}
template <class... Fields>
void put(Output& out, const Fields&... fields) {
  (put_one(out, fields), ...);
}

template <class... Fields>
void get(Input& in, Fields&... fields);

void get_one(Input& in, std::string& text) {
  text.resize(checked_size(in, 1));
  in.archive(cereal::binary_data(text.data(), text.size()));
}
void get_one(Input& in, bool& flag) {
  std::uint8_t byte = 0;
  in.archive(byte);
  if (byte > 1) throw cereal::Exception("a flag of " + std::to_string(byte));
  flag = byte == 1;
}
void get_one(Input& in, Uuid& id) { in.archive(cereal::binary_data(id.bytes.data(), id.bytes.size())); }
template <std::size_t N>
void get_one(Input& in, std::array<std::uint8_t, N>& bytes) {
  in.archive(cereal::binary_data(bytes.data(), N));
}
template <class T>
requires std::is_arithmetic_v<T>
void get_one(Input& in, T& number) { in.archive(number); }
void get_one(Input& in, std::vector<PartitionBounds>& partitions) {
  constexpr std::uint64_t kLeastBytes = 2 * sizeof(cereal::size_type);  // two empty strings
  partitions.resize(checked_size(in, kLeastBytes));
  for (PartitionBounds& bounds : partitions) get(in, bounds.begin, bounds.end);
}
template <class... Fields>
void get(Input& in, Fields&... fields) {
  (get_one(in, fields), ...);
}

// The fields of each kind, in the order of their bytes.
template <class Visit>
void fields_of(auto& r, Visit&& visit) requires std::is_same_v<std::remove_cvref_t<decltype(r)>, DatabaseManifest> {
  visit(r.default_dimension, r.default_metric, r.created_at_us, r.created_by);
}
template <class Visit>
void fields_of(auto& r, Visit&& visit) requires std::is_same_v<std::remove_cvref_t<decltype(r)>, LegacyManifest> {
  visit(r.created_at_us, r.created_by);
}
template <class Visit>
void fields_of(auto& r, Visit&& visit) requires std::is_same_v<std::remove_cvref_t<decltype(r)>, MigrationPlan> {
  visit(r.migration_id, r.source_id, r.target_id, r.space, r.space_name, r.source_lsn, r.source_records, r.options_hash,
        r.transform_hash, r.created_at_us, r.partitions);
}
template <class Visit>
void fields_of(auto& r, Visit&& visit) requires std::is_same_v<std::remove_cvref_t<decltype(r)>, MigrationReport> {
  visit(r.migration_id, r.source_records, r.migrated, r.skipped, r.quarantined, r.bytes, r.source_digest,
        r.target_digest, r.target_lsn, r.finished_at_us, r.copy_seconds, r.verify_seconds, r.verified);
}

template <class T>
Result<std::string> encode_payload(const T& record) {
  try {
    StringBuffer buffer;
    std::ostream stream(&buffer);
    Output out(stream);
    fields_of(record, [&](const auto&... fields) { put(out, fields...); });
    return buffer.take();
  } catch (const std::exception& error) {
    return {Code::Internal, std::string("encode: ") + error.what()};
  }
}

template <class T>
Result<T> decode_payload(ByteView payload) {
  std::string bytes(as_text(payload));
  try {
    Input in(bytes);
    T record;
    fields_of(record, [&](auto&... fields) { get(in, fields...); });
    if (in.buffer.remaining() != 0)
      return {Code::Corruption, std::to_string(in.buffer.remaining()) + " bytes behind the payload's last field"};
    return record;
  } catch (const std::exception& error) {
    return {Code::Corruption, std::string("payload: ") + error.what()};
  }
}

Status check_crc(std::string_view what, ByteView bytes, std::uint32_t stored) {
  const std::uint32_t computed = crc32c(bytes);
  if (stored == computed) return {};
  return {Code::Corruption,
          std::string(what) + " crc " + std::to_string(stored) + ", computed " + std::to_string(computed)};
}

/// The payload of a file whose envelope is right. Checks in the order the header file promises.
Result<ByteView> open_envelope(ByteView file, ControlKind kind, std::uint16_t version) {
  const std::byte* const head = file.data();
  if (file.size() < kHeadBytes) return {Code::Corruption, std::to_string(file.size()) + " bytes, a head has 48"};
  if (as_text(file.first(field::kMagic.size)) != kMagic) return {Code::Corruption, "not a control record: wrong magic"};
  MNEME_TRY(
      check_crc("head", file.first(field::kHeadCrc.offset), load_le<std::uint32_t>(head + field::kHeadCrc.offset)));
  if (const auto features = load_le<std::uint32_t>(head + field::kFeatures.offset); (features & ~kKnownFeatures) != 0)
    return {Code::VersionMismatch, "unknown incompatible features " + std::to_string(features)};
  if (const auto found = load_le<std::uint16_t>(head + field::kKind.offset); found != static_cast<std::uint16_t>(kind))
    return {Code::Corruption,
            "record kind " + std::to_string(found) + ", expected " + std::to_string(static_cast<std::uint16_t>(kind))};
  if (const auto found = load_le<std::uint16_t>(head + field::kVersion.offset); found != version)
    return {Code::VersionMismatch,
            "format version " + std::to_string(found) + ", this release reads " + std::to_string(version)};
  const ByteView payload = file.subspan(kHeadBytes);
  if (const auto length = load_le<std::uint64_t>(head + field::kLength.offset); length != payload.size())
    return {Code::Corruption,
            "length " + std::to_string(length) + ", but " + std::to_string(payload.size()) + " bytes follow the head"};
  MNEME_TRY(check_crc("payload", payload, load_le<std::uint32_t>(head + field::kCrc.offset)));
  return payload;
}

}  // namespace

template <class T>
Status write_control(FileSystem& fs, const Path& path, const DatabaseId& database, const T& record) {
  MNEME_ASSIGN(const std::string payload, encode_payload(record));
  if (payload.size() > kControlBytesMax)
    return {Code::InvalidArgument, path.string() + ": control record of " + std::to_string(payload.size()) +
                                       " bytes, at most " + std::to_string(kControlBytesMax)};
  Bytes file(kHeadBytes);
  std::byte* const head = file.data();
  std::memcpy(head, kMagic.data(), kMagic.size());
  store_le(head + field::kKind.offset, static_cast<std::uint16_t>(T::kKind));
  store_le(head + field::kVersion.offset, T::kVersion);
  store_le(head + field::kFeatures.offset, kKnownFeatures);
  std::memcpy(head + field::kDatabase.offset, database.bytes.data(), field::kDatabase.size);
  store_le(head + field::kLength.offset, static_cast<std::uint64_t>(payload.size()));
  store_le(head + field::kCrc.offset, crc32c(as_bytes(payload)));
  store_le(head + field::kHeadCrc.offset, crc32c(ByteView(file).first(field::kHeadCrc.offset)));
  const ByteView content = as_bytes(payload);
  file.insert(file.end(), content.begin(), content.end());
  return publish_file(fs, path, file);
}

template <class T>
Result<ControlFile<T>> read_control(FileSystem& fs, const Path& path) {
  const Result<Bytes> file = read_file(fs, path, kControlBytesMax + kHeadBytes);
  if (file.status().code() == Code::InvalidArgument) return {Code::Corruption, file.status().message()};
  if (!file) return file.status();
  const Result<ByteView> payload = open_envelope(*file, T::kKind, T::kVersion);
  if (!payload) return payload.status().with_context(path.string());
  Result<T> record = decode_payload<T>(*payload);
  if (!record) return record.status().with_context(path.string());
  ControlFile<T> control;
  std::memcpy(control.database.bytes.data(), file->data() + field::kDatabase.offset, field::kDatabase.size);
  control.record = std::move(record).value();
  return control;
}

#define MNEME_CONTROL_KIND(T)                                                                                \
  template Status write_control<T>(FileSystem & fs, const Path& path, const DatabaseId& database, const T&); \
  template Result<ControlFile<T>> read_control<T>(FileSystem & fs, const Path& path);
MNEME_CONTROL_KIND(DatabaseManifest)
MNEME_CONTROL_KIND(LegacyManifest)
MNEME_CONTROL_KIND(MigrationPlan)
MNEME_CONTROL_KIND(MigrationReport)
#undef MNEME_CONTROL_KIND

}  // namespace mneme::storage
