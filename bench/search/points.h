// What was found: points of the comparison, the table and the files they are written to.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "mneme/base/value.h"
#include "search/subject.h"

namespace mneme::bench {

/// One line of the JSON list.
struct Point {
  std::string system, dataset, mode;  // mode: single, batch
  std::size_t k = 0;
  double target = 0, recall = 0;
  Timing timing;
  Built built;
  unsigned threads = 1;
  std::string filter;   // empty = none
  std::string setting;  // of a peer
  Value to_value() const;
};

/// Ours against one peer at one point.
struct Pair {
  Point ours, peer;
  double ratio = 0;  // of queries per second, the median of the rounds' ratios
};

/// Everything a run found, in the order it found it.
struct Findings {
  std::vector<Point> points;
  std::vector<Point> sweep;  // every setting of every peer that was tried
  std::vector<Pair> pairs;
  std::vector<std::string> lines;  // builds, filters, writes, memory: printed at the end
  Value::Array writes;             // latencies while writing, as series for the plot
  Value machine;
};

void print(const Findings& findings);
/// `out`, and beside it NAME-sweep.json and NAME-writes.json with what the plots show.
void write_files(const Findings& findings, const std::string& out);

}  // namespace mneme::bench
