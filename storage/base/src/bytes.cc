#include "mneme/base/bytes.h"

#include "varint.h"

namespace mneme {

void ByteWriter::varint(std::uint64_t value) {
  std::byte buffer[10];
  const std::size_t size = detail::write_varint(buffer, value);
  out_.insert(out_.end(), buffer, buffer + size);
}

Result<std::uint64_t> ByteReader::varint() {
  std::uint64_t value = 0;
  switch (detail::read_varint(bytes_, offset_, value)) {
    case detail::VarintRead::Ok:
      return value;
    case detail::VarintRead::Short:
      return short_read(remaining() + 1);
    case detail::VarintRead::NotShortest:
      return Status(Code::Corruption, "byte " + std::to_string(offset_) + ": varint is not in its shortest form");
    case detail::VarintRead::TooLarge:
      break;
  }
  return Status(Code::Corruption, "byte " + std::to_string(offset_) + ": varint is longer than 64 bits");
}

Result<ByteView> ByteReader::raw(std::uint64_t size) {
  if (size > remaining()) return short_read(size);
  const ByteView view = bytes_.subspan(offset_, size);
  offset_ += size;
  return view;
}

Result<ByteView> ByteReader::sized() {
  const std::size_t start = offset_;
  MNEME_ASSIGN(const std::uint64_t size, varint());
  auto view = raw(size);
  if (!view) offset_ = start;  // a failed read consumes nothing
  return view;
}

Status ByteReader::short_read(std::uint64_t wanted) const {
  return Status(Code::Corruption, "byte " + std::to_string(offset_) + ": wanted " + std::to_string(wanted) +
                                      " bytes, found " + std::to_string(remaining()));
}

}  // namespace mneme
