// Exploration: what a search would find, and what it would cost, at every effort, told from one pass over all lists.
//
// A search scans lists from the nearest on and stops at the first whose centroid is too far below the k-th best estimate
// so far (funnel_search.h). Where it stops depends on its probing alone, and what it keeps on the k-th best by then: both
// are noted list by list, for several k at once, together with where the true neighbours turned up.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "code_query.h"
#include "code_segment.h"
#include "funnel_search.h"

namespace mneme::index {

/// The levels of keep_sigmas among which one is chosen: 0.5, 0.75, … 4.
inline constexpr std::size_t kKeepLevels = 15;
constexpr float keep_level(std::size_t i) { return 0.5F + 0.25F * static_cast<float>(i); }
/// Those of rest_sigmas, rising.
inline constexpr std::array<float, 8> kRestLevels = {2, 2.5F, 3, 4, 5, 6.5F, 9, Effort::kWhole};

/// One query at one k.
struct Explored {
  struct Neighbour {
    std::uint32_t rank;   ///< of its list, in the order of probing
    std::uint32_t level;  ///< of keep_sigmas, the least at which the whole search keeps it; kKeepLevels if none does
    float probing;        ///< the least probe_sigmas with which it is scanned
    std::uint8_t rest;    ///< the least of kRestLevels at which it is
    float estimate;
    bool chosen;  ///< by its 8-bit code too
  };
  std::vector<float> probing;         ///< by rank, rising: the probe_sigmas with which a search comes to the list
  std::vector<float> wanting;         ///< by rank: the probe_sigmas with which it scans a list that it has come to
  std::vector<float> kth;             ///< by rank: the k-th best estimate once the list is scanned
  std::vector<std::uint8_t> rest;     ///< by rank: the least of kRestLevels at which all of the list is scanned
  std::vector<Neighbour> neighbours;  ///< the true ones that codes can tell
  std::array<std::uint32_t, kKeepLevels> kept{};  ///< rows kept by the whole search, by level
  std::size_t known = 0;                          ///< true neighbours that are found without codes
  float keep_sigma = 0;

  /// Lists that a search at this effort scans.
  std::size_t lists_scanned(const Effort& effort) const;
  /// True neighbours that it finds.
  std::size_t found(const Effort& effort) const;
};

/// What there is to scan in a list.
struct ListRows {
  std::uint32_t sampled = 0, rest = 0;
};

/// Its memory is kept from query to query. Threads: one at a time.
class Explorer {
 public:
  Explorer(const Codebook& codebook, std::span<const CodeSegmentPtr> segments, Slot delta_begin);

  /// Explores for each k of `ks`, rising; truth[given + i] is the i-th of the neighbours sought, as many as the last k.
  /// A query finds the first `given` of truth as well, which do not count. out[i] is of ks[i].
  void explore(const float* query, double squared_norm, std::span<const std::size_t> ks, std::size_t given,
               std::span<const Hit> truth, std::span<Explored> out);
  /// Of the last query, by rank.
  const std::vector<ListRows>& list_rows() const { return list_rows_; }
  /// FunnelSearch's, of the last query.
  float nearness() const { return nearness_; }

 private:
  /// A search for one k on its way through the lists.
  struct Way {
    std::size_t k = 0, total = 0, raise_at = 0;
    std::vector<float> best;  // the k best, the least of them in front
    std::vector<float> kept;
    float kth = 0, threshold = 0, furthest = 0;
    void begin(std::size_t neighbours);
    void scanned(std::span<const float> estimates, float keep_sigma);
    float kth_now() const;
    float kth_of_search() const;
  };
  struct Place {
    std::size_t segment = 0;
    std::uint32_t position = 0, rank = 0;
    bool is_sampled = false;
    float estimate = 0, eight_bit = 0;
  };

  void prepare(const float* query, double squared_norm);
  float sigmas_below(const Way& way, float base) const;
  void scan_all(std::span<Explored> out);
  Spread scan_list(std::uint32_t list, const std::uint32_t* next, ListRows& rows, std::size_t& used);
  void find_places(std::span<const Hit> truth);
  void score_places();
  void note(const Way& way, std::size_t given, Explored& out) const;

  const Codebook& codebook_;
  const std::span<const CodeSegmentPtr> segments_;
  const Slot delta_begin_;
  std::vector<std::vector<std::uint32_t>> position_;  // by segment and slot − first()
  float one_bit_error_ = 0, residual_ = 0, least_eight_bit_error_ = 0;

  CodeQuery query_;
  std::vector<std::uint32_t> order_, rank_;
  std::vector<ListRows> list_rows_;
  std::vector<Way> ways_;
  std::vector<float> scores_, bases_;  // of candidates, in the order of the scan
  std::vector<std::uint32_t> positions_;
  std::vector<std::size_t> sections_;  // by rank and segment: where its candidates begin
  std::vector<Place> places_;          // of truth, in its order
  float keep_sigma_ = 0, probe_sigma_ = 0, eight_bit_error_ = 0, nearness_ = 0;
};

}  // namespace mneme::index
