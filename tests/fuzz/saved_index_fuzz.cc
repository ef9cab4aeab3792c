// A saved index with any change in any of its files and every checksum made right again: refused, or an index that is
// searched, changed, saved and restored. Its answers may be wrong then, for so were the files; nothing else may be.
#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <map>
#include <random>

#include "fuzz.h"
#include "mneme/index/funnel_index.h"
#include "section_seal.h"
#include "temp_directory.h"

using namespace mneme;
using namespace mneme::index;

namespace {

constexpr std::size_t kDimension = 48, kRows = 700, kRowsLater = 90;
constexpr std::size_t kBlockRows32 = (4 * kMiB - 64) / (kDimension * 4 + 8);
constexpr std::size_t kScalesAt = kFilePage + (kBlockRows32 * kDimension * 4 + 63) / 64 * 64;
constexpr std::size_t kPieceRows = 64 * kKiB / (kDimension * 4);
constexpr FunnelOptions kOptions{.rows_min = 256, .delta_rows = 64};

std::vector<float> point(std::mt19937& random) {
  std::vector<float> values(kDimension);
  const auto centre = static_cast<float>(random() % 5);
  for (float& value : values) value = centre + std::normal_distribution<float>(0, 0.5F)(random);
  return values;
}

SearchRequest request_for(std::span<const float> queries, float recall) {
  SearchRequest request;
  request.queries = queries;
  request.k = 10;
  request.recall_target = recall;
  return request;
}

Bytes read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const ByteView bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

void write_at(const std::filesystem::path& path, std::size_t offset, ByteView bytes, bool whole) {
  std::fstream out(path, std::ios::binary | (whole ? std::ios::out | std::ios::trunc : std::ios::in | std::ios::out));
  out.seekp(static_cast<std::streamoff>(offset));
  const std::string_view text = as_text(bytes);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  MNEME_FUZZ_CHECK(out.good());
}

/// The files of one save, as they were written, and what finds them.
struct Saved {
  Metric metric;
  test::TempDirectory directory;
  IndexHome home;
  SavedIndex saved;
  std::vector<std::filesystem::path> order;  // of edits: book, codes, codes, slots, state
  std::map<std::filesystem::path, Bytes> files;
  Bytes rows_head, values, scales;  // the parts of .rows that mean something

  explicit Saved(Metric given) : metric(given), home{directory.path() / "index", "s", Uuid{{1, 2, 3, 4}}} {
    std::mt19937 random(7);
    const auto index = make_funnel_index(kDimension, metric, kOptions);
    for (std::uint64_t row = 0; row < kRows + kRowsLater; ++row) {
      MNEME_FUZZ_CHECK(index->add(RowId{row}, point(random), Lsn{row + 1}).ok());
      if (row + 1 != kRows && row + 1 != kRows + kRowsLater) continue;
      MNEME_FUZZ_CHECK(index->search(request_for(point(random), 0.9F)).ok());
      index->finish_background();
    }
    MNEME_FUZZ_CHECK(index->erase(RowId{5}, Lsn{1000}).ok());
    const auto note = [](Slot slot) { return SlotNote{Uuid{{1, static_cast<std::uint8_t>(slot)}}, as_bytes("note")}; };
    const auto done = index->save(home, note);
    MNEME_FUZZ_CHECK(done.ok() && index->keep_saved().ok());
    saved = *done;
    for (const auto& entry : std::filesystem::directory_iterator(home.directory)) take(entry.path());
    std::sort(order.begin(), order.end());
    MNEME_FUZZ_CHECK(order.size() == 5);
  }

  void take(const std::filesystem::path& path) {
    Bytes bytes = read_file(path);
    if (path.extension() != ".rows") {
      order.push_back(path);
      files[path] = std::move(bytes);
      return;
    }
    const auto part = [&](std::size_t at, std::size_t size) {
      return Bytes(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                   bytes.begin() + static_cast<std::ptrdiff_t>(at + size));
    };
    rows_head = part(0, kFileHeaderBytes);
    values = part(kFilePage, saved.slots * kDimension * 4);
    scales = part(kScalesAt, saved.slots * 8);
  }
  std::filesystem::path rows_path() const { return home.directory / "s.rows"; }
};

/// A copy of the files that is changed, sealed and written.
class Changed {
 public:
  explicit Changed(const Saved& saved)
      : saved_(saved), files_(saved.files), head_(saved.rows_head), values_(saved.values), scales_(saved.scales) {}

  /// Each edit: which file, where (two bytes), how many bytes, the bytes; or none, and which of the telling values.
  void edit(ByteView input) {
    while (input.size() > 4) {
      const auto which = static_cast<std::size_t>(input[0]) % 8;
      const auto at = static_cast<std::size_t>(input[1]) | static_cast<std::size_t>(input[2]) << 8;
      const std::size_t count = std::min<std::size_t>(static_cast<std::size_t>(input[3]) % 17, input.size() - 4);
      if (count == 0) edits_[which].push_back({at / 4 * 4, telling(static_cast<std::size_t>(input[4]))});
      if (count > 0) edits_[which].push_back({at, input.subspan(4, count)});
      input = input.subspan(4 + std::max<std::size_t>(count, 1));
    }
  }

  SavedIndex seal_and_write() {
    apply(5, head_);
    apply(6, values_);
    apply(7, scales_);
    for (std::size_t i = 0; i < 4; ++i) apply(i, file(i));
    seal_rows_into_state();
    for (std::size_t i = 0; i < 3; ++i) seal_into_state(i);
    seal_slots_into_state();
    apply(4, file(4));
    SavedIndex found = saved_.saved;
    const SectionsPlace place = test::seal_sections(file(4), 0);
    found.bytes = place.bytes;
    found.xxh3 = place.xxh3;
    // The owner's note says what the state says.
    if (const auto shape = test::section_bytes(file(4), 0, "shape"); shape.size() >= 64)
      found.slots = load_le<std::uint64_t>(shape.data() + 16);
    write();
    return found;
  }

 private:
  struct Edit {
    std::size_t at;
    ByteView bytes;
  };
  // Numbers that what follows a checksum might trust too much: of 8 bytes, of 4, and floats.
  static ByteView telling(std::size_t choice) {
    static const std::array<std::uint64_t, 8> wide = {0, 1, ~0ULL, 1ULL << 31, 1ULL << 32, 1ULL << 62, 63, kRows};
    static const std::array<std::uint32_t, 8> narrow = {0,          1,          ~0U,        1U << 31,
                                                        0x7FC00000, 0x7F800000, 0xFF800000, 0x7F7FFFFF};
    const std::size_t at = choice / 2 % 8;
    return choice % 2 == 0 ? std::as_bytes(std::span(wide).subspan(at, 1))
                           : std::as_bytes(std::span(narrow).subspan(at, 1));
  }
  Bytes& file(std::size_t i) { return files_[saved_.order[i]]; }

  void apply(std::size_t which, Bytes& bytes) {
    for (const Edit& edit : edits_[which]) {
      const std::size_t at = edit.at % bytes.size();
      std::copy_n(edit.bytes.begin(), std::min(edit.bytes.size(), bytes.size() - at),
                  bytes.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }

  void seal_rows_into_state() {
    test::seal_sections(head_, 0);
    const auto sums = test::section_bytes(file(4), 0, "sums");
    const auto seed = load_le<std::uint64_t>(saved_.home.id.view().data() + 8);
    for (std::size_t piece = 0; piece * kPieceRows < saved_.saved.slots; ++piece) {
      const std::size_t first = piece * kPieceRows;
      const std::size_t n = std::min<std::size_t>(kPieceRows, saved_.saved.slots - first);
      const std::uint64_t of_values = xxh3_64(ByteView(values_).subspan(first * kDimension * 4, n * kDimension * 4),
                                              seed ^ (piece * 0x9E3779B97F4A7C15ULL));
      store_le(sums.data() + piece * 8, xxh3_64(ByteView(scales_).subspan(first * 8, n * 8), of_values));
    }
  }

  // Of the book (file 0) into the shape, of segments (files 1 and 2) into the list of codes.
  void seal_into_state(std::size_t i) {
    if (i > 0) seal_pieces(file(i));
    const SectionsPlace place = test::seal_sections(file(i), 0);
    auto entry = test::section_bytes(file(4), 0, i == 0 ? "shape" : "codes");
    entry = i == 0 ? entry.subspan(48) : entry.subspan((i - 1) * 24 + 8);
    store_le(entry.data(), place.bytes);
    store_le(entry.data() + 8, place.xxh3);
  }

  static void seal_pieces(Bytes& codes) {
    constexpr std::size_t kPieceBytes = 64 * kKiB;  // 1,024 rows of 64 bytes
    const auto eight_bit = test::section_bytes(codes, 0, "eightbit");
    const auto sums = test::section_bytes(codes, 0, "sums");
    for (std::size_t piece = 0; piece * kPieceBytes < eight_bit.size() && piece * 8 + 8 <= sums.size(); ++piece) {
      const std::size_t begin = piece * kPieceBytes;
      const std::uint64_t sum =
          xxh3_64(eight_bit.subspan(begin, std::min(kPieceBytes, eight_bit.size() - begin)), piece);
      store_le(sums.data() + piece * 8, sum);
    }
  }

  void seal_slots_into_state() {
    const auto extents = test::section_bytes(file(4), 0, "extents");
    const auto header = load_le<std::uint64_t>(extents.data());
    test::seal_sections(file(3), 0);
    const SectionsPlace place = test::seal_sections(file(3), header);
    store_le(extents.data() + 8, place.bytes);
    store_le(extents.data() + 16, place.xxh3);
  }

  void write() {
    std::filesystem::create_directories(saved_.home.directory);
    for (const auto& [path, bytes] : files_) write_at(path, 0, bytes, true);
    const std::filesystem::path rows = saved_.rows_path();
    write_at(rows, 0, head_, true);
    std::filesystem::resize_file(rows, kFilePage + 4 * kMiB);
    write_at(rows, kFilePage, values_, false);
    write_at(rows, kScalesAt, scales_, false);
  }

  const Saved& saved_;
  std::map<std::filesystem::path, Bytes> files_;
  Bytes head_, values_, scales_;
  std::array<std::vector<Edit>, 8> edits_;
};

void check_answers(const VectorIndex& index, std::span<const float> query, float recall) {
  const auto answer = index.search(request_for(query, recall));
  if (!answer) {
    MNEME_FUZZ_CHECK(answer.status().code() == Code::Corruption);
    return;
  }
  for (std::size_t i = 0; i < answer->front().size(); ++i) {
    const Hit& hit = answer->front()[i];
    MNEME_FUZZ_CHECK(hit.slot < index.slots() && !std::isnan(hit.score));
    MNEME_FUZZ_CHECK(i == 0 || hit.score <= answer->front()[i - 1].score);
  }
}

void use(const Saved& saved, RestoredIndex& restored) {
  std::mt19937 random(11);
  VectorIndex& index = *restored.index;
  const std::vector<float> query = point(random), other = point(random);
  for (Slot slot = 0; slot < restored.slots->size(); ++slot) {
    const SlotNote note{restored.slots->id(slot), restored.slots->note(slot)};
    MNEME_FUZZ_CHECK(note.note.size() <= restored.slots->file_bytes());
  }
  for (const float recall : {0.9F, 0.99F, 1.0F}) check_answers(index, query, recall);
  MNEME_FUZZ_CHECK(index.add(RowId{3}, other, Lsn{2001}).ok() && index.erase(RowId{4}, Lsn{2002}).ok());
  index.finish_background();
  for (const float recall : {0.95F, 1.0F}) check_answers(index, other, recall);
  const Status sound = index.verify();
  const auto again = index.save(saved.home, [&](Slot slot) { return SlotNote{restored.slots->id(slot % 10), {}}; });
  if (!sound || !again) return;
  MNEME_FUZZ_CHECK(index.keep_saved().ok());
  const auto reopened =
      open_funnel_index(kDimension, saved.metric, kOptions, saved.home, *again, Lsn{3000}, /*read_only=*/true);
  MNEME_FUZZ_CHECK(reopened.ok() && reopened->index->slots() == index.slots());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Saved of_metric[] = {Saved(Metric::Cosine), Saved(Metric::SquaredL2), Saved(Metric::InnerProduct)};
  const ByteView input = fuzz::bytes_of(data, size);
  if (input.empty()) return 0;
  const Saved& saved = of_metric[static_cast<std::size_t>(input[0]) % 3];
  Changed changed(saved);
  changed.edit(input.subspan(1));
  const SavedIndex found = changed.seal_and_write();
  Result<RestoredIndex> restored = open_funnel_index(kDimension, saved.metric, kOptions, saved.home, found, Lsn{2000},
                                                     /*read_only=*/false);
  MNEME_FUZZ_CHECK(restored.ok() || size > 1);  // what was not changed is taken
  if (!restored) {
    const Code code = restored.status().code();
    const bool damaged = code == Code::Corruption || code == Code::VersionMismatch;
    if (!damaged) std::fprintf(stderr, "refused with %s\n", restored.status().to_string().c_str());
    MNEME_FUZZ_CHECK(damaged && !restored.status().message().empty());
  } else {
    use(saved, *restored);
    restored->index.reset();
  }
  std::filesystem::remove_all(saved.home.directory);
  return 0;
}
