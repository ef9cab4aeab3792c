// Walks over keys.
#include "rocks_status.h"
#include "rocks_store.h"

namespace mneme::storage {
namespace {

class EmptyIterator final : public StoreIterator {
 public:
  explicit EmptyIterator(Status reason) : reason_(std::move(reason)) {}
  bool valid() const override { return false; }
  void next() override {}
  void seek(std::string_view) override {}
  std::string_view key() const override { return {}; }
  ByteView value() const override { return {}; }
  Status status() const override { return reason_; }

 private:
  Status reason_;
};

class RocksIterator final : public StoreIterator {
 public:
  RocksIterator(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* handle, std::string_view begin, std::string_view end,
                const ScanOptions& options, std::string what)
      : begin_(begin),
        end_(end),
        begin_slice_(begin_),
        end_slice_(end_),
        snapshot_(options.snapshot),
        what_(std::move(what)) {
    rocksdb::ReadOptions read;
    read.snapshot = rocks_snapshot(snapshot_);
    read.fill_cache = options.fill_cache;
    read.readahead_size = options.readahead_bytes;
    if (!begin_.empty()) read.iterate_lower_bound = &begin_slice_;
    if (!end_.empty()) read.iterate_upper_bound = &end_slice_;
    rocks_.reset(db.NewIterator(read, handle));
    rocks_->SeekToFirst();
  }

  bool valid() const override { return rocks_->Valid(); }
  void next() override { rocks_->Next(); }
  void seek(std::string_view key) override { rocks_->Seek(to_slice(std::max(key, std::string_view(begin_)))); }
  std::string_view key() const override { return to_text(rocks_->key()); }
  ByteView value() const override { return to_bytes(rocks_->value()); }
  Status status() const override { return from_rocks(rocks_->status(), what_); }

 private:
  const std::string begin_, end_;
  const rocksdb::Slice begin_slice_, end_slice_;  // RocksDB keeps pointers to these
  const StoreSnapshotPtr snapshot_;
  const std::string what_;
  std::unique_ptr<rocksdb::Iterator> rocks_;
};

}  // namespace

std::unique_ptr<StoreIterator> RocksOrderedStore::scan(Family family, std::string_view begin, std::string_view end,
                                                       const ScanOptions& options) const {
  try {
    if (Status known = check_family(family, "scan"); !known) return std::make_unique<EmptyIterator>(std::move(known));
    if (!end.empty() && begin >= end) return std::make_unique<EmptyIterator>(ok_status());  // holds nothing
    return std::make_unique<RocksIterator>(*db_, handles_[family], begin, end, options,
                                           context("scan of family " + handles_[family]->GetName()));
  } catch (const std::exception& error) {
    return std::make_unique<EmptyIterator>(Status(Code::Busy, context("scan") + ": " + error.what()));
  }
}

}  // namespace mneme::storage
