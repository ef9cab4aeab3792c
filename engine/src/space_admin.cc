// Spaces: create, list, stop, start, drop, stats.

#include "database_impl.h"
#include "mneme/base/limits.h"

namespace mneme {

Result<Lsn> DatabaseImpl::commit_change(SpaceChange change) {
  Commit commit;
  commit.kind = kSpaceRecord;
  commit.change = std::move(change);
  commit.bytes = sizeof(Commit);
  return log_and_publish(std::move(commit), Durability::Sync);
}

Result<Space> DatabaseImpl::create_space(std::string_view name, const SpaceOptions& options) {
  MNEME_TRY(may_write());
  MNEME_TRY(validate_space_name(name));
  if (options.dimension > limits::kDimensionsMax)
    return Status(Code::InvalidArgument, "space " + std::string(name) + ": dimension " +
                                             std::to_string(options.dimension) + ", at most " +
                                             std::to_string(limits::kDimensionsMax));
  if (options.model.size() > limits::kLabelBytesMax)
    return Status(Code::InvalidArgument, "space: model name is too long");
  MutexLock lock(admin_mutex_);
  if (spaces_.find(name)) return Status(Code::AlreadyExists, "space " + std::string(name) + " is there already");
  SpaceInfo info;
  info.id = SpaceId{next_space_.load()};
  info.name = name;
  info.created_at = clock_.now();
  GenerationInfo generation;
  generation.model = options.model;
  generation.dimension = options.dimension != 0 ? options.dimension : manifest_.default_dimension;
  generation.metric = options.dimension != 0 ? options.metric : static_cast<Metric>(manifest_.default_metric);
  info.generations.push_back(std::move(generation));
  const SpaceId id = info.id;
  MNEME_TRY(commit_change({SpaceChange::Kind::Create, std::move(info)}).status());
  return Space(shared_from_this(), id, std::string(name));
}

Result<Space> DatabaseImpl::space(std::string_view name) {
  if (closed_) return Status(Code::FailedPrecondition, "the database is closed");
  const SpaceEntryPtr entry = spaces_.find(name);
  if (!entry) return Status(Code::NotFound, "space " + std::string(name) + ": no such space");
  return Space(shared_from_this(), entry->info.id, entry->info.name);
}

std::vector<SpaceInfo> DatabaseImpl::spaces() const {
  std::vector<SpaceInfo> infos;
  for (const SpaceEntryPtr& entry : spaces_.all()) {
    ReaderLock lock(entry->gate);
    infos.push_back(entry->info);
  }
  return infos;
}

Status DatabaseImpl::set_space_state(std::string_view name, SpaceState state) {
  MNEME_TRY(may_write());
  MutexLock lock(admin_mutex_);
  const SpaceEntryPtr entry = spaces_.find(name);
  if (!entry) return {Code::NotFound, "space " + std::string(name) + ": no such space"};
  WriterLock gate(entry->gate);  // writes under way finish first
  if (entry->info.state == state) return {};
  SpaceInfo info = entry->info;
  info.state = state;
  return commit_change({SpaceChange::Kind::Update, std::move(info)}).status();
}

Status DatabaseImpl::drop_space(std::string_view name) {
  MNEME_TRY(may_write());
  MutexLock lock(admin_mutex_);
  const SpaceEntryPtr entry = spaces_.find(name);
  if (!entry) return {Code::NotFound, "space " + std::string(name) + ": no such space"};
  WriterLock gate(entry->gate);
  MNEME_TRY(commit_change({SpaceChange::Kind::Drop, entry->info}).status());
  remove_saved_index(entry->info.id, std::nullopt);
  return {};
}

Result<SpaceInfo> DatabaseImpl::space_info(SpaceId id) const {
  MNEME_ASSIGN(const SpaceEntryPtr entry, this->entry(id));
  ReaderLock lock(entry->gate);
  return entry->info;
}

Result<SpaceStats> DatabaseImpl::space_stats(SpaceId id) const {
  MNEME_ASSIGN(const SpaceEntryPtr entry, this->entry(id));
  SpaceStats stats;
  {
    ReaderLock lock(entry->gate);
    stats.info = entry->info;
  }
  stats.lsn = Lsn{visible_.load(std::memory_order_acquire)};
  stats.episodes = static_cast<std::uint64_t>(entry->episodes.load());
  stats.concepts = static_cast<std::uint64_t>(entry->concepts.load());
  stats.nodes = stats.episodes + stats.concepts;
  stats.vectors = static_cast<std::uint64_t>(entry->vectors.load());
  stats.links = static_cast<std::uint64_t>(entry->links.load());
  stats.hot_nodes = hot_->entries(id);
  stats.hot_bytes = hot_->bytes(id);
  stats.cold_nodes = entry->cold_nodes.load();
  stats.warm_nodes = stats.nodes - std::min(stats.nodes, stats.cold_nodes);
  stats.warm_bytes = warm_->bytes_used(id);
  stats.cold_bytes = cold_->bytes_used(id);
  for (const auto& index : entry->indexes) {
    stats.index_bytes += index->bytes_used();
    stats.index_file_bytes += index->file_bytes();
  }
  return stats;
}

}  // namespace mneme
