// Distance kernels for float32, dispatched at run time to the best instructions the processor has (Highway).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "mneme/base/ids.h"

namespace mneme::index {

/// Σ a[i]·b[i]. Accumulates in float32 in several lanes: the result may differ from a scalar loop in the last
/// bits, and from target to target. Pointers need no alignment.
float inner_product(const float* a, const float* b, std::size_t dimension);
/// Σ (a[i] − b[i])².
float squared_l2(const float* a, const float* b, std::size_t dimension);

/// out[i] = inner_product(query, rows + i × dimension) for i < count; rows are contiguous. Prefetches ahead.
/// Cost: one pass over count × dimension × 4 bytes; bound by memory bandwidth beyond the caches.
void inner_products(const float* query, const float* rows, std::size_t count, std::size_t dimension, float* out);
void squared_l2s(const float* query, const float* rows, std::size_t count, std::size_t dimension, float* out);

/// The same for a few queries at once (query-major out[q × count + i]): each row is read once for all of them.
void inner_products_batch(const float* queries, std::size_t query_count, const float* rows, std::size_t count,
                          std::size_t dimension, float* out);
void squared_l2s_batch(const float* queries, std::size_t query_count, const float* rows, std::size_t count,
                       std::size_t dimension, float* out);

/// The same for rows that lie anywhere: out[i] = inner_product(query, rows[i], dimension).
void inner_products_at(const float* query, const float* const* rows, std::size_t count, std::size_t dimension,
                       float* out);
void squared_l2s_at(const float* query, const float* const* rows, std::size_t count, std::size_t dimension, float* out);

/// The same sums accumulated in double: off from the true value by at most dimension × 2⁻⁵² of Σ |terms|, and never
/// overflowing for finite input. Equal input gives equal output. Cost: about three times the float32 kernel.
double inner_product_f64(const float* a, const float* b, std::size_t dimension);
double squared_l2_f64(const float* a, const float* b, std::size_t dimension);

/// The reference: plain loops in double. What every target is checked against.
double inner_product_reference(const float* a, const float* b, std::size_t dimension);
double squared_l2_reference(const float* a, const float* b, std::size_t dimension);

/// Names of the targets this build has and this processor runs, best first.
std::vector<std::string> kernel_targets();
/// Uses only the named target from now on ("" = the best again). For tests and benches; not thread-safe.
/// @return false when there is no such target here
bool force_kernel_target(const std::string& name);

}  // namespace mneme::index
