#include "exact_rows.h"

#include <cmath>
#include <string>

#include "mneme/index/kernels.h"
#include "vector_check.h"

namespace mneme::index {
namespace {

// What lies beside each row: what a search needs to turn an inner product into a score and a bound of its error.
double scale_of(Metric metric, double squared_norm) {
  switch (metric) {
    case Metric::InnerProduct:
      return std::sqrt(squared_norm);
    case Metric::Cosine:
      return squared_norm == 0 ? 0 : 1 / std::sqrt(squared_norm);
    case Metric::SquaredL2:
      return 0;
  }
  return 0;
}

std::string change(const char* verb, RowId row, Lsn lsn) {
  return std::string("exact index: ") + verb + " row " + std::to_string(row.value) + " at lsn " +
         std::to_string(lsn.value);
}

}  // namespace

Result<Slot> ExactRows::add(RowId row, std::span<const float> vector, Lsn lsn) {
  MNEME_TRY(check_lsn("add", row, lsn));
  const Result<double> squared_norm = checked_squared_norm(vector, dimension_);
  if (!squared_norm) return squared_norm.status().with_context(change("add", row, lsn));
  if (versions_.size() >= kNoSlot)
    return {Code::NoSpace, change("add", row, lsn) + ": all " + std::to_string(kNoSlot) + " slots are used"};
  MNEME_TRY(reserve(row));

  const Slot slot = static_cast<Slot>(versions_.size());
  const Slot previous = newest_.find(row);
  blocks_.append(vector, scale_of(metric_, *squared_norm));
  versions_.append(row, lsn, previous);
  bool replaced = false;
  if (previous != kNoSlot) {
    Version& before = versions_[previous];
    replaced = before.death.load(std::memory_order_relaxed) == kNever;
    if (replaced) {
      before.next.store(slot, std::memory_order_relaxed);
      before.death.store(lsn.value, std::memory_order_release);
    }
  }
  count_.store(versions_.size(), std::memory_order_release);
  newest_.set(row, slot);
  if (!replaced) live_.fetch_add(1, std::memory_order_relaxed);
  bytes_used_.store(sizeof(ExactRows) + blocks_.bytes_used() + versions_.bytes_used() + newest_.bytes_used(),
                    std::memory_order_relaxed);
  reflected_.store(lsn.value, std::memory_order_release);
  return slot;
}

Status ExactRows::erase(RowId row, Lsn lsn) {
  MNEME_TRY(check_lsn("erase", row, lsn));
  if (const Slot slot = newest_.find(row); slot != kNoSlot) {
    Version& version = versions_[slot];
    if (version.death.load(std::memory_order_relaxed) == kNever) {
      version.death.store(lsn.value, std::memory_order_release);
      live_.fetch_sub(1, std::memory_order_relaxed);
    }
  }
  reflected_.store(lsn.value, std::memory_order_release);
  return ok_status();
}

Slot ExactRows::find(RowId row, const View& view) const {
  Slot slot = newest_.find(row);
  if (slot == kNoSlot) return kNoSlot;
  // The map lags one step behind the count while an add is under way, and may be ahead of this view's count.
  for (Slot next = versions_[slot].next.load(std::memory_order_relaxed); next != kNoSlot && next < view.count;
       next = versions_[slot].next.load(std::memory_order_relaxed))
    slot = next;
  while (slot != kNoSlot && (slot >= view.count || versions_[slot].birth > view.as_of)) slot = versions_[slot].previous;
  return slot != kNoSlot && visible(slot, view) ? slot : kNoSlot;
}

Status ExactRows::check_lsn(const char* verb, RowId row, Lsn lsn) const {
  if (row == kNoRow) return {Code::InvalidArgument, change(verb, row, lsn) + ": this number means no row"};
  if (lsn == kMaxLsn) return {Code::InvalidArgument, change(verb, row, lsn) + ": this number means the latest state"};
  if (lsn < reflected())
    return {Code::InvalidArgument,
            change(verb, row, lsn) + ": the index already reflects lsn " + std::to_string(reflected().value)};
  return ok_status();
}

Status ExactRows::reserve(RowId row) {
  MNEME_TRY(blocks_.reserve_one());
  if (!versions_.reserve_one() || !newest_.reserve(row))
    return {Code::Busy, "exact index: no memory to note row " + std::to_string(row.value) + " as slot " +
                            std::to_string(versions_.size())};
  return ok_status();
}

}  // namespace mneme::index
