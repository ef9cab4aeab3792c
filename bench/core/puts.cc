// Durable puts: one writer, eight writers, batches.

#include <atomic>
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

struct OpenDatabase {
  std::string path;
  std::unique_ptr<Database> db;
  Space space;
};

OpenDatabase fresh(const Settings& settings) {
  const std::string path = settings.directory + "/put";
  std::filesystem::remove_all(path);
  DatabaseOptions options;
  options.create_if_missing = true;
  options.default_dimension = kDimension;
  Result<std::unique_ptr<Database>> db = Database::open(path, options);
  require(db.ok(), db.status().to_string());
  Result<Space> space = (*db)->create_space("bench");
  require(space.ok(), space.status().to_string());
  return {path, std::move(*db), *space};
}

// Nodes put per second by `threads` writers in batches of `batch`, each acknowledged durable.
double puts_per_second(const Settings& settings, unsigned threads, std::size_t batch_size, double* p99_us) {
  OpenDatabase target = fresh(settings);
  std::atomic<std::uint64_t> count{0};
  std::vector<std::vector<double>> latencies(threads);
  const auto begin = Clock::now();
  std::vector<std::thread> writers;
  for (unsigned t = 0; t < threads; ++t) {
    writers.emplace_back([&, t] {
      std::mt19937_64 random(t);
      std::vector<Node> prepared;
      for (std::size_t i = 0; i < std::max<std::size_t>(batch_size, 64); ++i) prepared.push_back(random_node(random));
      std::size_t at = 0;
      while (since(begin) < settings.seconds) {
        Batch batch;
        for (std::size_t i = 0; i < batch_size; ++i) {
          const Result<NodeId> id = batch.put(target.space, prepared[at++ % prepared.size()]);
          require(id.ok(), id.status().to_string());
        }
        const auto start = Clock::now();
        const Result<Lsn> written = target.db->write(batch);
        require(written.ok(), written.status().to_string());
        latencies[t].push_back(since(start) * 1e6);
        count.fetch_add(batch_size, std::memory_order_relaxed);
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  const double rate = static_cast<double>(count) / since(begin);
  std::vector<double> all;
  for (const auto& one : latencies) all.insert(all.end(), one.begin(), one.end());
  std::sort(all.begin(), all.end());
  if (p99_us != nullptr && !all.empty()) *p99_us = all[all.size() * 99 / 100];
  require(target.db->close().ok(), "close");
  std::filesystem::remove_all(target.path);
  return rate;
}

std::vector<Figure> durable(const Settings& settings, unsigned threads) {
  std::vector<double> ours, raw, rocks, p99s, to_raw, to_rocks;
  for (unsigned round = 0; round < settings.rounds; ++round) {
    double p99 = 0;
    raw.push_back(synced_appends_per_second(settings.directory, 4096, settings.seconds) * threads);
    ours.push_back(puts_per_second(settings, threads, 1, &p99));
    rocks.push_back(rocksdb_synced_writes_per_second(settings.directory, threads, settings.seconds));
    p99s.push_back(p99);
    to_raw.push_back(ours.back() / raw.back());
    to_rocks.push_back(ours.back() / rocks.back());
    say("  " + std::to_string(threads) + " writers: " + std::to_string(ours.back()) + "/s, limit " +
        std::to_string(raw.back()) + ", RocksDB " + std::to_string(rocks.back()));
  }
  const std::string name = "put_sync_" + std::to_string(threads) + (threads == 1 ? "_writer" : "_writers");
  const std::string limit = threads == 1 ? "1 / fdatasync" : std::to_string(threads) + " / fdatasync";
  char note[160];
  std::snprintf(note, sizeof note, "p99 %.0f us; pair by pair: %.2f of the limit, %.2f x RocksDB", median(p99s),
                median(to_raw), median(to_rocks));
  return {
      {.name = name, .value = median(ours), .unit = "nodes/s", .limit = median(raw), .limit_name = limit, .note = note},
      {.name = name + "_vs_rocksdb",
       .value = median(ours),
       .unit = "nodes/s",
       .limit = median(rocks),
       .limit_name = "RocksDB, sync = true, same threads",
       .note = {}}};
}

Figure batches(const Settings& settings) {
  constexpr std::size_t kBatch = 256;
  std::vector<double> ours, raw, ratios;
  std::mt19937_64 random(0);
  const std::uint64_t node_bytes = NodeRecord::from_node(random_node(random))->encoding_bytes();
  for (unsigned round = 0; round < settings.rounds; ++round) {
    raw.push_back(synced_appends_per_second(settings.directory, kBatch * node_bytes, settings.seconds) * kBatch *
                  static_cast<double>(node_bytes) / 1e6);
    ours.push_back(puts_per_second(settings, 1, kBatch, nullptr) * static_cast<double>(node_bytes) / 1e6);
    ratios.push_back(ours.back() / raw.back());
    say("  batches of 256: " + std::to_string(ours.back()) + " MB/s, limit " + std::to_string(raw.back()));
  }
  char note[160];
  std::snprintf(note, sizeof note, "%.0f nodes/s of %llu bytes, one writer; pair by pair: %.2f of the limit",
                median(ours) * 1e6 / static_cast<double>(node_bytes), static_cast<unsigned long long>(node_bytes),
                median(ratios));
  return {.name = "put_batch_256",
          .value = median(ours),
          .unit = "MB/s",
          .limit = median(raw),
          .limit_name = "append + fdatasync of as many bytes",
          .note = note};
}

}  // namespace

std::vector<Figure> bench_puts(const Settings& settings) {
  std::vector<Figure> figures;
  for (const unsigned threads : {1U, 8U}) {
    if (!settings.wants(threads == 1 ? "put_sync_1_writer" : "put_sync_8_writers")) continue;
    for (Figure& figure : durable(settings, threads)) figures.push_back(std::move(figure));
  }
  if (settings.wants("put_batch_256")) figures.push_back(batches(settings));
  return figures;
}

}  // namespace mneme::bench
