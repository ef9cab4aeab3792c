// Mneme under measurement: a database with one space that holds the data set, used through the public API only.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "mneme/mneme.h"
#include "search/subject.h"

namespace mneme::bench {

/// How a search of ours is asked for: the promise is the engine's, so there is no knob to turn.
struct Ask {
  float target = 0.95F;
  Filter filter;
};

class Ours {
 public:
  /// Makes a database in `directory`, which is emptied first and removed at the end.
  Ours(const Dataset& dataset, std::string directory);
  ~Ours();
  Ours(const Ours&) = delete;
  Ours& operator=(const Ours&) = delete;

  /// Puts every row, durably, in batches of 256, and waits until a search at 0.95 runs at its steady speed.
  /// Seconds from empty to the first moment of that speed; bytes are the growth of this process.
  struct Loaded {
    Built built;
    double put_seconds = 0;   // until the last row was acknowledged
    double index_bytes = 0;   // per vector, as the space reports it
    std::size_t missing = 0;  // of 100 rows asked for right after their acknowledgement
  };
  Loaded load();

  /// Row numbers of the k nearest, best first.
  std::vector<std::int32_t> rows_of(std::span<const float> query, std::size_t k, const Ask& ask) const;
  /// Over all queries that have exact answers, asked one by one or in one batch.
  double recall(std::size_t k, const Ask& ask, bool batch) const;
  Timing time(const Ask& ask, const Run& run) const;
  /// As time(), one query at a time, each with a filter of its own.
  Timing time_filtered(float target, const std::vector<Filter>& filters, const Run& run) const;

  /// Searches for query i, with filters[i % size], where there is nothing left to prepare. Lives as long as this.
  std::function<void(std::size_t query)> single_search(float target, std::size_t k,
                                                       const std::vector<Filter>& filters) const;

  const Dataset& dataset() const { return dataset_; }
  Database& database() const { return *db_; }
  const Space& space() const { return *space_; }
  Node node_of(std::size_t row) const;  ///< as it is stored

 private:
  void put_all(Loaded& loaded);
  double wait_until_steady() const;

  const Dataset& dataset_;
  std::string directory_;
  std::unique_ptr<Database> db_;
  std::optional<Space> space_;
  std::unordered_map<NodeId, std::int32_t> row_of_;
};

/// Runs `work`; what the engine starts for a call within shares so many threads.
void with_threads(unsigned threads, const std::function<void()>& work);

/// Filters by the labels that Ours::node_of gives a row.
Filter pos_filter(const std::string& pos);
Filter group_filter(const std::string& group);

}  // namespace mneme::bench
