// Hot gets and exact search.

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "calibrate.h"
#include "engine_benches.h"
#include "workload.h"

namespace mneme::bench {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

struct Loaded {
  std::string path;
  std::unique_ptr<Database> db;
  std::vector<NodeId> ids;
};

Loaded load(const Settings& settings, std::size_t nodes, std::uint64_t hot_bytes) {
  Loaded loaded{settings.directory + "/read", nullptr, {}};
  std::filesystem::remove_all(loaded.path);
  DatabaseOptions options;
  options.create_if_missing = true;
  options.default_dimension = kDimension;
  options.default_metric = Metric::InnerProduct;
  options.hot_bytes_max = hot_bytes;
  auto db = Database::open(loaded.path, options);
  require(db.ok(), db.status().to_string());
  loaded.db = std::move(*db);
  const Result<Space> space = loaded.db->create_space("bench");
  require(space.ok(), space.status().to_string());
  std::mt19937_64 random(3);
  while (loaded.ids.size() < nodes) {
    Batch batch;
    for (int i = 0; i < 512; ++i) {
      const Result<NodeId> id = batch.put(*space, random_node(random));
      require(id.ok(), id.status().to_string());
      loaded.ids.push_back(*id);
    }
    const Result<Lsn> written = loaded.db->write(batch, Durability::Memory);
    require(written.ok(), written.status().to_string());
  }
  return loaded;
}

// Gets in runs of 8, timed together: the clock itself costs too much for one.
Figure hot_get(const Settings& settings) {
  constexpr std::size_t kNodes = 50'000, kRun = 8;
  Loaded loaded = load(settings, kNodes, kGiB);
  const Space space = *loaded.db->space("bench");
  std::mt19937_64 random(4);
  std::vector<double> nanoseconds;
  std::uint64_t bytes = 0;
  const auto begin = Clock::now();
  while (since(begin) < settings.seconds) {
    NodeId ids[kRun];
    for (NodeId& id : ids) id = loaded.ids[random() % loaded.ids.size()];
    const auto start = Clock::now();
    for (const NodeId& id : ids) {
      const Result<NodeView> view = space.get(id);
      require(view.ok() && view->tier() == TierId::Hot, "a node is not hot");
      bytes += view->record()->body().size();
    }
    nanoseconds.push_back(since(start) * 1e9 / kRun);
  }
  require(bytes > 0, "hot get: nothing was read");
  std::sort(nanoseconds.begin(), nanoseconds.end());
  const double p50 = nanoseconds[nanoseconds.size() / 2], p99 = nanoseconds[nanoseconds.size() * 99 / 100];
  const double misses = two_memory_misses(256 * kMiB) * 1e9;
  char note[160];
  std::snprintf(note, sizeof note, "p50 of runs of 8 over 50,000 nodes at random, one thread; p99 %.0f ns", p99);
  loaded.db.reset();
  std::filesystem::remove_all(loaded.path);
  return {.name = "get_hot",
          .value = p50 / 1e3,
          .unit = "us",
          .limit = misses / 1e3,
          .limit_name = "two misses of memory",
          .less_is_better = true,
          .note = note};
}

std::vector<Figure> exact_search(const Settings& settings) {
  constexpr std::size_t kNodes = 200'000;
  Loaded loaded = load(settings, kNodes, 64 * kMiB);
  const Space space = *loaded.db->space("bench");
  std::mt19937_64 random(5);
  Query query;
  query.vector = random_vector(random);
  const auto first = space.search(query);  // loads the index
  require(first.ok(), first.status().to_string());
  const double bytes = static_cast<double>(loaded.ids.size()) * kDimension * sizeof(float);
  const unsigned threads = std::max(1U, std::thread::hardware_concurrency());
  std::vector<double> ours, limits, ratios;
  for (unsigned round = 0; round < settings.rounds; ++round) {
    limits.push_back(read_bandwidth(threads) / 1e9);
    std::size_t searches = 0;
    const auto begin = Clock::now();
    while (since(begin) < settings.seconds) {
      query.vector = random_vector(random);
      const auto hits = space.search(query);
      require(hits.ok() && hits->size() == query.k, "search");
      ++searches;
    }
    ours.push_back(bytes * static_cast<double>(searches) / since(begin) / 1e9);
    ratios.push_back(ours.back() / limits.back());
    say("  exact search: " + std::to_string(ours.back()) + " GB/s, limit " + std::to_string(limits.back()));
  }
  char note[200];
  std::snprintf(note, sizeof note,
                "%zu x %u float32, k = 10, one query at a time on %u threads, recall 1; pair by pair %.2f",
                loaded.ids.size(), kDimension, threads, median(ratios));
  loaded.db.reset();
  std::filesystem::remove_all(loaded.path);
  return {{.name = "search_exact_f32",
           .value = median(ours),
           .unit = "GB/s",
           .limit = median(limits),
           .limit_name = "read bandwidth, as many threads",
           .note = note}};
}

}  // namespace

std::vector<Figure> bench_reads(const Settings& settings) {
  std::vector<Figure> figures;
  if (settings.wants("get_hot")) figures.push_back(hot_get(settings));
  if (settings.wants("search_exact_f32"))
    for (Figure& figure : exact_search(settings)) figures.push_back(std::move(figure));
  return figures;
}

}  // namespace mneme::bench
