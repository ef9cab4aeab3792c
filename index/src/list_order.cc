#include "list_order.h"

#include <algorithm>

#include "bucket_kernels.h"

namespace mneme::index {
namespace {

// Lists that are placed at first: enough for most searches, and few to sort.
constexpr std::size_t kFirst = 64, kFirstShare = 16;

}  // namespace

void ListOrder::begin(std::span<const float> bases) {
  // The last bucket is of what pads the lists alone.
  constexpr std::size_t kLast = kBuckets - 2;
  bases_ = bases;
  buckets_.assign((bases.size() + kBucketPadding - 1) / kBucketPadding * kBucketPadding, kBuckets - 1);
  order_.resize(bases.size());
  placed_ = sorted_ = placed_buckets_ = sorted_buckets_ = 0;
  if (bases.size() >= kBucketedMin) return to_buckets(bases.data(), bases.size(), kLast, buckets_.data());
  std::fill_n(buckets_.data(), bases.size(), std::uint8_t{0});
}

// As many lists as are placed already: the smallest number of whole buckets that has them.
void ListOrder::place_more() {
  const std::size_t wanted = std::min(bases_.size(), std::max({2 * placed_, kFirst, bases_.size() / kFirstShare}));
  std::size_t least = placed_buckets_, most = kBuckets - 2;
  while (least < most) {
    const std::size_t middle = (least + most) / 2;
    if (count_at_most(buckets_.data(), buckets_.size(), static_cast<std::uint8_t>(middle)) >= wanted)
      most = middle;
    else
      least = middle + 1;
  }
  found_.resize(bases_.size());
  const std::size_t count = find_between(buckets_.data(), buckets_.size(), static_cast<std::uint8_t>(placed_buckets_),
                                         static_cast<std::uint8_t>(most), found_.data());
  std::fill(ends_.begin() + static_cast<std::ptrdiff_t>(placed_buckets_), ends_.end(), 0U);
  for (std::size_t i = 0; i < count; ++i) ++ends_[buckets_[found_[i]] + 1];
  ends_[placed_buckets_] = static_cast<std::uint32_t>(placed_);
  for (std::size_t b = placed_buckets_; b <= most; ++b) ends_[b + 1] += ends_[b];
  for (std::size_t i = 0; i < count; ++i) order_[ends_[buckets_[found_[i]]]++] = found_[i];
  placed_ += count;
  placed_buckets_ = most + 1;
}

void ListOrder::sort_next() {
  if (sorted_buckets_ == placed_buckets_) place_more();
  const std::size_t end = ends_[sorted_buckets_++];
  std::sort(order_.begin() + static_cast<std::ptrdiff_t>(sorted_), order_.begin() + static_cast<std::ptrdiff_t>(end),
            [&](std::uint32_t x, std::uint32_t y) { return bases_[x] > bases_[y]; });
  sorted_ = end;
}

}  // namespace mneme::index
