// Database: one directory, one writer process, any number of spaces.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "mneme/batch.h"
#include "mneme/bulk.h"
#include "mneme/options.h"
#include "mneme/read_view.h"
#include "mneme/space.h"
#include "mneme/stats.h"

namespace mneme {

class DatabaseImpl;

/// Threads: every call from any thread, but for close() and destruction, which wait for nobody else's calls.
class Database {
 public:
  /// Opens a database and replays its log. Cost: the log that was not yet flushed; nothing that grows with the data.
  ///
  /// @error NotFound         no database there and create_if_missing is off
  /// @error Busy             another process (or another Database of this one) has it open
  /// @error DataLoss         acknowledged data is missing or damaged: says where and how much; open read_only to look,
  ///                         accept_data_loss to go on without it
  /// @error Corruption, VersionMismatch, IoError, NoSpace
  static Result<std::unique_ptr<Database>> open(const std::filesystem::path& directory,
                                                const DatabaseOptions& options = {});
  ~Database();  ///< close(), ignoring its Status
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Makes everything durable, flushes and releases the directory. Later calls return FailedPrecondition.
  Status close();

  DatabaseId id() const;
  const RecoveryInfo& recovery() const;

  /// @error AlreadyExists; InvalidArgument  the name is empty, too long, not UTF-8 or has control characters
  Result<Space> create_space(std::string_view name, const SpaceOptions& options = {});
  Result<Space> space(std::string_view name) const;  ///< @error NotFound
  std::vector<SpaceInfo> spaces() const;             ///< by name
  /// A stopped space refuses writes with FailedPrecondition and serves reads. Survives a restart.
  Status stop_space(std::string_view name);
  Status start_space(std::string_view name);
  /// Removes the space and all in it. Its id is never used again.
  Status drop_space(std::string_view name);

  /// Applies the batch whole or not at all. @return its position in the log; 0 for an empty batch
  /// @error as Space::put; NotFound  a link's end or a space is not there; nothing is applied
  Result<Lsn> write(const Batch& batch, Durability durability = Durability::Sync);

  /// Pins the present: every acknowledged write is in it. Cost: waits until the store has caught up with the log.
  Result<ReadView> read_view();

  /// Writes new nodes past the log's payload: bodies and vectors go into sorted files, the log records their names,
  /// sizes, checksums and ranges, the store takes them in together with `side` in one atomic step. Returns when that is
  /// durable and visible. At most 65,536 nodes.
  /// @error AlreadyExists  an id is there or twice in `nodes`; nothing is written
  /// Threads: any number at once; files are written in parallel.
  Result<Lsn> bulk_insert(const Space& space, std::span<const NodeRecordPtr> nodes, std::span<const SideEntry> side,
                          const BulkOptions& options = {});
  /// Side entries with keys starting with `prefix`, by key, until `visit` returns false.
  Status scan_side(std::string_view prefix,
                   const std::function<bool(std::string_view key, ByteView value)>& visit) const;

  DatabaseStats stats() const;
  /// Makes everything acknowledged durable in the ordered store and drops the log behind it.
  Status flush();
  /// Checks the log's checksums, counts and the map of what is where; `deep`: also every stored byte, every node's
  /// encoding, vectors and links, and every byte of saved indexes. Changes nothing.
  Result<VerifyReport> verify(bool deep);

 private:
  explicit Database(std::shared_ptr<DatabaseImpl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<DatabaseImpl> impl_;
};

}  // namespace mneme
