// Any text: refused, or an instant whose own text is the same instant.
#include "fuzz.h"
#include "mneme/base/time.h"

using namespace mneme;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Result<Timestamp> time = parse_rfc3339(fuzz::text_of(data, size));
  if (!time) return 0;
  const std::string text = format_rfc3339(*time);
  // An offset can lead a day out of the years 0000 to 9999, whose text does not parse back.
  if (text.starts_with('-') || text.starts_with('+')) return 0;
  const Result<Timestamp> again = parse_rfc3339(text);
  MNEME_FUZZ_CHECK(again && *again == *time);
  return 0;
}
