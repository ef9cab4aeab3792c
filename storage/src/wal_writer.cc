#include "wal_writer.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "mneme/storage/failpoint.h"

namespace mneme::storage::wal {

namespace {

const void* this_writer() {
  thread_local const char identity = 0;
  return &identity;
}

Lsn next(Lsn lsn) { return Lsn{lsn.value + 1}; }

}  // namespace

void Batch::wait_until_led() {
  MutexLock lock(mutex_);
  while (!led_) led_changed_.wait(mutex_);
}

void Batch::wait_until_finished() {
  MutexLock lock(mutex_);
  while (!finished_) finished_changed_.wait(mutex_);
}

void Batch::lead() {
  {
    MutexLock lock(mutex_);
    led_ = true;
  }
  led_changed_.notify_one();
}

void Batch::finish() {
  {
    MutexLock lock(mutex_);
    finished_ = true;
  }
  finished_changed_.notify_all();
}

GroupWriter::GroupWriter(SegmentSet& segments, const WalOptions& options, Lsn last, bool ends_in_mark)
    : segments_(segments),
      options_(options),
      active_(segments.active()),
      written_(last),
      last_(last),
      synced_(last),
      ends_in_mark_(ends_in_mark) {
  if (active_) ask_at_ = active_->header.segment_bytes / 2;
}

Status GroupWriter::health() const {
  MutexLock lock(health_mutex_);
  return health_;
}

void GroupWriter::run(Request& request) {
  request.writer = this_writer();
  BatchPtr batch;
  bool leads = false, is_heir = false;
  {
    MutexLock lock(queue_mutex_);
    is_heir = first_ == nullptr;
    (is_heir ? first_ : newest_->next) = &request;
    newest_ = &request;
    batch = request.batch = joining_;
    if (++queued_ == awaited_) joined_.notify_one();
    leads = !std::exchange(led_, true);
  }
  if (leads) return lead(request);
  if (is_heir) {
    batch->wait_until_led();
    return lead(request);
  }
  while (true) {
    batch->wait_until_finished();
    const Request::State state = request.state.load(std::memory_order_acquire);
    if (state == Request::State::Finished) return;
    if (state == Request::State::Leading) return lead(request);
    // The group was full without it: it waits for the next.
    MutexLock lock(queue_mutex_);
    batch = request.batch;
  }
}

// Without this wait a closed loop of writers splits into two halves that take turns. It sleeps: yielding would cost
// whole time slices where the processors are busy.
void GroupWriter::wait_for_joiners(const Request& own) {
  if (!own.needs_sync || joiners_expected_ < 2) return;
  MutexLock lock(queue_mutex_);
  awaited_ = joiners_expected_;
  while (queued_ < awaited_)
    if (joined_.wait_for(queue_mutex_, options_.group_wait_max) == std::cv_status::timeout) break;
  awaited_ = 0;
}

void GroupWriter::lead(Request& own) {
  wait_for_joiners(own);
  Status status = poisoned_.load(std::memory_order_relaxed) ? health() : make_room(own);
  take_group(own, !status.ok() && !poisoned_.load(std::memory_order_relaxed));
  if (status) status = commit_group();
  finish_group(status);
}

// The log's order: everything in the old segment is durable before the new one exists.
Status GroupWriter::make_room(const Request& request) {
  if (request.kind == 0) return {};
  const std::uint64_t bytes = record_bytes(request.payload_bytes);
  if (record_start(active_->end) + bytes <= active_->header.segment_bytes) return {};
  if (synced_.load(std::memory_order_relaxed) < written_) MNEME_TRY(sync_active());
  const Status rolled = segments_.roll(next(written_), bytes);
  if (rolled.code() == Code::Indeterminate) return poison(rolled);
  MNEME_TRY(rolled);
  active_ = segments_.active();
  ask_at_ = active_->header.segment_bytes / 2;
  groups_in_segment_ = 0;
  return {};
}

// From the front of the queue, where the leader's own request is, as many as fit; none of the others when its
// own has no room, for theirs may be smaller.
void GroupWriter::take_group(Request& own, bool own_alone) {
  group_.requests.clear();
  group_.needs_sync = false;
  const std::uint64_t begin = active_->end;
  std::uint64_t end = begin;
  MutexLock lock(queue_mutex_);
  while (first_ != nullptr) {
    if (first_ != &own) {
      const std::uint64_t with = record_start(end) + record_bytes(first_->payload_bytes);
      const bool fits =
          first_->kind == 0 || (with <= active_->header.segment_bytes && with - begin <= options_.group_bytes_max);
      if (own_alone || (!fits && !poisoned_.load(std::memory_order_relaxed))) break;
    }
    if (first_->kind != 0) end = record_start(end) + record_bytes(first_->payload_bytes);
    group_.needs_sync |= first_->needs_sync;
    group_.requests.push_back(first_);
    first_ = first_->next;
  }
  queued_ -= group_.requests.size();
  group_.batch = std::exchange(joining_, std::make_shared<Batch>());
  for (Request* left = first_; left != nullptr; left = left->next) left->batch = joining_;
  group_end_ = end;
}

Status GroupWriter::commit_group() {
  MNEME_FAILPOINT("wal.before_write");
  MNEME_TRY(write_group());
  MNEME_FAILPOINT("wal.after_write");
  if (group_.needs_sync && synced_.load(std::memory_order_relaxed) < written_) {
    MNEME_TRY(sync_active());
    MNEME_FAILPOINT("wal.after_sync");
  }
  publish_group();
  ask_for_spare();
  return {};
}

Status GroupWriter::write_group() {
  Segment& segment = *active_;
  const std::uint64_t begin = segment.end;
  if (group_end_ == begin) return {};
  std::byte* const buffer = reserve(group_end_ - begin);
  std::uint64_t offset = begin;
  for (Request* request : group_.requests) {
    if (request->kind == 0) continue;
    const std::uint64_t start = record_start(offset);
    std::memset(buffer + (offset - begin), 0, start - offset);
    std::byte* const record = buffer + (start - begin);
    std::byte* payload = record + kRecordHeaderBytes;
    for (const ByteView part : request->parts) {
      if (!part.empty()) std::memcpy(payload, part.data(), part.size());
      payload += part.size();
    }
    written_ = request->lsn = next(written_);
    seal_record({.length = static_cast<std::uint32_t>(request->payload_bytes),
                 .lsn = request->lsn,
                 .synced = synced_.load(std::memory_order_relaxed),
                 .segment = static_cast<std::uint32_t>(segment.header.number),
                 .kind = request->kind},
                start, record);
    offset = start + record_bytes(request->payload_bytes);
  }
  if (const Status written = segment.file->write_at(begin, {buffer, offset - begin}); !written) {
    written_ = last();
    MNEME_TRY(restore(segment, begin, offset));
    return written.with_context("append to the log");
  }
  segment.file_bytes = std::max(segment.file_bytes.load(), offset);
  return {};
}

// Nothing of the failed write was acknowledged, and nothing of it may be replayed: the log ends where it did.
Status GroupWriter::restore(Segment& segment, std::uint64_t from, std::uint64_t to) {
  const std::uint64_t prepared = segment.file_bytes;
  Status restored;
  if (prepared < to) restored = segment.file->truncate(prepared);
  if (restored && prepared < to) restored = segment.file->sync();
  if (restored && from < prepared) restored = fill_zeros(*segment.file, from, std::min(to, prepared));
  return restored ? restored : poison(restored.with_context("undo a failed write"));
}

void GroupWriter::publish_group() {
  active_->end.store(group_end_, std::memory_order_release);
  if (group_.needs_sync) synced_.store(written_, std::memory_order_release);
  for (Request* request : group_.requests) {
    if (request->kind == 0) continue;
    if (request->on_commit != nullptr && *request->on_commit) (*request->on_commit)(request->lsn);
    last_.store(request->lsn, std::memory_order_release);
    ends_in_mark_.store(request->kind == kMarkRecord, std::memory_order_release);
  }
  ++groups_in_segment_;
}

void GroupWriter::remember_writers() {
  std::swap(writers_before_, writers_);
  writers_.clear();
  for (const Request* request : group_.requests)
    if (request->kind != 0 && request->needs_sync) writers_.push_back(request->writer);
  std::sort(writers_.begin(), writers_.end());
  joiners_expected_ = writers_.size() + static_cast<std::size_t>(std::count_if(
                                            writers_before_.begin(), writers_before_.end(), [&](const void* writer) {
                                              return !std::binary_search(writers_.begin(), writers_.end(), writer);
                                            }));
}

// The next leader is woken first; it collects while the rest of this group wakes and comes back.
void GroupWriter::finish_group(const Status& status) {
  remember_writers();
  // Once another leads, the members of this object that are the leader's are no longer ours; and a finished request
  // may be gone with its thread's stack.
  const std::vector<Request*> finished = std::exchange(group_.requests, {});
  Request* const own = finished.front();
  for (Request* request : finished) {
    request->status = status;
    if (request != own) request->state.store(Request::State::Finished, std::memory_order_release);
  }
  const BatchPtr batch = std::move(group_.batch);
  BatchPtr heirs;
  {
    MutexLock lock(queue_mutex_);
    led_ = first_ != nullptr;
    if (first_ != nullptr) {
      heirs = joining_;
      first_->state.store(Request::State::Leading, std::memory_order_release);
    }
  }
  if (heirs) heirs->lead();
  batch->finish();
}

Status GroupWriter::sync_active() {
  if (const Status synced = active_->file->sync(); !synced) return poison(synced);
  synced_.store(written_, std::memory_order_release);
  return {};
}

Status GroupWriter::poison(const Status& cause) {
  Status health(Code::Indeterminate, "the log takes no more appends until it is opened again: " + cause.to_string());
  MutexLock lock(health_mutex_);
  if (health_.ok()) health_ = std::move(health);
  poisoned_.store(true, std::memory_order_relaxed);
  return health_;
}

std::byte* GroupWriter::reserve(std::uint64_t bytes) {
  // One huge record does not keep its memory for ever.
  const bool oversized = buffer_bytes_ > 2 * options_.group_bytes_max && bytes <= options_.group_bytes_max;
  if (buffer_bytes_ < bytes || oversized) {
    buffer_.reset();
    buffer_bytes_ = std::max<std::uint64_t>(bytes, 64 * kKiB);
    buffer_ = std::make_unique_for_overwrite<std::byte[]>(buffer_bytes_);
  }
  return buffer_.get();
}

void GroupWriter::ask_for_spare() {
  const std::uint64_t end = active_->end;
  if (end < ask_at_) return;
  // Asked again after a failure, but not with every group.
  ask_at_ = end + active_->header.segment_bytes / 16;
  segments_.prepare_ahead();
}

}  // namespace mneme::storage::wal
