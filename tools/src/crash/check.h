// What is in a database after a reopen against what the Model says must be there.
#pragma once

#include "mneme/database.h"
#include "model.h"

namespace mneme::crash {

/// Reports every broken promise into the model's counters and settles what was pending to what was found:
/// every acknowledged state is there and exact, a pending one whole or not at all; counts equal what a scan finds; no id
/// twice; acknowledged vectors are found by an exact search; a deep verification is clean.
void check_database(Database& database, const Space& space, Model& model, std::uint64_t seed);

}  // namespace mneme::crash
