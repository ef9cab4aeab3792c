// The families of a database's ordered store, and the keys in them. Integers in keys are big-endian.
//
//   family       key                                       value
//   meta         "\0applied"                               applied_lsn:u64
//                "s" space:u32                             SpaceRecord (engine)
//                "c" space:u32                             SpaceCounters (engine)
//   id           space:u32 node:16                         row:u64 tier:u8 kind:u8     the map of what is where
//   warm_body    space:u32 row:u64                         body of the node
//   warm_vector  space:u32 generation:u16 row:u64          float32 values
//   cold_body, cold_vector                                 as warm
//   link         space:u32 0 from:16 type:sized to:16      LinkValue (engine)
//                space:u32 1 to:16 type:sized from:16      empty (the way back)
//   cursor       owner's key                               markers and cursors of bulk loads, see FORMAT.md
#pragma once

#include <string>

#include "mneme/base/ids.h"
#include "mneme/storage/ordered_store.h"

namespace mneme::storage {

inline constexpr Family kMeta = 0, kId = 1, kWarmBody = 2, kWarmVector = 3, kColdBody = 4, kColdVector = 5, kLink = 6,
                        kCursor = 7;

/// The eight families with the options they are opened with.
std::vector<FamilyOptions> database_families();

std::string space_prefix(SpaceId space);
/// The first key behind every key that starts with `prefix`; empty when there is none.
std::string prefix_end(std::string_view prefix);
std::string id_key(SpaceId space, const NodeId& node);
std::string body_key(SpaceId space, RowId row);
std::string vector_key(SpaceId space, GenerationId generation, RowId row);
std::string vector_prefix(SpaceId space, GenerationId generation);

}  // namespace mneme::storage
