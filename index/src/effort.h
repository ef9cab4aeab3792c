// EffortTable: how hard a search must try to keep its promise, measured on the index's own rows.
//
// Queries of several kinds are answered as exactly as near_truth.h says, and then by the funnel at rising effort; the table keeps the cheapest
// effort whose recall reached the target in every kind, by k and target. A table is measured on made-up queries (a row,
// which does not count itself; the middle of two rows, where no row needs to be) or on queries that were asked. The
// latter asks for less, but only speaks for queries like those: such as lie as near to their nearest centroid.
#pragma once

#include <array>
#include <atomic>
#include <optional>
#include <span>
#include <vector>

#include "funnel_search.h"
#include "mneme/base/bytes.h"

namespace mneme::index {

class EffortTable {
 public:
  /// The effort for k neighbours at `recall_target`, of rows that are `growth` times those that this was measured on.
  /// @return nothing when only an exact search keeps the promise
  std::optional<Effort> find(std::size_t k, float recall_target, double growth = 1) const;
  /// One neighbour of a query is found or not: too few queries tell little of how often, and what was asked then takes no
  /// less than what the index's own rows took. `growth` is that of the rows since the latter was measured.
  void be_cautious_for_one(const EffortTable& of_own_rows, double growth);
  /// FunnelSearch's nearness of all but the outermost queries that this was measured on.
  float nearness_least() const { return nearness_least_; }
  float nearness_most() const { return nearness_most_; }

  /// As index/FORMAT.md draws it (effort_codec.cc).
  void encode(ByteWriter& out) const;
  static Result<EffortTable> decode(ByteReader& in);

  static constexpr std::array<std::size_t, 4> kNeighbours = {1, 10, 100, 800};
  static constexpr std::size_t kAskedMin = 192;     ///< queries asked that are enough to measure on
  static constexpr std::size_t kAskedForOne = 512;  ///< … for one neighbour, without be_cautious_for_one()
  static constexpr std::array<float, 3> kTargets = {0.90F, 0.95F, 0.99F};

 private:
  friend class Calibration;
  std::array<std::array<std::optional<Effort>, kTargets.size()>, kNeighbours.size()> efforts_;
  float nearness_least_ = 0, nearness_most_ = 0;
};

/// Measures on `asked`, at least EffortTable::kAskedMin queries, row-major; on made-up ones where it is empty. Uses
/// oneTBB. Pure but for time.
/// An empty table, which is never right but always safe, once `stop` is true.
/// Cost: two passes over all 1-bit codes for each of a few hundred queries, an exact search for a few of them, and some
/// hundred searches.
EffortTable calibrate(const ExactRows& rows, const Codebook& codebook, std::span<const CodeSegmentPtr> segments,
                      Slot delta_begin, const View& view, std::span<const float> asked, const std::atomic<bool>& stop);

}  // namespace mneme::index
