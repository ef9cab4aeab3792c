#include "spaces.h"

namespace mneme {

SpaceEntry::SpaceEntry(SpaceInfo made) : info(std::move(made)), generations_(std::make_shared<GenerationList>()) {
  const SpaceInfo given = info;
  take_generations(given);
}

std::shared_ptr<const GenerationList> SpaceEntry::generations() const {
  MutexLock lock(generations_mutex_);
  return generations_;
}

Result<GenerationIndexPtr> SpaceEntry::generation(GenerationId id, Code code) const {
  const auto list = generations();
  for (const GenerationIndexPtr& index : list->indexes)
    if (index->info().id == id) return index;
  const std::string which = "generation " + std::to_string(id.value);
  if (id < list->next) return Status(code, which + " of space " + info.name + " was dropped");
  return Status(code, "space " + info.name + " has no " + which);
}

Status SpaceEntry::check_vector(GenerationId id, std::size_t dimension) const {
  MNEME_ASSIGN(const GenerationIndexPtr index, generation(id, Code::InvalidArgument));
  if (index->info().dimension == dimension) return {};
  return {Code::InvalidArgument, "the vector of generation " + std::to_string(id.value) + " has " +
                                     std::to_string(dimension) + " dimensions, space " + info.name + " takes " +
                                     std::to_string(index->info().dimension)};
}

void SpaceEntry::take_generations(const SpaceInfo& changed) {
  auto list = std::make_shared<GenerationList>();
  list->next = changed.next_generation;
  const auto before = generations();
  for (const GenerationInfo& generation : changed.generations) {
    GenerationIndexPtr kept;
    for (const GenerationIndexPtr& index : before->indexes)
      if (index->info().id == generation.id) kept = index;
    list->indexes.push_back(kept ? kept : std::make_shared<GenerationIndex>(generation));
  }
  info.generations = changed.generations;
  info.next_generation = changed.next_generation;
  std::shared_ptr<const GenerationList> now = std::move(list);
  MutexLock lock(generations_mutex_);
  generations_.swap(now);  // what goes is freed behind the lock, or by its last search
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
