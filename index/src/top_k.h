// TopK: the k best hits seen so far, in a heap with the worst of them in front.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "mneme/index/vector_index.h"

namespace mneme::index {

/// The order of results: higher score first, ties by lower row. Total, for a row is hit once.
inline bool better(const Hit& a, const Hit& b) { return a.score > b.score || (a.score == b.score && a.row < b.row); }

class TopK {
 public:
  explicit TopK(std::size_t k) : k_(k) {}

  void offer(const Hit& hit) {
    if (hits_.size() == k_) {
      if (!better(hit, hits_.front())) return;
      std::pop_heap(hits_.begin(), hits_.end(), better);
      hits_.back() = hit;
    } else {
      hits_.push_back(hit);
    }
    std::push_heap(hits_.begin(), hits_.end(), better);
  }

  /// A hit below it cannot enter: the k-th best score, or −∞ while there are fewer than k.
  float threshold() const { return hits_.size() == k_ ? hits_.front().score : -std::numeric_limits<float>::infinity(); }

  /// Takes everything `other` has.
  void merge(const TopK& other) {
    for (const Hit& hit : other.hits_) offer(hit);
  }

  /// Best first; leaves this empty.
  std::vector<Hit> take() {
    std::sort_heap(hits_.begin(), hits_.end(), better);
    return std::exchange(hits_, {});
  }

 private:
  std::size_t k_;
  std::vector<Hit> hits_;
};

}  // namespace mneme::index
