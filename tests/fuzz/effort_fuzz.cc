// Any bytes as a table of efforts: refused, or a table that is written and read the same and asks for nothing strange.
#include <cmath>

#include "effort.h"
#include "fuzz.h"

using namespace mneme;
using index::EffortTable;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input = fuzz::bytes_of(data, size);
  ByteReader reader(input);
  const Result<EffortTable> table = EffortTable::decode(reader);
  if (!table) {
    MNEME_FUZZ_CHECK(!table.status().message().empty());
    return 0;
  }
  const std::size_t used = size - reader.remaining();
  Bytes again;
  ByteWriter writer(again);
  table->encode(writer);
  MNEME_FUZZ_CHECK(fuzz::same(again, input.first(used)));
  MNEME_FUZZ_CHECK(std::isfinite(table->nearness_least()) && std::isfinite(table->nearness_most()));
  for (const std::size_t k : {1, 10, 57, 800, 1024})
    for (const float target : {0.5F, 0.9F, 0.93F, 0.99F, 1.0F})
      if (const auto effort = table->find(k, target))
        MNEME_FUZZ_CHECK(std::isfinite(effort->probe_sigmas) && std::isfinite(effort->keep_sigmas) &&
                         std::isfinite(effort->rest_sigmas));
  return 0;
}
