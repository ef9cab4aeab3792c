// Mixed writes against a database, each noted in the Model before it is called and after it returned.
#pragma once

#include <cstdint>
#include <string>

#include "mneme/database.h"
#include "model.h"

namespace mneme::crash {

inline constexpr std::string_view kSpaceName = "crash";
inline constexpr std::string_view kPairLink = "pair";

/// Small limits, so that flushes, segment switches and evictions happen all the time.
DatabaseOptions small_database();

/// The node of a pair at a version: every field follows from the arguments.
Node pair_node(std::size_t pair, std::size_t which, std::uint32_t version);
std::string pair_node_name(std::size_t pair, std::size_t which);

/// Whose vector is most like this node's: itself, when it is there.
Query nearest_to(const Node& node);

std::string guest_name(std::size_t guest);
Node guest_node(std::size_t guest, std::uint32_t epoch, std::uint32_t index);

/// Writes from kWriters threads and one for the guests, for ever, or until an error that no kill explains (reported).
void run_workload(Database& database, const Space& space, Model& model, std::uint64_t seed);

}  // namespace mneme::crash
