#include "spaces.h"

namespace mneme {

const GenerationInfo* SpaceEntry::generation(GenerationId id) const {
  for (const GenerationInfo& candidate : info.generations)
    if (candidate.id == id) return &candidate;
  return nullptr;
}

GenerationIndex* SpaceEntry::index(GenerationId id) const {
  for (const auto& candidate : indexes)
    if (candidate->info().id == id) return candidate.get();
  return nullptr;
}

void Spaces::add(SpaceEntryPtr entry) {
  WriterLock lock(mutex_);
  by_name_[entry->info.name] = entry;
  by_id_[entry->info.id] = std::move(entry);
}

void Spaces::remove(SpaceId id) {
  WriterLock lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  by_name_.erase(found->second->info.name);
  by_id_.erase(found);
}

SpaceEntryPtr Spaces::find(SpaceId id) const {
  ReaderLock lock(mutex_);
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

SpaceEntryPtr Spaces::find(std::string_view name) const {
  ReaderLock lock(mutex_);
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

std::vector<SpaceEntryPtr> Spaces::all() const {
  ReaderLock lock(mutex_);
  std::vector<SpaceEntryPtr> entries;
  for (const auto& [name, entry] : by_name_) entries.push_back(entry);
  return entries;
}

void Spaces::count(const std::vector<CounterDelta>& deltas) const {
  for (const CounterDelta& delta : deltas) {
    const SpaceEntryPtr entry = find(delta.space);
    if (!entry) continue;
    entry->episodes += delta.episodes;
    entry->concepts += delta.concepts;
    entry->vectors += delta.vectors;
    entry->links += delta.links;
    std::uint64_t seen = entry->next_row.load();
    while (seen < delta.next_row && !entry->next_row.compare_exchange_weak(seen, delta.next_row)) {
    }
  }
}

}  // namespace mneme
