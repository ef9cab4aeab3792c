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
  if (restored_ + versions_.size() >= kNoSlot)
    return {Code::NoSpace, change("add", row, lsn) + ": all " + std::to_string(kNoSlot) + " slots are used"};
  MNEME_TRY(reserve(row));

  const Slot slot = static_cast<Slot>(restored_ + versions_.size());
  const Slot previous = newest_.find(row);
  blocks_.append(vector, scale_of(metric_, *squared_norm));
  versions_.append(row, lsn, previous);
  bool replaced = false;
  if (previous != kNoSlot) {
    replaced = death(previous, std::memory_order_relaxed) == kNever;
    if (replaced) {
      set_next(previous, slot);
      set_death(previous, lsn);
    }
  }
  count_.store(std::size_t{slot} + 1, std::memory_order_release);
  newest_.set(row, slot);
  if (!replaced) live_.fetch_add(1, std::memory_order_relaxed);
  count_bytes();
  reflected_.store(lsn.value, std::memory_order_release);
  return slot;
}

Status ExactRows::erase(RowId row, Lsn lsn) {
  MNEME_TRY(check_lsn("erase", row, lsn));
  if (const Slot slot = newest_.find(row); slot != kNoSlot) {
    if (death(slot, std::memory_order_relaxed) == kNever) {
      set_death(slot, lsn);
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
  for (Slot next = this->next(slot); next != kNoSlot && next < view.count; next = this->next(slot)) slot = next;
  while (slot != kNoSlot && (slot >= view.count || birth(slot) > view.as_of)) slot = previous(slot);
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
                            std::to_string(restored_ + versions_.size())};
  return ok_status();
}

void ExactRows::set_death(Slot slot, Lsn lsn) {
  if (slot < restored_)
    marks_.get()[slot].lived_less.store(kNever - lsn.value, std::memory_order_release);
  else
    versions_[slot - restored_].death.store(lsn.value, std::memory_order_release);
}

void ExactRows::set_next(Slot slot, Slot next) {
  if (slot < restored_)
    marks_.get()[slot].next_and_one.store(next + 1, std::memory_order_relaxed);
  else
    versions_[slot - restored_].next.store(next, std::memory_order_relaxed);
}

// Marks of the living are pages that nobody touched; those of the dead are counted as if each had one of its own.
void ExactRows::count_bytes() {
  constexpr std::size_t kPage = 4096;
  const std::size_t dead = restored_ + versions_.size() - std::min(restored_ + versions_.size(), live());
  const std::uint64_t marks = std::min(restored_ * sizeof(Mark), dead * kPage);
  bytes_used_.store(sizeof(ExactRows) + blocks_.bytes_used() + blocks_.file_bytes() + marks + versions_.bytes_used() +
                        newest_.bytes_used(),
                    std::memory_order_relaxed);
}

Status ExactRows::restore(std::shared_ptr<const SavedSlots> saved, std::span<const std::uint64_t> dead, Lsn birth) {
  const std::size_t count = saved->size();
  // Zeroed by the system when it is touched, which constructing each would do at once.
  marks_.reset(static_cast<Mark*>(std::calloc(std::max<std::size_t>(count, 1), sizeof(Mark))));
  if (marks_ == nullptr) return {Code::Busy, "exact index: no memory for " + std::to_string(count) + " saved slots"};
  saved_ = std::move(saved);
  restored_ = count;
  restored_birth_ = birth;
  std::size_t live = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto slot = static_cast<Slot>(i);
    if ((dead[i >> 6] >> (i & 63) & 1) != 0) {
      set_death(slot, birth);
      continue;
    }
    const RowId row = saved_->row(slot);
    if (row == kNoRow)
      return {Code::Corruption, "exact index: saved slot " + std::to_string(slot) + " is of no row, and not dead"};
    if (!newest_.reserve(row))
      return {Code::Busy, "exact index: no memory to note saved row " + std::to_string(row.value)};
    newest_.set(row, slot);
    ++live;
  }
  live_ = live;
  count_ = count;
  count_bytes();
  reflected_ = birth.value;
  return ok_status();
}

}  // namespace mneme::index
