// ListOrder: the lists of an index from the nearest to a query on, ordered no further than a search goes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mneme::index {

/// Its memory is kept from query to query. Threads: one at a time.
class ListOrder {
 public:
  /// `bases`, what the query scores with each list's centroid, are finite, and stay where they are while at() is called.
  void begin(std::span<const float> bases);
  std::size_t size() const { return bases_.size(); }
  /// The list whose base so many others are above. Cost: to all ranks up to `rank` once, O(lists) with a small factor and
  /// O(rank) with a larger one.
  std::uint32_t at(std::size_t rank) {
    while (sorted_ <= rank) sort_next();
    return order_[rank];
  }

 private:
  static constexpr std::size_t kBuckets = 256;
  void place_more();
  void sort_next();

  std::span<const float> bases_;
  std::vector<std::uint8_t> buckets_;  // of all lists
  std::vector<std::uint32_t> order_;   // by bucket, those of the first placed_buckets_
  std::vector<std::uint32_t> found_;
  std::array<std::uint32_t, kBuckets> ends_{};  // of each bucket that is placed, in order_
  std::size_t placed_ = 0, sorted_ = 0;         // lists
  std::size_t placed_buckets_ = 0, sorted_buckets_ = 0;
};

}  // namespace mneme::index
