#include "index_files.h"

#include <algorithm>
#include <cstring>

#include "mneme/base/checksum.h"
#include "mneme/index/funnel_index.h"

namespace mneme::index {
namespace {

constexpr std::uint64_t kRotationSeed = 42;
constexpr std::size_t kRowsPerSync = 16384;     // so much is written before the disk is waited for
constexpr std::size_t kSlotsPerExtent = 65536;  // and so much put together in memory

// Section "shape" of a state file.
struct Shape {
  std::uint64_t dimension, metric, slots, sealed_end, trained_rows, book_number, book_bytes, book_xxh3;
};
// Entries of sections "extents" and "codes".
struct ExtentEntry {
  std::uint64_t offset, bytes, xxh3, first, end;
};
struct CodesEntry {
  std::uint64_t number, bytes, xxh3;
};
static_assert(sizeof(Shape) == 64 && sizeof(ExtentEntry) == 40 && sizeof(CodesEntry) == 24);
static_assert(sizeof(RowId) == 8 && sizeof(Uuid) == 16);

Status missing(Status status) {
  if (status.code() != Code::NotFound) return status;
  return {Code::Corruption, status.message()};
}

Result<SectionReader> open_sections(const std::filesystem::path& path, const SectionsPlace& place, const FileId& id) {
  const Result<std::shared_ptr<IndexFile>> file = IndexFile::open(path, false);
  if (!file) return missing(file.status());
  return SectionReader::open(*file, place, id);
}

}  // namespace

std::filesystem::path IndexFiles::path(std::string_view kind) const {
  return home_.directory / (home_.stem + "." + std::string(kind));
}

std::filesystem::path IndexFiles::path(std::string_view kind, std::uint64_t number) const {
  return path(std::string(kind) + "-" + std::to_string(number));
}

// Rows of one index are damage in another's file.
std::uint64_t IndexFiles::seed() const { return load_le<std::uint64_t>(home_.id.view().data() + 8); }

Status IndexFiles::open_growing(FileKind kind, std::shared_ptr<IndexFile>& file, bool writable) {
  if (file) return ok_status();
  const std::filesystem::path name = path(kind == FileKind::Rows ? "rows" : "slots");
  if (kept_.slots > 0) {
    Result<std::shared_ptr<IndexFile>> opened = IndexFile::open(name, writable);
    if (!opened) return missing(opened.status());
    file = std::move(*opened);
    return check_header(*file, {kind, home_.id, 0});
  }
  MNEME_ASSIGN(std::shared_ptr<IndexFile> created, IndexFile::create(name));
  MNEME_TRY(created->resize(kFilePage));
  MNEME_TRY(write_header(*created, {kind, home_.id, 0}));
  file = std::move(created);
  return ok_status();
}

Status IndexFiles::open_growing(bool writable) {
  MNEME_TRY(open_growing(FileKind::Rows, rows_file_, writable));
  return open_growing(FileKind::Slots, slots_file_, writable);
}

// What is mapped stays mapped: thousands of indexes take no descriptor each while nothing is saved.
void IndexFiles::close_growing() {
  rows_file_.reset();
  slots_file_.reset();
}

Result<SavedIndex> IndexFiles::save(const ExactRows& rows, const Sealed& sealed, const SlotNoteFn& notes,
                                    const std::atomic<bool>& stop) {
  MNEME_TRY(make_directory(home_.directory));
  MNEME_TRY(open_growing(true));
  State next = kept_;
  next.slots = rows.view(kMaxLsn).count;
  MNEME_TRY(save_rows(next, rows, stop));
  MNEME_TRY(save_slots(next, rows, notes));
  MNEME_TRY(save_codes(next, sealed));
  next.number = next_number_++;
  MNEME_ASSIGN(const SectionsPlace place, save_state(next, rows, sealed));
  MNEME_TRY(sync_directory(home_.directory));
  saved_ = std::move(next);
  return SavedIndex{saved_.number, place.bytes, place.xxh3, saved_.slots};
}

Status IndexFiles::save_rows(State& next, const ExactRows& rows, const std::atomic<bool>& stop) {
  const VectorBlocks& blocks = rows.blocks();
  for (std::size_t first = kept_.slots; first < next.slots;) {
    if (stop) return {Code::FailedPrecondition, "index " + home_.stem + ": save: the index is closing"};
    const std::size_t end = std::min<std::size_t>(first + kRowsPerSync, next.slots);
    MNEME_TRY(blocks.save(*rows_file_, first, end));
    MNEME_TRY(rows_file_->sync());
    first = end;
  }
  // The piece that the save before ended in is now longer: its checksum is another.
  std::size_t piece = kept_.slots == 0 ? 0 : blocks.piece_of(kept_.slots - 1);
  const std::size_t pieces = blocks.pieces(next.slots);
  next.sums.resize(pieces);
  if (kept_.slots == next.slots) return ok_status();
  if (kept_.slots > 0) MNEME_TRY(blocks.verify(kept_.slots - 1, kept_.slots));
  for (; piece < pieces; ++piece) next.sums[piece] = blocks.sum_of_piece(piece, next.slots, seed());
  return ok_status();
}

// In extents that bound the memory that this takes.
Status IndexFiles::save_slots(State& next, const ExactRows& rows, const SlotNoteFn& notes) {
  std::uint64_t offset = kFilePage;
  const auto end_of = [](const SectionsPlace& place) {
    return (place.offset + place.bytes + kFilePage - 1) / kFilePage * kFilePage;
  };
  if (!kept_.extents.empty()) offset = end_of(kept_.extents.back().place);
  for (std::size_t first = kept_.slots; first < next.slots;) {
    const std::size_t end = std::min<std::size_t>(first + kSlotsPerExtent, next.slots);
    std::vector<RowId> row_ids;
    std::vector<Uuid> ids;
    std::vector<std::uint64_t> ends{0};
    Bytes bytes;
    for (std::size_t slot = first; slot < end; ++slot) {
      const SlotNote note = notes(static_cast<Slot>(slot));
      row_ids.push_back(rows.row(static_cast<Slot>(slot)));
      ids.push_back(note.id);
      bytes.insert(bytes.end(), note.note.begin(), note.note.end());
      ends.push_back(bytes.size());
    }
    SectionWriter writer({FileKind::Slots, home_.id, first});
    writer.add("rows", row_ids);
    writer.add("ids", ids);
    writer.add("ends", ends);
    writer.add("notes", bytes);
    MNEME_ASSIGN(const SectionsPlace place, writer.write(*slots_file_, offset));
    next.extents.push_back({place, first, end});
    offset = end_of(place);
    first = end;
  }
  return kept_.slots == next.slots ? ok_status() : slots_file_->sync();
}

Status IndexFiles::save_codes(State& next, const Sealed& sealed) {
  std::vector<PlacedSegment> placed;
  for (const CodeSegmentPtr& segment : sealed.segments) {
    const auto found = std::find_if(kept_.segments.begin(), kept_.segments.end(),
                                    [&](const PlacedSegment& one) { return one.segment == segment; });
    if (found != kept_.segments.end()) {
      placed.push_back(*found);
      continue;
    }
    const std::uint64_t number = next_number_++;
    MNEME_ASSIGN(const auto file, IndexFile::create(path("codes", number)));
    MNEME_ASSIGN(const SectionsPlace place, segment->save(*file, {FileKind::Codes, home_.id, number}));
    MNEME_TRY(file->sync());
    placed.push_back({segment, number, place});
  }
  next.segments = std::move(placed);
  if (kept_.book == sealed.codebook) return ok_status();
  const std::uint64_t number = next_number_++;
  MNEME_ASSIGN(const auto file, IndexFile::create(path("book", number)));
  SectionWriter writer({FileKind::Book, home_.id, number});
  writer.add("rotation", std::span(&kRotationSeed, 1));
  writer.add("centroid", sealed.codebook->clusters.centroids());
  MNEME_ASSIGN(next.book_place, writer.write(*file, 0));
  MNEME_TRY(file->sync());
  next.book = sealed.codebook;
  next.book_number = number;
  return ok_status();
}

Result<SectionsPlace> IndexFiles::save_state(const State& next, const ExactRows& rows, const Sealed& sealed) {
  const Shape shape{rows.dimension(),
                    static_cast<std::uint64_t>(rows.metric()),
                    next.slots,
                    sealed.end,
                    sealed.trained_rows,
                    next.book_number,
                    next.book_place.bytes,
                    next.book_place.xxh3};
  std::vector<ExtentEntry> extents;
  for (const Extent& extent : next.extents)
    extents.push_back({extent.place.offset, extent.place.bytes, extent.place.xxh3, extent.first, extent.end});
  std::vector<CodesEntry> codes;
  for (const PlacedSegment& one : next.segments) codes.push_back({one.number, one.place.bytes, one.place.xxh3});
  SlotBitmap dead(next.slots);
  const View view = rows.view(kMaxLsn);
  for (std::size_t slot = 0; slot < next.slots; ++slot)
    if (!rows.visible(static_cast<Slot>(slot), view)) dead.set(static_cast<Slot>(slot));
  Bytes effort, asked;
  ByteWriter effort_writer(effort), asked_writer(asked);
  sealed.effort.encode(effort_writer);
  if (sealed.of_asked) sealed.of_asked->encode(asked_writer);
  SectionWriter writer({FileKind::State, home_.id, next.number});
  writer.add("shape", std::span(&shape, 1));
  writer.add("extents", extents);
  writer.add("codes", codes);
  writer.add("dead", std::span<const std::uint64_t>(dead.words()));
  writer.add("sums", next.sums);
  writer.add("effort", effort);
  writer.add("asked", asked);
  MNEME_ASSIGN(const auto file, IndexFile::create(path("state", next.number)));
  MNEME_ASSIGN(const SectionsPlace place, writer.write(*file, 0));
  MNEME_TRY(file->sync());
  return place;
}

Status IndexFiles::keep(ExactRows& rows) {
  if (saved_.slots == 0) return ok_status();
  kept_ = std::move(saved_);
  saved_ = {};
  MNEME_TRY(rows.blocks().lie_in_file(*rows_file_, kept_.slots / rows.blocks().rows_per_block()));
  close_growing();
  return remove_all_but(kept_);
}

Status IndexFiles::remove_all_but(const State& kept) const {
  std::vector<std::filesystem::path> wanted{path("rows"), path("slots"), path("state", kept.number),
                                            path("book", kept.book_number)};
  for (const PlacedSegment& one : kept.segments) wanted.push_back(path("codes", one.number));
  MNEME_ASSIGN(const std::vector<std::string> names, list_files(home_.directory, home_.stem + "."));
  for (const std::string& name : names)
    if (std::find(wanted.begin(), wanted.end(), home_.directory / name) == wanted.end())
      MNEME_TRY(remove_file(home_.directory / name));
  return ok_status();
}

Result<SectionReader> IndexFiles::open_state(const SavedIndex& saved) const {
  return open_sections(path("state", saved.number), {0, saved.bytes, saved.xxh3},
                       {FileKind::State, home_.id, saved.number});
}

Result<IndexFiles::State> IndexFiles::read_state(const SectionReader& file, std::size_t dimension, Metric metric,
                                                 const SavedIndex& saved) {
  MNEME_ASSIGN(const auto shapes, file.array<Shape>("shape"));
  if (shapes.size() != 1 || shapes[0].dimension != dimension || shapes[0].slots != saved.slots ||
      shapes[0].metric != static_cast<std::uint64_t>(metric) || shapes[0].sealed_end > saved.slots ||
      saved.slots == 0 || saved.slots >= kNoSlot)
    return {Code::Corruption, file.where("shape") + ": it is not that of this index"};
  const Shape& shape = shapes[0];
  State state;
  state.number = saved.number;
  state.slots = shape.slots;
  state.sealed_end = shape.sealed_end;
  state.trained_rows = shape.trained_rows;
  state.book_number = shape.book_number;
  state.book_place = {0, shape.book_bytes, shape.book_xxh3};
  MNEME_ASSIGN(const auto extents, file.array<ExtentEntry>("extents"));
  for (const ExtentEntry& one : extents)
    state.extents.push_back({{one.offset, one.bytes, one.xxh3}, one.first, one.end});
  MNEME_ASSIGN(const auto codes, file.array<CodesEntry>("codes"));
  for (const CodesEntry& one : codes) state.segments.push_back({nullptr, one.number, {0, one.bytes, one.xxh3}});
  MNEME_ASSIGN(const auto dead, file.array<std::uint64_t>("dead"));
  if (dead.size() != (state.slots + 63) / 64)
    return {Code::Corruption, file.where("dead") + ": " + std::to_string(dead.size()) + " words of 64 slots for " +
                                  std::to_string(state.slots) + " slots"};
  MNEME_ASSIGN(const auto sums, file.array<std::uint64_t>("sums"));
  state.sums.assign(sums.begin(), sums.end());
  return state;
}

Status IndexFiles::read_efforts(const SectionReader& file, Sealed& sealed) {
  const auto read = [&](std::string_view name, EffortTable& table) -> Status {
    MNEME_ASSIGN(const ByteView bytes, file.bytes(name));
    ByteReader reader(bytes);
    Result<EffortTable> decoded = EffortTable::decode(reader);
    if (!decoded) return decoded.status().with_context(file.where(name));
    if (!reader.at_end())
      return {Code::Corruption,
              file.where(name) + ": " + std::to_string(reader.remaining()) + " bytes behind the table"};
    table = *decoded;
    return ok_status();
  };
  MNEME_TRY(read("effort", sealed.effort));
  MNEME_ASSIGN(const ByteView asked, file.bytes("asked"));
  return asked.empty() ? ok_status() : read("asked", sealed.of_asked.emplace());
}

Result<SavedSlotsPtr> IndexFiles::restore(ExactRows& rows, Sealed& sealed, const SavedIndex& saved, Lsn birth,
                                          bool read_only) {
  MNEME_ASSIGN(const SectionReader file, open_state(saved));
  MNEME_ASSIGN(State state, read_state(file, rows.dimension(), rows.metric(), saved));
  MNEME_ASSIGN(const auto dead, file.array<std::uint64_t>("dead"));
  MNEME_TRY(read_efforts(file, sealed));
  sealed.end = static_cast<Slot>(state.sealed_end);
  sealed.trained_rows = state.trained_rows;

  kept_.slots = state.slots;  // the growing files are there
  MNEME_TRY(open_growing(!read_only));
  MNEME_TRY(rows.blocks().restore(*rows_file_, state.slots, state.sums, seed()));
  MNEME_ASSIGN(SavedSlotsPtr slots, open_slots(state));
  MNEME_TRY(rows.restore(slots, dead, birth));
  MNEME_TRY(open_codes(state, rows, sealed));
  next_number_ = state.number + 1;
  kept_ = std::move(state);
  close_growing();
  if (!read_only) MNEME_TRY(remove_all_but(kept_));
  return slots;
}

Result<SavedSlotsPtr> IndexFiles::open_slots(const State& state) const {
  auto slots = std::make_shared<SavedSlots>();
  for (const Extent& one : state.extents) {
    if (one.first != slots->size_ || one.end <= one.first)
      return {Code::Corruption, slots_file_->path().string() + ": extent of slots " + std::to_string(one.first) +
                                    " to " + std::to_string(one.end) + " behind " + std::to_string(slots->size_)};
    MNEME_ASSIGN(const SectionReader file,
                 SectionReader::open(slots_file_, one.place, {FileKind::Slots, home_.id, one.first}));
    MNEME_ASSIGN(const auto rows, file.array<RowId>("rows"));
    MNEME_ASSIGN(const auto ids, file.array<Uuid>("ids"));
    MNEME_ASSIGN(const auto ends, file.array<std::uint64_t>("ends"));
    MNEME_ASSIGN(const ByteView notes, file.bytes("notes"));
    const std::size_t count = one.end - one.first;
    if (rows.size() != count || ids.size() != count || ends.size() != count + 1 || ends.front() != 0 ||
        ends.back() != notes.size() || !std::is_sorted(ends.begin(), ends.end()))
      return {Code::Corruption,
              file.where("ends") + ": " + std::to_string(count) + " slots have arrays of other lengths"};
    slots->extents_.push_back(
        {static_cast<Slot>(one.first), rows.data(), ids.data(), ends.data(), notes, file.mapping()});
    slots->size_ = one.end;
    slots->file_bytes_ += one.place.bytes;
  }
  if (slots->size_ != state.slots)
    return {Code::Corruption, slots_file_->path().string() + ": extents of " + std::to_string(slots->size_) +
                                  " slots, the state has " + std::to_string(state.slots)};
  return SavedSlotsPtr(std::move(slots));
}

Result<Codebook> IndexFiles::open_book(const State& state, std::size_t dimension, Metric metric) const {
  MNEME_ASSIGN(const SectionReader file, open_sections(path("book", state.book_number), state.book_place,
                                                       {FileKind::Book, home_.id, state.book_number}));
  MNEME_ASSIGN(const auto seeds, file.array<std::uint64_t>("rotation"));
  MNEME_ASSIGN(const auto centroids, file.array<float>("centroid"));
  if (seeds.size() != 1) return {Code::Corruption, file.where("rotation") + ": not one seed"};
  Rotation rotation(dimension, seeds[0]);
  if (centroids.empty() || centroids.size() % rotation.size() != 0)
    return {Code::Corruption, file.where("centroid") + ": " + std::to_string(centroids.size()) + " values"};
  const std::size_t size = rotation.size();
  return Codebook{metric, std::move(rotation), Clusters::of({centroids.begin(), centroids.end()}, size)};
}

Result<SectionReader> IndexFiles::open_codes_file(const PlacedSegment& one) const {
  return open_sections(path("codes", one.number), one.place, {FileKind::Codes, home_.id, one.number});
}

Status IndexFiles::open_segment(PlacedSegment& one, const Codebook& book) const {
  MNEME_ASSIGN(const SectionReader file, open_codes_file(one));
  MNEME_ASSIGN(one.segment, CodeSegment::open(file, book.rotation.size() / 8, book.clusters.count(), book.metric));
  return ok_status();
}

Status IndexFiles::take_from_files(Sealed& sealed) {
  for (std::size_t i = 0; i < kept_.segments.size(); ++i) {
    PlacedSegment& one = kept_.segments[i];
    if (one.segment->file_bytes() == 0) MNEME_TRY(open_segment(one, *kept_.book));
    one.segment->keep_out_of_memory();
    sealed.segments[i] = one.segment;
  }
  return ok_status();
}

Status IndexFiles::open_codes(State& state, const ExactRows& rows, Sealed& sealed) {
  MNEME_ASSIGN(Codebook opened, open_book(state, rows.dimension(), rows.metric()));
  state.book = sealed.codebook = std::make_shared<const Codebook>(std::move(opened));
  Slot end = 0;
  for (PlacedSegment& one : state.segments) {
    MNEME_TRY(open_segment(one, *state.book));
    if (one.segment->first() != end || one.segment->end() < end)
      return {Code::Corruption, path("codes", one.number).string() + ": slots from " +
                                    std::to_string(one.segment->first()) + " to " + std::to_string(one.segment->end()) +
                                    ", the segment before ends at " + std::to_string(end)};
    end = one.segment->end();
    sealed.segments.push_back(one.segment);
  }
  if (end != sealed.end || state.segments.empty())
    return {Code::Corruption, path("state", state.number).string() + ": segments end at slot " + std::to_string(end) +
                                  ", expected " + std::to_string(sealed.end)};
  return ok_status();
}

Status remove_index_files(const std::filesystem::path& directory, const std::string& prefix,
                          const std::vector<std::string>& keep) {
  MNEME_ASSIGN(const std::vector<std::string> names, list_files(directory, prefix));
  for (const std::string& name : names) {
    const bool kept =
        std::any_of(keep.begin(), keep.end(), [&](const std::string& stem) { return name.rfind(stem + ".", 0) == 0; });
    if (!kept) MNEME_TRY(remove_file(directory / name));
  }
  return ok_status();
}

}  // namespace mneme::index
