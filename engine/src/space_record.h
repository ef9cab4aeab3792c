// What the meta family keeps of a space, and a change of it as the log carries it.
//
//   SpaceRecord   := 2:u8 state:u8 created_at:i64 name:sized count:varint generation* next_generation:u16 crc:u32
//                    version 1 has no next_generation: it is the highest id + 1
//   generation    := id:u16 metric:u8 dimension:u32 model:sized
//   SpaceCounters := 1:u8 episodes:u64 concepts:u64 vectors:u64 links:u64 next_row:u64 cold_nodes:u64 crc:u32
//
// crc: CRC-32C of the bytes before it.
#pragma once

#include <string>

#include "mneme/base/bytes.h"
#include "mneme/stats.h"

namespace mneme {

struct SpaceChange {
  enum class Kind : std::uint8_t { Create = 1, Update = 2, Drop = 3, AddGeneration = 4, DropGeneration = 5 };
  Kind kind = Kind::Create;
  SpaceInfo info;           // as it is afterwards; Drop uses id and name
  GenerationId generation;  // AddGeneration, DropGeneration
};

struct SpaceCounters {
  std::uint64_t episodes = 0, concepts = 0, vectors = 0, links = 0;
  std::uint64_t next_row = 0;
  std::uint64_t cold_nodes = 0;
  std::uint64_t nodes() const { return episodes + concepts; }
};

void encode_space_record(const SpaceInfo& info, Bytes& out);
/// `id` is set by the caller: it is the key. @error Corruption
Result<SpaceInfo> decode_space_record(SpaceId id, ByteView bytes);

void encode_counters(const SpaceCounters& counters, Bytes& out);
Result<SpaceCounters> decode_counters(ByteView bytes);

std::string space_record_key(SpaceId space);            // "s" space:u32
std::string space_counters_key(SpaceId space);          // "c" space:u32
inline constexpr std::string_view kNextSpaceKey = "n";  // u32: ids below it were used

/// 1 … limits::kSpaceNameBytesMax bytes of UTF-8 without control characters. @error InvalidArgument
Status validate_space_name(std::string_view name);

}  // namespace mneme
