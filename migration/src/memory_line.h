// One JSON line as it is parsed, before an import decides about its embedding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mneme/migration/memory.h"

namespace mneme::migration {

struct MemoryLine {
  Memory memory;
  /// The embedder that the line names without an embedding beside it: its vector stands in a .npy.
  std::optional<std::string> embedder_of_npy;
};

/// @error InvalidArgument  as memory_from_json
Result<MemoryLine> parse_memory_line(std::string_view line);

/// How a line is written when the embedding goes elsewhere.
enum class EmbeddingIn : std::uint8_t { Line, Npy };

/// append_memory_json with a choice of where the embedding goes.
void append_memory_line(const Memory& memory, EmbeddingIn embedding, const Value& extra, std::string& out);

}  // namespace mneme::migration
