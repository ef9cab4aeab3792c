// What the ordered store knows of a saved index: refused, or a record that is written and read the same.
#include "fuzz.h"
#include "index_record.h"
#include "mneme/base/checksum.h"

using namespace mneme;

namespace {

void read_and_write_again(ByteView bytes) {
  const Result<IndexRecord> record = decode_index_record(bytes);
  if (!record) {
    MNEME_FUZZ_CHECK(!record.status().message().empty());
    return;
  }
  Bytes again;
  encode_index_record(*record, again);
  MNEME_FUZZ_CHECK(fuzz::same(again, bytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input = fuzz::bytes_of(data, size);
  read_and_write_again(input);
  if (size < 4) return 0;
  // The same with the right checksum.
  Bytes sealed(input.begin(), input.end());
  const std::uint32_t crc = crc32c(ByteView(sealed).first(size - 4));
  store_le(sealed.data() + size - 4, crc);
  read_and_write_again(sealed);
  return 0;
}
