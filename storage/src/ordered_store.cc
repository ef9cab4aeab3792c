// Opening and closing, the write path and point reads.
#include "mneme/storage/ordered_store.h"

#include <rocksdb/convenience.h>

#include <array>
#include <cassert>

#include "mneme/storage/failpoint.h"
#include "rocks_options.h"
#include "rocks_status.h"
#include "rocks_store.h"

namespace mneme::storage {
namespace {

struct RocksSnapshot final : StoreSnapshot {
  RocksSnapshot(std::shared_ptr<const rocksdb::Snapshot> pinned, Lsn applied)
      : pin(std::move(pinned)), applied_at(applied) {}
  Lsn lsn() const override { return applied_at; }

  std::shared_ptr<const rocksdb::Snapshot> pin;
  Lsn applied_at;
};

// RocksDB tells a held lock by words alone: the system's EAGAIN from another process, its own text from this one.
bool is_held_lock(const rocksdb::Status& status) {
  const std::string text = status.ToString();
  return status.IsIOError() && text.find("/LOCK") != std::string::npos &&
         (text.find("lock file") != std::string::npos ||
          text.find("lock hold by current process") != std::string::npos);
}

Status open_error(const rocksdb::Status& status, const std::string& what) {
  if (is_held_lock(status)) return {Code::Busy, what + ": held by another process or handle"};
  const Status failed = from_rocks(status, what);
  if (failed.code() != Code::InvalidArgument) return failed;
  const auto speaks_of = [&](std::string_view words) { return failed.message().find(words) != std::string::npos; };
  if (speaks_of("olumn famil")) return {Code::VersionMismatch, failed.message()};  // more or fewer than we know
  if (speaks_of("does not exist")) return {Code::NotFound, failed.message()};
  return failed;
}

}  // namespace

const rocksdb::Snapshot* rocks_snapshot(const StoreSnapshotPtr& snapshot) {
  return snapshot ? static_cast<const RocksSnapshot&>(*snapshot).pin.get() : nullptr;
}

Result<std::unique_ptr<OrderedStore>> OrderedStore::open(const Path& directory, const OrderedStoreOptions& options) {
  return guarded("store " + directory.string() + ": open", [&] { return RocksOrderedStore::open(directory, options); });
}

Result<std::unique_ptr<OrderedStore>> RocksOrderedStore::open(const Path& directory,
                                                              const OrderedStoreOptions& options) {
  MNEME_TRY(validate(options));
  std::unique_ptr<RocksOrderedStore> store(new RocksOrderedStore(directory, options));
  MNEME_TRY(store->connect());
  MNEME_TRY(store->check_families());
  MNEME_ASSIGN(const Lsn applied, store->read_applied({}));
  store->applied_ = store->flushed_ = applied.value;
  return std::unique_ptr<OrderedStore>(std::move(store));
}

Status RocksOrderedStore::connect() {
  const auto block_cache = rocksdb::NewLRUCache(options_.block_cache_bytes, -1, false, 0.5);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const FamilyOptions& family : options_.families) {
    const std::string name = descriptors.empty() ? rocksdb::kDefaultColumnFamilyName : family.name;
    descriptors.emplace_back(name, rocks_family_options(family, block_cache));
  }
  rocksdb::DBOptions db_options = rocks_db_options(options_);
  db_options.listeners.push_back(background_errors_);
  // RocksDB would make the directory too, after it has logged an error that there is none.
  if (db_options.create_if_missing)
    MNEME_TRY(from_rocks(db_options.env->CreateDirIfMissing(directory_), context("open: make directory")));
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = options_.read_only
                                     ? rocksdb::DB::OpenForReadOnly(db_options, directory_, descriptors, &handles_, &db)
                                     : rocksdb::DB::Open(db_options, directory_, descriptors, &handles_, &db);
  db_.reset(db);
  return opened.ok() ? ok_status() : open_error(opened, context("open"));
}

Status RocksOrderedStore::check_families() const {
  for (std::size_t i = 0; i < handles_.size(); ++i)
    if (handles_[i]->GetID() != i)
      return {Code::VersionMismatch, context("open") + ": family '" + handles_[i]->GetName() + "' has id " +
                                         std::to_string(handles_[i]->GetID()) + ", expected " + std::to_string(i)};
  return ok_status();
}

RocksOrderedStore::~RocksOrderedStore() {
  if (!db_) return;
  rocksdb::CancelAllBackgroundWork(db_.get(), /*wait=*/true);
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    const rocksdb::Status destroyed = db_->DestroyColumnFamilyHandle(handle);
    assert(destroyed.ok());
    destroyed.PermitUncheckedError();
  }
  const rocksdb::Status closed = db_->Close();
  if (closed.ok() || !options_.log) return;
  try {
    options_.log(from_rocks(closed, context("close")).message());
  } catch (...) {  // nobody is left to tell
  }
}

std::string RocksOrderedStore::context(std::string_view what) const {
  return "store " + directory_ + ": " + std::string(what);
}

Status RocksOrderedStore::check_family(Family family, std::string_view what) const {
  if (family < handles_.size()) return ok_status();
  return {Code::InvalidArgument,
          context(what) + ": family " + std::to_string(family) + " of " + std::to_string(handles_.size())};
}

Status RocksOrderedStore::check_writable(std::string_view what) const {
  if (!options_.read_only) return ok_status();
  return {Code::FailedPrecondition, context(what) + ": the store is open read-only"};
}

Status RocksOrderedStore::apply(WriteSet& set, Lsn applied) {
  return guarded("apply", [&]() -> Status {
    MNEME_TRY(check_writable("apply"));
    WriteSet::Rep& rep = *set.rep_;
    if (!rep.error.ok()) return rep.error.with_context(context("apply"));
    MNEME_TRY(check_family(rep.highest_family, "apply"));
    const MutexLock lock(change_);
    if (applied < applied_lsn())
      return {Code::InvalidArgument, context("apply") + ": lsn " + std::to_string(applied.value) +
                                         " is behind applied_lsn " + std::to_string(applied_lsn().value)};
    if (background_errors_->disk_was_full()) resume_if_there_is_room();
    std::array<std::byte, 8> lsn;
    store_le(lsn.data(), applied.value);
    rep.batch.SetSavePoint();  // a failed set is the caller's again, as it was
    rocksdb::Status written = rep.batch.Put(handles_[0], to_slice(kAppliedKey), to_slice(ByteView(lsn)));
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    if (written.ok()) written = db_->Write(options, &rep.batch);
    if (!written.ok()) {
      MNEME_TRY(from_rocks(rep.batch.RollbackToSavePoint(), context("apply: undo")));
      return from_rocks(written, context("apply of lsn " + std::to_string(applied.value)));
    }
    MNEME_FAILPOINT("store.applied");
    applied_.store(applied.value, std::memory_order_release);
    set.clear();
    return ok_status();
  });
}

Result<Lsn> RocksOrderedStore::read_applied(const rocksdb::ReadOptions& options) const {
  rocksdb::PinnableSlice value;
  const rocksdb::Status found = db_->Get(options, handles_[0], to_slice(kAppliedKey), &value);
  if (found.IsNotFound()) return Lsn{0};
  MNEME_TRY(from_rocks(found, context("read applied_lsn")));
  if (value.size() != sizeof(std::uint64_t))
    return Status(Code::Corruption,
                  context("read applied_lsn") + ": " + std::to_string(value.size()) + " bytes, expected 8");
  return Lsn{load_le<std::uint64_t>(to_bytes(value).data())};
}

Lsn RocksOrderedStore::flushed_lsn() const {
  if (flushed_.load(std::memory_order_acquire) == applied_.load(std::memory_order_acquire))
    return {flushed_.load(std::memory_order_acquire)};
  // Flushes also happen when memtables are full. What lies in files is what a reopened store shows; a read that
  // skips the memtables sees just that.
  rocksdb::ReadOptions persisted;
  persisted.read_tier = rocksdb::kPersistedTier;
  const Result<Lsn> found = read_applied(persisted);
  std::uint64_t known = flushed_.load(std::memory_order_acquire);
  while (found && found->value > known && !flushed_.compare_exchange_weak(known, found->value)) {
  }
  return {flushed_.load(std::memory_order_acquire)};
}

Status RocksOrderedStore::flush() {
  return guarded("flush", [&]() -> Status {
    MNEME_TRY(check_writable("flush"));
    if (background_errors_->disk_was_full()) resume_if_there_is_room();
    const std::uint64_t applied = applied_lsn().value;
    rocksdb::FlushOptions options;
    options.wait = true;
    options.allow_write_stall = true;  // the caller asked for it now
    MNEME_TRY(from_rocks(db_->Flush(options, handles_), context("flush")));
    MNEME_FAILPOINT("store.flushed");
    std::uint64_t known = flushed_.load(std::memory_order_acquire);
    while (applied > known && !flushed_.compare_exchange_weak(known, applied)) {
    }
    return ok_status();
  });
}

Status RocksOrderedStore::resume() {
  return guarded("resume", [&]() -> Status {
    MNEME_TRY(check_writable("resume"));
    const Status resumed = from_rocks(db_->Resume(), context("resume"));
    if (resumed) background_errors_->clear();
    return resumed;
  });
}

bool RocksOrderedStore::has_room_for_memtables() const {
  std::uint64_t free_bytes = 0;
  if (!db_->GetEnv()->GetFreeSpace(directory_, &free_bytes).ok()) return false;
  const std::uint64_t in_memory = sum_of(rocksdb::DB::Properties::kCurSizeAllMemTables);
  return free_bytes >= in_memory + in_memory / 4 + kMiB;
}

// Resuming flushes; without room for what is in memory the attempt would only write until the disk is full again.
// Where it fails, the caller's own write meets the reason.
void RocksOrderedStore::resume_if_there_is_room() {
  if (!has_room_for_memtables()) return;
  if (const Status resumed = resume(); !resumed && options_.log) options_.log(resumed.message());
}

void BackgroundErrors::OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* error) {
  if (from_rocks(*error, {}).code() == Code::NoSpace) disk_was_full_.store(true, std::memory_order_relaxed);
}

Result<std::optional<PinnedValue>> RocksOrderedStore::get(Family family, std::string_view key,
                                                          const StoreSnapshotPtr& snapshot) const {
  using Found = Result<std::optional<PinnedValue>>;
  return guarded("get", [&]() -> Found {
    MNEME_TRY(check_family(family, "get"));
    rocksdb::ReadOptions options;
    options.snapshot = rocks_snapshot(snapshot);
    PinnedValue value;
    value.rep_ = std::make_unique<PinnedValue::Rep>();
    const rocksdb::Status found = db_->Get(options, handles_[family], to_slice(key), &value.rep_->slice);
    if (found.IsNotFound()) return std::optional<PinnedValue>();
    if (!found.ok()) return from_rocks(found, context("get from family " + handles_[family]->GetName()));
    return std::optional<PinnedValue>(std::move(value));
  });
}

bool RocksOrderedStore::may_exist(Family family, std::string_view key) const {
  if (family >= handles_.size()) return false;
  try {
    std::string unused;
    return db_->KeyMayExist({}, handles_[family], to_slice(key), &unused);
  } catch (const std::exception&) {
    return true;  // maybe
  }
}

std::shared_ptr<const rocksdb::Snapshot> RocksOrderedStore::pin() const {
  rocksdb::DB* const db = db_.get();
  return {db->GetSnapshot(), [db](const rocksdb::Snapshot* pinned) { db->ReleaseSnapshot(pinned); }};
}

StoreSnapshotPtr RocksOrderedStore::snapshot() const noexcept {
  // While nothing is being applied, the number in memory is the number of the state.
  if (change_.try_lock()) {
    auto taken = std::make_shared<RocksSnapshot>(pin(), applied_lsn());
    change_.unlock();
    return taken;
  }
  // Otherwise the state itself says; a batch that is on its way is in it whole or not at all.
  auto pinned = pin();
  rocksdb::ReadOptions options;
  options.snapshot = pinned.get();
  if (const Result<Lsn> applied = read_applied(options)) return std::make_shared<RocksSnapshot>(pinned, *applied);
  const MutexLock lock(change_);  // unreadable: wait until the number in memory is exact again
  return std::make_shared<RocksSnapshot>(pin(), applied_lsn());
}

}  // namespace mneme::storage
