// RowMap: from a row to its newest slot; one writer, readers without locks.
//
// Rows come in leaves of 32 neighbours, and a hash table finds the leaf: dense rows cost 5 bytes each, and growing
// the table touches one entry per leaf. A row that stands alone costs one leaf, 136 bytes. Rows are never taken out.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "mneme/index/vector_index.h"
#include "stable_vector.h"

namespace mneme::index {

class RowMap {
 public:
  /// The newest slot given to `row`, or kNoSlot. What the writer wrote before set() is visible. Threads: any.
  Slot find(RowId row) const {
    const Table* table = table_.load(std::memory_order_acquire);
    if (table == nullptr) return kNoSlot;
    const Leaf* leaf = leaf_in(*table, row.value / kLeafRows);
    return leaf == nullptr ? kNoSlot : leaf->slots[row.value % kLeafRows].load(std::memory_order_acquire);
  }

  /// Makes room so that the next set() of `row` cannot fail. Writer only. @return false when there is no memory
  bool reserve(RowId row) {
    const Table* table = table_.load(std::memory_order_relaxed);
    if (table != nullptr && leaf_in(*table, row.value / kLeafRows) != nullptr) return true;
    if (table == nullptr || (leaves_.size() + 1) * 3 > (table->mask + 1) * 2) {
      if (!grow()) return false;
    }
    return leaves_.reserve_one();
  }

  /// Writer only; reserve(row) has succeeded.
  void set(RowId row, Slot slot) {
    Table& table = *tables_[table_count_ - 1];
    const std::uint64_t key = row.value / kLeafRows;
    if (const Leaf* leaf = leaf_in(table, key)) {
      leaf->slots[row.value % kLeafRows].store(slot, std::memory_order_release);
      return;
    }
    const auto number = static_cast<std::uint32_t>(leaves_.size());
    const Leaf& leaf = leaves_.append(key);
    leaf.slots[row.value % kLeafRows].store(slot, std::memory_order_relaxed);
    insert(table, key, number);
  }

  /// Writer only.
  std::uint64_t bytes_used() const {
    std::uint64_t bytes = leaves_.bytes_used();
    for (std::size_t t = 0; t < table_count_; ++t) bytes += (tables_[t]->mask + 1) * sizeof(std::atomic<std::uint32_t>);
    return bytes;
  }

 private:
  static constexpr std::uint64_t kLeafRows = 32;
  static constexpr std::size_t kFirstEntries = 16;
  static constexpr std::uint32_t kEmpty = ~std::uint32_t{0};

  struct Leaf {
    explicit Leaf(std::uint64_t leaf_key) : key(leaf_key) {
      for (auto& slot : slots) slot.store(kNoSlot, std::memory_order_relaxed);
    }
    const std::uint64_t key;  // row / kLeafRows
    mutable std::atomic<Slot> slots[kLeafRows];
  };

  // Open addressing with linear probing; at most two thirds full.
  struct Table {
    std::size_t mask = 0;  // entries − 1, entries a power of two
    std::unique_ptr<std::atomic<std::uint32_t>[]> entries;
  };

  static std::size_t hash(std::uint64_t key) {
    const std::uint64_t mixed = (key ^ key >> 32) * 0x9E3779B97F4A7C15ull;
    return static_cast<std::size_t>(mixed ^ mixed >> 29);
  }

  const Leaf* leaf_in(const Table& table, std::uint64_t key) const {
    for (std::size_t at = hash(key) & table.mask;; at = (at + 1) & table.mask) {
      const std::uint32_t number = table.entries[at].load(std::memory_order_acquire);
      if (number == kEmpty) return nullptr;
      if (leaves_[number].key == key) return &leaves_[number];
    }
  }

  static void insert(Table& table, std::uint64_t key, std::uint32_t number) {
    std::size_t at = hash(key) & table.mask;
    while (table.entries[at].load(std::memory_order_relaxed) != kEmpty) at = (at + 1) & table.mask;
    table.entries[at].store(number, std::memory_order_release);
  }

  // A reader may still be in the old table, which therefore stays; together the old ones are as large as the new one.
  bool grow() {
    const std::size_t entries = kFirstEntries << table_count_;
    std::unique_ptr<Table> table(new (std::nothrow) Table);
    if (table == nullptr) return false;
    table->mask = entries - 1;
    table->entries.reset(new (std::nothrow) std::atomic<std::uint32_t>[entries]);
    if (table->entries == nullptr) return false;
    for (std::size_t i = 0; i < entries; ++i) table->entries[i].store(kEmpty, std::memory_order_relaxed);
    for (std::size_t number = 0; number < leaves_.size(); ++number)
      insert(*table, leaves_[number].key, static_cast<std::uint32_t>(number));
    table_.store(table.get(), std::memory_order_release);
    tables_[table_count_++] = std::move(table);
    return true;
  }

  StableVector<Leaf> leaves_;
  std::array<std::unique_ptr<Table>, 40> tables_;  // enough for 2^32 leaves; the last one is in use
  std::size_t table_count_ = 0;
  std::atomic<const Table*> table_{nullptr};
};

}  // namespace mneme::index
