// VectorIndex: what the engine asks of anything that finds vectors.
//
// A row of a space may be written many times; each write makes a new *slot*. A slot is visible to a search as of
// LSN L when born at or before L and not dead at L. Slots are numbered 0, 1, 2, … and never change their row.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "mneme/base/ids.h"
#include "mneme/base/result.h"

namespace mneme::index {

using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = ~Slot{0};

/// A set of slots. Bits beyond size() are unset.
class SlotBitmap {
 public:
  SlotBitmap() = default;
  explicit SlotBitmap(std::size_t size) : size_(size), words_((size + 63) / 64) {}
  /// One of a family: its bitmaps agree about every slot below the size() of both, so that what an index works out for
  /// one serves for the next.
  SlotBitmap(std::size_t size, std::uint64_t family) : SlotBitmap(size) { family_ = family; }
  /// Of this process, never 0.
  static std::uint64_t new_family();
  std::uint64_t family() const { return family_; }  ///< 0: of none
  void set(Slot slot) { words_[slot >> 6] |= std::uint64_t{1} << (slot & 63); }
  bool test(Slot slot) const { return slot < size_ && (words_[slot >> 6] >> (slot & 63) & 1) != 0; }
  std::size_t size() const { return size_; }
  std::size_t count() const;
  std::span<std::uint64_t> words() { return words_; }
  std::span<const std::uint64_t> words() const { return words_; }

 private:
  std::size_t size_ = 0;
  std::uint64_t family_ = 0;
  std::vector<std::uint64_t> words_;
};

/// Higher is better. InnerProduct: q·x. Cosine: in [−1, 1], 0 when either is the zero vector.
/// SquaredL2: −‖q − x‖². Never NaN; beyond float32 it is clamped to the largest finite value.
struct Hit {
  Slot slot = kNoSlot;
  RowId row = kNoRow;
  float score = 0;
};

struct SearchRequest {
  std::span<const float> queries;      ///< n × dimension(), row-major
  std::size_t k = 10;                  ///< 1 … limits::kNeighboursMax
  float recall_target = 1.0F;          ///< 1 = exact
  const SlotBitmap* filter = nullptr;  ///< only slots in it; null = all
  Lsn as_of = kMaxLsn;                 ///< see above
  bool parallel = true;                ///< may use oneTBB workers of the caller's arena
};

struct IndexHome;  // saved_index.h
struct SavedIndex;
struct SlotNote;

/// search() may return Corruption where the index was restored from files: it used nothing that is damaged.
class VectorIndex {
 public:
  virtual ~VectorIndex() = default;
  virtual std::size_t dimension() const = 0;
  virtual Metric metric() const = 0;

  /// Adds a version of `row`; its earlier version dies at `lsn`. Visible to searches when this returns.
  /// Threads: one writer, with any number of searches. LSNs do not go back.
  /// @error InvalidArgument  wrong dimension, a value that is not finite, kNoRow, kMaxLsn, an LSN below reflected()
  /// @error NoSpace          2^32 − 1 slots are used
  /// @error Busy             the system has no memory for it; nothing was changed
  virtual Result<Slot> add(RowId row, std::span<const float> vector, Lsn lsn) = 0;
  /// The row's version dies at `lsn`; ok when it has none. @error InvalidArgument  as for add
  virtual Status erase(RowId row, Lsn lsn) = 0;

  /// The k best per query, best first, ties by lower row. One inner vector per query, shorter when fewer match.
  /// Threads: any number. @error InvalidArgument  queries.size() is no multiple of dimension(), k out of range,
  /// a query value that is not finite. @error Busy  no memory for the results
  virtual Result<std::vector<std::vector<Hit>>> search(const SearchRequest& request) const = 0;

  /// The slot of `row` visible as of `as_of`, or kNoSlot.
  virtual Slot find(RowId row, Lsn as_of = kMaxLsn) const = 0;
  virtual std::span<const float> vector(Slot slot) const = 0;
  virtual RowId row(Slot slot) const = 0;
  virtual bool visible(Slot slot, Lsn as_of) const = 0;

  virtual std::size_t slots() const = 0;  ///< published, dead ones included
  virtual std::size_t live() const = 0;   ///< visible now
  virtual std::uint64_t bytes_used() const = 0;
  virtual Lsn reflected() const = 0;  ///< last change seen

  /// For an index that takes the place of `before` and holds its live rows: compresses them as `before` did and keeps the
  /// promise as it did, so that searches do not begin anew. Where `before` has nothing to give, nothing is done.
  /// Threads: as add(). @error Busy  no memory; searches are exact until the background has compressed
  virtual Status continue_from(const VectorIndex& /*before*/) { return ok_status(); }

  /// Slots below this are in the form that approximate searches use; later ones are scanned. 0 where there is none.
  virtual std::size_t compressed() const { return 0; }
  /// The first of that form is being made, in the background.
  virtual bool is_compressing_first() const { return false; }
  // Saving, where the index can: see saved_index.h. One thread at a time, beside the writer and searches.

  /// Writes what is not in files yet, and syncs it; `notes` tells what the owner keeps beside a slot. What was kept
  /// before stays as it was until keep_saved(). @return what restores the slots that were there when this began, with
  /// their deaths. @error Unsupported  @error FailedPrecondition  nothing is compressed yet, or the index is closing
  /// @error NoSpace, IoError  may be tried again  @error Corruption  what was restored turns out damaged
  virtual Result<SavedIndex> save(const IndexHome& home, const std::function<SlotNote(Slot)>& notes);
  /// The owner has noted what save() returned: files that only the save before needed go, and saved rows leave memory.
  virtual Status keep_saved() { return ok_status(); }
  virtual std::size_t saved_slots() const { return 0; }  ///< of the save that was kept last
  /// What approximate searches use has changed since the save that was kept last.
  virtual bool has_new_codes() const { return false; }
  /// Verifies all that lies in files and was not used yet. @error Corruption
  virtual Status verify() const { return ok_status(); }
  /// In files that are mapped, and not in bytes_used(): pages that the system may take back.
  virtual std::uint64_t file_bytes() const { return 0; }

  /// Waits until nothing runs in the background. For tests and measurements: no result depends on it.
  virtual void finish_background() {}
};

}  // namespace mneme::index
