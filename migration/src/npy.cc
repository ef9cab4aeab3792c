#include "npy.h"

#include <bit>
#include <charconv>
#include <limits>
#include <optional>

#include "mneme/base/limits.h"

namespace mneme::migration {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kHeaderBytesMax = 64 * kKiB;

/// Reads the Python literals that NumPy writes into its header.
class LiteralReader {
 public:
  explicit LiteralReader(std::string_view text) : text_(text) {}

  bool take(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    skip_space();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  std::optional<std::string_view> text() {
    skip_space();
    if (at_ == text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) return std::nullopt;
    const std::size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view found = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return found;
  }
  std::optional<std::uint64_t> integer() {
    skip_space();
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) return std::nullopt;
    at_ = static_cast<std::size_t>(end - text_.data());
    return value;
  }
  bool at_end() {
    skip_space();
    return at_ == text_.size();
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  std::string_view text_;
  std::size_t at_ = 0;
};

/// What the header says; nullopt where it says nothing.
struct Header {
  std::optional<std::string_view> descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::uint64_t>> shape;
};

std::optional<std::vector<std::uint64_t>> read_shape(LiteralReader& reader) {
  constexpr std::size_t kAxesMax = 32;  // NumPy's own limit
  std::vector<std::uint64_t> shape;
  if (!reader.take('(')) return std::nullopt;
  while (!reader.take(')')) {
    const auto axis = reader.integer();
    if (!axis || shape.size() == kAxesMax) return std::nullopt;
    shape.push_back(*axis);
    if (!reader.take(',')) return reader.take(')') ? std::optional(shape) : std::nullopt;
  }
  return shape;
}

bool read_entry(LiteralReader& reader, Header& header) {
  const auto key = reader.text();
  if (!key || !reader.take(':')) return false;
  if (*key == "descr") {
    header.descr = reader.text();
    return header.descr.has_value();
  }
  if (*key == "fortran_order") {
    header.fortran_order = reader.take_word("True");
    return *header.fortran_order || reader.take_word("False");
  }
  if (*key == "shape") {
    header.shape = read_shape(reader);
    return header.shape.has_value();
  }
  return false;
}

std::optional<Header> read_dict(std::string_view text) {
  LiteralReader reader(text);
  Header header;
  if (!reader.take('{')) return std::nullopt;
  while (!reader.take('}')) {
    if (!read_entry(reader, header)) return std::nullopt;
    if (!reader.take(',')) {
      if (!reader.take('}')) return std::nullopt;
      break;
    }
  }
  return reader.at_end() ? std::optional(header) : std::nullopt;
}

}  // namespace

float float_of_half(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1f, fraction = half & 0x3ff;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));  // infinity, NaN
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
  const float magnitude = static_cast<float>(fraction) * 0x1p-24F;  // exact: zero and the subnormals
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

Status NpyReader::refuse(const std::string& what) const { return Status(Code::InvalidArgument, name_ + ": " + what); }

std::uint64_t NpyReader::scalar_bytes() const {
  switch (scalar_) {
    case Scalar::Half:
      return 2;
    case Scalar::Single:
      return 4;
    case Scalar::Double:
      return 8;
  }
  return 0;
}

Result<std::unique_ptr<NpyReader>> NpyReader::open(storage::FileSystem& fs, const std::filesystem::path& path) {
  MNEME_ASSIGN(auto file, fs.open(path, storage::OpenMode::Read));
  std::unique_ptr<NpyReader> reader(new NpyReader(path.string(), std::move(file)));
  MNEME_TRY(reader->read_header());
  return reader;
}

Status NpyReader::read_header() {
  std::array<std::byte, 12> front{};
  MNEME_ASSIGN(const std::size_t there, file_->read_at(0, front));
  if (there < 10 || as_text(ByteView(front).first(6)) != kMagic) return refuse("not a .npy file");
  const auto major = static_cast<unsigned>(front[6]);
  if (major < 1 || major > 3) return refuse(".npy version " + std::to_string(major) + ", known are 1 to 3");
  const std::size_t begin = major == 1 ? 10 : 12;
  const std::size_t size =
      major == 1 ? load_le<std::uint16_t>(front.data() + 8) : load_le<std::uint32_t>(front.data() + 8);
  if (there < begin || size > kHeaderBytesMax) return refuse("header of " + std::to_string(size) + " bytes");
  Bytes header(size);
  MNEME_ASSIGN(const std::size_t read, file_->read_at(begin, header));
  if (read != size) return refuse("the file ends inside its header");
  data_offset_ = begin + size;
  MNEME_TRY(parse_header(as_text(header)));
  MNEME_ASSIGN(const std::uint64_t bytes, file_->size());
  // Columns are bounded, so that only the rows could overflow.
  const std::uint64_t row_bytes = columns_ * scalar_bytes();
  if (rows_ > std::numeric_limits<std::uint64_t>::max() / row_bytes - data_offset_ ||
      bytes != data_offset_ + rows_ * row_bytes)
    return refuse("file of " + std::to_string(bytes) + " bytes, but its header speaks of " + std::to_string(rows_) +
                  " rows of " + std::to_string(row_bytes) + " bytes from byte " + std::to_string(data_offset_));
  return {};
}

Status NpyReader::parse_header(std::string_view text) {
  const auto header = read_dict(text);
  if (!header || !header->descr || !header->fortran_order || !header->shape)
    return refuse("a header that is no dict of descr, fortran_order and shape");
  if (*header->descr == "<f2") {
    scalar_ = Scalar::Half;
  } else if (*header->descr == "<f4") {
    scalar_ = Scalar::Single;
  } else if (*header->descr == "<f8") {
    scalar_ = Scalar::Double;
  } else {
    return refuse("values of type " + std::string(header->descr->substr(0, 16)) + ", wanted <f2, <f4 or <f8");
  }
  if (*header->fortran_order) return refuse("columns first (Fortran order), wanted rows first");
  if (header->shape->size() != 2) return refuse(std::to_string(header->shape->size()) + " dimensions, wanted 2");
  rows_ = (*header->shape)[0];
  columns_ = (*header->shape)[1];
  if (columns_ == 0 || columns_ > limits::kDimensionsMax)
    return refuse("rows of " + std::to_string(columns_) + " values, wanted 1 to " +
                  std::to_string(limits::kDimensionsMax));
  return {};
}

Result<std::vector<float>> NpyReader::read(std::uint64_t first, std::uint64_t count) const {
  const std::uint64_t row_bytes = columns_ * scalar_bytes();
  std::vector<float> values(count * columns_);
  if (values.empty()) return values;
  const auto read_into = [&](std::span<std::byte> into) -> Status {
    MNEME_ASSIGN(const std::size_t read, file_->read_at(data_offset_ + first * row_bytes, into));
    return read == into.size() ? Status() : refuse("the file ends before row " + std::to_string(first + count));
  };
  if (scalar_ == Scalar::Single) {
    MNEME_TRY(read_into(std::as_writable_bytes(std::span(values))));
    return values;
  }
  Bytes raw(count * row_bytes);
  MNEME_TRY(read_into(raw));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (scalar_ == Scalar::Half) {
      values[i] = float_of_half(load_le<std::uint16_t>(raw.data() + i * 2));
    } else {
      values[i] = static_cast<float>(std::bit_cast<double>(load_le<std::uint64_t>(raw.data() + i * 8)));
    }
  }
  return values;
}

std::string npy_header(std::uint64_t rows, std::uint64_t columns) {
  std::string header(kMagic);
  header += std::string_view("\x01\x00", 2);
  constexpr std::uint16_t kDictBytes = kNpyHeaderBytes - 10;
  header += static_cast<char>(kDictBytes & 0xff);
  header += static_cast<char>(kDictBytes >> 8);
  header += "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
            std::to_string(columns) + "), }";
  header.resize(kNpyHeaderBytes - 1, ' ');
  return header + '\n';
}

}  // namespace mneme::migration
