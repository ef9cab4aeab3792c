// What is measured, ours or a peer, and how: one interface, so that all are timed by the same loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "search/dataset.h"

namespace mneme::bench {

/// One loop for `seconds`: single = one query at a time, batch = the first `batch_queries` in one call, at least once.
struct Run {
  bool batch = false;
  std::size_t batch_queries = 0;
  std::size_t k = 10;
  unsigned threads = 1;
  double seconds = 1;
};

struct Timing {
  double qps = 0, p50_us = 0, p99_us = 0;  // latency of a call: one query, or the whole batch
  double cores = 0;                        // processor time per time, of the whole process
};

/// Values of a peer's knobs, by their own names in its own order: {{"nprobe", 16}, {"k_factor", 4}}.
using Setting = std::vector<std::pair<std::string, double>>;
std::string to_text(const Setting& setting);

struct Built {
  double seconds = 0;
  double bytes_per_vector = 0;  // growth of the process's own memory
};

/// A library with its index in memory. One at a time lives.
class Peer {
 public:
  virtual ~Peer() = default;
  Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  virtual std::string name() const = 0;
  virtual bool is_exact() const { return false; }  // scans all rows: no build that could be compared
  virtual Built build(unsigned threads) = 0;
  /// Ladders of settings, each in order of rising effort; a sweep climbs each until recall is high enough.
  virtual std::vector<std::vector<Setting>> ladders(std::size_t k) const = 0;
  virtual double recall(const Setting& setting, std::size_t k) = 0;  // over all queries that have exact answers
  virtual Timing time(const Setting& setting, const Run& run) = 0;
};

/// A peer in this process: it only searches.
class LocalPeer : public Peer {
 public:
  explicit LocalPeer(const Dataset& dataset) : dataset_(dataset) {}
  double recall(const Setting& setting, std::size_t k) override;
  Timing time(const Setting& setting, const Run& run) override;

 protected:
  virtual void configure(const Setting& setting, unsigned threads) = 0;
  /// Row numbers of the k best of each query into `rows`, −1 where there are fewer.
  virtual void search(std::span<const float> queries, std::size_t k, std::span<std::int64_t> rows) = 0;
  /// Runs `make` and says how long it took and what it left in memory.
  Built measure_build(const std::function<void()>& make) const;
  const Dataset& dataset() const { return dataset_; }

 private:
  const Dataset& dataset_;
};

/// Calls `search(query)` for queries 0, 1, … in turn until the time is over.
Timing time_single(std::size_t queries, double seconds, const std::function<void(std::size_t)>& search);
/// Calls `search()`, which answers `queries` queries, until the time is over.
Timing time_batch(std::size_t queries, double seconds, const std::function<void()>& search);

/// The value below which `share` of the values lie; reorders them.
double percentile(std::vector<double>& values, double share);

/// Bytes that this process holds for itself: anonymous memory, mapped files left out.
double resident_bytes();
double processor_seconds();  // of the whole process
double seconds_now();
unsigned all_cores();

/// Which peers of this machine can run, by `wanted`: "all", "none" or names, separated by commas, that a peer's name
/// starts with. A reason is said for each that cannot.
using MakePeer = std::function<std::unique_ptr<Peer>()>;
std::vector<MakePeer> make_peers(const Dataset& dataset, const std::string& wanted, const std::string& python);

std::unique_ptr<Peer> make_debian_hnswlib(const Dataset& dataset);
std::unique_ptr<Peer> make_debian_faiss(const Dataset& dataset, const std::string& factory);
std::unique_ptr<Peer> make_python_peer(const Dataset& dataset, const std::string& name, const std::string& python);

/// Efforts from `from` on, each a quarter more than the last, up to `to`.
std::vector<double> geometric(double from, double to, double factor = 1.25);
/// Lists of an inverted file over so many rows: the power of two next to 1.5 √n.
std::size_t list_count(std::size_t rows);

}  // namespace mneme::bench
