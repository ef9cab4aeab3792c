// DatabaseImpl: what stands behind Database and Space.
//
// A write: checks → locks of the nodes it names → the log → publication (hot tier, pending links, indexes, counters) by
// the log's leader in LSN order → acknowledged. The applier takes published commits to the ordered store behind it; the
// maintainer flushes the store and drops the log.
//
// Lock order: a space's gate, then node stripes (ascending), then the log. Publication runs under the log's order alone.
#pragma once

#include <array>
#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "applier.h"
#include "mneme/database.h"
#include "mneme/storage/control_record.h"
#include "mneme/storage/file_system.h"
#include "mneme/storage/wal.h"
#include "pending_links.h"
#include "spaces.h"

namespace mneme {

struct ReadView::Pin {
  std::shared_ptr<storage::OrderedStore> store;  // outlives the snapshot
  storage::StoreSnapshotPtr snapshot;
  Lsn lsn;
  std::function<void()> unpin;
  ~Pin() {
    snapshot.reset();
    if (unpin) unpin();
  }
};

/// What is known of a stored node before it is replaced, erased or linked.
struct Existing {
  RowId row;
  NodeKind kind = NodeKind::Episode;
  std::size_t vectors = 0;
  std::optional<Timestamp> created_at;
};

class DatabaseImpl : public std::enable_shared_from_this<DatabaseImpl> {
 public:
  static Result<std::shared_ptr<DatabaseImpl>> open(const std::filesystem::path& directory,
                                                    const DatabaseOptions& options);
  ~DatabaseImpl();
  Status close();

  DatabaseId id() const { return id_; }
  NodeId new_id() { return uuid_v7(clock_, random_); }
  Timestamp now() const { return clock_.now(); }
  const RecoveryInfo& recovery() const { return recovery_; }

  // spaces (space_admin.cc)
  Result<Space> create_space(std::string_view name, const SpaceOptions& options);
  Result<Space> space(std::string_view name);
  std::vector<SpaceInfo> spaces() const;
  Status set_space_state(std::string_view name, SpaceState state);
  Status drop_space(std::string_view name);
  Result<SpaceInfo> space_info(SpaceId id) const;
  Result<SpaceStats> space_stats(SpaceId id) const;
  /// The space, or NotFound, or FailedPrecondition when the database is closed.
  Result<SpaceEntryPtr> entry(SpaceId id) const;

  // writes (write.cc)
  Result<Lsn> write(std::span<const Batch::Operation> operations, Durability durability);
  Status move(SpaceId space, const NodeId& node, TierId to);

  // bulk (bulk.cc)
  Result<Lsn> bulk_insert(SpaceId space, std::span<const NodeRecordPtr> nodes, std::span<const SideEntry> side,
                          const BulkOptions& options);
  Status scan_side(std::string_view prefix, const std::function<bool(std::string_view, ByteView)>& visit) const;

  // reads (read.cc, search.cc)
  Result<ReadView> read_view();
  Result<NodeView> get(SpaceId space, const NodeId& node) const;
  Result<NodeView> get(SpaceId space, const NodeId& node, const ReadView& view) const;
  Result<TierId> tier_of(SpaceId space, const NodeId& node) const;
  Result<std::vector<Link>> links(SpaceId space, const NodeId& node, LinkDirection direction,
                                  std::string_view type) const;
  Status scan(SpaceId space, const ScanQuery& query, const std::function<bool(const NodeView&)>& visit);
  Result<std::vector<SearchHit>> search(SpaceId space, const Query& query);
  Result<std::vector<Neighbour>> nearest(SpaceId space, const Query& query);
  Result<std::vector<std::vector<Neighbour>>> nearest_batch(SpaceId space, std::span<const float> queries,
                                                            const Query& shape);

  // whole (database_impl.cc, verify.cc)
  DatabaseStats stats() const;
  Status flush();
  Result<VerifyReport> verify(bool deep);

 private:
  friend class Verifier;
  friend class WritePlan;
  DatabaseImpl(std::filesystem::path directory, const DatabaseOptions& options);

  // opening (open.cc)
  Status prepare_directory();
  Status load_manifest();
  Status open_store();
  Result<std::map<SpaceId, SpaceCounters>> load_spaces();
  Status open_log();
  Status replay(const storage::WalRecord& record);
  Status remove_stale_bulk_files();
  void maintain();
  void remember_overlay(const Commit& commit);

  // writing
  class StripeLocks;
  Status may_write() const;
  Result<SpaceEntryPtr> writable(SpaceId id) const MNEME_NO_THREAD_SAFETY_ANALYSIS;
  Result<std::optional<Existing>> existing(SpaceId space, const NodeId& node) const;
  Result<Lsn> log_and_publish(Commit commit, Durability durability);
  void publish(Commit commit);
  void publish_ops(const Commit& commit);
  void publish_links(const Commit& commit);
  void publish_change(const SpaceChange& change);
  Result<Lsn> commit_change(SpaceChange change);

  // reading
  Result<std::optional<NodeView>> stored(SpaceId space, const NodeId& node,
                                         const storage::StoreSnapshotPtr& snapshot) const;
  Status caught_up() const;  // waits until the store shows every published commit
  /// Visits stored nodes by row from `first`, over warm, cold and (read-only opens) what could not be applied.
  Status for_each_node(SpaceId space, RowId first, const storage::StoreSnapshotPtr& snapshot, const Filter& filter,
                       const std::function<bool(const NodeView&)>& visit) const;
  Result<Lsn> load_index(SpaceId space, GenerationId generation, IndexState& state, Lsn at_least);

  // indexes in files (saved_indexes.cc)
  Status load_index_records();
  Result<bool> restore_index(const SpaceEntry& entry, GenerationIndex& index, IndexState& state, const ReadView& view);
  Result<std::optional<std::vector<RowId>>> rows_changed(SpaceId space, Lsn after, const ReadView& view,
                                                         std::size_t rows_max) const;
  Status replay_change(SpaceId space, GenerationId generation, RowId row, const ReadView& view,
                       IndexState& state) const;
  void save_indexes();
  Status save_index(SpaceEntry& entry, GenerationIndex& index, bool closing);
  Status give_up_when_behind(SpaceEntry& entry, GenerationIndex& index);
  Status forget_stale_record(SpaceEntry& entry, GenerationIndex& index);
  void index_is_damaged(const SpaceInfo& space, GenerationIndex& index, const IndexStatePtr& state, const Uuid& id,
                        const Status& damage) const;
  /// Of one generation, or of all that a space has: the record in the store and the files. The index must be out of
  /// reach of searches and writers. Best effort: what stays is removed by the next open.
  void remove_saved_index(SpaceId space, std::optional<GenerationId> generation);

  // searching (search.cc, search_view.cc)
  struct Searched;
  using Neighbours = std::vector<Neighbour>;
  using SearchHits = std::vector<SearchHit>;
  Result<Searched> start_search(SpaceId space, const Query& query);
  Status take_vector_of_like(Searched& searched, const Query& query) const;
  Status take_state(Searched& searched, const Query& query);
  Result<std::vector<Neighbours>> neighbours(const Searched& searched, std::span<const float> queries,
                                             const Query& query);
  Result<std::vector<Neighbours>> neighbours_after(const Status& damage, const Searched& searched,
                                                   std::span<const float> queries, const Query& query);
  Result<std::vector<SearchHits>> search_view(const Searched& searched, std::span<const float> queries,
                                              const Query& query) const;
  Result<FilterCache::BitmapPtr> matching_slots(const Searched& searched, const Query& query) const;

  const std::filesystem::path directory_;
  const DatabaseOptions options_;
  storage::FileSystem& fs_;
  const Clock& clock_;
  Random& random_;

  std::unique_ptr<storage::FileLock> lock_;
  DatabaseId id_;
  storage::DatabaseManifest manifest_;
  std::shared_ptr<storage::OrderedStore> store_;
  std::unique_ptr<storage::TierMap> map_;
  std::unique_ptr<storage::TierStore> warm_, cold_;
  std::unique_ptr<storage::HotTier> hot_;
  PendingLinks pending_links_;
  Spaces spaces_;
  std::unique_ptr<Applier> applier_;
  std::unique_ptr<storage::Wal> wal_;
  RecoveryInfo recovery_;

  std::atomic<bool> closed_{false};
  std::atomic<std::uint64_t> visible_{0};
  std::atomic<std::uint32_t> next_space_{1};
  Mutex admin_mutex_;  // one change of the registry at a time; taken before any gate

  static constexpr std::size_t kStripes = 1024;
  std::array<Mutex, kStripes> stripes_;

  std::set<std::string> replayed_bulk_files_;  // while opening
  Lsn replayed_unseen_;                        // the last replayed bulk load or move: reads see those in the store only

  mutable Mutex views_mutex_;
  std::multiset<Lsn> views_ MNEME_GUARDED_BY(views_mutex_);

  /// Read-only opens only: replayed changes that the store does not show; null record = erased.
  std::map<std::pair<SpaceId, RowId>, std::pair<NodeRecordPtr, Lsn>> overlay_;

  Mutex maintain_mutex_;
  CondVar maintain_wake_;
  bool stopping_ MNEME_GUARDED_BY(maintain_mutex_) = false;
  std::thread maintainer_;
  std::thread saver_;  // of indexes; sleeps with the maintainer

  mutable std::atomic<std::uint64_t> indexes_loaded_{0}, indexes_restored_{0}, indexes_damaged_{0}, indexes_saved_{0};
};

}  // namespace mneme
