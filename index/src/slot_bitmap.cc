#include <atomic>
#include <bit>

#include "mneme/index/saved_index.h"

namespace mneme::index {

std::uint64_t SlotBitmap::new_family() {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

std::size_t SlotBitmap::count() const {
  std::size_t total = 0;
  for (const std::uint64_t word : words_) total += static_cast<std::size_t>(std::popcount(word));
  return total;
}

Result<SavedIndex> VectorIndex::save(const IndexHome& home, const std::function<SlotNote(Slot)>& /*notes*/) {
  return {Code::Unsupported, "index " + home.stem + ": save: an index of this kind keeps no files"};
}

}  // namespace mneme::index
