// A codebook trained on all rows, for tests of what is compressed with it.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "code_segment.h"

namespace mneme::index {

/// Of the first `count` slots of `rows`.
inline CodebookPtr trained_codebook(const ExactRows& rows, std::size_t count, std::size_t lists) {
  const std::atomic<bool> stop{false};
  auto book = std::make_shared<Codebook>(Codebook{rows.metric(), Rotation(rows.dimension(), 42), {}});
  const std::size_t size = book->rotation.size();
  std::vector<float> rotated(count * size), scratch(size);
  for (std::size_t slot = 0; slot < count; ++slot)
    rotated_row(rows, *book, static_cast<Slot>(slot), scratch, rotated.data() + slot * size);
  Result<Clusters> clusters = Clusters::train(rotated, size, lists, stop);
  EXPECT_TRUE(clusters) << clusters.status().to_string();
  book->clusters = std::move(*clusters);
  return book;
}

}  // namespace mneme::index
