// The exact index's fixture: random vectors, a model of what was written, and brute force in double.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "mneme/index/exact_index.h"
#include "mneme/index/kernels.h"

namespace mneme::index {

using Floats = std::vector<float>;

inline void PrintTo(const Hit& hit, std::ostream* out) {
  *out << "{row " << hit.row.value << " slot " << hit.slot << " score " << hit.score << "}";
}

/// The score by definition, in double and then rounded once.
inline float brute_score(Metric metric, const Floats& query, const Floats& row) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  const std::size_t n = query.size();
  double score = 0;
  if (metric == Metric::SquaredL2) {
    score = -squared_l2_reference(query.data(), row.data(), n);
  } else {
    score = inner_product_reference(query.data(), row.data(), n);
    if (metric == Metric::Cosine) {
      const double norms = std::sqrt(inner_product_reference(query.data(), query.data(), n)) *
                           std::sqrt(inner_product_reference(row.data(), row.data(), n));
      score = norms == 0 ? 0 : std::clamp(score / norms, -1.0, 1.0);
    }
  }
  return static_cast<float>(std::clamp(score, -kLargest, kLargest));
}

/// Equal up to the last bits that summing in another order leaves.
inline bool close(float a, float b) {
  return std::abs(static_cast<double>(a) - b) <= 2e-7 * std::max(std::abs(static_cast<double>(a)), 1e-38);
}

/// One write of the model.
struct ModelVersion {
  RowId row;
  Lsn birth, death;
  Floats values;
};

class ExactIndexTest : public testing::Test {
 protected:
  void SetUp() override {
    seed_ = std::random_device{}();
    random_.seed(seed_);
  }
  void TearDown() override {
    if (HasFailure()) std::printf("seed %u\n", seed_);
  }

  void open(std::size_t dimension, Metric metric) {
    index_ = make_exact_index(dimension, metric);
    model_.clear();
    newest_.clear();
    lsn_ = 0;
  }

  Floats random_vector(float scale = 1) {
    Floats values(index_->dimension());
    for (float& v : values) v = std::uniform_real_distribution<float>(-scale, scale)(random_);
    return values;
  }
  /// Values from {−1, 0, 1}: many equal scores.
  Floats coarse_vector() {
    Floats values(index_->dimension());
    for (float& v : values) v = static_cast<float>(static_cast<int>(random_() % 3) - 1);
    return values;
  }

  /// Writes to index and model; a new LSN unless `same_lsn`.
  Slot put(std::uint64_t row, Floats values, bool same_lsn = false) {
    if (!same_lsn || lsn_ == 0) ++lsn_;
    const auto slot = index_->add(RowId{row}, values, Lsn{lsn_});
    EXPECT_TRUE(slot) << slot.status().to_string();
    if (!slot) return kNoSlot;
    EXPECT_EQ(*slot, model_.size());
    kill(row);
    newest_[row] = model_.size();
    model_.push_back({RowId{row}, Lsn{lsn_}, kMaxLsn, std::move(values)});
    return *slot;
  }
  void erase(std::uint64_t row) {
    ++lsn_;
    const Status erased = index_->erase(RowId{row}, Lsn{lsn_});
    EXPECT_TRUE(erased) << erased.to_string();
    kill(row);
  }

  bool model_visible(std::size_t slot, Lsn as_of) const {
    const ModelVersion& version = model_[slot];
    return version.birth <= as_of && (version.death > as_of || version.death == kMaxLsn);
  }

  std::vector<Hit> brute(const Floats& query, std::size_t k, Lsn as_of = kMaxLsn,
                         const SlotBitmap* filter = nullptr) const {
    std::vector<Hit> hits;
    for (Slot slot = 0; slot < model_.size(); ++slot)
      if (model_visible(slot, as_of) && (filter == nullptr || filter->test(slot)))
        hits.push_back({slot, model_[slot].row, brute_score(index_->metric(), query, model_[slot].values)});
    std::sort(hits.begin(), hits.end(),
              [](const Hit& a, const Hit& b) { return a.score > b.score || (a.score == b.score && a.row < b.row); });
    if (hits.size() > k) hits.resize(k);
    return hits;
  }

  std::vector<std::vector<Hit>> search(SearchRequest request) {
    auto hits = index_->search(request);
    EXPECT_TRUE(hits) << hits.status().to_string();
    return hits ? std::move(*hits) : std::vector<std::vector<Hit>>(1);
  }

  /// Every hit is right, in order, and none is missing: the scores are those of brute force, and where
  /// neighbouring scores are not within rounding of each other, so are the rows.
  void expect_same(const std::vector<Hit>& got, const std::vector<Hit>& want, const std::string& what = {}) {
    ASSERT_EQ(got.size(), want.size()) << what;
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_TRUE(close(got[i].score, want[i].score))
          << what << " rank " << i << ": " << got[i].score << " for " << want[i].score;
      ASSERT_EQ(model_[got[i].slot].row, got[i].row) << what;
      if (i > 0) {
        ASSERT_TRUE(got[i - 1].score > got[i].score ||
                    (got[i - 1].score == got[i].score && got[i - 1].row < got[i].row))
            << what << " order at rank " << i;
      }
      if (got[i].row == want[i].row) {
        ASSERT_EQ(got[i].slot, want[i].slot) << what << " rank " << i;
      }
    }
  }

  void kill(std::uint64_t row) {
    const auto found = newest_.find(row);
    if (found != newest_.end() && model_[found->second].death == kMaxLsn) model_[found->second].death = Lsn{lsn_};
  }

  std::unique_ptr<VectorIndex> index_;
  std::vector<ModelVersion> model_;  // by slot
  std::map<std::uint64_t, std::size_t> newest_;
  std::uint64_t lsn_ = 0;
  std::mt19937 random_;
  unsigned seed_ = 0;
};

}  // namespace mneme::index
