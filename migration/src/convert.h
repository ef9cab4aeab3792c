// Memory → Episode and back over encodings: what from_memory and to_memory do, without building the structs.
#pragma once

#include <string_view>

#include "mneme/base/node_record.h"
#include "mneme/migration/memory.h"

namespace mneme::migration {

/// The record of from_memory(decode_memory(encoded_memory), space_name).
/// @error Corruption  not the canonical encoding of a Memory
/// Cost: about 1 µs and one copy of the bytes. Threads: any.
Result<NodeRecordPtr> record_from_memory_encoding(ByteView encoded_memory, std::string_view space_name);

/// Appends the canonical encoding of to_memory(record.decode()).
/// @error InvalidArgument  as to_memory; `out` is as it was
/// Cost: one walk over the fields and one copy of the bytes. Threads: any.
Status append_memory_encoding(const NodeRecord& record, Bytes& out);

}  // namespace mneme::migration
