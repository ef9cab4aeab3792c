#include <array>
#include <utility>

#include "mneme/storage/failpoint.h"
#include "wal_segments.h"

namespace mneme::storage::wal {

Status fill_zeros(File& file, std::uint64_t from, std::uint64_t to) {
  static constexpr std::size_t kWriteBytes = 256 * kKiB;
  static constexpr std::uint64_t kSyncEveryBytes = 4 * kMiB;
  static constexpr std::array<std::byte, kWriteBytes> kZeros{};
  std::uint64_t unsynced = 0;
  while (from < to) {
    const std::uint64_t size = std::min<std::uint64_t>(kWriteBytes, to - from);
    MNEME_TRY(file.write_at(from, ByteView(kZeros).first(size)));
    from += size;
    // Small syncs keep a group's own fdatasync from waiting behind a whole segment of zeros.
    if ((unsynced += size) < kSyncEveryBytes && from < to) continue;
    MNEME_TRY(file.sync());
    unsynced = 0;
  }
  return {};
}

SparePreparer::SparePreparer(FileSystem& fs, Path directory) : fs_(fs), directory_(std::move(directory)) {}

SparePreparer::~SparePreparer() {
  std::thread thread;
  {
    MutexLock lock(mutex_);
    stop_ = true;
    changed_.notify_all();
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
  MutexLock lock(mutex_);
  // A spare that stays behind is removed by the next open.
  if (ready_) static_cast<void>(fs_.remove(ready_->path));
  if (recycled_) static_cast<void>(fs_.remove(recycled_->path));
}

void SparePreparer::want(std::uint64_t bytes) {
  MutexLock lock(mutex_);
  if (stop_ || ready_ || working_ || wanted_bytes_ != 0) return;
  wanted_bytes_ = bytes;
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  changed_.notify_all();
}

std::optional<Spare> SparePreparer::take(std::uint64_t bytes_min) {
  MutexLock lock(mutex_);
  std::optional<Spare> spare = std::exchange(ready_, std::nullopt);
  if (!spare || spare->bytes >= bytes_min) return spare;
  // Prepared for a segment that is past. Should it stay behind, the next open removes it.
  static_cast<void>(fs_.remove(spare->path));
  return std::nullopt;
}

Path SparePreparer::new_path() {
  std::string name = segment_name(names_.fetch_add(1));
  name.resize(name.find('.'));
  return directory_ / name.append(kSpareSuffix);
}

Result<Spare> SparePreparer::make_empty() {
  Spare spare;
  spare.path = new_path();
  MNEME_ASSIGN(spare.file, fs_.open(spare.path, OpenMode::CreateOrTruncate));
  return spare;
}

bool SparePreparer::has_use_for(std::uint64_t bytes) {
  MutexLock lock(mutex_);
  return !stop_ && !recycled_ && !working_ && (!ready_ || ready_->bytes < bytes);
}

void SparePreparer::recycle(Spare spare) {
  MutexLock lock(mutex_);
  recycled_ = std::move(spare);
}

std::uint64_t SparePreparer::bytes_on_disk() {
  MutexLock lock(mutex_);
  return (ready_ ? ready_->bytes : 0) + (recycled_ ? recycled_->bytes : 0) + working_bytes_;
}

void SparePreparer::settle() {
  MutexLock lock(mutex_);
  while (!stop_ && (working_ || wanted_bytes_ != 0)) changed_.wait(mutex_);
}

void SparePreparer::run() {
  while (true) {
    std::optional<Spare> recycled;
    std::uint64_t bytes = 0;
    {
      MutexLock lock(mutex_);
      while (!stop_ && wanted_bytes_ == 0) changed_.wait(mutex_);
      if (stop_) return;
      bytes = working_bytes_ = std::exchange(wanted_bytes_, 0);
      working_ = true;
      if (recycled_) recycled = std::exchange(recycled_, std::nullopt);
    }
    Result<Spare> spare = prepare(bytes, std::move(recycled));
    MutexLock lock(mutex_);
    if (spare) ready_ = std::move(spare).value();
    working_ = false;
    working_bytes_ = 0;
    changed_.notify_all();
  }
}

// Blocks that are already allocated make the cheapest segment: writing and syncing them changes no metadata.
Result<Spare> SparePreparer::prepare(std::uint64_t bytes, std::optional<Spare> recycled) {
  if (recycled && recycled->bytes != bytes) {
    MNEME_TRY(fs_.remove(recycled->path));
    recycled.reset();
  }
  Spare spare;
  if (recycled) {
    spare = std::move(*recycled);
  } else {
    MNEME_ASSIGN(const std::uint64_t available, fs_.available_bytes(directory_));
    if (available < bytes) return {Code::NoSpace, directory_.string() + ": no room for a spare segment"};
    MNEME_ASSIGN(spare, make_empty());
  }
  const Status filled = fill_zeros(*spare.file, 0, bytes);
  MNEME_FAILPOINT("wal.spare_filled");
  if (!filled) {
    static_cast<void>(fs_.remove(spare.path));
    return filled;
  }
  spare.bytes = bytes;
  return spare;
}

}  // namespace mneme::storage::wal
