#include "space_record.h"

#include "mneme/base/checksum.h"
#include "mneme/base/json.h"
#include "mneme/base/limits.h"

namespace mneme {
namespace {

constexpr std::uint8_t kRecordVersion = 2;
constexpr std::uint8_t kCountersVersion = 1;

void seal(Bytes& out, std::size_t begin) {
  const std::uint32_t crc = crc32c(ByteView(out).subspan(begin));
  ByteWriter(out).fixed(crc);
}

// The bytes before the checksum, the version among them, once checksum and version are right.
Result<ByteView> unseal(ByteView bytes, std::uint8_t newest, std::string_view what) {
  if (bytes.size() < 5)
    return Status(Code::Corruption, std::string(what) + ": " + std::to_string(bytes.size()) + " bytes");
  const ByteView sealed = bytes.first(bytes.size() - 4);
  const auto stored = load_le<std::uint32_t>(bytes.data() + sealed.size());
  if (const std::uint32_t computed = crc32c(sealed); computed != stored)
    return Status(Code::Corruption,
                  std::string(what) + ": crc " + std::to_string(stored) + ", computed " + std::to_string(computed));
  const auto version = std::to_integer<std::uint8_t>(sealed[0]);
  if (version == 0 || version > newest)
    return Status(Code::VersionMismatch, std::string(what) + ": version " + std::to_string(version) + ", " +
                                             std::to_string(newest) + " is the newest that is known");
  return sealed;
}

Result<GenerationInfo> decode_generation(ByteReader& reader) {
  GenerationInfo generation;
  MNEME_ASSIGN(generation.id.value, reader.fixed<std::uint16_t>());
  MNEME_ASSIGN(const auto metric, reader.fixed<std::uint8_t>());
  if (metric > static_cast<std::uint8_t>(Metric::SquaredL2))
    return Status(Code::Corruption, "space record: metric " + std::to_string(metric));
  generation.metric = static_cast<Metric>(metric);
  MNEME_ASSIGN(generation.dimension, reader.fixed<std::uint32_t>());
  MNEME_ASSIGN(const ByteView model, reader.sized());
  generation.model = as_text(model);
  return generation;
}

}  // namespace

void encode_space_record(const SpaceInfo& info, Bytes& out) {
  const std::size_t begin = out.size();
  ByteWriter writer(out);
  writer.fixed(kRecordVersion);
  writer.fixed(static_cast<std::uint8_t>(info.state));
  writer.fixed(info.created_at.time_since_epoch().count());
  writer.sized(info.name);
  writer.varint(info.generations.size());
  for (const GenerationInfo& generation : info.generations) {
    writer.fixed(generation.id.value);
    writer.fixed(static_cast<std::uint8_t>(generation.metric));
    writer.fixed(generation.dimension);
    writer.sized(generation.model);
  }
  writer.fixed(info.next_generation.value);
  seal(out, begin);
}

Result<SpaceInfo> decode_space_record(SpaceId id, ByteView bytes) {
  MNEME_ASSIGN(const ByteView body, unseal(bytes, kRecordVersion, "space record " + std::to_string(id.value)));
  ByteReader reader(body);
  MNEME_ASSIGN(const auto version, reader.fixed<std::uint8_t>());
  SpaceInfo info;
  info.id = id;
  MNEME_ASSIGN(const auto state, reader.fixed<std::uint8_t>());
  if (state > static_cast<std::uint8_t>(SpaceState::Stopped))
    return Status(Code::Corruption, "space record: state " + std::to_string(state));
  info.state = static_cast<SpaceState>(state);
  MNEME_ASSIGN(const auto created, reader.fixed<std::int64_t>());
  info.created_at = Timestamp(std::chrono::microseconds(created));
  MNEME_ASSIGN(const ByteView name, reader.sized());
  info.name = as_text(name);
  MNEME_ASSIGN(const std::uint64_t count, reader.varint());
  for (std::uint64_t i = 0; i < count; ++i) {
    MNEME_ASSIGN(GenerationInfo generation, decode_generation(reader));
    if (!info.generations.empty() && generation.id <= info.generations.back().id)
      return Status(Code::Corruption, "space record: generation " + std::to_string(generation.id.value) + " behind " +
                                          std::to_string(info.generations.back().id.value));
    info.generations.push_back(std::move(generation));
  }
  const unsigned used = info.generations.empty() ? 0U : info.generations.back().id.value + 1U;
  info.next_generation = GenerationId{static_cast<std::uint16_t>(used)};
  if (version >= 2) {
    MNEME_ASSIGN(info.next_generation.value, reader.fixed<std::uint16_t>());
  }
  if (info.next_generation.value < used)
    return Status(Code::Corruption, "space record: the next generation is " +
                                        std::to_string(info.next_generation.value) + ", " + std::to_string(used - 1) +
                                        " is in use");
  if (!reader.at_end()) return Status(Code::Corruption, "space record: bytes behind its end");
  return info;
}

void encode_counters(const SpaceCounters& counters, Bytes& out) {
  const std::size_t begin = out.size();
  ByteWriter writer(out);
  writer.fixed(kCountersVersion);
  for (const std::uint64_t value :
       {counters.episodes, counters.concepts, counters.vectors, counters.links, counters.next_row, counters.cold_nodes})
    writer.fixed(value);
  seal(out, begin);
}

Result<SpaceCounters> decode_counters(ByteView bytes) {
  MNEME_ASSIGN(const ByteView body, unseal(bytes, kCountersVersion, "space counters"));
  ByteReader reader(body.subspan(1));
  SpaceCounters counters;
  for (std::uint64_t* value : {&counters.episodes, &counters.concepts, &counters.vectors, &counters.links,
                               &counters.next_row, &counters.cold_nodes}) {
    MNEME_ASSIGN(*value, reader.fixed<std::uint64_t>());
  }
  if (!reader.at_end()) return Status(Code::Corruption, "space counters: bytes behind their end");
  return counters;
}

std::string space_record_key(SpaceId space) {
  std::string key = "s";
  append_be(key, space.value);
  return key;
}

std::string space_counters_key(SpaceId space) {
  std::string key = "c";
  append_be(key, space.value);
  return key;
}

Status validate_space_name(std::string_view name) {
  if (name.empty()) return {Code::InvalidArgument, "space name: empty"};
  if (name.size() > limits::kSpaceNameBytesMax)
    return {Code::InvalidArgument, "space name: " + std::to_string(name.size()) + " bytes, at most " +
                                       std::to_string(limits::kSpaceNameBytesMax)};
  if (!is_valid_utf8(name)) return {Code::InvalidArgument, "space name: not UTF-8"};
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto byte = static_cast<unsigned char>(name[i]);
    if (byte < 0x20 || byte == 0x7f)
      return {Code::InvalidArgument, "space name: control character at byte " + std::to_string(i)};
  }
  return {};
}

}  // namespace mneme
