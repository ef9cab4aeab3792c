// What a run is asked to do, and the questions it can answer.
#pragma once

#include <string>
#include <vector>

#include "search/ours.h"
#include "search/points.h"

namespace mneme::bench {

struct Plan {
  std::string dataset = "wordnet-minilm";
  std::size_t rows = 0;     // 0 = all, or 1,000,000
  std::size_t queries = 0;  // 0 = 2,000 of wordnet-minilm, 1,000 of clustered-1m-768
  unsigned threads = 1;     // of a batch; single queries take one
  double seconds = 1;       // of each timed loop
  std::size_t rounds = 3;
  std::size_t batch_queries = 2000;       // in one call
  std::size_t sweep_batch_queries = 500;  // … while a peer's knobs are swept
  std::size_t sweep_stride = 1;           // only every so many settings of a ladder are tried
  std::vector<std::size_t> ks{10, 100, 800};
  std::vector<double> targets{0.95, 0.99};
  std::string peers = "all";
  std::string data_dir, out = "build/bench/search.json", python;
  std::vector<std::string> only;  // empty = all
  bool wants(const std::string& question) const;
};

/// single and batch: every peer is built, its knobs are swept, and at each point its fastest setting that reaches the
/// target is timed in turn with ours.
void compare_with_peers(const Plan& plan, const Ours& ours, const Ours::Loaded& loaded, Findings& findings);
/// Recall and speed with filters, against no filter, in turn.
void measure_filters(const Plan& plan, const Ours& ours, const Ours::Loaded& loaded, Findings& findings);
/// Latency of searches while another thread puts 1,000 nodes a second, against idle. Adds rows: comes last.
void measure_writes(const Plan& plan, const Ours& ours, Findings& findings);

/// A line of text for the end of the run, made as by printf.
[[gnu::format(printf, 1, 2)]] std::string line(const char* format, ...);

}  // namespace mneme::bench
