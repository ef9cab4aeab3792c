// Any bytes: no encoding of a memory, or the only one, and then an episode that gives the same memory back.
#include "fuzz.h"
#include "mneme/migration/memory.h"

using namespace mneme;
using namespace mneme::migration;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes = fuzz::bytes_of(data, size);
  const Result<Memory> memory = decode_memory(bytes);
  if (!memory) return 0;
  Bytes again;
  encode_memory(*memory, again);
  MNEME_FUZZ_CHECK(fuzz::same(again, bytes));

  const Result<Memory> returned = to_memory(from_memory(*memory, "space"));
  MNEME_FUZZ_CHECK(returned && *returned == *memory);
  return 0;
}
