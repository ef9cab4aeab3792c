// Any line: refused, or a memory whose own line is the same memory.
#include "fuzz.h"
#include "mneme/migration/memory_json.h"

using namespace mneme;
using namespace mneme::migration;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Result<Memory> memory = memory_from_json(fuzz::text_of(data, size));
  if (!memory) {
    MNEME_FUZZ_CHECK(!memory.status().message().empty());
    return 0;
  }
  std::string line;
  append_memory_json(*memory, Value(), line);
  const Result<Memory> again = memory_from_json(line);
  MNEME_FUZZ_CHECK(again && *again == *memory);
  return 0;
}
