// The exact index against the published ground truth of real embeddings (all-MiniLM-L6-v2 of the WordNet glosses).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "mneme/index/exact_index.h"
#include "mneme/index/kernels.h"

namespace mneme::index {
namespace {

constexpr std::size_t kDimension = 384;
constexpr std::size_t kTruth = 1000;
constexpr std::size_t kQueries = 50;

// The values of a version 1 .npy file whose header names `dtype`.
template <class T>
std::vector<T> read_npy(const std::filesystem::path& path, std::string_view dtype) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  if (bytes.size() < 10 || bytes.compare(0, 6, "\x93NUMPY") != 0 || bytes[6] != 1) {
    ADD_FAILURE() << path << ": not a version 1 .npy file";
    return {};
  }
  const std::size_t header = static_cast<unsigned char>(bytes[8]) + 256U * static_cast<unsigned char>(bytes[9]);
  if (bytes.substr(10, header).find(dtype) == std::string::npos) {
    ADD_FAILURE() << path << ": header " << bytes.substr(10, header) << " does not name " << dtype;
    return {};
  }
  std::vector<T> values((bytes.size() - 10 - header) / sizeof(T));
  std::memcpy(values.data(), bytes.data() + 10 + header, values.size() * sizeof(T));
  return values;
}

// IEEE half to single, exactly.
float widen(std::uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int fraction = half & 1023;
  const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                        : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(GroundTruth, IsFoundWholeForRealEmbeddings) {
  const char* const data = std::getenv("MNEME_DATA_DIR");
  if (data == nullptr || *data == '\0')
    GTEST_SKIP() << "MNEME_DATA_DIR is not set: the embeddings of the WordNet glosses are not at hand";
  const std::filesystem::path directory(data);
  for (const char* name : {"wordnet-minilm.f16.npy", "queries-minilm.f32.npy", "groundtruth-ip-1000.i32.npy"})
    if (!std::filesystem::exists(directory / name)) GTEST_SKIP() << (directory / name) << " is not there";

  const auto halves = read_npy<std::uint16_t>(directory / "wordnet-minilm.f16.npy", "<f2");
  const auto queries = read_npy<float>(directory / "queries-minilm.f32.npy", "<f4");
  const auto truth = read_npy<std::int32_t>(directory / "groundtruth-ip-1000.i32.npy", "<i4");
  ASSERT_EQ(halves.size() % kDimension, 0U);
  ASSERT_GE(queries.size(), kQueries * kDimension);
  ASSERT_GE(truth.size(), kQueries * kTruth);

  const auto index = make_exact_index(kDimension, Metric::InnerProduct);
  std::vector<float> row(kDimension);
  for (std::size_t r = 0; r < halves.size() / kDimension; ++r) {
    for (std::size_t i = 0; i < kDimension; ++i) row[i] = widen(halves[r * kDimension + i]);
    ASSERT_TRUE(index->add(RowId{r}, row, Lsn{r + 1}));
  }
  const auto hits = index->search({.queries = std::span(queries).first(kQueries * kDimension), .k = kTruth});
  ASSERT_TRUE(hits) << hits.status().to_string();

  // A row of ours that the truth lacks must tie, to float32, with the last one of the truth.
  std::size_t ties = 0;
  for (std::size_t q = 0; q < kQueries; ++q) {
    const auto expected = std::span(truth).subspan(q * kTruth, kTruth);
    const std::unordered_set<std::int32_t> wanted(expected.begin(), expected.end());
    ASSERT_EQ(hits.value()[q].size(), kTruth);
    const double last = inner_product_reference(queries.data() + q * kDimension,
                                                index->vector(static_cast<Slot>(expected.back())).data(), kDimension);
    for (const Hit& hit : hits.value()[q]) {
      if (wanted.contains(static_cast<std::int32_t>(hit.row.value))) continue;
      ++ties;
      EXPECT_NEAR(hit.score, last, 1e-6) << "query " << q << " row " << hit.row.value;
    }
  }
  EXPECT_LE(ties, kQueries) << "more than ties at the edge";
}

}  // namespace
}  // namespace mneme::index
