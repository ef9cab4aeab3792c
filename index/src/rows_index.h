// What every index over ExactRows answers in the same way.
#pragma once

#include <cassert>

#include "exact_rows.h"

namespace mneme::index {

class RowsIndex : public VectorIndex {
 public:
  RowsIndex(std::size_t dimension, Metric metric) : rows_(dimension, metric) {}

  std::size_t dimension() const override { return rows_.dimension(); }
  Metric metric() const override { return rows_.metric(); }
  Result<Slot> add(RowId row, std::span<const float> vector, Lsn lsn) override { return rows_.add(row, vector, lsn); }
  Status erase(RowId row, Lsn lsn) override { return rows_.erase(row, lsn); }
  Slot find(RowId row, Lsn as_of) const override { return rows_.find(row, rows_.view(as_of)); }
  std::span<const float> vector(Slot slot) const override {
    assert(slot < slots());
    return {rows_.blocks().row(slot), dimension()};
  }
  RowId row(Slot slot) const override {
    assert(slot < slots());
    return rows_.row(slot);
  }
  bool visible(Slot slot, Lsn as_of) const override { return rows_.visible(slot, rows_.view(as_of)); }
  std::size_t slots() const override { return rows_.view(kMaxLsn).count; }
  std::size_t live() const override { return rows_.live(); }
  std::uint64_t bytes_used() const override { return rows_.bytes_used(); }
  Lsn reflected() const override { return rows_.reflected(); }

 protected:
  ExactRows rows_;
};

}  // namespace mneme::index
