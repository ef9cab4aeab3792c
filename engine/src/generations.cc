// Embedding models of a space: one more, one less, and the room on disk that the one that went took.

#include "database_impl.h"
#include "mneme/base/limits.h"
#include "mneme/storage/failpoint.h"

namespace mneme {
namespace {

Status check_options(const GenerationOptions& options) {
  if (options.dimension == 0 || options.dimension > limits::kDimensionsMax)
    return {Code::InvalidArgument, "generation: dimension " + std::to_string(options.dimension) + ", 1 to " +
                                       std::to_string(limits::kDimensionsMax) + " are allowed"};
  if (options.model.size() > limits::kLabelBytesMax)
    return {Code::InvalidArgument, "generation: the model's name has " + std::to_string(options.model.size()) +
                                       " bytes, at most " + std::to_string(limits::kLabelBytesMax)};
  return {};
}

}  // namespace

// Under the gate.
Status DatabaseImpl::may_change_generations(const SpaceEntry& entry) const {
  if (entry.dropped) return {Code::NotFound, "space " + entry.info.name + ": it was dropped"};
  if (entry.info.state == SpaceState::Stopped)
    return {Code::FailedPrecondition, "space " + entry.info.name + " is stopped: start it before writing"};
  return {};
}

Result<GenerationId> DatabaseImpl::add_generation(SpaceId space, const GenerationOptions& options) {
  MNEME_TRY(may_write());
  MNEME_TRY(check_options(options));
  MutexLock lock(admin_mutex_);
  MNEME_ASSIGN(const SpaceEntryPtr entry, this->entry(space));
  WriterLock gate(entry->gate);
  MNEME_TRY(may_change_generations(*entry));
  SpaceInfo info = entry->info;
  if (info.generations.size() >= limits::kGenerationsPerSpaceMax)
    return Status(Code::FailedPrecondition, "space " + info.name + " has " + std::to_string(info.generations.size()) +
                                                " generations, at most " +
                                                std::to_string(limits::kGenerationsPerSpaceMax) + ": drop one first");
  const GenerationId id = info.next_generation;
  if (id.value == UINT16_MAX)
    return Status(Code::FailedPrecondition, "space " + info.name + ": every id of a generation was used");
  info.generations.push_back({id, options.model, options.dimension, options.metric});
  ++info.next_generation.value;
  MNEME_TRY(commit_change({SpaceChange::Kind::AddGeneration, std::move(info), id}).status());
  return id;
}

Status DatabaseImpl::drop_generation(SpaceId space, GenerationId generation) {
  MNEME_TRY(may_write());
  MutexLock lock(admin_mutex_);
  MNEME_ASSIGN(const SpaceEntryPtr entry, this->entry(space));
  WriterLock gate(entry->gate);  // writes under way finish first, and what is counted below stays true
  MNEME_TRY(may_change_generations(*entry));
  MNEME_TRY(entry->generation(generation).status());
  SpaceInfo info = entry->info;
  if (info.generations.size() == 1)
    return {Code::FailedPrecondition, "generation " + std::to_string(generation.value) + " is the only one of space " +
                                          info.name + ": add another first, or drop the space"};
  std::erase_if(info.generations, [&](const GenerationInfo& one) { return one.id == generation; });
  // The number goes into the log, so that replay decides nothing.
  MNEME_ASSIGN(const std::uint64_t vectors, count_vectors(space, generation));
  const CounterDelta delta{.space = space, .vectors = -static_cast<std::int64_t>(vectors)};
  MNEME_ASSIGN(const Lsn lsn, commit_change({SpaceChange::Kind::DropGeneration, std::move(info), generation}, {delta}));
  remove_saved_index(*entry, generation);
  MutexLock reclaiming(reclaim_mutex_);
  reclaim_.push_back({space, generation, lsn});
  return {};
}

Result<std::uint64_t> DatabaseImpl::count_vectors(SpaceId space, GenerationId generation) const {
  MNEME_TRY(caught_up());
  const storage::StoreSnapshotPtr snapshot = store_->snapshot();
  std::uint64_t count = 0;
  for (const storage::TierStore* tier : {warm_.get(), cold_.get()}) {
    Status failed;
    const storage::ScanOptions options{.snapshot = snapshot, .fill_cache = false, .readahead_bytes = kMiB};
    MNEME_TRY(tier->scan_bodies(space, RowId{0}, options, [&](RowId row, ByteView body) {
      const auto shapes = tier->shapes_of(space, body);
      if (!shapes.ok()) {
        failed = shapes.status().with_context("row " + std::to_string(row.value));
        return false;
      }
      for (const VectorShape& shape : *shapes) count += shape.generation == generation ? 1 : 0;
      return true;
    }));
    MNEME_TRY(failed);
  }
  return count;
}

// Erased keys take room until they are compacted, which by itself comes when other writes make it. `oldest`: the oldest
// view; one from before a drop keeps its state on disk, so nothing would come of it yet. What a close leaves undone is
// left to the store's own compactions.
void DatabaseImpl::reclaim_dropped(Lsn oldest) {
  std::vector<Reclaim> ready;
  {
    MutexLock lock(reclaim_mutex_);
    const Lsn applied = applier_->applied();
    std::erase_if(reclaim_, [&](const Reclaim& one) {
      if (one.lsn > applied || oldest < one.lsn) return false;
      ready.push_back(one);
      return true;
    });
  }
  for (const Reclaim& one : ready) {
    const std::string begin = storage::vector_prefix(one.space, one.generation);
    for (const storage::Family family : {storage::kWarmVector, storage::kColdVector}) {
      const Status done = store_->compact(family, begin, storage::prefix_end(begin));
      if (!done.ok() && options_.log) options_.log("room of a dropped generation: " + done.to_string());
    }
    MNEME_FAILPOINT("generations.reclaimed");
  }
}

}  // namespace mneme
