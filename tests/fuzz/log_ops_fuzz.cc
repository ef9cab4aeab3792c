// Any payload of the engine's log records: refused, or a commit that is written and read the same.
#include "fuzz.h"
#include "log_ops.h"

using namespace mneme;

namespace {

Bytes payload_of(const Commit& commit) {
  const EncodedCommit encoded(commit);
  Bytes bytes;
  for (const ByteView part : encoded.parts()) bytes.insert(bytes.end(), part.begin(), part.end());
  return bytes;
}

void read_and_write_again(storage::RecordKind kind, ByteView payload) {
  const Result<Commit> commit = decode_commit({Lsn{1}, kind, payload});
  if (!commit) {
    MNEME_FUZZ_CHECK(!commit.status().message().empty());
    return;
  }
  const Bytes once = payload_of(*commit);
  const Result<Commit> again = decode_commit({Lsn{1}, kind, once});
  MNEME_FUZZ_CHECK(again.ok() && payload_of(*again) == once);
}

// A change of a space whose record has the right checksum, so that what stands behind it is read.
Bytes change_of(std::uint8_t kind, ByteView rest) {
  SpaceInfo info;
  info.id = SpaceId{7};
  info.name = "ada";
  info.generations = {{GenerationId{0}, "m", 2, Metric::Cosine}, {GenerationId{2}, "n", 3, Metric::Cosine}};
  info.next_generation = GenerationId{4};
  Bytes record, payload;
  encode_space_record(info, record);
  ByteWriter writer(payload);
  writer.fixed(kind);
  writer.varint(info.id.value);
  writer.sized(ByteView(record));
  writer.raw(rest);
  return payload;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input = fuzz::bytes_of(data, size);
  if (input.empty()) return 0;
  // The first byte chooses the kind of record, or what is changed in a space.
  const unsigned choice = static_cast<unsigned>(input[0]) % 10;
  const ByteView rest = input.subspan(1);
  if (choice < 5)
    read_and_write_again(static_cast<storage::RecordKind>(choice), rest);
  else
    read_and_write_again(kSpaceRecord, change_of(static_cast<std::uint8_t>(choice - 4), rest));
  return 0;
}
