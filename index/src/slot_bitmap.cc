#include <bit>

#include "mneme/index/vector_index.h"

namespace mneme::index {

std::size_t SlotBitmap::count() const {
  std::size_t total = 0;
  for (const std::uint64_t word : words_) total += static_cast<std::size_t>(std::popcount(word));
  return total;
}

}  // namespace mneme::index
