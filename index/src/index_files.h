// IndexFiles: a funnel index in files. index/FORMAT.md draws them.
//
//   STEM.rows       float32 rows and scales, by slot; grows
//   STEM.slots      extents: row, id and note of a run of slots; grows
//   STEM.codes-N    one segment of codes
//   STEM.book-N     the codebook
//   STEM.state-N    what belongs together: places and checksums of the others, the dead, the efforts
//
// A save appends to the first two behind what the save before it uses and writes new files of the other kinds, syncs
// them, and writes the state file last. Bytes that a kept state speaks of are never written again, so that a process
// that dies at any moment leaves the last kept state whole.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "exact_rows.h"
#include "mneme/index/saved_index.h"
#include "sealed.h"

namespace mneme::index {

/// Threads: one at a time.
class IndexFiles {
 public:
  explicit IndexFiles(IndexHome home) : home_(std::move(home)) {}

  /// See VectorIndex::save().
  Result<SavedIndex> save(const ExactRows& rows, const Sealed& sealed, const SlotNoteFn& notes,
                          const std::atomic<bool>& stop);
  /// What save() returned last is kept from here on.
  Status keep(ExactRows& rows);
  /// `sealed`, which was kept, with segments that lie in the files.
  Status take_from_files(Sealed& sealed);
  /// Fills `rows` and `sealed`, which are empty.
  Result<SavedSlotsPtr> restore(ExactRows& rows, Sealed& sealed, const SavedIndex& saved, Lsn birth, bool read_only);
  /// See verify_saved_index() (index_verify.cc).
  Result<SavedIndexReport> verify(std::size_t dimension, Metric metric, const SavedIndex& saved);
  std::size_t kept_slots() const { return kept_.slots; }

 private:
  struct Extent {
    SectionsPlace place;
    std::uint64_t first = 0, end = 0;
  };
  struct PlacedSegment {
    CodeSegmentPtr segment;
    std::uint64_t number = 0;
    SectionsPlace place;
  };
  /// What one state file says. Values, but for the codes themselves.
  struct State {
    std::uint64_t number = 0, slots = 0;
    std::uint64_t sealed_end = 0, trained_rows = 0;  // as they were read
    std::vector<std::uint64_t> sums;                 // of the pieces of rows
    std::vector<Extent> extents;
    std::vector<PlacedSegment> segments;
    CodebookPtr book;  // of the segments
    std::uint64_t book_number = 0;
    SectionsPlace book_place;
  };

  std::filesystem::path path(std::string_view kind) const;
  std::filesystem::path path(std::string_view kind, std::uint64_t number) const;
  std::uint64_t seed() const;
  Status open_growing(bool writable);
  Status open_growing(FileKind kind, std::shared_ptr<IndexFile>& file, bool writable);
  void close_growing();
  Status save_rows(State& next, const ExactRows& rows, const std::atomic<bool>& stop);
  Status save_slots(State& next, const ExactRows& rows, const SlotNoteFn& notes);
  Status save_codes(State& next, const Sealed& sealed);
  Result<SectionsPlace> save_state(const State& next, const ExactRows& rows, const Sealed& sealed);
  Result<SectionReader> open_state(const SavedIndex& saved) const;
  static Result<State> read_state(const SectionReader& file, std::size_t dimension, Metric metric,
                                  const SavedIndex& saved);
  static Status read_efforts(const SectionReader& file, Sealed& sealed);
  Result<Codebook> open_book(const State& state, std::size_t dimension, Metric metric) const;
  Result<SavedSlotsPtr> open_slots(const State& state) const;
  Status open_codes(State& state, const ExactRows& rows, Sealed& sealed);
  Result<SectionReader> open_codes_file(const PlacedSegment& one) const;
  Status open_segment(PlacedSegment& one, const Codebook& book) const;
  Status remove_all_but(const State& kept) const;
  Status verify_rows(const State& state, std::size_t dimension);
  Status verify_codes(const PlacedSegment& one, const Result<Codebook>& book, std::size_t dimension,
                      Metric metric) const;

  const IndexHome home_;
  std::shared_ptr<IndexFile> rows_file_, slots_file_;
  std::uint64_t next_number_ = 1;
  State kept_, saved_;  // what the owner has noted; what save() made last
};

}  // namespace mneme::index
