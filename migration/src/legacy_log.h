// What one record of a legacy store's log says: a batch of operations that stand or fall together.
//
//   payload   := count:varint  operation × count
//   operation := op:u8 (1 put, 2 erase)  length:varint  bytes     put: an encoded Memory; erase: an id
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "mneme/base/bytes.h"
#include "mneme/base/result.h"

namespace mneme::migration {

inline constexpr std::uint8_t kLegacyBatchRecord = 1;  ///< kind of the log record

struct LegacyOperation {
  enum class Kind : std::uint8_t { Put = 1, Erase = 2 };  // values are on disk
  Kind kind = Kind::Put;
  std::string_view id;
  ByteView encoded;           ///< Put: the Memory
  std::size_t dimension = 0;  ///< Put: of its embedding; 0 = none
};

/// Builds a payload.
class LegacyBatchWriter {
 public:
  LegacyBatchWriter(Bytes& out, std::size_t operations);
  void put(ByteView encoded_memory);
  void erase(std::string_view id);

 private:
  ByteWriter writer_;
};

/// Visits the operations in order; the first error of `visit` stops it.
/// @error Corruption  the payload or a Memory in it is not well-formed; says where
Status for_each_operation(ByteView payload, const std::function<Status(const LegacyOperation&)>& visit);

}  // namespace mneme::migration
