// The database as a whole: closing, flushing, maintenance, numbers.

#include "database_impl.h"

#include <algorithm>

#include "mneme/base/limits.h"

namespace mneme {

Status DatabaseOptions::validate() const {
  const auto refuse = [](std::string_view field, auto found, std::string_view rule) {
    return Status(Code::InvalidArgument,
                  "database option " + std::string(field) + ": " + std::to_string(found) + ", " + std::string(rule));
  };
  if (default_dimension == 0 || default_dimension > limits::kDimensionsMax)
    return refuse("default_dimension", default_dimension, "1 to 65536 are allowed");
  if (unapplied_bytes_max < kMiB) return refuse("unapplied_bytes_max", unapplied_bytes_max, "at least 1 MiB is needed");
  if (log_bytes_max < kMiB) return refuse("log_bytes_max", log_bytes_max, "at least 1 MiB is needed");
  if (busy_after.count() < 0) return refuse("busy_after", busy_after.count(), "it cannot be negative");
  if (background_threads > 256) return refuse("background_threads", background_threads, "at most 256");
  return {};
}

DatabaseImpl::~DatabaseImpl() {
  if (!closed_) {
    const Status closed = close();
    if (!closed.ok() && options_.log) options_.log("close: " + closed.to_string());
  }
}

Status DatabaseImpl::close() {
  if (closed_.exchange(true)) return {Code::FailedPrecondition, "close: the database is closed already"};
  {
    MutexLock lock(maintain_mutex_);
    stopping_ = true;
    maintain_wake_.notify_all();
  }
  if (maintainer_.joinable()) maintainer_.join();
  if (saver_.joinable()) saver_.join();
  Status done;
  if (!options_.read_only && applier_ && wal_) {
    done = applier_->wait_applied(Lsn{visible_.load()});
    if (done.ok()) done = store_->flush();
    if (done.ok()) done = wal_->drop_through(store_->flushed_lsn());
  }
  applier_.reset();
  if (wal_) {
    const Status closed = wal_->close();
    if (done.ok()) done = closed;
  }
  wal_.reset();
  warm_.reset();
  cold_.reset();
  map_.reset();
  store_.reset();
  lock_.reset();
  return done.ok() ? done : done.with_context("close " + directory_.string());
}

Status DatabaseImpl::flush() {
  MNEME_TRY(may_write());
  MNEME_TRY(caught_up());
  MNEME_TRY(store_->flush());
  return wal_->drop_through(store_->flushed_lsn());
}

Status DatabaseImpl::caught_up() const {
  if (options_.read_only) return {};
  return applier_->wait_applied(Lsn{visible_.load(std::memory_order_acquire)});
}

// Keeps the live log below its bound and indexes free of dead slots.
void DatabaseImpl::maintain() {
  constexpr std::chrono::milliseconds kLookEvery{50};
  for (unsigned round = 0;; ++round) {
    {
      MutexLock lock(maintain_mutex_);
      if (!stopping_) maintain_wake_.wait_for(maintain_mutex_, kLookEvery);
      if (stopping_) return;
    }
    if (wal_->live_bytes() > options_.log_bytes_max && store_->applied_lsn() > store_->flushed_lsn()) {
      Status done = store_->flush();
      if (done.ok()) done = wal_->drop_through(store_->flushed_lsn());
      if (!done.ok() && options_.log) options_.log("flush: " + done.to_string());
    }
    if (round % 20 != 0) continue;
    Lsn oldest = kMaxLsn;
    {
      MutexLock lock(views_mutex_);
      if (!views_.empty()) oldest = *views_.begin();
    }
    reclaim_dropped(oldest);
    for (const SpaceEntryPtr& entry : spaces_.all()) {
      const auto generations = entry->generations();
      for (const auto& index : generations->indexes) {
        const IndexStatePtr state = index->loaded();
        const Status sound =
            index->compact_if_worthwhile(std::min(oldest, Lsn{visible_.load(std::memory_order_acquire)}));
        if (!sound.ok() && state) index_is_damaged(entry->info, *index, state, state->saved_as, sound);
      }
    }
  }
}

DatabaseStats DatabaseImpl::stats() const {
  DatabaseStats stats;
  stats.id = id_;
  if (closed_) {
    stats.health = "closed";
    return stats;
  }
  stats.last = wal_->last();
  stats.synced = wal_->synced();
  stats.applied = options_.read_only ? store_->applied_lsn() : applier_->applied();
  stats.flushed = store_->flushed_lsn();
  for (const SpaceEntryPtr& entry : spaces_.all()) {
    ++stats.spaces;
    stats.nodes += static_cast<std::uint64_t>(entry->episodes + entry->concepts);
    stats.links += static_cast<std::uint64_t>(entry->links.load());
    const auto generations = entry->generations();
    for (const auto& index : generations->indexes) {
      stats.index_bytes += index->bytes_used();
      stats.index_file_bytes += index->file_bytes();
    }
  }
  stats.indexes_loaded = indexes_loaded_;
  stats.indexes_restored = indexes_restored_;
  stats.indexes_damaged = indexes_damaged_;
  stats.indexes_saved = indexes_saved_;
  stats.hot_bytes = hot_->bytes();
  stats.unapplied_bytes = applier_->unapplied_bytes();
  stats.log_bytes = wal_->bytes_on_disk();
  stats.store_bytes = store_->bytes_on_disk();
  Status health = wal_->health();
  if (health.ok()) health = applier_->health();
  stats.health = health.ok() ? "ok" : health.to_string();
  return stats;
}

}  // namespace mneme
