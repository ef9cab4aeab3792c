// A CodeSegment in a file: every array is a section. index/FORMAT.md draws it.

#include <algorithm>
#include <bit>
#include <new>
#include <string>

#include "code_segment.h"
#include "mneme/base/checksum.h"

namespace mneme::index {
namespace {

constexpr std::size_t kPieceBytes = 64 * kKiB;

// The numbers of a segment, as they lie in section "numbers".
struct Numbers {
  std::uint64_t first, end, as_of, rows, dead_before, sign_bytes, row_bytes;
  float one_bit_error, eight_bit_error, residual_length, reserved;
};
static_assert(sizeof(Numbers) == 72);

}  // namespace

std::size_t CodeSegment::rows_per_piece() const {
  return std::bit_floor(std::max<std::size_t>(kPieceBytes / (sign_bytes_ * 8), 1));
}

std::uint64_t CodeSegment::sum_of_piece(std::size_t piece) const {
  const std::size_t bytes = rows_per_piece() * sign_bytes_ * 8;
  const std::span<const std::uint8_t> codes = eight_bit_.span();
  const std::size_t begin = piece * bytes;
  return xxh3_64(std::as_bytes(codes.subspan(begin, std::min(bytes, codes.size() - begin))), piece);
}

Result<SectionsPlace> CodeSegment::save(const IndexFile& file, const FileId& id) const {
  MNEME_TRY(verify());
  const Numbers numbers{first_,
                        end_,
                        as_of_.value,
                        rows_,
                        dead_before_,
                        sign_bytes_,
                        row_bytes_,
                        one_bit_error_,
                        eight_bit_error_,
                        residual_length_,
                        0};
  SectionWriter writer(id);
  writer.add("numbers", std::span(&numbers, 1));
  MNEME_TRY(for_each_array(*this, [&](std::string_view name, const auto& column) {
    writer.add(name, column.span());
    return ok_status();
  }));
  const std::size_t piece_bytes = rows_per_piece() * sign_bytes_ * 8;
  std::vector<std::uint64_t> sums((eight_bit_.size() + piece_bytes - 1) / piece_bytes);
  for (std::size_t piece = 0; piece < sums.size(); ++piece) sums[piece] = sum_of_piece(piece);
  writer.add("sums", sums);
  writer.add_in_pieces("eightbit", std::as_bytes(eight_bit_.span()));
  return writer.write(file, 0);
}

Result<CodeSegmentPtr> CodeSegment::open(const SectionReader& file, std::size_t sign_bytes, std::size_t lists,
                                         Metric metric) try {
  std::shared_ptr<CodeSegment> segment(new CodeSegment);
  segment->where_ = file.where("eightbit");
  MNEME_ASSIGN(const auto numbers, file.array<Numbers>("numbers"));
  if (numbers.size() != 1) return {Code::Corruption, file.where("numbers") + ": not one set of them"};
  const Numbers& all = numbers.front();
  segment->first_ = static_cast<Slot>(all.first);
  segment->end_ = static_cast<Slot>(all.end);
  segment->as_of_ = Lsn{all.as_of};
  segment->rows_ = all.rows;
  segment->dead_before_ = all.dead_before;
  segment->sign_bytes_ = all.sign_bytes;
  segment->row_bytes_ = all.row_bytes;
  segment->one_bit_error_ = all.one_bit_error;
  segment->eight_bit_error_ = all.eight_bit_error;
  segment->residual_length_ = all.residual_length;
  if (all.sign_bytes != sign_bytes)
    return {Code::Corruption, file.where("numbers") + ": " + std::to_string(all.sign_bytes) +
                                  " bytes of signs a row, the codebook has " + std::to_string(sign_bytes)};
  MNEME_TRY(for_each_array(*segment, [&]<class T>(std::string_view name, Column<T>& column) -> Status {
    MNEME_ASSIGN(const std::span<const T> values, file.array<T>(name));
    column.copy(values);
    return ok_status();
  }));
  MNEME_ASSIGN(const auto sums, file.array<std::uint64_t>("sums"));
  segment->sums_.assign(sums.begin(), sums.end());
  MNEME_ASSIGN(const ByteView codes, file.unverified("eightbit"));
  segment->eight_bit_.map({reinterpret_cast<const std::uint8_t*>(codes.data()), codes.size()});
  segment->mapping_ = file.mapping();
  segment->verified_ = std::make_unique<std::atomic<std::uint64_t>[]>((sums.size() + 63) / 64);
  segment->unverified_ = sums.size();
  MNEME_TRY(segment->check_shape(lists, metric == Metric::SquaredL2));
  return CodeSegmentPtr(std::move(segment));
} catch (const std::bad_alloc&) {
  return {Code::Busy, file.where("numbers") + ": no memory to read the segment"};
}

// What the searches rely on: lists that lie one behind the other within the arrays. Checksums tell of damage, this of a
// writer that meant something else.
Status CodeSegment::check_shape(std::size_t lists, bool with_offsets) const {
  const auto bad = [&](const std::string& what) { return Status(Code::Corruption, where_ + ": shape: " + what); };
  if (list_begin_.size() != lists || list_rows_.size() != lists)
    return bad(std::to_string(list_begin_.size()) + " lists, the codebook has " + std::to_string(lists));
  std::uint64_t positions = 0, rows = 0;
  for (std::size_t list = 0; list < lists; ++list) {
    if (list_begin_[list] != positions) return bad("list " + std::to_string(list) + " does not follow the one before");
    rows += list_rows_[list];
    positions += padded_rows(list_rows_[list]);
  }
  const std::size_t piece_bytes = rows_per_piece() * sign_bytes_ * 8;
  if (rows != rows_ || slots_.size() != positions || scales_.size() != positions ||
      offsets_.size() != (with_offsets ? positions : 0) || blocks_.size() != positions * row_bytes_ ||
      row_bytes_ != mneme::index::row_bytes(sign_bytes_, with_offsets) ||
      eight_bit_.size() != positions * sign_bytes_ * 8 ||
      sums_.size() != (eight_bit_.size() + piece_bytes - 1) / piece_bytes)
    return bad("arrays of other lengths than " + std::to_string(positions) + " positions need");
  for (std::size_t list = 0; list < lists; ++list)
    for (std::size_t at = list_begin_[list]; at < list_begin_[list] + list_rows_[list]; ++at)
      if (slots_[at] < first_ || slots_[at] >= end_) return bad("slot " + std::to_string(slots_[at]));
  return ok_status();
}

Status CodeSegment::verify_piece(std::size_t piece) const {
  const std::uint64_t bit = std::uint64_t{1} << (piece & 63);
  if ((verified_[piece >> 6].load(std::memory_order_acquire) & bit) != 0) return ok_status();
  if (const std::uint64_t computed = sum_of_piece(piece); computed != sums_[piece])
    return {Code::Corruption, where_ + ": piece " + std::to_string(piece) + ": " + two_sums(sums_[piece], computed)};
  if ((verified_[piece >> 6].fetch_or(bit, std::memory_order_acq_rel) & bit) == 0) unverified_.fetch_sub(1);
  return ok_status();
}

Status CodeSegment::verify(std::span<const std::uint32_t> positions) const {
  if (unverified_.load(std::memory_order_acquire) == 0) return ok_status();
  const int shift = std::countr_zero(rows_per_piece());
  for (const std::uint32_t position : positions) MNEME_TRY(verify_piece(position >> shift));
  return ok_status();
}

Status CodeSegment::verify() const {
  if (unverified_.load(std::memory_order_acquire) == 0) return ok_status();
  for (std::size_t piece = 0; piece < sums_.size(); ++piece) MNEME_TRY(verify_piece(piece));
  return ok_status();
}

}  // namespace mneme::index
