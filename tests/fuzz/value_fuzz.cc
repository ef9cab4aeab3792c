// Any bytes: no encoding of a value, or the only one; the view reads them in place and stays within them.
#include "fuzz.h"
#include "mneme/base/value.h"

using namespace mneme;

namespace {

std::size_t walk(const ValueView& view, int depth) {
  std::size_t seen = view.bytes().size() + (view.text() ? view.text()->size() : 0) + (view.number() ? 1 : 0);
  if (depth == 0) return seen;
  view.for_each_element([&](const ValueView& element) {
    seen += walk(element, depth - 1);
    return true;
  });
  if (const auto member = view.find("a")) seen += walk(*member, depth - 1);
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes = fuzz::bytes_of(data, size);
  const Status checked = check_value(bytes);
  const Result<Value> value = decode_value(bytes);
  MNEME_FUZZ_CHECK(checked.ok() == value.ok());
  MNEME_FUZZ_CHECK(walk(ValueView(bytes), 3) < ~std::size_t{0});
  if (!value) return 0;

  Bytes again;
  encode_value(*value, again);
  MNEME_FUZZ_CHECK(fuzz::same(again, bytes));
  return 0;
}
