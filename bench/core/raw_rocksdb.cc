// RocksDB by itself, on the same disk and data.

#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_writer.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <random>
#include <thread>

#include "calibrate.h"
#include "mneme/base/bytes.h"
#include "mneme/base/checksum.h"
#include "report.h"

namespace mneme::bench {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

void ok(const rocksdb::Status& status, const char* what) {
  require(status.ok(), std::string(what) + ": " + status.ToString());
}

rocksdb::Options raw_options() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;
  options.write_buffer_size = 64 * kMiB;
  options.IncreaseParallelism(2);
  return options;
}

std::string key_of(std::uint64_t i) {
  std::string key;
  append_be(key, i);
  return key;
}

// A value that does not compress and differs from the next.
void fill_value(std::uint64_t seed, std::string& value) {
  std::mt19937_64 random(seed);
  for (std::size_t at = 0; at + 8 <= value.size(); at += 8) {
    const std::uint64_t word = random();
    std::memcpy(value.data() + at, &word, 8);
  }
}

class Files {
 public:
  Files(const rocksdb::Options& options, std::string prefix) : options_(options), prefix_(std::move(prefix)) {}
  void put(const rocksdb::Slice& key, const rocksdb::Slice& value) {
    if (!writer_) {
      writer_ = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), options_);
      names_.push_back(prefix_ + std::to_string(names_.size()) + ".sst");
      ok(writer_->Open(names_.back()), "open a sorted file");
    }
    ok(writer_->Put(key, value), "put into a sorted file");
    if (writer_->FileSize() > 64 * kMiB) finish();
  }
  void finish() {
    if (writer_) ok(writer_->Finish(), "finish a sorted file");
    writer_.reset();
  }
  const std::vector<std::string>& names() const { return names_; }

 private:
  rocksdb::Options options_;
  std::string prefix_;
  std::unique_ptr<rocksdb::SstFileWriter> writer_;
  std::vector<std::string> names_;
};

}  // namespace

double rocksdb_synced_writes_per_second(const std::string& directory, unsigned threads, double seconds) {
  const std::string path = directory + "/raw-rocksdb";
  std::filesystem::remove_all(path);
  std::atomic<std::uint64_t> count{0};
  double elapsed = 0;
  {
    rocksdb::DB* raw = nullptr;
    ok(rocksdb::DB::Open(raw_options(), path, &raw), "open RocksDB");
    const std::unique_ptr<rocksdb::DB> db(raw);
    rocksdb::WriteOptions write;
    write.sync = true;
    const auto begin = Clock::now();
    std::vector<std::thread> writers;
    for (unsigned t = 0; t < threads; ++t) {
      writers.emplace_back([&, t] {
        std::string value(4096, '\0');
        fill_value(t, value);
        for (std::uint64_t i = 0; since(begin) < seconds; ++i) {
          ok(db->Put(write, key_of(i * threads + t), value), "put");
          count.fetch_add(1, std::memory_order_relaxed);
        }
      });
    }
    for (std::thread& writer : writers) writer.join();
    elapsed = since(begin);
  }
  std::filesystem::remove_all(path);
  return static_cast<double>(count) / elapsed;
}

RawMigration::RawMigration(std::string directory, std::uint64_t records, std::uint64_t value_bytes)
    : directory_(std::move(directory) + "/raw-migration"), records_(records), value_bytes_(value_bytes) {
  std::filesystem::remove_all(directory_);
  std::filesystem::create_directories(directory_);
  rocksdb::DB* raw = nullptr;
  ok(rocksdb::DB::Open(raw_options(), directory_ + "/db", &raw), "open RocksDB");
  const std::unique_ptr<rocksdb::DB> db(raw);
  Files files(raw_options(), directory_ + "/in-");
  std::string value(value_bytes_, '\0');
  for (std::uint64_t i = 0; i < records_; ++i) {
    fill_value(i, value);
    files.put(key_of(i), value);
  }
  files.finish();
  rocksdb::IngestExternalFileOptions ingest;
  ingest.move_files = true;
  ok(db->IngestExternalFile(files.names(), ingest), "ingest");
}

RawMigration::~RawMigration() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

double RawMigration::records_per_second() const {
  constexpr unsigned kThreads = 2;
  rocksdb::DB* raw = nullptr;
  ok(rocksdb::DB::OpenForReadOnly(raw_options(), directory_ + "/db", &raw), "open RocksDB");
  const std::unique_ptr<rocksdb::DB> db(raw);
  std::atomic<std::uint64_t> seen{0};
  const auto begin = Clock::now();
  std::vector<std::thread> workers;
  for (unsigned t = 0; t < kThreads; ++t) {
    workers.emplace_back([&, t] {
      Files files(raw_options(), directory_ + "/out-" + std::to_string(t) + "-");
      const std::string end_key = key_of(records_ / kThreads * (t + 1));
      rocksdb::ReadOptions read;
      const rocksdb::Slice end(end_key);
      if (t + 1 < kThreads) read.iterate_upper_bound = &end;
      read.fill_cache = false;
      const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(read));
      unsigned char mixed = 0;
      for (at->Seek(key_of(records_ / kThreads * t)); at->Valid(); at->Next()) {
        mixed ^= sha256(as_bytes({at->value().data(), at->value().size()}))[0];
        files.put(at->key(), at->value());
        seen.fetch_add(1, std::memory_order_relaxed);
      }
      ok(at->status(), "scan");
      files.finish();
      if (mixed == 1) say("");  // keeps the hash
      for (const std::string& name : files.names()) std::filesystem::remove(name);
    });
  }
  for (std::thread& worker : workers) worker.join();
  const double seconds = since(begin);
  require(seen == records_, "raw migration: " + std::to_string(seen) + " of " + std::to_string(records_) + " records");
  return static_cast<double>(records_) / seconds;
}

}  // namespace mneme::bench
