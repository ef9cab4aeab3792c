// FunnelIndex: approximate search to a promised recall, while rows come and go.
//
// Rows are kept as ExactIndex keeps them, and are searched exactly until there are enough of them and somebody asks for
// less than an exact answer. From then on a background task groups them around centroids and gives each row a 1-bit and an 8-bit code; a search estimates by the first,
// chooses by the second and decides in float32 (funnel_search.h). Newer rows are compressed in runs of some hundred, into
// at most six segments; rows not yet compressed are scored whole, so that every add is found by the searches after it.
//
// Source: RaBitQ, arXiv:2405.12497; k-means by FAISS.
#pragma once

#include <memory>

#include "mneme/index/saved_index.h"
#include "mneme/index/vector_index.h"

namespace mneme::index {

struct FunnelOptions {
  /// Live rows from which on they are compressed; below, an exact scan is as quick.
  std::size_t rows_min = 2048;
  /// Rows not yet compressed that make the background task compress them; of a small index an eighth of its rows, but
  /// no fewer than an eighth of this. A search that meets twice as many has them compressed at once.
  std::size_t delta_rows = 512;
  /// What was saved stays in its files but for the 1-bit codes: 8-bit codes and float32 rows are read where a search
  /// touches them. About 150 bytes a vector of 768 dimensions are left in memory.
  bool cold = false;
};

/// Searches with a recall target of 0.99 or less may be approximate, and score in float32; the others are exact.
/// @param dimension 1 … limits::kDimensionsMax
std::unique_ptr<VectorIndex> make_funnel_index(std::size_t dimension, Metric metric, const FunnelOptions& options = {});

struct RestoredIndex {
  std::unique_ptr<VectorIndex> index;
  SavedSlotsPtr slots;
};
/// The index as it was saved: the same slots, all that lived born at `birth`, the codes as they were. Small parts and
/// 1-bit codes are verified and read, float32 rows and 8-bit codes verified where they are first touched. Files of saves
/// that were not kept are removed, unless `read_only`.
/// @error Corruption  a file is missing, too short, another's or damaged: which, where, and what was expected and found
/// @error VersionMismatch, IoError, Busy
/// Cost: 1-bit codes, ids and notes are read once; nothing else grows with the vectors.
Result<RestoredIndex> open_funnel_index(std::size_t dimension, Metric metric, const FunnelOptions& options,
                                        const IndexHome& home, const SavedIndex& saved, Lsn birth, bool read_only);

/// Looks at every file and every byte that the save speaks of, as they are on disk now, whatever was verified before.
/// Changes nothing. When the state file is damaged nothing is known of the others, and they are not looked at.
/// @error IoError, Busy  it could not be done
Result<SavedIndexReport> verify_saved_index(std::size_t dimension, Metric metric, const IndexHome& home,
                                            const SavedIndex& saved);

/// Removes the files of every index in `directory` whose name begins with `prefix` and none of `keep`.
Status remove_index_files(const std::filesystem::path& directory, const std::string& prefix,
                          const std::vector<std::string>& keep);

}  // namespace mneme::index
