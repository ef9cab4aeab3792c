// Any text: refused with a message, or a value that its own JSON gives back.
#include "fuzz.h"
#include "mneme/base/json.h"

using namespace mneme;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  const Result<Value> value = parse_json(text);
  if (!value) {
    MNEME_FUZZ_CHECK(value.status().code() == Code::InvalidArgument && !value.status().message().empty());
    return 0;
  }
  MNEME_FUZZ_CHECK(is_valid_utf8(text));
  const Result<Value> again = parse_json(to_json(*value));
  MNEME_FUZZ_CHECK(again && *again == *value);
  return 0;
}
