#include "search/dataset.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "core/report.h"
#include "mneme/base/json.h"

namespace mneme::bench {
namespace {

namespace fs = std::filesystem;

std::string text_of(const Value& object, std::string_view key) {
  const Value* member = object.find(key);
  const std::string* text = member == nullptr ? nullptr : member->get_if<std::string>();
  require(text != nullptr, "json lines: no text named " + std::string(key));
  return *text;
}

std::vector<Value> json_lines(const std::string& path, std::size_t lines_max) {
  std::ifstream file(path);
  require(file.good(), "open " + path);
  std::vector<Value> values;
  for (std::string line; values.size() < lines_max && std::getline(file, line);) {
    Result<Value> value = parse_json(line);
    require(value.ok(), path + ": " + value.status().to_string());
    values.push_back(std::move(*value));
  }
  return values;
}

// Some of the rows are taken evenly from all, since neighbours in the file share their labels.
std::size_t given_row(std::size_t row, std::size_t rows, std::size_t all) { return row * (all / rows); }

void widen_rows(const std::string& from, const std::string& to, std::size_t rows) {
  const MappedNpy halves(from);
  require(halves.type() == "<f2", from + ": not float16");
  NpyWriter writer(to, rows, halves.columns(), "<f4");
  std::vector<float> row(halves.columns());
  for (std::size_t i = 0; i < rows; ++i) {
    const auto source =
        halves.values<std::uint16_t>().subspan(given_row(i, rows, halves.rows()) * row.size(), row.size());
    std::transform(source.begin(), source.end(), row.begin(), widen);
    writer.append(std::as_bytes(std::span(row)));
  }
  writer.finish();
}

void read_labels(Dataset& dataset, const std::string& data_dir, std::size_t all) {
  std::unordered_map<std::string, std::string> group_of;
  std::size_t at = 0;
  for (const Value& line : json_lines(data_dir + "/wordnet.jsonl", ~std::size_t{0})) {
    const Value* metadata = line.find("metadata");
    require(metadata != nullptr, "wordnet.jsonl: no metadata");
    const std::string group = text_of(*metadata, "lexname");
    group_of[text_of(line, "id")] = group;
    if (at++ != given_row(dataset.labels.size(), dataset.size(), all) || dataset.labels.size() == dataset.size())
      continue;
    dataset.labels.push_back({text_of(*metadata, "pos"), group, random_tags(dataset.labels.size())});
    dataset.contents.push_back(text_of(line, "content"));
  }
  require(dataset.labels.size() == dataset.size(), "wordnet.jsonl has fewer lines than there are embeddings");
  for (const Value& line : json_lines(data_dir + "/queries.jsonl", dataset.queries.rows()))
    dataset.query_groups.push_back(group_of[text_of(line, "relevant")]);
  require(dataset.query_groups.size() == dataset.queries.rows(), "queries.jsonl has fewer lines than queries");
}

double inner_product(std::span<const float> a, std::span<const float> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0, std::plus<>(),
                            [](float x, float y) { return static_cast<double>(x) * y; });
}

// Whether no row outside the answer is closer than the worst in it, by a plain loop over all rows.
bool is_exact(const Dataset& dataset, std::size_t query, std::span<const std::int32_t> answer) {
  const std::unordered_set<std::int32_t> members(answer.begin(), answer.end());
  double worst_inside = 2e9, best_outside = -2e9;
  for (std::size_t i = 0; i < dataset.size(); ++i) {
    const double score = inner_product(dataset.row(i), dataset.query(query));
    if (members.contains(static_cast<std::int32_t>(i)))
      worst_inside = std::min(worst_inside, score);
    else
      best_outside = std::max(best_outside, score);
  }
  return members.size() == answer.size() && worst_inside >= best_outside - 1e-6;
}

}  // namespace

std::uint64_t mix(std::uint64_t value) {  // SplitMix64's finaliser
  value += 0x9E3779B97F4A7C15ULL;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31);
}

std::array<bool, 4> random_tags(std::size_t row) {
  std::array<bool, 4> tags{};
  for (std::size_t i = 0; i < tags.size(); ++i)
    tags[i] = static_cast<double>(mix(row * 4 + i) >> 11) * 0x1p-53 < kTagShares[i];
  return tags;
}

double Dataset::recall(std::size_t i, std::span<const std::int32_t> found, std::size_t k) const {
  const std::size_t depth = std::min({k, truth.columns(), size()});
  const auto best = truth.values<std::int32_t>().subspan(i * truth.columns(), depth);
  std::vector<std::int32_t> wanted(best.begin(), best.end());
  std::vector<std::int32_t> got(found.begin(),
                                found.begin() + static_cast<std::ptrdiff_t>(std::min(found.size(), depth)));
  std::sort(wanted.begin(), wanted.end());
  std::sort(got.begin(), got.end());
  got.erase(std::unique(got.begin(), got.end()), got.end());  // a row named twice counts once
  std::vector<std::int32_t> both;
  std::set_intersection(wanted.begin(), wanted.end(), got.begin(), got.end(), std::back_inserter(both));
  return static_cast<double>(both.size()) / static_cast<double>(depth);
}

std::optional<Dataset> wordnet_dataset(const std::string& data_dir, const std::string& cache, std::size_t rows_max,
                                       std::size_t queries_max) {
  const std::string given = data_dir + "/";
  for (const char* file : {"wordnet-minilm.f16.npy", "queries-minilm.f32.npy", "groundtruth-ip-1000.i32.npy",
                           "wordnet.jsonl", "queries.jsonl"}) {
    if (!data_dir.empty() && fs::exists(given + file)) continue;
    say("bench: wordnet-minilm is skipped: no " + (data_dir.empty() ? file : given + file) +
        "; name its folder by --data-dir or MNEME_DATA_DIR");
    return std::nullopt;
  }
  Dataset dataset;
  dataset.name = "wordnet-minilm";
  const std::size_t all = MappedNpy(given + "wordnet-minilm.f16.npy").rows();
  const std::size_t rows = rows_max == 0 ? all : std::min(all, rows_max);
  const std::string stem = cache + "/wordnet-minilm-" + std::to_string(rows);
  dataset.rows_path = stem + "-rows.f32.npy";
  if (!fs::exists(dataset.rows_path)) widen_rows(given + "wordnet-minilm.f16.npy", dataset.rows_path, rows);
  dataset.rows = MappedNpy(dataset.rows_path);
  dataset.queries_path = given + "queries-minilm.f32.npy";
  dataset.queries = MappedNpy(dataset.queries_path);
  // The answers that come with the data are over all rows.
  dataset.truth_queries = std::min(queries_max, dataset.queries.rows());
  dataset.truth_path = rows == all ? given + "groundtruth-ip-1000.i32.npy"
                                   : stem + "-truth-" + std::to_string(dataset.truth_queries) + ".i32.npy";
  if (fs::exists(dataset.truth_path)) dataset.truth = MappedNpy(dataset.truth_path);
  read_labels(dataset, data_dir, all);
  return dataset;
}

void make_truth(Dataset& dataset,
                const std::function<std::vector<std::int32_t>(std::size_t query, std::size_t k)>& exact) {
  const std::size_t depth = std::min(kTruthDepth, dataset.size());
  std::vector<std::int32_t> all;
  for (std::size_t i = 0; i < dataset.truth_queries; ++i) {
    const std::vector<std::int32_t> answer = exact(i, depth);
    require(answer.size() == depth, "exact search returned fewer rows than there are");
    all.insert(all.end(), answer.begin(), answer.end());
  }
  for (const std::size_t i : {std::size_t{0}, dataset.truth_queries / 2, dataset.truth_queries - 1})
    require(is_exact(dataset, i, std::span(all).subspan(i * depth, depth)), "exact search is not exact");
  write_npy(dataset.truth_path, std::span<const std::int32_t>(all), depth);
  dataset.truth = MappedNpy(dataset.truth_path);
}

}  // namespace mneme::bench
