#include "mneme/index/funnel_index.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <functional>
#include <new>
#include <random>
#include <string>
#include <utility>

#include "asked_queries.h"
#include "background_work.h"
#include "effort.h"
#include "exact_search.h"
#include "funnel_batch.h"
#include "funnel_plan.h"
#include "index_files.h"
#include "load_pause.h"
#include "mneme/base/limits.h"
#include "mneme/base/mutex.h"
#include "rows_index.h"
#include "sealed.h"
#include "vector_check.h"

namespace mneme::index {
namespace {

constexpr std::size_t kSegmentsMax = 6;
constexpr std::size_t kDeltaShare = 8;
// A segment is at least so many times the next, or they are merged: less where rows come quicker than they are
// compressed, so many times what is usually compressed at a time.
constexpr std::size_t kSegmentRatio = 16, kHurriedSegmentRatio = 1, kHurriedDeltas = 4;
// Centroids are found again when there are so many times the rows: of a load under way most would soon be replaced, and
// a quarter as many rows give centroids that are searched about as quickly. Effort is measured more often: it is a promise.
constexpr double kRetrainGrowth = 4, kRetrainGrowthPaused = 1.5, kMeasureGrowth = 2;
constexpr double kRetrainGrowthUnlike = 2, kRetrainGrowthUnlikePaused = 1.0625;  // where rows of another kind have come
constexpr int kCatchUps = 4;
constexpr std::size_t kRelievedDeltas = 2;  // without codes, because the background is busy with something else
constexpr std::size_t kSampleRowsPerList = 40;
constexpr std::size_t kListsMax = 8192, kRowsPerListMost = 384;

std::size_t lists_for(std::size_t rows) {
  const auto usual = static_cast<std::size_t>(1.5 * std::sqrt(static_cast<double>(rows)));
  return std::clamp<std::size_t>(std::max(usual, rows / kRowsPerListMost), 16, kListsMax);
}

class FunnelIndex final : public RowsIndex {
 public:
  FunnelIndex(std::size_t dimension, Metric metric, const FunnelOptions& options)
      : RowsIndex(dimension, metric), options_(options) {}
  ~FunnelIndex() override {
    stop_ = true;
    MutexLock lock(mutex_);
    while (busy_ || relieving_) idle_.wait(mutex_);
  }

  Result<Slot> add(RowId row, std::span<const float> vector, Lsn lsn) override {
    Result<Slot> slot = rows_.add(row, vector, lsn);
    pause_.added();
    const bool may_wait = !slot || !wanted_.load(std::memory_order_relaxed);
    if (!may_wait && *slot >= look_again_.load(std::memory_order_relaxed)) start_background();
    return slot;
  }
  Result<std::vector<std::vector<Hit>>> search(const SearchRequest& request) const override;

  std::uint64_t bytes_used() const override;
  std::uint64_t file_bytes() const override;
  Status verify() const override;
  Result<SavedIndex> save(const IndexHome& home, const SlotNoteFn& notes) override;
  Status keep_saved() override;
  bool has_new_codes() const override {
    MutexLock lock(mutex_);
    return sealed_ && sealed_ != saved_sealed_;
  }
  std::size_t saved_slots() const override {
    MutexLock lock(files_mutex_);
    return files_ ? files_->kept_slots() : 0;
  }
  /// Takes what a save has left, in an empty index.
  Result<SavedSlotsPtr> restore(const IndexHome& home, const SavedIndex& saved, Lsn birth, bool read_only);
  Status continue_from(const VectorIndex& before) override;
  std::size_t compressed() const override {
    const SealedPtr now = sealed();
    return now ? now->end : 0;
  }
  bool is_compressing_first() const override {
    MutexLock lock(mutex_);
    return busy_ && !sealed_;
  }
  void finish_background() override {
    do {
      pause_.come();
      if (pause_.has_come()) start_background();
      MutexLock lock(mutex_);
      while (busy_ || relieving_) idle_.wait(mutex_);
    } while (pause_.is_awaited() && !stop_);
  }

 private:
  SealedPtr sealed() const {
    MutexLock lock(mutex_);
    return sealed_;
  }
  void publish(SealedPtr fresh) {
    MutexLock lock(mutex_);
    sealed_ = std::move(fresh);
  }
  bool publish_codes(const Sealed& before, Sealed fresh);
  /// Rows not yet compressed that ask for it when `compressed` are. Of a small index they are a small part as well: they
  /// cost a search more than many times as many that are compressed.
  std::size_t delta_rows(std::size_t compressed) const {
    return std::clamp(compressed / kDeltaShare, options_.delta_rows / kDeltaShare, options_.delta_rows);
  }
  void start_background();
  void run_background();
  void start_relief();
  void run_relief();
  bool improve();
  // What codes are made of: slots that were left out would never get any.
  View view_now() const { return rows_.born(rows_.view(kMaxLsn)); }
  bool has_many_without_codes(const Sealed& now, const View& view, std::size_t deltas = 1) const {
    return view.count >= now.end + deltas * delta_rows(now.end);
  }
  bool retrain(const SealedPtr& before, const View& view);
  bool compress();
  std::optional<Sealed> compress_delta(const Sealed& now, const View& view) const;
  bool measure(const Sealed& now, const View& view, std::size_t live, bool on_asked);
  void measure_into(Sealed& fresh, const View& view, std::size_t live, bool on_asked) const;
  // Whether rows that a step in the background reads, perhaps restored and not looked at yet, may be read.
  bool is_sound(std::size_t first, std::size_t end) const {
    const Status sound = rows_.blocks().verify(first, end);
    if (sound) return true;
    MutexLock lock(mutex_);
    damage_ = sound;
    return false;
  }
  Status damage() const {
    MutexLock lock(mutex_);
    return damage_;
  }

  const FunnelOptions options_;
  std::atomic<bool> stop_{false};            // what runs in the background ends soon
  mutable std::atomic<bool> wanted_{false};  // somebody asked for an approximate answer
  std::atomic<std::size_t> look_again_{0};   // slots from which on there may be work
  std::size_t seen_ = 0;                     // slots when the background last looked; its own
  LoadPause pause_;                          // for centroids that a load under way would soon make useless

  mutable Mutex mutex_;
  SealedPtr sealed_ MNEME_GUARDED_BY(mutex_);
  SealedPtr saved_sealed_ MNEME_GUARDED_BY(mutex_);  // what was kept last
  bool busy_ MNEME_GUARDED_BY(mutex_) = false;
  bool relieving_ MNEME_GUARDED_BY(mutex_) = false;
  mutable Status damage_ MNEME_GUARDED_BY(mutex_);  // found in the background; searches say so
  CondVar idle_;
  Mutex compressing_;  // one at a time; taken before mutex_

  mutable Mutex files_mutex_;  // one save at a time; taken before mutex_
  std::unique_ptr<IndexFiles> files_ MNEME_GUARDED_BY(files_mutex_);
  SealedPtr saving_ MNEME_GUARDED_BY(files_mutex_);  // what save() took

  const std::unique_ptr<AskedQueries> asked_ = std::make_unique<AskedQueries>();
  const std::function<void()> wake_ = [this] { start_background(); };  // searches, which are const, teach the index
  const std::function<void()> relieve_ = [this] { start_relief(); };
};

void FunnelIndex::start_background() {
  MutexLock lock(mutex_);
  if (busy_ || stop_) return;
  busy_ = run_in_background([this] { run_background(); }).ok();  // or with the next rows
}

void FunnelIndex::run_background() {
  while (!stop_ && improve()) {
  }
  MutexLock lock(mutex_);
  busy_ = false;
  idle_.notify_all();
}

// Rows come and are searched while centroids are found or effort is measured, here or in another index before it is this
// one's turn: that takes seconds, or minutes where there are millions.
void FunnelIndex::start_relief() {
  MutexLock lock(mutex_);
  if (!busy_ || relieving_ || stop_) return;
  relieving_ = run_in_background_at_once([this] { run_relief(); }).ok();
}

void FunnelIndex::run_relief() {
  while (!stop_ && compress()) {
  }
  MutexLock lock(mutex_);
  relieving_ = false;
  idle_.notify_all();
}

// One step of what there is to do, what serves searches most first. @return whether there may be more
bool FunnelIndex::improve() {
  const View view = view_now();
  const std::size_t live = rows_.live();
  const SealedPtr now = sealed();
  bool is_done = false;
  const bool is_loading = std::exchange(seen_, view.count) != view.count;
  const auto grown = [&](double times, std::size_t rows) {
    return static_cast<double>(live) >= times * static_cast<double>(rows);
  };
  const bool is_of_one_kind = !now || has_rows_of_one_kind(*now);
  if (!now ? live >= options_.rows_min
           : grown(is_of_one_kind ? kRetrainGrowth : kRetrainGrowthUnlike, now->trained_rows))
    (is_loading ? with_half_the_machine : with_the_whole_machine)([&] { is_done = retrain(now, view); });
  else if (now && has_many_without_codes(*now, view))
    is_done = compress() || !has_many_without_codes(*sealed(), view);  // perhaps by start_relief()
  else if (now && pause_.wait_for(
                      grown(is_of_one_kind ? kRetrainGrowthPaused : kRetrainGrowthUnlikePaused, now->trained_rows)))
    with_the_whole_machine([&] { is_done = retrain(now, view); });
  else if (now && asked_->are_enough() &&
           (asked_->is_time_to_measure() || (now->of_asked && grown(kMeasureGrowth, now->asked_rows))))
    (asked_->are_few() && !is_loading ? with_the_whole_machine
                                      : with_half_the_machine)([&] { is_done = measure(*now, view, live, true); });
  else if (now && (now->is_effort_provisional || grown(kMeasureGrowth, now->measured_rows)) && !pause_.may_be_near())
    is_done = measure(*now, view, live, false);
  const SealedPtr then = sealed();
  // After a failure (no memory) the next attempt waits for as many rows again.
  look_again_.store(then ? std::max<std::size_t>(then->end, is_done ? 0 : view.count) + delta_rows(then->end)
                         : std::max(options_.rows_min - 1, is_done ? 0 : view.count + 1),
                    std::memory_order_relaxed);
  return is_done;
}

bool FunnelIndex::retrain(const SealedPtr& before, const View& view) try {
  if (!is_sound(0, view.count)) return false;
  std::vector<Slot> live;
  for (std::size_t slot = 0; slot < view.count; ++slot)
    if (rows_.visible(static_cast<Slot>(slot), view)) live.push_back(static_cast<Slot>(slot));
  if (live.empty()) return false;
  const std::size_t lists = lists_for(live.size());
  std::mt19937_64 random(live.size());
  const std::size_t sample = std::min(live.size(), lists * kSampleRowsPerList);
  for (std::size_t i = 0; i < sample; ++i) std::swap(live[i], live[i + random() % (live.size() - i)]);

  Rotation rotation(dimension(), 42);
  auto book = std::make_shared<Codebook>(Codebook{metric(), std::move(rotation), {}});
  std::vector<float> rotated(sample * book->rotation.size()), scratch(book->rotation.size());
  for (std::size_t i = 0; i < sample; ++i)
    rotated_row(rows_, *book, live[i], scratch, rotated.data() + i * book->rotation.size());
  Result<Clusters> clusters = Clusters::train(rotated, book->rotation.size(), lists, stop_);
  if (!clusters) return false;
  book->clusters = std::move(*clusters);
  rotated = {};

  Sealed fresh;
  fresh.codebook = std::move(book);
  fresh.end = static_cast<Slot>(view.count);
  fresh.trained_rows = live.size();
  Result<CodeSegmentPtr> segment = CodeSegment::encode(rows_, fresh.codebook, 0, fresh.end, view, stop_);
  if (!segment) return false;
  fresh.segments.push_back(std::move(*segment));
  // On queries that were asked, if there are any: what unusual ones need, in standard deviations, has changed little.
  if (before) {
    fresh.effort = before->effort;
    fresh.measured_rows = before->measured_rows;
  }
  fresh.is_effort_provisional = true;
  const bool on_asked = before && asked_->are_enough();
  if (on_asked) asked_->measured();
  measure_into(fresh, view, live.size(), on_asked);
  // What came meanwhile and has codes of the old centroids; not for ever, rows may come as quickly.
  View then = view_now();
  for (int i = 0; before && i < kCatchUps && has_many_without_codes(fresh, then); ++i) {
    std::optional<Sealed> more = compress_delta(fresh, then);
    if (!more) return false;
    fresh = std::move(*more);
    then = view_now();
  }
  publish(std::make_shared<const Sealed>(std::move(fresh)));
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

void FunnelIndex::measure_into(Sealed& fresh, const View& view, std::size_t live, bool on_asked) const {
  const std::vector<float> asked = on_asked ? asked_->sample() : std::vector<float>();
  EffortTable measured = calibrate(rows_, *fresh.codebook, fresh.segments, fresh.end, view, asked, stop_);
  if (on_asked && asked.size() < EffortTable::kAskedForOne * dimension())
    measured.be_cautious_for_one(
        fresh.effort, static_cast<double>(live) / static_cast<double>(std::max<std::size_t>(1, fresh.measured_rows)));
  (on_asked ? fresh.asked_rows : fresh.measured_rows) = live;
  if (on_asked)
    fresh.of_asked = measured;
  else
    fresh.effort = measured;
  fresh.is_effort_provisional = fresh.is_effort_provisional && on_asked;
}

bool FunnelIndex::measure(const Sealed& now, const View& view, std::size_t live, bool on_asked) try {
  if (on_asked) asked_->measured();
  if (!is_sound(0, view.count)) return false;
  Sealed fresh = now;
  measure_into(fresh, view, live, on_asked);
  MutexLock lock(mutex_);
  fresh.segments = sealed_->segments;  // perhaps more by now
  fresh.end = sealed_->end;
  sealed_ = std::make_shared<const Sealed>(std::move(fresh));
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

// @return whether there were many rows without codes, and fewer now
bool FunnelIndex::compress() try {
  MutexLock one(compressing_);
  const View view = view_now();
  const SealedPtr now = sealed();
  if (!now || !has_many_without_codes(*now, view)) return false;
  std::optional<Sealed> fresh = compress_delta(*now, view);
  return fresh && publish_codes(*now, std::move(*fresh));
} catch (const std::bad_alloc&) {
  return false;
}

// Of efforts the latest are kept. @return false when new centroids have come, of which `fresh` knows nothing
bool FunnelIndex::publish_codes(const Sealed& before, Sealed fresh) {
  MutexLock lock(mutex_);
  if (sealed_->codebook != before.codebook) return false;
  Sealed latest = *sealed_;
  latest.segments = std::move(fresh.segments);
  latest.end = fresh.end;
  sealed_ = std::make_shared<const Sealed>(std::move(latest));
  return true;
}

// The newest segments join the delta until each left is large beside what comes after it.
std::optional<Sealed> FunnelIndex::compress_delta(const Sealed& now, const View& view) const {
  Sealed fresh = now;
  fresh.end = static_cast<Slot>(view.count);
  Slot first = now.end;
  const bool hurried = view.count - now.end >= kHurriedDeltas * delta_rows(now.end);
  const std::size_t ratio = hurried ? kHurriedSegmentRatio : kSegmentRatio;
  std::vector<CodeSegmentPtr> joined;
  while (fresh.segments.size() > 1 &&
         (fresh.segments.size() >= kSegmentsMax ||
          fresh.segments.back()->rows() < ratio * static_cast<std::size_t>(fresh.end - first))) {
    first = fresh.segments.back()->first();
    joined.insert(joined.begin(), fresh.segments.back());
    fresh.segments.pop_back();
  }
  if (!is_sound(first, fresh.end)) return std::nullopt;
  Result<CodeSegmentPtr> segment = CodeSegment::encode(rows_, fresh.codebook, first, fresh.end, view, stop_, joined);
  if (!segment && segment.status().code() == Code::Corruption)
    segment = CodeSegment::encode(rows_, fresh.codebook, first, fresh.end, view, stop_);
  if (!segment) return std::nullopt;
  fresh.segments.push_back(std::move(*segment));
  return fresh;
}

Status FunnelIndex::continue_from(const VectorIndex& before) try {
  const auto* const other = dynamic_cast<const FunnelIndex*>(&before);
  const SealedPtr theirs = other != nullptr ? other->sealed() : nullptr;
  if (!theirs || rows_.live() < options_.rows_min) return ok_status();
  const View view = view_now();
  Sealed fresh = *theirs;
  fresh.end = static_cast<Slot>(view.count);
  fresh.segments.clear();
  Result<CodeSegmentPtr> segment{Code::Busy, ""};
  with_half_the_machine([&] { segment = CodeSegment::encode(rows_, fresh.codebook, 0, fresh.end, view, stop_); });
  if (!segment) return segment.status();
  fresh.segments.push_back(std::move(*segment));
  if (fresh.of_asked) asked_->measured_before();
  wanted_ = true;
  look_again_.store(fresh.end + delta_rows(fresh.end), std::memory_order_relaxed);
  publish(std::make_shared<const Sealed>(std::move(fresh)));
  return ok_status();
} catch (const std::bad_alloc&) {
  return {Code::Busy, "index: no memory to compress the rows of an index again"};
}

Result<std::vector<std::vector<Hit>>> FunnelIndex::search(const SearchRequest& request) const try {
  const bool approximate = request.recall_target <= EffortTable::kTargets.back();
  if (approximate && (!wanted_.exchange(true) || pause_.has_come())) wake_();
  MNEME_TRY(damage());
  const SealedPtr now = approximate ? sealed() : nullptr;
  std::optional<FunnelRequest> shared;
  std::vector<PositionBitmapPtr> kept;
  if (now && !request.queries.empty() && request.queries.size() % dimension() == 0)
    shared = plan_search(rows_, *now, request, rows_.view(request.as_of), options_.cold, kept);
  if (!shared) return search_exact(rows_, request);
  if (has_many_without_codes(*now, rows_.view(kMaxLsn), kRelievedDeltas)) relieve_();
  const std::size_t count = request.queries.size() / dimension();
  std::vector<double> squared_norms(count);
  for (std::size_t i = 0; i < count; ++i) {
    const Result<double> norm =
        checked_squared_norm(request.queries.subspan(i * dimension(), dimension()), dimension());
    if (!norm) return norm.status().with_context("index: search: query " + std::to_string(i));
    squared_norms[i] = *norm;
  }
  std::vector<std::vector<Hit>> hits(count);
  const AskedFn asked = [this](std::span<const float> query, bool unusual) {
    if (asked_->remember(query, unusual)) wake_();
  };
  MNEME_TRY(search_queries(rows_, *now, *shared, request, squared_norms, !options_.cold, asked, hits));
  return hits;
} catch (const std::bad_alloc&) {
  return {Code::Busy, "index: search: no memory for the " + std::to_string(request.k) + " best of each query"};
}

std::uint64_t FunnelIndex::bytes_used() const {
  std::uint64_t bytes = rows_.bytes_used() + asked_->bytes_used();
  if (const SealedPtr now = sealed()) {
    bytes += now->codebook->clusters.bytes_used();
    for (const CodeSegmentPtr& segment : now->segments)
      bytes += segment->bytes_used() + (options_.cold ? 0 : segment->file_bytes());
  }
  return bytes;
}

std::uint64_t FunnelIndex::file_bytes() const {
  std::uint64_t bytes = rows_.blocks().file_bytes();
  if (const SealedPtr now = sealed(); now && options_.cold)
    for (const CodeSegmentPtr& segment : now->segments) bytes += segment->file_bytes();
  return bytes;
}

Status FunnelIndex::verify() const {
  MNEME_TRY(rows_.blocks().verify(0, rows_.restored()));
  if (const SealedPtr now = sealed())
    for (const CodeSegmentPtr& segment : now->segments) MNEME_TRY(segment->verify());
  return ok_status();
}

Result<SavedIndex> FunnelIndex::save(const IndexHome& home, const SlotNoteFn& notes) try {
  MutexLock lock(files_mutex_);
  // Slots are counted after what is sealed is taken: all that is sealed is among them.
  const SealedPtr now = sealed();
  if (!now) return {Code::FailedPrecondition, "index " + home.stem + ": save: nothing is compressed yet"};
  if (!files_) files_ = std::make_unique<IndexFiles>(home);
  saving_ = now;
  return files_->save(rows_, *now, notes, stop_);
} catch (const std::bad_alloc&) {
  return {Code::Busy, "index " + home.stem + ": save: no memory"};
}

// From here on the saved parts lie in their files: pages that the system may take when memory is short.
Status FunnelIndex::keep_saved() {
  MutexLock lock(files_mutex_);
  if (!files_ || !saving_) return ok_status();
  MNEME_TRY(files_->keep(rows_));
  const SealedPtr saved = std::exchange(saving_, nullptr);
  SealedPtr in_file = saved;
  if (options_.cold) {
    rows_.blocks().keep_out_of_memory();
    Sealed copy = *saved;
    MNEME_TRY(files_->take_from_files(copy));
    in_file = std::make_shared<const Sealed>(std::move(copy));
  }
  MutexLock publishing(mutex_);
  saved_sealed_ = in_file;
  if (sealed_ == saved) sealed_ = in_file;  // else there are newer codes: the next save's turn
  return ok_status();
}

Result<SavedSlotsPtr> FunnelIndex::restore(const IndexHome& home, const SavedIndex& saved, Lsn birth, bool read_only) {
  MutexLock lock(files_mutex_);
  files_ = std::make_unique<IndexFiles>(home);
  Sealed fresh;
  MNEME_ASSIGN(SavedSlotsPtr slots, files_->restore(rows_, fresh, saved, birth, read_only));
  look_again_.store(fresh.end + delta_rows(fresh.end), std::memory_order_relaxed);
  fresh.measured_rows = fresh.asked_rows = fresh.trained_rows;
  if (fresh.of_asked) asked_->measured_before();
  if (options_.cold) {
    rows_.blocks().keep_out_of_memory();
    for (const CodeSegmentPtr& segment : fresh.segments) segment->keep_out_of_memory();
  }
  const auto restored = std::make_shared<const Sealed>(std::move(fresh));
  MutexLock publishing(mutex_);
  saved_sealed_ = restored;
  sealed_ = restored;
  return slots;
}

}  // namespace

std::unique_ptr<VectorIndex> make_funnel_index(std::size_t dimension, Metric metric, const FunnelOptions& options) {
  assert(dimension >= 1 && dimension <= limits::kDimensionsMax);
  return std::make_unique<FunnelIndex>(dimension, metric, options);
}

Result<RestoredIndex> open_funnel_index(std::size_t dimension, Metric metric, const FunnelOptions& options,
                                        const IndexHome& home, const SavedIndex& saved, Lsn birth, bool read_only) try {
  assert(dimension >= 1 && dimension <= limits::kDimensionsMax);
  auto index = std::make_unique<FunnelIndex>(dimension, metric, options);
  MNEME_ASSIGN(SavedSlotsPtr slots, index->restore(home, saved, birth, read_only));
  return RestoredIndex{std::move(index), std::move(slots)};
} catch (const std::bad_alloc&) {
  return {Code::Busy, "index " + home.stem + ": no memory to restore " + std::to_string(saved.slots) + " slots"};
}

}  // namespace mneme::index
