// What RocksDB is given of the outside world: files that only the owner may open, and a log that goes to the owner.
#pragma once

#include <rocksdb/env.h>

#include <functional>
#include <memory>
#include <string_view>

namespace mneme::storage {

/// The default environment with new files 0600 and new directories 0700. Lives as long as the process.
rocksdb::Env* owner_only_env();

/// Says whether the calling thread runs a compaction from now on.
///
/// A table that a compaction cannot write for want of room is reported to RocksDB as a plain error that may be tried
/// again, so that the compaction is put off and nothing else happens. Reported as it is, it becomes a background error,
/// and a flush that ends well while one stands never lets go of its memtables: every later flush then waits for ever.
/// Source: facebook/rocksdb#11872 (mended in 8.7)
void set_thread_compacts(bool compacts);

/// A logger that hands warnings and errors to `log`, one call at a time, and drops the rest. Writes no file: the
/// default logger of the packaged 7.8.3 asserts when the disk is full.
/// Source: facebook/rocksdb#931, #6316, #12448
std::shared_ptr<rocksdb::Logger> make_rocks_logger(std::function<void(std::string_view)> log);

}  // namespace mneme::storage
