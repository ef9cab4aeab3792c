#include "search/ours.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "core/report.h"

namespace mneme::bench {
namespace {

constexpr std::size_t kBatchRows = 256;

// The two calls under measurement: what a caller pays for is all in them.
using Hits = std::vector<Neighbour>;

Hits nearest(const Space& space, const Query& query) {
  auto hits = space.nearest(query);
  require(hits.ok(), hits.status().to_string());
  return std::move(*hits);
}

std::vector<Hits> nearest_batch(const Space& space, std::span<const float> queries, const Query& shape) {
  auto hits = space.nearest_batch(queries, shape);
  require(hits.ok(), hits.status().to_string());
  return std::move(*hits);
}

std::vector<std::int32_t> rows_of_hits(const Hits& hits, const std::unordered_map<NodeId, std::int32_t>& row_of) {
  std::vector<std::int32_t> rows;
  for (const Neighbour& hit : hits) {
    const auto found = row_of.find(hit.id);
    rows.push_back(found == row_of.end() ? -1 : found->second);
  }
  return rows;
}

Query shape_of(std::size_t k, float target, const Filter& filter) {
  Query query;
  query.k = k;
  query.recall_target = target;
  query.filter = filter;
  return query;
}

}  // namespace

void with_threads(unsigned threads, const std::function<void()>& work) {
  tbb::task_arena arena(static_cast<int>(threads));
  arena.execute(work);
}

Filter pos_filter(const std::string& pos) { return Filter::eq("metadata.pos", Value(pos)); }
Filter group_filter(const std::string& group) { return Filter::eq("metadata.lexname", Value(group)); }

Ours::Ours(const Dataset& dataset, std::string directory) : dataset_(dataset), directory_(std::move(directory)) {
  std::filesystem::remove_all(directory_);
  DatabaseOptions options;
  options.create_if_missing = true;
  auto db = Database::open(directory_, options);
  require(db.ok(), db.status().to_string());
  db_ = std::move(*db);
  const auto space = db_->create_space("bench", {.dimension = static_cast<std::uint32_t>(dataset.dimension()),
                                                 .metric = Metric::InnerProduct,
                                                 .model = dataset.name});
  require(space.ok(), space.status().to_string());
  space_ = *space;
}

Ours::~Ours() {
  db_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

Node Ours::node_of(std::size_t row) const {
  const Labels& labels = dataset_.labels[row];
  Node node;
  node.content = dataset_.contents[row];
  node.metadata = Value(Value::Object{{"pos", labels.pos}, {"lexname", labels.group}});
  for (std::size_t i = 0; i < labels.tags.size(); ++i)
    if (labels.tags[i]) node.tags.emplace_back(kTagNames[i]);
  const auto values = dataset_.row(row);
  node.vectors.push_back({GenerationId{0}, std::vector<float>(values.begin(), values.end())});
  return node;
}

Ours::Loaded Ours::load() {
  Loaded loaded;
  const double before = resident_bytes(), begin = seconds_now();
  put_all(loaded);
  loaded.put_seconds = seconds_now() - begin;
  loaded.built.seconds = wait_until_steady() - begin;
  loaded.built.bytes_per_vector = (resident_bytes() - before) / static_cast<double>(dataset_.size());
  const auto stats = space_->stats();
  require(stats.ok() && stats->vectors == dataset_.size(), "the space does not hold every row");
  loaded.index_bytes = static_cast<double>(stats->index_bytes) / static_cast<double>(dataset_.size());
  return loaded;
}

void Ours::put_all(Loaded& loaded) {
  const std::size_t probe_every = std::max<std::size_t>(1, dataset_.size() / kBatchRows / 100);
  for (std::size_t first = 0, batches = 0; first < dataset_.size(); first += kBatchRows, ++batches) {
    Batch batch;
    const std::size_t end = std::min(first + kBatchRows, dataset_.size());
    for (std::size_t row = first; row < end; ++row) {
      const auto id = batch.put(*space_, node_of(row));
      require(id.ok(), id.status().to_string());
      row_of_[*id] = static_cast<std::int32_t>(row);
    }
    const auto written = db_->write(batch, Durability::Sync);
    require(written.ok(), written.status().to_string());
    if (batches % probe_every != 0) continue;
    // A row is its own nearest neighbour; of rows that are the same in all but name any will do.
    const auto found = rows_of(dataset_.row(end - 1), 1, {.target = 0.95F, .filter = {}});
    if (found.empty() || (found[0] != static_cast<std::int32_t>(end - 1) &&
                          !std::ranges::equal(dataset_.row(static_cast<std::size_t>(found[0])), dataset_.row(end - 1))))
      ++loaded.missing;
  }
}

// Short windows of searches, until the process does nothing between them; the steady speed is that of the last five, and
// it was reached with the first window after which none was slower than four fifths of it.
double Ours::wait_until_steady() const {
  constexpr double kWindowSeconds = 0.05, kPauseSeconds = 0.2, kIdleCores = 0.05, kSecondsMax = 1800;
  constexpr std::size_t kSteadyWindows = 5;
  std::vector<std::pair<double, double>> windows;  // when it began, queries per second
  std::size_t idle = 0;
  for (const double begin = seconds_now(); idle < kSteadyWindows && seconds_now() - begin < kSecondsMax;) {
    const double at = seconds_now();
    std::size_t searches = 0;
    with_threads(1, [&] {
      for (; searches < 5 || seconds_now() - at < kWindowSeconds; ++searches)
        (void)rows_of(dataset_.query((windows.size() * 37 + searches) % dataset_.truth_queries), 10, {});
    });
    windows.emplace_back(at, static_cast<double>(searches) / (seconds_now() - at));
    const double processor = processor_seconds();
    std::this_thread::sleep_for(std::chrono::duration<double>(kPauseSeconds));
    idle = processor_seconds() - processor < kIdleCores * kPauseSeconds ? idle + 1 : 0;
  }
  std::vector<double> last;
  for (std::size_t i = windows.size() - std::min(windows.size(), kSteadyWindows); i < windows.size(); ++i)
    last.push_back(windows[i].second);
  const double steady = median(last);
  std::size_t first = windows.size() - 1;
  while (first > 0 && windows[first - 1].second >= 0.8 * steady) --first;
  return windows[first].first;
}

std::vector<std::int32_t> Ours::rows_of(std::span<const float> query, std::size_t k, const Ask& ask) const {
  Query shape = shape_of(k, ask.target, ask.filter);
  shape.vector.assign(query.begin(), query.end());
  return rows_of_hits(nearest(*space_, shape), row_of_);
}

double Ours::recall(std::size_t k, const Ask& ask, bool batch) const {
  const std::size_t queries = dataset_.truth_queries;
  std::vector<double> each(queries);
  if (batch) {
    const auto values = dataset_.queries.values<float>().first(queries * dataset_.dimension());
    const std::vector<Hits> hits = nearest_batch(*space_, values, shape_of(k, ask.target, ask.filter));
    require(hits.size() == queries, "a batch has fewer answers than queries");
    for (std::size_t i = 0; i < queries; ++i) each[i] = dataset_.recall(i, rows_of_hits(hits[i], row_of_), k);
  } else {
    tbb::parallel_for(std::size_t{0}, queries,
                      [&](std::size_t i) { each[i] = dataset_.recall(i, rows_of(dataset_.query(i), k, ask), k); });
  }
  double total = 0;
  for (const double one : each) total += one;
  return total / static_cast<double>(queries);
}

Timing Ours::time(const Ask& ask, const Run& run) const {
  if (!run.batch) return time_filtered(ask.target, {ask.filter}, run);
  Timing timing;
  const Query shape = shape_of(run.k, ask.target, ask.filter);
  with_threads(run.threads, [&] {
    const auto queries = dataset_.queries.values<float>().first(run.batch_queries * dataset_.dimension());
    timing = time_batch(run.batch_queries, run.seconds, [&] { (void)nearest_batch(*space_, queries, shape); });
  });
  return timing;
}

std::function<void(std::size_t)> Ours::single_search(float target, std::size_t k,
                                                     const std::vector<Filter>& filters) const {
  std::vector<Query> shapes;  // a caller has its query ready
  for (std::size_t i = 0; i < dataset_.truth_queries; ++i) {
    shapes.push_back(shape_of(k, target, filters[i % filters.size()]));
    shapes.back().vector.assign(dataset_.query(i).begin(), dataset_.query(i).end());
  }
  return [this, shapes = std::move(shapes)](std::size_t i) { (void)nearest(*space_, shapes[i % shapes.size()]); };
}

Timing Ours::time_filtered(float target, const std::vector<Filter>& filters, const Run& run) const {
  const auto search = single_search(target, run.k, filters);
  Timing timing;
  with_threads(run.threads, [&] { timing = time_single(dataset_.truth_queries, run.seconds, search); });
  return timing;
}

}  // namespace mneme::bench
