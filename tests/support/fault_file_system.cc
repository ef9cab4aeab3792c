#include "fault_file_system.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace mneme::testing {

namespace {

constexpr std::size_t kSectorBytes = 512;

using Sector = std::array<std::byte, kSectorBytes>;
using Lock = std::lock_guard<std::recursive_mutex>;

}  // namespace

struct FaultFileSystem::Inode {
  bool is_directory = false;
  Bytes current;
  Bytes on_disk;
  std::map<std::size_t, std::vector<Sector>> versions;  // of sectors written since the last sync
  std::size_t largest = 0;                              // size since the last sync

  Sector sector(std::size_t index) const {
    Sector bytes{};
    const std::size_t begin = index * kSectorBytes;
    if (begin < current.size())
      std::copy_n(current.begin() + static_cast<std::ptrdiff_t>(begin), std::min(kSectorBytes, current.size() - begin),
                  bytes.begin());
    return bytes;
  }

  void write(std::uint64_t offset, ByteView bytes) {
    if (bytes.empty()) return;
    if (current.size() < offset + bytes.size()) current.resize(offset + bytes.size());
    largest = std::max(largest, current.size());
    std::copy(bytes.begin(), bytes.end(), current.begin() + static_cast<std::ptrdiff_t>(offset));
    for (std::size_t i = offset / kSectorBytes; i <= (offset + bytes.size() - 1) / kSectorBytes; ++i)
      versions[i].push_back(sector(i));
  }

  void sync() {
    on_disk.resize(current.size());
    for (const auto& [index, unused] : versions) put(on_disk, index, sector(index));
    versions.clear();
    largest = current.size();
  }

  static void put(Bytes& file, std::size_t index, const Sector& sector) {
    const std::size_t begin = index * kSectorBytes;
    if (begin >= file.size()) return;
    std::copy_n(sector.begin(), std::min(kSectorBytes, file.size() - begin),
                file.begin() + static_cast<std::ptrdiff_t>(begin));
  }

  Bytes after_power_loss(Random& random) const {
    Bytes image = on_disk;
    // Of the sizes since the last sync one is there, or one that ends with a sector in between.
    const std::size_t high = std::max({current.size(), on_disk.size(), largest});
    const std::size_t low = std::min(current.size(), on_disk.size());
    if (high != low) {
      const std::uint64_t choice = random.below(4);
      const std::size_t sectors = low / kSectorBytes + random.below((high - low) / kSectorBytes + 2);
      if (choice == 0) image.resize(current.size());
      if (choice == 1) image.resize(high);
      if (choice == 2) image.resize(std::clamp(sectors * kSectorBytes, low, high));
    }
    // Often everything or nothing of one file is lost; else each sector on its own.
    const std::uint64_t mood = random.below(4);
    for (const auto& [index, written] : versions) {
      if (mood == 0) continue;
      const std::uint64_t choice = mood == 1 ? written.size() : random.below(written.size() + 1);
      if (choice > 0) put(image, index, written[choice - 1]);
    }
    return image;
  }
};

struct FaultFileSystem::Locks {
  std::mutex mutex;
  std::set<Path> held;
};

class FaultFileSystem::HeldLock final : public FileLock {
 public:
  HeldLock(std::shared_ptr<Locks> locks, Path path) : locks_(std::move(locks)), path_(std::move(path)) {}
  ~HeldLock() override {
    std::lock_guard lock(locks_->mutex);
    locks_->held.erase(path_);
  }

 private:
  std::shared_ptr<Locks> locks_;
  Path path_;
};

class FaultFileSystem::OpenFile final : public File {
 public:
  OpenFile(FaultFileSystem& fs, Path path, InodePtr inode, bool writable)
      : fs_(fs), path_(std::move(path)), inode_(std::move(inode)), writable_(writable) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) override {
    Lock lock(fs_.mutex_);
    MNEME_TRY(fs_.enter(Call::Read, path_));
    const Bytes& bytes = inode_->current;
    if (offset >= bytes.size()) return std::size_t{0};
    const std::size_t size = std::min<std::size_t>(into.size(), bytes.size() - offset);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), size, into.begin());
    return size;
  }

  Status write_at(std::uint64_t offset, ByteView bytes) override {
    Lock lock(fs_.mutex_);
    if (!writable_) return {Code::IoError, path_.string() + ": write: opened for reading"};
    if (Status fault = fs_.enter(Call::Write, path_); !fault) {
      write_within_capacity(offset, bytes.first(bytes.size() * fs_.failing_write_eighths_ / 8));
      return fault;
    }
    if (write_within_capacity(offset, bytes)) return {};
    return {Code::NoSpace, path_.string() + ": write at byte " + std::to_string(offset) + ": No space left on device"};
  }

  Status sync() override {
    Lock lock(fs_.mutex_);
    if (Status fault = fs_.enter(Call::Sync, path_); !fault) {
      inode_->versions.clear();
      return fault;
    }
    inode_->sync();
    return {};
  }

  Status truncate(std::uint64_t size) override {
    Lock lock(fs_.mutex_);
    MNEME_TRY(fs_.enter(Call::Truncate, path_));
    inode_->current.resize(size);
    if (size % kSectorBytes != 0) inode_->versions[size / kSectorBytes].push_back(inode_->sector(size / kSectorBytes));
    return {};
  }

  Result<std::uint64_t> size() override {
    Lock lock(fs_.mutex_);
    MNEME_TRY(fs_.enter(Call::Size, path_));
    return std::uint64_t{inode_->current.size()};
  }

  Status close() override {
    Lock lock(fs_.mutex_);
    return fs_.enter(Call::Close, path_);
  }

 private:
  // What fits is written, as a system would.
  bool write_within_capacity(std::uint64_t offset, ByteView bytes) {
    const std::uint64_t end = offset + bytes.size(), size = inode_->current.size();
    const std::uint64_t grows = end > size ? end - size : 0;
    const std::uint64_t used = fs_.used_bytes();
    const std::uint64_t room = fs_.capacity_ > used ? fs_.capacity_ - used : 0;
    if (grows <= room) {
      inode_->write(offset, bytes);
      return true;
    }
    const std::uint64_t fits = size + room > offset ? size + room - offset : 0;
    inode_->write(offset, bytes.first(std::min<std::uint64_t>(fits, bytes.size())));
    return false;
  }

  FaultFileSystem& fs_;
  const Path path_;
  const InodePtr inode_;
  const bool writable_;
};

FaultFileSystem::FaultFileSystem()
    : capacity_(std::numeric_limits<std::uint64_t>::max()), locks_(std::make_shared<Locks>()) {}
FaultFileSystem::~FaultFileSystem() = default;

void FaultFileSystem::fail(Call call, std::uint64_t nth, Code code, bool sticky) {
  Lock lock(mutex_);
  fault_call_ = call;
  fault_thread_ = {};
  fault_at_ = calls_[static_cast<std::size_t>(call)] + nth;
  fault_code_ = code;
  fault_sticky_ = sticky;
  fault_fired_ = false;
}

void FaultFileSystem::fail_my_next(Call call, Code code) {
  Lock lock(mutex_);
  fault_at_ = 0;
  fault_call_ = call;
  fault_code_ = code;
  fault_fired_ = false;
  fault_thread_ = std::this_thread::get_id();
}

void FaultFileSystem::fail_nothing() {
  Lock lock(mutex_);
  fault_at_ = 0;
  fault_thread_ = {};
}

void FaultFileSystem::set_failing_write_eighths(unsigned eighths) {
  Lock lock(mutex_);
  failing_write_eighths_ = eighths;
}

bool FaultFileSystem::fault_fired() const {
  Lock lock(mutex_);
  return fault_fired_;
}

std::uint64_t FaultFileSystem::calls(Call call) const {
  Lock lock(mutex_);
  return calls_[static_cast<std::size_t>(call)];
}

void FaultFileSystem::before_call(std::uint64_t nth, std::function<void()> action) {
  Lock lock(mutex_);
  action_at_ = calls_[static_cast<std::size_t>(Call::Any)] + nth;
  action_ = std::move(action);
}

void FaultFileSystem::set_capacity(std::uint64_t bytes) {
  Lock lock(mutex_);
  capacity_ = bytes;
}

Status FaultFileSystem::enter(Call call, const Path& path) {
  ++calls_[static_cast<std::size_t>(call)];
  if (++calls_[static_cast<std::size_t>(Call::Any)] == action_at_) action_();
  if (fault_thread_ == std::this_thread::get_id() && (fault_call_ == Call::Any || fault_call_ == call)) {
    fault_thread_ = {};
    fault_fired_ = true;
    return {fault_code_, path.string() + ": injected fault"};
  }
  if (fault_at_ == 0 || (fault_call_ != Call::Any && fault_call_ != call)) return {};
  const std::uint64_t count = calls_[static_cast<std::size_t>(fault_call_)];
  if (count != fault_at_ && !(fault_sticky_ && count > fault_at_)) return {};
  fault_fired_ = true;
  return {fault_code_, path.string() + ": injected fault"};
}

std::uint64_t FaultFileSystem::used_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [path, inode] : names_) bytes += inode->current.size();
  return bytes;
}

bool FaultFileSystem::directory_exists(const Path& directory) const {
  const Path name = directory.lexically_normal();
  if (name.empty() || name == "." || name == "/") return true;
  const auto found = names_.find(name);
  return found != names_.end() && found->second->is_directory;
}

void FaultFileSystem::apply(const NameChange& change, Names& names) {
  if (!change.from.empty()) {
    const auto from = names.find(change.from);
    if (from != names.end() && from->second == change.inode) names.erase(from);
  }
  if (change.inode) {
    names[change.to] = change.inode;
  } else {
    names.erase(change.to);
  }
}

void FaultFileSystem::change_name(NameChange change) {
  apply(change, names_);
  unsynced_.push_back(std::move(change));
}

std::unique_ptr<FaultFileSystem> FaultFileSystem::copy_of(const Names& names) const {
  auto copy = std::make_unique<FaultFileSystem>();
  copy->capacity_ = capacity_;
  for (const auto& [path, inode] : names) copy->names_[path] = std::make_shared<Inode>(*inode);
  copy->on_disk_ = copy->names_;
  return copy;
}

std::unique_ptr<FaultFileSystem> FaultFileSystem::after_power_loss(Random& random) const {
  Lock lock(mutex_);
  Names names = on_disk_;
  const bool keep_all = random.below(3) == 0;
  for (const NameChange& change : unsynced_)
    if (keep_all || random.below(2) == 0) apply(change, names);
  auto image = copy_of(names);
  for (auto entry = image->names_.begin(); entry != image->names_.end();) {
    Inode& inode = *entry->second;
    inode.current = inode.on_disk = names.at(entry->first)->after_power_loss(random);
    inode.versions.clear();
    inode.largest = inode.current.size();
    // A file whose directory was lost is lost with it.
    const Path parent = entry->first.parent_path();
    entry = image->directory_exists(parent) ? std::next(entry) : image->names_.erase(entry);
  }
  image->on_disk_ = image->names_;
  return image;
}

std::unique_ptr<FaultFileSystem> FaultFileSystem::after_kill() const {
  Lock lock(mutex_);
  std::map<InodePtr, InodePtr> copies;
  const auto copied = [&](const InodePtr& inode) {
    InodePtr& copy = copies[inode];
    if (!copy && inode) copy = std::make_shared<Inode>(*inode);
    return copy;
  };
  auto image = std::make_unique<FaultFileSystem>();
  image->capacity_ = capacity_;
  for (const auto& [path, inode] : names_) image->names_[path] = copied(inode);
  for (const auto& [path, inode] : on_disk_) image->on_disk_[path] = copied(inode);
  for (const NameChange& change : unsynced_) image->unsynced_.push_back({change.from, change.to, copied(change.inode)});
  return image;
}

Bytes FaultFileSystem::contents(const Path& path) const {
  Lock lock(mutex_);
  const auto found = names_.find(path.lexically_normal());
  return found == names_.end() ? Bytes{} : found->second->current;
}

void FaultFileSystem::set_contents(const Path& path, Bytes bytes) {
  Lock lock(mutex_);
  const Path name = path.lexically_normal();
  auto inode = std::make_shared<Inode>();
  inode->current = inode->on_disk = std::move(bytes);
  inode->largest = inode->current.size();
  names_[name] = on_disk_[name] = std::move(inode);
}

bool FaultFileSystem::holds(const Path& path) const {
  Lock lock(mutex_);
  return names_.contains(path.lexically_normal());
}

void FaultFileSystem::erase(const Path& path) {
  Lock lock(mutex_);
  names_.erase(path.lexically_normal());
  on_disk_.erase(path.lexically_normal());
}

std::vector<Path> FaultFileSystem::files() const {
  Lock lock(mutex_);
  std::vector<Path> paths;
  for (const auto& [path, inode] : names_)
    if (!inode->is_directory) paths.push_back(path);
  return paths;
}

Result<std::unique_ptr<File>> FaultFileSystem::open(const Path& path, OpenMode mode) {
  Lock lock(mutex_);
  MNEME_TRY(enter(Call::Open, path));
  const Path name = path.lexically_normal();
  const auto found = names_.find(name);
  const bool creates = mode == OpenMode::CreateNew || mode == OpenMode::CreateOrTruncate;
  if (found == names_.end()) {
    if (!creates || !directory_exists(name.parent_path()))
      return {Code::NotFound, path.string() + ": open: no such file"};
    change_name({{}, name, std::make_shared<Inode>()});
  } else if (found->second->is_directory) {
    return {Code::IoError, path.string() + ": open: is a directory"};
  } else if (mode == OpenMode::CreateNew) {
    return {Code::AlreadyExists, path.string() + ": open: file exists"};
  } else if (mode == OpenMode::CreateOrTruncate) {
    found->second->current.clear();
    found->second->versions.clear();
  }
  return std::unique_ptr<File>(std::make_unique<OpenFile>(*this, name, names_.at(name), mode != OpenMode::Read));
}

Status FaultFileSystem::rename(const Path& from, const Path& to) {
  Lock lock(mutex_);
  MNEME_TRY(enter(Call::Rename, from));
  const auto found = names_.find(from.lexically_normal());
  if (found == names_.end() || !directory_exists(to.parent_path()))
    return {Code::NotFound, from.string() + ": rename to " + to.string() + ": no such file"};
  change_name({from.lexically_normal(), to.lexically_normal(), found->second});
  return {};
}

Status FaultFileSystem::remove(const Path& path) {
  Lock lock(mutex_);
  MNEME_TRY(enter(Call::Remove, path));
  if (!names_.contains(path.lexically_normal())) return {Code::NotFound, path.string() + ": remove: no such file"};
  change_name({{}, path.lexically_normal(), nullptr});
  return {};
}

Result<bool> FaultFileSystem::exists(const Path& path) {
  Lock lock(mutex_);
  MNEME_TRY(enter(Call::Exists, path));
  return holds(path);
}

Result<std::vector<std::string>> FaultFileSystem::list(const Path& directory) {
  Lock lock(mutex_);
  MNEME_TRY(enter(Call::List, directory));
  if (!directory_exists(directory)) return {Code::NotFound, directory.string() + ": list: no such directory"};
  std::vector<std::string> names;
  for (const auto& [path, inode] : names_)
    if (path.parent_path() == directory.lexically_normal()) names.push_back(path.filename().string());
  return names;
}

Status FaultFileSystem::make_directory(const Path& directory) {
  Lock lock(mutex_);
  MNEME_TRY(enter(Call::MakeDirectory, directory));
  const Path name = directory.lexically_normal();
  if (directory_exists(name)) return {};
  if (names_.contains(name)) return {Code::AlreadyExists, directory.string() + ": make directory: is a file"};
  if (!directory_exists(name.parent_path()))
    return {Code::NotFound, directory.string() + ": make directory: no such parent"};
  auto inode = std::make_shared<Inode>();
  inode->is_directory = true;
  change_name({{}, name, std::move(inode)});
  return {};
}

Status FaultFileSystem::remove_all(const Path& directory) {
  Lock lock(mutex_);
  MNEME_TRY(enter(Call::Remove, directory));
  const std::string prefix = directory.lexically_normal().string();
  std::vector<Path> beneath;
  for (const auto& [path, inode] : names_)
    if (path == directory.lexically_normal() || path.string().starts_with(prefix + "/")) beneath.push_back(path);
  for (const Path& path : beneath) change_name({{}, path, nullptr});
  return {};
}

Status FaultFileSystem::sync_directory(const Path& directory) {
  Lock lock(mutex_);
  MNEME_TRY(enter(Call::SyncDirectory, directory));
  if (!directory_exists(directory)) return {Code::NotFound, directory.string() + ": sync: no such directory"};
  const Path name = directory.lexically_normal() == "." ? Path() : directory.lexically_normal();
  std::erase_if(unsynced_, [&](const NameChange& change) {
    const bool here = change.to.parent_path() == name || (!change.from.empty() && change.from.parent_path() == name);
    if (here) apply(change, on_disk_);
    return here;
  });
  return {};
}

Result<std::unique_ptr<FileLock>> FaultFileSystem::lock(const Path& path) {
  Lock lock(mutex_);
  MNEME_TRY(enter(Call::Open, path));
  const Path name = path.lexically_normal();
  if (!directory_exists(name.parent_path())) return {Code::NotFound, path.string() + ": lock: no such directory"};
  if (!names_.contains(name)) change_name({{}, name, std::make_shared<Inode>()});
  std::lock_guard held(locks_->mutex);
  if (!locks_->held.insert(name).second) return {Code::Busy, path.string() + ": lock: held by another opener"};
  return std::unique_ptr<FileLock>(std::make_unique<HeldLock>(locks_, name));
}

Result<std::uint64_t> FaultFileSystem::available_bytes(const Path& directory) {
  Lock lock(mutex_);
  MNEME_TRY(enter(Call::Available, directory));
  const std::uint64_t used = used_bytes();
  return capacity_ > used ? capacity_ - used : 0;
}

}  // namespace mneme::testing
