// What the machine can do: the limits that the engine's figures are held against.
#pragma once

#include <cstdint>
#include <string>

namespace mneme::bench {

/// Appends of `bytes` with fdatasync after each, one thread, over blocks that were written once before (no size or extent
/// change to commit: the fastest that a log can be). @return syncs per second
double synced_appends_per_second(const std::string& directory, std::uint64_t bytes, double seconds);
/// One thread summing an array of 1 GiB. @return bytes per second
double read_bandwidth(unsigned threads);
/// RocksDB's own writes of 4 KiB with its log on and sync = true. @return writes per second
double rocksdb_synced_writes_per_second(const std::string& directory, unsigned threads, double seconds);
/// Two random reads of memory that depend on each other, over `bytes`. @return seconds for both
double two_memory_misses(std::uint64_t bytes);
/// A RocksDB of `records` values of `value_bytes`, written by sorted files; then two threads each scan half of it, hash
/// every value with SHA-256 and write it into sorted files. @return records per second of the latter
class RawMigration {
 public:
  RawMigration(std::string directory, std::uint64_t records, std::uint64_t value_bytes);
  ~RawMigration();
  double records_per_second() const;

 private:
  std::string directory_;
  std::uint64_t records_, value_bytes_;
};
/// Sequential read of a file from the page cache with CRC-32C over it. @return bytes per second
double checksummed_read_bandwidth(const std::string& directory, std::uint64_t bytes);

}  // namespace mneme::bench
