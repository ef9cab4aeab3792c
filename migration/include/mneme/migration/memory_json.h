// One Memory as one JSON object: the JSONL form of DESIGN.
#pragma once

#include <string>
#include <string_view>

#include "mneme/migration/memory.h"

namespace mneme::migration {

/// {"id": "...", "content": "...", "embedding": [..] or null, "created_at": "RFC 3339", "last_access": .., "metadata":
/// ..,
///  "activation": 0.7, "confidence": 0.9, "access_count": 3, "decay_rate": 0.1, "embedding_provenance": .., …}
/// Other members are kept; the member "mneme" belongs to our own exports: "embedder" with "embedding" in it are read
/// back as a built-in embedder's vector, its other members are dropped.
/// @error InvalidArgument  broken JSON, a duplicate member, a member of the wrong type or range; says which and where
Result<Memory> memory_from_json(std::string_view line);

/// The same object again: every member with an equal value, floats in the shortest form that reads back to the same
/// bits, times as the same instant in microseconds; nothing that was absent. A built-in embedder's vector goes under
/// "mneme". `extra` (an object, or null) is merged into "mneme".
void append_memory_json(const Memory& memory, const Value& extra, std::string& out);

}  // namespace mneme::migration
