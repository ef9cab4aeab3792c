// LegacyStore: the single-type store of Memory records that a migration starts from. One directory, one process.
//
//   DIR/MANIFEST   control record (LegacyManifest); MANIFEST.new while the store is being made
//   DIR/LOCK       held while open
//   DIR/wal/       the log (storage/wal.h), one record per batch
//   DIR/store/     ordered store; family 0 meta (counts), family 1 "memory": key = id bytes, value = encode_memory
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mneme/base/ids.h"
#include "mneme/migration/memory.h"

namespace mneme::migration {

struct LegacyOptions {
  /// Make the store when the directory is absent or empty.
  bool create_if_missing = false;
  /// Read what is there, up to damage if there is any, and change nothing but LOCK.
  bool read_only = false;
  /// Go on although acknowledged data is lost; see storage/wal.h. A person's decision; not with read_only.
  bool accept_data_loss = false;
  std::uint64_t block_cache_bytes = 128 * kMiB;
  std::function<void(std::string_view)> log;  ///< warnings, one line each, without content; from any thread
};

struct LegacyStats {
  Uuid id;
  Lsn last;  ///< of the last change; opening and closing is none
  std::uint64_t memories = 0, bytes_on_disk = 0;
  std::optional<std::uint32_t> dimension;  ///< of the embeddings; none yet = nullopt; stays when all are erased
};

/// Threads: any, but close() and destruction, which wait for nobody else's calls. Release views before close().
class LegacyStore {
 public:
  /// @error NotFound, Busy, DataLoss, Corruption, VersionMismatch, IoError, NoSpace; as Database::open
  /// @error AlreadyExists  to be made, in a directory that holds something else
  /// Cost: the log that was not yet flushed, at most about 128 MiB; nothing that grows with the data.
  static Result<std::unique_ptr<LegacyStore>> open(const std::filesystem::path& directory,
                                                   const LegacyOptions& options);
  virtual ~LegacyStore() = default;

  /// Inserts or replaces, atomically, durable on return.
  /// @error InvalidArgument  names the id: validate_memory, an id twice in one batch, or another dimension than the
  ///                         embeddings that are there. Nothing is written.
  /// @error NoSpace  Nothing is written; or, where the message says so, the log has it, and it becomes visible before
  ///                 the next write succeeds, and by a reopen. Reads go on; writes succeed again when there is room.
  virtual Status put(std::span<const Memory> memories) = 0;
  /// As put, but durable only after the next sync(): for bulk imports.
  virtual Status put_unsynced(std::span<const Memory> memories) = 0;
  virtual Status sync() = 0;
  /// Durable on return. Erasing what is not there is ok.
  virtual Status erase(std::string_view id) = 0;
  virtual Result<Memory> get(std::string_view id) const = 0;  ///< @error NotFound

  /// A consistent view for scans; `lsn` is the last change it holds.
  class View;
  struct RawRecord {
    std::string_view id;
    ByteView encoded;  ///< canonical bytes, as stored
  };
  /// Visits records with id in [begin, end) in byte order (empty end = no end), as of the view.
  virtual std::shared_ptr<const View> view() const = 0;
  virtual Status scan(const std::shared_ptr<const View>& view, std::string_view begin, std::string_view end,
                      const std::function<bool(const RawRecord&)>& visit) const = 0;
  virtual Lsn lsn(const View& view) const = 0;
  /// The up to n - 1 ids between n ranges of about equal bytes, ascending. Cost: does not grow with the data.
  virtual Result<std::vector<std::string>> split_points(std::size_t n) const = 0;
  virtual std::uint64_t approximate_bytes(std::string_view begin, std::string_view end) const = 0;

  virtual Uuid id() const = 0;
  virtual LegacyStats stats() const = 0;
  /// Makes everything durable in the ordered store and drops the log behind it.
  virtual Status flush() = 0;
  /// flush(), and releases the directory. Later calls return FailedPrecondition.
  virtual Status close() = 0;
};

}  // namespace mneme::migration
