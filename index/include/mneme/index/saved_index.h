// What an index keeps in files, as its owner sees it. index/FORMAT.md draws the files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mneme/base/ids.h"
#include "mneme/base/result.h"
#include "mneme/index/vector_index.h"

namespace mneme::index {

/// Where the files of one index are: `directory`/`stem`.rows and so on. They carry `id`, so that none is taken for
/// another's.
struct IndexHome {
  std::filesystem::path directory;
  std::string stem;
  Uuid id;
};

/// What finds a saved index again. The owner keeps it where it is replaced whole or not at all: as long as it names
/// this save, the save's files stay as they are.
struct SavedIndex {
  std::uint64_t number = 0;           ///< of the save: its state file is `stem`.state-`number`
  std::uint64_t bytes = 0, xxh3 = 0;  ///< of the state file, and of its header, which vouches for all else
  std::uint64_t slots = 0;
};

/// What verify_saved_index() has found.
struct SavedIndexReport {
  std::uint64_t files = 0, bytes = 0;  ///< looked at
  std::vector<Status> damage;          ///< of each damaged file the first: which file, where, and what is wrong
};

/// What the owner keeps beside a slot. The index stores it and never looks into it.
struct SlotNote {
  Uuid id;
  ByteView note;
};
using SlotNoteFn = std::function<SlotNote(Slot)>;

/// The slots of a saved index, as they lie in its file: row, id and note of each. Verified when it was opened.
/// Threads: any.
class SavedSlots {
 public:
  std::size_t size() const { return size_; }
  RowId row(Slot slot) const {
    const Extent& extent = extent_of(slot);
    return extent.rows[slot - extent.first];
  }
  const Uuid& id(Slot slot) const {
    const Extent& extent = extent_of(slot);
    return extent.ids[slot - extent.first];
  }
  ByteView note(Slot slot) const {
    const Extent& extent = extent_of(slot);
    const std::size_t i = slot - extent.first;
    return extent.notes.subspan(extent.ends[i], extent.ends[i + 1] - extent.ends[i]);
  }
  /// In the file, mapped.
  std::uint64_t file_bytes() const { return file_bytes_; }

 private:
  friend class IndexFiles;
  struct Extent {
    Slot first = 0;
    const RowId* rows = nullptr;
    const Uuid* ids = nullptr;
    const std::uint64_t* ends = nullptr;  // of the notes; ends[0] is 0
    ByteView notes;
    std::shared_ptr<const void> mapping;
  };
  /// Extents grow by a share of what is there, so that they are few. Cost: O(log extents).
  const Extent& extent_of(Slot slot) const {
    std::size_t low = 0, high = extents_.size();
    while (high - low > 1) {
      const std::size_t middle = (low + high) / 2;
      (extents_[middle].first <= slot ? low : high) = middle;
    }
    return extents_[low];
  }
  std::vector<Extent> extents_;
  std::size_t size_ = 0;
  std::uint64_t file_bytes_ = 0;
};
using SavedSlotsPtr = std::shared_ptr<const SavedSlots>;

}  // namespace mneme::index
