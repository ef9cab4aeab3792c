// How a database is opened and how a space is made.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "mneme/base/clock.h"
#include "mneme/base/ids.h"
#include "mneme/base/result.h"

namespace mneme {

/// When a write is acknowledged, and what a power cut can take back. Nothing acknowledged is lost by kill -9.
enum class Durability : std::uint8_t {
  Sync = 0,      ///< after fdatasync: a power cut loses nothing acknowledged
  Interval = 1,  ///< after the write to the log; a power cut may take the last 50 ms
  Memory = 2,    ///< after the write to the log; a power cut may take whatever was not synced
};

struct DatabaseOptions {
  /// Make the database when the directory is absent or empty.
  bool create_if_missing = false;

  /// Read what is there and change nothing on disk. Works on a damaged database up to the damage.
  /// Needs the directory to itself all the same.
  bool read_only = false;

  /// Go on although acknowledged data is lost (an open returned DataLoss): what lies behind the damage is moved to
  /// wal/lost and given up. A person's decision.
  bool accept_data_loss = false;

  /// For a new database: the shape of generation 0 of spaces made without one of their own.
  std::uint32_t default_dimension = 384;
  Metric default_metric = Metric::Cosine;

  /// Nodes in memory, charged at real bytes. What is not yet applied is kept beyond it, up to unapplied_bytes_max.
  std::uint64_t hot_bytes_max = 256 * kMiB;

  /// Writes wait above this many bytes not yet applied to the ordered store, and return Busy after busy_after.
  std::uint64_t unapplied_bytes_max = 128 * kMiB;
  std::chrono::milliseconds busy_after{10'000};

  /// The ordered store is flushed and log segments are dropped when this much log is live.
  std::uint64_t log_bytes_max = 256 * kMiB;

  std::uint64_t block_cache_bytes = 256 * kMiB;

  /// Keep of saved indexes only what every approximate search reads: about 150 bytes a vector of 768 dimensions instead
  /// of 900. The rest is read from their files where a search touches it.
  bool cold_indexes = false;

  /// Threads for flushes and compactions. 0 = two.
  unsigned background_threads = 0;

  /// Warnings and background errors, one line each, without content. Called from any thread. May be empty.
  std::function<void(std::string_view)> log;

  /// Injected for tests; null = the machine's.
  const Clock* clock = nullptr;
  Random* random = nullptr;

  /// InvalidArgument names the first field out of range.
  Status validate() const;
};

/// A new space's first embedding model.
struct SpaceOptions {
  std::uint32_t dimension = 0;     ///< 0 = the database's default
  Metric metric = Metric::Cosine;  ///< used when dimension is not 0, else the database's default
  std::string model = "default";   ///< name of the model, informative
};

/// One more embedding model of a space.
struct GenerationOptions {
  std::uint32_t dimension = 0;  ///< of its vectors: 1 … limits::kDimensionsMax
  Metric metric = Metric::Cosine;
  std::string model = "default";  ///< name of the model, informative
};

}  // namespace mneme
