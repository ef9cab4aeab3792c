#include "mneme/storage/families.h"

namespace mneme::storage {

std::vector<FamilyOptions> database_families() {
  // Write buffers follow what a node brings: 3 KiB of vector, 1 KiB of body, 40 bytes of place. All are flushed when
  // the first is full. float32 mantissas do not compress, so vectors are stored as they are in both tiers.
  return {
      {.name = "meta", .compression = Compression::Lz4, .bloom_bits = 10, .write_buffer_bytes = 4 * kMiB},
      // Every put asks here whether the node exists; most new ones do not, and 14 bits leave one in a thousand.
      {.name = "id", .compression = Compression::Lz4, .bloom_bits = 14, .write_buffer_bytes = 16 * kMiB},
      {.name = "warm_body", .compression = Compression::Lz4, .bloom_bits = 10, .write_buffer_bytes = 32 * kMiB},
      {.name = "warm_vector", .compression = Compression::None, .bloom_bits = 10, .write_buffer_bytes = 64 * kMiB},
      {.name = "cold_body",
       .compression = Compression::Zstd,
       .blob_values = true,
       .bloom_bits = 10,
       .write_buffer_bytes = 16 * kMiB},
      {.name = "cold_vector",
       .compression = Compression::None,
       .blob_values = true,
       .bloom_bits = 10,
       .write_buffer_bytes = 32 * kMiB},
      {.name = "link", .compression = Compression::Lz4, .bloom_bits = 10, .write_buffer_bytes = 16 * kMiB},
      {.name = "cursor", .compression = Compression::Lz4, .bloom_bits = 10, .write_buffer_bytes = 4 * kMiB},
  };
}

std::string space_prefix(SpaceId space) {
  std::string key;
  append_be(key, space.value);
  return key;
}

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

std::string id_key(SpaceId space, const NodeId& node) {
  std::string key = space_prefix(space);
  key.append(as_text(node.view()));
  return key;
}

std::string body_key(SpaceId space, RowId row) {
  std::string key = space_prefix(space);
  append_be(key, row.value);
  return key;
}

std::string vector_prefix(SpaceId space, GenerationId generation) {
  std::string key = space_prefix(space);
  append_be(key, generation.value);
  return key;
}

std::string vector_key(SpaceId space, GenerationId generation, RowId row) {
  std::string key = vector_prefix(space, generation);
  append_be(key, row.value);
  return key;
}

}  // namespace mneme::storage
