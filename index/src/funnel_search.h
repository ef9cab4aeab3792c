// The search of compressed segments: 1-bit estimates choose, 8-bit products choose again, float32 decides.
//
// Lists are probed from the nearest centroid on. `probe_sigmas` says when to stop: when a list's centroid is so many
// standard deviations of a random residual below the k-th best seen that few of its rows can reach it. `keep_sigmas`
// says which estimates to keep: those less than so many standard errors below the k-th best. Both bend with the query:
// one far from all centroids probes more and keeps more, up to a number of lists: what so many did not show is thin.
// Rows spread around a centroid more in some directions than in others, so that most lists that are probed hold nothing:
// the first block of a list, a sample of it, is scanned, and the rest where the sample's mean and `rest_sigmas` of its
// standard deviations reach the k-th best.
#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "code_query.h"
#include "code_segment.h"
#include "exact_rows.h"
#include "hit_order.h"
#include "list_order.h"
#include "mneme/index/vector_index.h"

namespace mneme::index {

struct Effort {
  float probe_sigmas = 3;
  float keep_sigmas = 3;
  std::size_t lists_max = SIZE_MAX;
  float rest_sigmas = kWhole;
  static constexpr float kWhole = 1e6F;  ///< every list that is probed is scanned to its end

  /// Whether the rest of a list is scanned after a sample of it, the k-th best being `kth` and its centroid's score `base`.
  bool wants_rest(const Spread& sample, float base, float kth) const {
    return rest_sigmas >= rest_needed(sample, base, kth);
  }
  /// The least rest_sigmas with which it is.
  static float rest_needed(const Spread& sample, float base, float kth);
};

/// The larger of each limit: finds what either finds.
constexpr Effort more_of_both(const Effort& a, const Effort& b) {
  return {std::max(a.probe_sigmas, b.probe_sigmas), std::max(a.keep_sigmas, b.keep_sigmas),
          std::max(a.lists_max, b.lists_max), std::max(a.rest_sigmas, b.rest_sigmas)};
}

/// Rows at the beginning of a list of `rows` that are a sample of it: all where little would be left.
constexpr std::size_t rows_sampled(std::size_t rows) { return rows < 2 * kBlockRows ? rows : kBlockRows; }

/// What a search did.
struct Work {
  std::size_t lists = 0, estimated = 0, kept = 0, scored = 0;
  bool unusual = false;
};

/// What a product of 8-bit codes at a random place costs, in 1-bit estimates.
inline constexpr std::size_t kCostOfProduct = 16;

/// At so many standard errors below the k-th best by its 8-bit code a row is not scored in float32.
inline constexpr float kEightBitSigmas = 3;

struct FunnelRequest {
  const float* query = nullptr;
  double squared_norm = 0;
  RotatedQuery rotated;  ///< when the batch has it
  std::size_t k = 0;
  Effort effort;
  View view;
  // Another effort for queries that are nearer to, or further from, their nearest centroid than these.
  Effort effort_of_unusual;
  float nearness_least = -std::numeric_limits<float>::infinity();
  float nearness_most = std::numeric_limits<float>::infinity();
  const SlotBitmap* filter = nullptr;
  std::span<const PositionBitmapPtr> kept;  ///< what it keeps, by segment
  bool score_all_kept = false;              ///< by their 8-bit codes, wherever they lie: they are few
  bool cold = false;                        ///< 8-bit codes lie in files: only what 1-bit codes leave is read
  // What it keeps of all compressed rows; where it keeps less of those near the query, another effort.
  float share_kept = 1;
  Effort effort_against;
  // Once enough rows near the query have told what it keeps of those: [i] where that is 2^i times share_kept or more.
  // So many of them as there are.
  std::array<Effort, 8> efforts_with;
  std::size_t levels_with = 0;
  float eight_bit_sigmas = kEightBitSigmas;
  bool check_visible = false;  ///< while choosing, because some compressed rows may not be visible
};

/// Its memory is kept from search to search. Threads: one at a time.
class FunnelSearch {
 public:
  /// The k best of the slots in `segments`, and of those from `delta_begin` on, best first. Scores are float32 sums.
  /// @return false when invisible rows took the place of visible ones: search again with check_visible
  bool run(const ExactRows& rows, const Codebook& codebook, std::span<const CodeSegmentPtr> segments, Slot delta_begin,
           const FunnelRequest& request, std::vector<Hit>& hits);
  /// The end of run() for rows that were chosen by 8-bit codes already.
  bool finish(const ExactRows& rows, std::span<const Slot> chosen, Slot delta_begin, const FunnelRequest& request,
              std::vector<Hit>& hits);
  const Work& work() const { return work_; }
  /// Not ok: something that the last run() needed is damaged, and its hits mean nothing.
  const Status& damage() const { return damage_; }
  /// How near the query lies to its nearest centroid: the score of the two, for a query of length 1 where length counts.
  float nearness();

  static float eight_bit_error(const CodeQuery& query, const CodeSegment& segment);

 private:
  void prepare(const Codebook& codebook, std::span<const CodeSegmentPtr> segments, const FunnelRequest& request);
  void choose(std::span<const CodeSegmentPtr> segments, const ExactRows& rows, const FunnelRequest& request,
              const Effort& usual);
  static std::pair<std::size_t, std::size_t> rows_of(std::uint32_t list, std::span<const CodeSegmentPtr> segments,
                                                     const FunnelRequest& request);
  static bool goes_against(const FunnelRequest& request, std::size_t passed);
  static std::size_t level_with(const FunnelRequest& request, std::size_t passed, std::size_t wanted);
  static std::size_t sample_of(const CodeSegment& segment, std::size_t s, std::uint32_t list,
                               const FunnelRequest& request);
  void scan_list(std::span<const CodeSegmentPtr> segments, std::uint32_t list, std::uint32_t next,
                 const FunnelRequest& request, const Effort& effort);
  void scan(const CodeSegment& segment, std::size_t s, std::uint32_t list, std::size_t begin, std::size_t end,
            std::uint32_t next, const FunnelRequest& request, Spread* spread);
  void take_kept(std::span<const CodeSegmentPtr> segments, const ExactRows& rows, const FunnelRequest& request);
  void take_kept(const CodeSegment& segment, std::size_t s, std::uint32_t list, const FunnelRequest& request);
  void score_kept(const CodeSegment& segment, std::size_t s, std::uint32_t list, const FunnelRequest& request);
  void drop_invisible(const CodeSegment& segment, std::size_t s, std::size_t begin, const ExactRows& rows,
                      const View& view);
  void raise_threshold(std::size_t k, const Effort& effort);
  void choose_again(std::span<const CodeSegmentPtr> segments, const FunnelRequest& request);
  bool decide(const ExactRows& rows, Slot delta_begin, const FunnelRequest& request, std::vector<Hit>& hits);
  void score(const ExactRows& rows, const FunnelRequest& request, std::vector<Hit>& hits);
  void score_delta(const ExactRows& rows, Slot begin, const FunnelRequest& request, std::vector<Hit>& hits);
  float kth_best(std::size_t k);

  /// The candidates of one segment.
  struct Kept {
    std::vector<float> scores, bases;
    std::vector<std::uint32_t> positions;
    std::size_t used = 0, before = 0;  // now, and before the list that is under way
    std::size_t sampled = 0;           // of that list
    Candidates arrays() { return {scores.data(), bases.data(), positions.data()}; }
    void make_room(std::size_t more);
  };

  CodeQuery query_;
  std::vector<Kept> kept_;  // by segment
  ListOrder lists_;
  std::vector<std::uint32_t> some_lists_;  // that hold a row that the filter keeps
  std::vector<float> scores_, scratch_;
  std::vector<Slot> slots_;
  std::vector<const float*> pointers_;
  HitOrder order_of_hits_;
  float kth_ = 0, threshold_ = 0;
  float probe_sigma_ = 0, keep_sigma_ = 0;  // the units of Effort
  bool length_counts_ = false;
  Work work_;
  Status damage_;
};

}  // namespace mneme::index
