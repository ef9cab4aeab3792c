// What is searched: rows, queries, exact answers, and labels to filter by.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "search/npy.h"

namespace mneme::bench {

inline constexpr std::size_t kTruthDepth =
    1000;  // exact neighbours known of each query, fewer when there are fewer rows

/// What a row is filtered by. The random tags hold a row with 50, 10, 1 and 0.1 %.
struct Labels {
  std::string pos, group;  // part of speech and lexicographer file, or a random letter and a range of clusters
  std::array<bool, 4> tags{};
};
inline constexpr std::array<const char*, 4> kTagNames{"half", "tenth", "hundredth", "thousandth"};
inline constexpr std::array<double, 4> kTagShares{0.5, 0.1, 0.01, 0.001};

/// Rows, queries and answers are files of the cache folder, so that other processes map the same bytes.
struct Dataset {
  std::string name;
  std::string rows_path, queries_path, truth_path;
  MappedNpy rows, queries, truth;  // truth is empty until it is made: make_truth()
  std::vector<std::string> contents;
  std::vector<Labels> labels;             // of each row
  std::vector<std::string> query_groups;  // the group that each query asks about
  std::size_t truth_queries = 0;          // the first so many queries have exact answers

  std::size_t size() const { return rows.rows(); }
  std::size_t dimension() const { return rows.columns(); }
  std::span<const float> row(std::size_t i) const { return rows.values<float>().subspan(i * dimension(), dimension()); }
  std::span<const float> query(std::size_t i) const {
    return queries.values<float>().subspan(i * dimension(), dimension());
  }
  bool has_truth() const { return truth.rows() > 0; }
  /// The share of the first k exact neighbours of query `i` that are among `found`, at most k of them.
  double recall(std::size_t i, std::span<const std::int32_t> found, std::size_t k) const;
};

/// wordnet-minilm from `data_dir`, `rows_max` of its rows (0 = all). nullopt, after saying why, when it is not there.
std::optional<Dataset> wordnet_dataset(const std::string& data_dir, const std::string& cache, std::size_t rows_max,
                                       std::size_t queries_max);
/// clustered-1m-768: made from a fixed seed once, then read from the cache.
Dataset clustered_dataset(const std::string& cache, std::size_t rows, std::size_t queries_max);

/// Asks `exact` for the neighbours of every query, checks three answers by itself, and keeps them in the cache.
void make_truth(Dataset& dataset,
                const std::function<std::vector<std::int32_t>(std::size_t query, std::size_t k)>& exact);

/// A number that depends on its input alone and looks random.
std::uint64_t mix(std::uint64_t value);
std::array<bool, 4> random_tags(std::size_t row);

}  // namespace mneme::bench
