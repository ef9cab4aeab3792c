// Codes of centroids tell about where a query stands, and the centroids exactly.
#include "centroid_codes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "code_query.h"
#include "code_segment.h"
#include "mneme/index/kernels.h"

namespace mneme::index {
namespace {

constexpr std::size_t kDimension = 128, kCount = 1500;
using Floats = std::vector<float>;

class CentroidCodesTest : public testing::TestWithParam<Metric> {
 protected:
  Floats random_vectors(std::size_t count, float scale, float mean = 0) {
    Floats values(count * kDimension);
    for (float& value : values) value = mean + scale * normal_(random_);
    return values;
  }
  Codebook book(Floats centroids) {
    return {GetParam(), Rotation(kDimension, 42), Clusters::of(std::move(centroids), kDimension)};
  }
  CodeQuery prepared(const Codebook& book, const Floats& query, const RotatedQuery& known = {}) {
    CodeQuery made;
    made.prepare(book, query.data(), inner_product_f64(query.data(), query.data(), kDimension), known, 1e-3F);
    return made;
  }
  // What the query scores with a centroid, which is of rotated rows.
  double score(const Codebook& book, const Floats& query, std::size_t list) const {
    Floats rotated(kDimension), scratch(kDimension);
    book.rotation.apply(query.data(), rotated.data(), scratch.data());
    const double norm = std::sqrt(inner_product_f64(query.data(), query.data(), kDimension));
    if (GetParam() == Metric::SquaredL2)
      return -squared_l2_reference(rotated.data(), book.clusters.centroid(list), kDimension);
    const double product = inner_product_reference(rotated.data(), book.clusters.centroid(list), kDimension);
    return GetParam() == Metric::Cosine ? product / norm : product;
  }

  std::mt19937 random_{20261129};
  std::normal_distribution<float> normal_;
};

TEST_P(CentroidCodesTest, TellAboutWhereAQueryStandsAndTheCentroidsExactly) {
  for (const float mean : {0.0F, 3.0F}) {  // rows that all lie far from the origin
    const Codebook many = book(random_vectors(kCount, 1, mean));
    const Floats query = random_vectors(1, 1);
    CodeQuery made = prepared(many, query);
    ASSERT_EQ(made.near_bases().size(), kCount);
    double squares = 0, differences = 0;
    for (std::size_t list = 0; list < kCount; ++list) {
      const double want = score(many, query, list);
      ASSERT_NEAR(made.base(list), want, 6e-3 * made.norm() + 1e-5 * std::abs(want)) << "list " << list;
      squares += std::pow(made.near_bases()[list] - want, 2);
      differences += std::abs(made.near_bases()[list] - made.base(list));
    }
    // Of a random centroid of length √128 its mean tells nothing and leaves an error of 1; 1-bit codes leave 0.75.
    EXPECT_LT(std::sqrt(squares / kCount), 0.85 * made.norm());
    EXPECT_GT(made.slack(), 0);
    EXPECT_GT(differences, 0) << "they are estimates";
  }
}

TEST_P(CentroidCodesTest, TellHowFarOffTheyAre) {
  Floats centroids = random_vectors(kCount, 1, 3);
  for (std::size_t i = 0; i < centroids.size() / 2; ++i) centroids[i] = 3 + (centroids[i] - 3) / 8;  // some lie closer
  const Codebook many = book(std::move(centroids));
  const std::span<const float> errors = many.clusters.codes().errors();
  ASSERT_EQ(errors.size(), kCount);
  double near = 0, far = 0;
  for (int i = 0; i < 8; ++i) {
    CodeQuery made = prepared(many, random_vectors(1, 1));
    for (std::size_t list = 0; list < kCount; ++list) {
      const double error = (made.near_bases()[list] - made.base(list)) / (made.norm() * errors[list]);
      (list < kCount / 2 ? near : far) += error * error / (4.0 * kCount);
    }
  }
  EXPECT_NEAR(std::sqrt(near), 1, 0.15);
  EXPECT_NEAR(std::sqrt(far), 1, 0.15);
}

TEST_P(CentroidCodesTest, AreNotMadeOfFewCentroids) {
  const Codebook few = book(random_vectors(CentroidCodes::kMin - 1, 1));
  EXPECT_TRUE(few.clusters.codes().empty());
  const Floats query = random_vectors(1, 1);
  CodeQuery made = prepared(few, query);
  for (std::size_t list = 0; list < few.clusters.count(); ++list) ASSERT_EQ(made.base(list), made.near_bases()[list]);
}

TEST_P(CentroidCodesTest, GiveWayToFloatsWhereProductsOverflow) {
  const Codebook many = book(random_vectors(kCount, 1e20F));
  const Floats query = random_vectors(1, 1e19F);
  CodeQuery made = prepared(many, query);
  EXPECT_EQ(made.slack(), 0);
  for (std::size_t list = 0; list < kCount; ++list) {
    ASSERT_TRUE(std::isfinite(made.base(list)));
    ASSERT_TRUE(std::isfinite(made.near_bases()[list]));
  }
}

INSTANTIATE_TEST_SUITE_P(Metrics, CentroidCodesTest,
                         testing::Values(Metric::InnerProduct, Metric::Cosine, Metric::SquaredL2),
                         [](const auto& metric) { return std::to_string(static_cast<int>(metric.param)); });

}  // namespace
}  // namespace mneme::index
