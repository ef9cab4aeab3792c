#include "legacy_log.h"

#include <string>

#include "memory_fields.h"

namespace mneme::migration {

LegacyBatchWriter::LegacyBatchWriter(Bytes& out, std::size_t operations) : writer_(out) { writer_.varint(operations); }

void LegacyBatchWriter::put(ByteView encoded_memory) {
  writer_.fixed(static_cast<std::uint8_t>(LegacyOperation::Kind::Put));
  writer_.sized(encoded_memory);
}

void LegacyBatchWriter::erase(std::string_view id) {
  writer_.fixed(static_cast<std::uint8_t>(LegacyOperation::Kind::Erase));
  writer_.sized(id);
}

namespace {

Result<LegacyOperation> read_operation(ByteReader& reader) {
  LegacyOperation operation;
  MNEME_ASSIGN(const std::uint8_t kind, reader.fixed<std::uint8_t>());
  MNEME_ASSIGN(const ByteView bytes, reader.sized());
  operation.kind = static_cast<LegacyOperation::Kind>(kind);
  if (operation.kind == LegacyOperation::Kind::Erase) {
    operation.id = as_text(bytes);
    return operation;
  }
  if (operation.kind != LegacyOperation::Kind::Put)
    return Status(Code::Corruption, "unknown operation " + std::to_string(kind));
  MNEME_ASSIGN(const MemoryFields memory, read_memory_fields(bytes));
  operation.id = as_text(memory.id);
  operation.encoded = bytes;
  operation.dimension = memory.embedding ? memory.embedding->size() / sizeof(float) : 0;
  return operation;
}

}  // namespace

Status for_each_operation(ByteView payload, const std::function<Status(const LegacyOperation&)>& visit) {
  ByteReader reader(payload);
  MNEME_ASSIGN(const std::uint64_t count, reader.varint());
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::size_t begin = reader.offset();
    const auto operation = read_operation(reader);
    if (!operation)
      return operation.status().with_context("operation " + std::to_string(i) + " at byte " + std::to_string(begin));
    MNEME_TRY(visit(*operation));
  }
  if (!reader.at_end())
    return Status(Code::Corruption, std::to_string(reader.remaining()) + " bytes behind the last operation");
  return {};
}

}  // namespace mneme::migration
