// Any bytes: no encoding of a node, or the only one.
#include "fuzz.h"
#include "mneme/base/node_codec.h"

using namespace mneme;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes = fuzz::bytes_of(data, size);
  const Result<Node> node = decode_node(bytes);
  if (!node) {
    MNEME_FUZZ_CHECK(node.status().code() == Code::Corruption && !node.status().message().empty());
    FieldCursor cursor(bytes);
    while (cursor.next()) MNEME_FUZZ_CHECK(cursor.end() <= size);
    return 0;
  }
  Bytes again;
  encode_node(*node, again);
  MNEME_FUZZ_CHECK(fuzz::same(again, bytes));

  const Result<std::size_t> body = body_length(bytes);
  MNEME_FUZZ_CHECK(body && *body <= size);
  Bytes encoded_body;
  encode_node_body(*node, encoded_body);
  MNEME_FUZZ_CHECK(fuzz::same(encoded_body, bytes.first(*body)));
  return 0;
}
