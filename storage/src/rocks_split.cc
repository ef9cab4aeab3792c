// Cutting a key range into pieces of about equal bytes without reading all of it.
//
// Where little lies in files, or much in memory, the range is walked. Otherwise RocksDB's size estimate, which looks
// at index blocks only, is bisected over the keys: the middle of two keys as byte strings is taken to the real keys
// around it, so that a long common prefix or a cluster far from the middle costs one step, not one per bit.
#include <algorithm>
#include <cmath>
#include <utility>

#include "byte_midpoint.h"
#include "rocks_status.h"
#include "rocks_store.h"

namespace mneme::storage {
namespace {

// A walk over this much takes about as long as the bisection of a few points.
constexpr std::uint64_t kWalkedFileBytesMax = 4 * kMiB;
// The estimate for memtables can be wrong by a factor of several; up to this share it does not bend the result.
constexpr std::uint64_t kFileBytesPerMemoryByteMin = 4;
// Keys a walk remembers: its precision is one part in half as many.
constexpr std::size_t kMarksMax = 8192;
// Bisection between real keys halves the space of values, not the count of keys; each step may in the worst case
// gain one bit of a key.
constexpr int kBisectionStepsMax = 512;

struct Mark {
  std::string key;
  std::uint64_t bytes_before = 0;
};

struct Walked {
  std::vector<Mark> marks;  // every key, or every 2^i-th
  std::uint64_t bytes = 0;
};

Walked walk(rocksdb::Iterator& position) {
  Walked walked;
  std::uint64_t count = 0, stride = 1;
  for (position.SeekToFirst(); position.Valid(); position.Next()) {
    if (count++ % stride == 0) walked.marks.push_back({position.key().ToString(), walked.bytes});
    walked.bytes += position.key().size() + position.value().size();
    if (walked.marks.size() < kMarksMax) continue;
    for (std::size_t i = 0; i < kMarksMax / 2; ++i) walked.marks[i] = std::move(walked.marks[2 * i]);
    walked.marks.resize(kMarksMax / 2);
    stride *= 2;
  }
  return walked;
}

// The mark nearest to each n-th of the bytes, where it lies behind the one before.
std::vector<std::string> split_walked(const Walked& walked, std::size_t n) {
  std::vector<std::string> points;
  if (walked.marks.empty()) return points;
  const auto distance = [&](std::size_t at, double target) {
    return std::abs(static_cast<double>(walked.marks[at].bytes_before) - target);
  };
  std::size_t at = 0, last = 0;  // a cut at the first key would leave an empty piece
  for (std::size_t i = 1; i < n; ++i) {
    const double target = static_cast<double>(walked.bytes) * static_cast<double>(i) / static_cast<double>(n);
    while (at + 1 < walked.marks.size() && distance(at + 1, target) <= distance(at, target)) ++at;
    if (at <= last) continue;
    points.push_back(walked.marks[at].key);
    last = at;
  }
  return points;
}

class Bisection {
 public:
  Bisection(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* handle, rocksdb::Iterator& position, std::string first,
            std::string last)
      : db_(db), handle_(handle), position_(position), first_(std::move(first)), last_(std::move(last)) {}

  std::vector<std::string> split(std::size_t n) {
    std::vector<std::string> points;
    const std::uint64_t total = bytes_before(last_);
    for (std::size_t i = 1; i < n && position_.status().ok(); ++i) {
      const auto target =
          static_cast<std::uint64_t>(static_cast<double>(total) * static_cast<double>(i) / static_cast<double>(n));
      const std::string& low = points.empty() ? first_ : points.back();
      std::string point = key_at(low, target);
      if (point > low) points.push_back(std::move(point));
    }
    return points;
  }

 private:
  // The key with about `target` bytes before it, searched above `low`.
  std::string key_at(std::string low, std::uint64_t target) {
    std::string high = last_;
    for (int step = 0; step < kBisectionStepsMax && low < high; ++step) {
      const std::string middle = byte_midpoint(low, high);
      position_.Seek(middle);
      if (!position_.Valid()) break;
      std::string above = position_.key().ToString();
      // No key lies between middle and high: what is left of it decides, with the key before it as new high end.
      if (above >= high || bytes_before(above) > target) {
        position_.SeekForPrev(middle);
        if (position_.Valid() && position_.key() == rocksdb::Slice(middle)) position_.Prev();
        if (!position_.Valid() || position_.key().compare(low) <= 0) return std::min(above, high);
        high = position_.key().ToString();
        if (bytes_before(high) <= target) return high;
      } else {
        if (above == low) {  // the middle is low itself: the two are closer than its precision
          position_.Next();
          if (!position_.Valid() || position_.key().compare(high) >= 0) return high;
          above = position_.key().ToString();
          if (bytes_before(above) > target) return above;
        }
        low = std::move(above);
      }
    }
    return high;
  }

  std::uint64_t bytes_before(const std::string& key) {
    const rocksdb::Range range(first_, key);
    rocksdb::SizeApproximationOptions options;
    options.include_files = true;
    options.include_memtables = true;
    std::uint64_t bytes = 0;
    const rocksdb::Status measured = db_.GetApproximateSizes(options, handle_, &range, 1, &bytes);
    return measured.ok() ? bytes : 0;
  }

  rocksdb::DB& db_;
  rocksdb::ColumnFamilyHandle* handle_;
  rocksdb::Iterator& position_;
  const std::string first_, last_;
};

}  // namespace

Result<std::vector<std::string>> RocksOrderedStore::split_points(Family family, std::string_view begin,
                                                                 std::string_view end, std::size_t n) const {
  using Points = Result<std::vector<std::string>>;
  return guarded("split points", [&]() -> Points {
    MNEME_TRY(check_family(family, "split points"));
    if (n < 2 || (!end.empty() && begin >= end)) return std::vector<std::string>();
    const auto nothing_or = [&](const rocksdb::Status& status) -> Points {
      if (!status.ok()) return from_rocks(status, context("split points"));
      return std::vector<std::string>();
    };
    const StoreSnapshotPtr state = snapshot();
    const rocksdb::Slice lower = to_slice(begin), upper = to_slice(end);
    rocksdb::ReadOptions options;
    options.snapshot = rocks_snapshot(state);
    if (!begin.empty()) options.iterate_lower_bound = &lower;
    if (!end.empty()) options.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> position(db_->NewIterator(options, handles_[family]));

    const SizeEstimate size = estimate_size(*db_, handles_[family], begin, end);
    if (size.in_files <= std::max(kWalkedFileBytesMax, kFileBytesPerMemoryByteMin * size.in_memory)) {
      const Walked walked = walk(*position);
      MNEME_TRY(from_rocks(position->status(), context("split points")));
      return split_walked(walked, n);
    }
    position->SeekToFirst();
    if (!position->Valid()) return nothing_or(position->status());
    std::string first = position->key().ToString();
    position->SeekToLast();
    if (!position->Valid()) return nothing_or(position->status());
    Bisection bisection(*db_, handles_[family], *position, std::move(first), position->key().ToString());
    std::vector<std::string> points = bisection.split(n);
    MNEME_TRY(from_rocks(position->status(), context("split points")));
    return points;
  });
}

}  // namespace mneme::storage
