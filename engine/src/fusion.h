// Fusion of ranked lists: reciprocal rank fusion.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "mneme/query.h"

namespace mneme {

struct RankedList {
  std::span<const Neighbour> found;  ///< best first, each row once
  double weight = 1;
};

/// How far a list is read: deep enough that what is good in two lists is not cut off in both.
std::size_t fusion_depth(std::size_t k);

/// The best `k` of all lists. A row's score is the sum over the lists that hold it of weight / (60 + rank), ranks from 1;
/// scores of the lists are not looked at. Equal scores are in the order of rows. Pure: the same lists in the same order
/// give the same bits.
///
/// Source: Cormack, Clarke, Büttcher, Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank Learning Methods,
///         SIGIR 2009. Its constant 60 is used; weights are added here.
std::vector<Neighbour> fuse_ranks(std::span<const RankedList> lists, std::size_t k);

}  // namespace mneme
