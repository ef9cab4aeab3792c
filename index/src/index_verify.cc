// verify_saved_index: every byte that a save speaks of, against its checksum.
//
// Goes on behind damage, file by file, so that one report names every file that is damaged. It opens the files as a
// restore does: what passes here is what a restore takes.

#include <new>
#include <string>

#include "index_files.h"
#include "mneme/index/funnel_index.h"

namespace mneme::index {

Status IndexFiles::verify_rows(const State& state, std::size_t dimension) {
  VectorBlocks blocks(dimension);
  MNEME_TRY(blocks.restore(*rows_file_, state.slots, state.sums, seed()));
  return blocks.verify(0, state.slots);
}

// Where the codebook is damaged the number of lists is the segment's own.
Status IndexFiles::verify_codes(const PlacedSegment& one, const Result<Codebook>& book, std::size_t dimension,
                                Metric metric) const {
  MNEME_ASSIGN(const SectionReader file, open_codes_file(one));
  MNEME_ASSIGN(const auto lists, file.array<std::uint32_t>("begin"));
  MNEME_ASSIGN(const CodeSegmentPtr segment, CodeSegment::open(file, Rotation::size_for(dimension) / 8,
                                                               book ? book->clusters.count() : lists.size(), metric));
  return segment->verify();
}

Result<SavedIndexReport> IndexFiles::verify(std::size_t dimension, Metric metric, const SavedIndex& saved) {
  SavedIndexReport report;
  const auto look_at = [&](const std::filesystem::path& path, const Status& found) -> Status {
    ++report.files;
    if (const auto file = IndexFile::open(path, false)) {
      MNEME_ASSIGN(const std::uint64_t bytes, (*file)->size());
      report.bytes += bytes;
    }
    if (found.ok()) return ok_status();
    if (found.code() != Code::Corruption && found.code() != Code::VersionMismatch) return found;
    report.damage.push_back(found);
    return ok_status();
  };
  const auto read = [&](const SectionReader& file) -> Result<State> {
    Sealed efforts;
    MNEME_TRY(read_efforts(file, efforts));
    return read_state(file, dimension, metric, saved);
  };
  const Result<SectionReader> file = open_state(saved);
  const Result<State> state = file ? read(*file) : Result<State>(file.status());
  MNEME_TRY(look_at(path("state", saved.number), state.status()));
  if (!state) return report;

  kept_.slots = state->slots;  // the growing files are there
  Status opened = open_growing(FileKind::Rows, rows_file_, false);
  MNEME_TRY(look_at(path("rows"), opened ? verify_rows(*state, dimension) : opened));
  opened = open_growing(FileKind::Slots, slots_file_, false);
  MNEME_TRY(look_at(path("slots"), opened ? open_slots(*state).status() : opened));
  const Result<Codebook> book = open_book(*state, dimension, metric);
  MNEME_TRY(look_at(path("book", state->book_number), book.status()));
  for (const PlacedSegment& one : state->segments)
    MNEME_TRY(look_at(path("codes", one.number), verify_codes(one, book, dimension, metric)));
  return report;
}

Result<SavedIndexReport> verify_saved_index(std::size_t dimension, Metric metric, const IndexHome& home,
                                            const SavedIndex& saved) try {
  return IndexFiles(home).verify(dimension, metric, saved);
} catch (const std::bad_alloc&) {
  return {Code::Busy, "index " + home.stem + ": no memory to verify " + std::to_string(saved.slots) + " slots"};
}

}  // namespace mneme::index
