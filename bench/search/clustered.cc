// clustered-1m-768: rows around centres of unequal weight, queries from a mixture that is shifted from the rows.
//
// A centre is a point of a 96-dimensional subspace, so that clusters lie near each other as topics do. Around it rows
// spread along 24 directions of its own, the spread falling with 1/√(1+j), and a little in all directions. A query
// stands between two centres that are drawn without regard to their weight, wider spread, and moved by a vector common
// to all queries. Everything is normalised. The same bytes come from the same seed with any number of threads.

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/report.h"
#include "search/dataset.h"

namespace mneme::bench {
namespace {

constexpr std::size_t kDimension = 768, kCentres = 2000, kDirections = 24, kTopicDimension = 96, kGroups = 50;
constexpr std::size_t kQueries = 2000, kRowsAtOnce = 20'000;
constexpr std::uint64_t kSeed = 20'240'917;
constexpr float kCentreLength = 1.0F, kSpread = 0.55F, kNoise = 0.35F;

// Random numbers that depend on a stream's number alone.
class Stream {
 public:
  explicit Stream(std::uint64_t number) : state_(mix(kSeed ^ mix(number))) {}
  std::uint64_t next() { return mix(state_++); }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  // The sum of four uniform numbers, scaled to variance 1: near enough to normal, and the same on every machine.
  float normal() {
    const std::uint64_t word = next();
    const auto sum =
        static_cast<float>((word & 0xFFFF) + ((word >> 16) & 0xFFFF) + ((word >> 32) & 0xFFFF) + (word >> 48));
    return (sum / 65536.0F - 2.0F) * 1.7320508F;
  }

 private:
  std::uint64_t state_;
};

void scale_to(std::span<float> values, float length) {
  double squares = 0;
  for (const float value : values) squares += static_cast<double>(value) * value;
  const float factor = length / static_cast<float>(std::sqrt(squares));
  for (float& value : values) value *= factor;
}

std::vector<float> normal_matrix(std::size_t rows, std::uint64_t stream) {
  Stream random(stream);
  std::vector<float> values(rows * kDimension);
  for (float& value : values) value = random.normal();
  for (std::size_t i = 0; i < rows; ++i) scale_to(std::span(values).subspan(i * kDimension, kDimension), 1);
  return values;
}

void add(std::span<float> to, std::span<const float> from, float factor) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += factor * from[i];
}

class Mixture {
 public:
  Mixture() : centres_(kCentres * kDimension), directions_(normal_matrix(kCentres * kDirections, 1)) {
    const std::vector<float> topics = normal_matrix(kTopicDimension, 2);
    Stream random(3);
    for (std::size_t c = 0; c < kCentres; ++c) {
      const std::span<float> centre = std::span(centres_).subspan(c * kDimension, kDimension);
      for (std::size_t t = 0; t < kTopicDimension; ++t)
        add(centre, std::span(topics).subspan(t * kDimension, kDimension), random.normal());
      scale_to(centre, kCentreLength);
    }
    double total = 0;
    for (std::size_t c = 0; c < kCentres; ++c) cumulative_.push_back(total += 1.0 / (20.0 + static_cast<double>(c)));
    for (double& weight : cumulative_) weight /= total;
    shift_ = normal_matrix(1, 4);
  }

  std::size_t centre_of_row(std::size_t row) const {
    const double at = Stream(1000 + 2 * row).uniform();
    const auto found = std::lower_bound(cumulative_.begin(), cumulative_.end(), at);
    return std::min(static_cast<std::size_t>(found - cumulative_.begin()), kCentres - 1);
  }
  std::size_t centre_of_query(std::size_t query) const { return mix(kSeed + query) % kCentres; }

  void fill_row(std::size_t row, std::span<float> into) const {
    Stream random(1001 + 2 * row);
    const std::size_t centre = centre_of_row(row);
    std::copy_n(centre_values(centre).begin(), kDimension, into.begin());
    spread(random, centre, into, 1);
    scale_to(into, 1);
  }
  void fill_query(std::size_t query, std::span<float> into) const {
    Stream random(~query);
    const std::size_t centre = centre_of_query(query), other = random.next() % kCentres;
    std::fill(into.begin(), into.end(), 0.0F);
    add(into, centre_values(centre), 0.75F);
    add(into, centre_values(other), 0.35F);
    add(into, shift_, 0.15F);
    spread(random, centre, into, 1.2F);
    scale_to(into, 1);
  }

 private:
  std::span<const float> centre_values(std::size_t centre) const {
    return std::span(centres_).subspan(centre * kDimension, kDimension);
  }
  void spread(Stream& random, std::size_t centre, std::span<float> into, float width) const {
    constexpr float kHarmonic = 3.776F;  // Σ 1/(1+j) over the directions
    for (std::size_t j = 0; j < kDirections; ++j) {
      const float factor = width * kSpread * random.normal() / std::sqrt(kHarmonic * static_cast<float>(1 + j));
      add(into, std::span(directions_).subspan((centre * kDirections + j) * kDimension, kDimension), factor);
    }
    const float noise = width * kNoise / std::sqrt(static_cast<float>(kDimension));
    for (float& value : into) value += noise * random.normal();
  }

  std::vector<float> centres_, directions_, shift_;
  std::vector<double> cumulative_;
};

template <class Fill>
void write_rows(const std::string& path, std::size_t rows, const Fill& fill) {
  NpyWriter writer(path, rows, kDimension, "<f4");
  std::vector<float> block;
  for (std::size_t first = 0; first < rows; first += kRowsAtOnce) {
    const std::size_t count = std::min(kRowsAtOnce, rows - first);
    block.resize(count * kDimension);
    tbb::parallel_for(std::size_t{0}, count,
                      [&](std::size_t i) { fill(first + i, std::span(block).subspan(i * kDimension, kDimension)); });
    writer.append(std::as_bytes(std::span(block)));
  }
  writer.finish();
}

std::string group_name(std::size_t centre) { return "group-" + std::to_string(centre * kGroups / kCentres); }

std::string letter(std::size_t row) {
  const std::uint64_t percent = mix(~row) % 100;
  return percent < 70 ? "n" : percent < 85 ? "a" : percent < 97 ? "v" : "r";
}

}  // namespace

Dataset clustered_dataset(const std::string& cache, std::size_t rows, std::size_t queries_max) {
  Dataset dataset;
  dataset.name = "clustered-1m-768";
  const std::string stem = cache + "/clustered-768-" + std::to_string(rows);
  dataset.truth_queries = std::min(queries_max, kQueries);
  dataset.rows_path = stem + "-rows.f32.npy";
  dataset.queries_path = cache + "/clustered-768-queries.f32.npy";
  dataset.truth_path = stem + "-truth-" + std::to_string(dataset.truth_queries) + ".i32.npy";
  const Mixture mixture;
  if (!std::filesystem::exists(dataset.queries_path))
    write_rows(dataset.queries_path, kQueries,
               [&](std::size_t i, std::span<float> into) { mixture.fill_query(i, into); });
  if (!std::filesystem::exists(dataset.rows_path)) {
    say("  making " + std::to_string(rows) + " rows of clustered-1m-768");
    write_rows(dataset.rows_path, rows, [&](std::size_t i, std::span<float> into) { mixture.fill_row(i, into); });
  }
  dataset.rows = MappedNpy(dataset.rows_path);
  dataset.queries = MappedNpy(dataset.queries_path);
  if (std::filesystem::exists(dataset.truth_path)) dataset.truth = MappedNpy(dataset.truth_path);
  for (std::size_t i = 0; i < rows; ++i) {
    dataset.labels.push_back({letter(i), group_name(mixture.centre_of_row(i)), random_tags(i)});
    dataset.contents.push_back("row " + std::to_string(i));
  }
  for (std::size_t i = 0; i < kQueries; ++i) dataset.query_groups.push_back(group_name(mixture.centre_of_query(i)));
  return dataset;
}

}  // namespace mneme::bench
