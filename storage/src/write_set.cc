// WriteSet and PinnedValue: what callers hold while RocksDB stays out of sight.
#include <array>

#include "rocks_options.h"
#include "rocks_status.h"
#include "rocks_store.h"

namespace mneme::storage {
namespace {

// A WriteBatch asks a handle only for the id and the comparator, and stores the id. Families have their index as id,
// which open() checks.
class FamilyHandle final : public rocksdb::ColumnFamilyHandle {
 public:
  explicit FamilyHandle(std::uint32_t id) : id_(id) {}
  const std::string& GetName() const override {
    static const std::string name = "by id";
    return name;
  }
  std::uint32_t GetID() const override { return id_; }
  rocksdb::Status GetDescriptor(rocksdb::ColumnFamilyDescriptor*) override {
    return rocksdb::Status::NotSupported("a family handle for write sets");
  }
  const rocksdb::Comparator* GetComparator() const override { return rocksdb::BytewiseComparator(); }

 private:
  std::uint32_t id_;
};

template <std::size_t... I>
std::array<FamilyHandle, sizeof...(I)> make_handles(std::index_sequence<I...>) {
  return {FamilyHandle(static_cast<std::uint32_t>(I))...};
}

rocksdb::ColumnFamilyHandle* handle_of(Family family) {
  static auto handles = make_handles(std::make_index_sequence<kFamiliesMax>());
  return &handles[family];
}

// Keeps the first failure, and makes one of a family that no store can have.
template <class Rep, class Change>
void change(Rep& rep, Family family, Change&& apply) {
  const Status changed = guarded("write set", [&]() -> Status {
    if (family >= kFamiliesMax)
      return {Code::InvalidArgument,
              "write set: family " + std::to_string(family) + " of " + std::to_string(kFamiliesMax) + " at most"};
    rep.highest_family = std::max(rep.highest_family, family);
    return from_rocks(apply(rep.batch, handle_of(family)), "write set");
  });
  if (!changed && rep.error.ok()) rep.error = changed;
}

}  // namespace

WriteSet::WriteSet() : rep_(std::make_unique<Rep>()) {}
WriteSet::~WriteSet() = default;
WriteSet::WriteSet(WriteSet&&) noexcept = default;
WriteSet& WriteSet::operator=(WriteSet&&) noexcept = default;

void WriteSet::put(Family family, std::string_view key, ByteView value) {
  change(*rep_, family, [&](auto& batch, auto* handle) { return batch.Put(handle, to_slice(key), to_slice(value)); });
}

void WriteSet::put_parts(Family family, std::string_view key, std::span<const ByteView> parts) {
  change(*rep_, family, [&](auto& batch, auto* handle) {
    std::vector<rocksdb::Slice> slices;
    slices.reserve(parts.size());
    for (const ByteView part : parts) slices.push_back(to_slice(part));
    const rocksdb::Slice key_slice = to_slice(key);
    return batch.Put(handle, rocksdb::SliceParts(&key_slice, 1),
                     rocksdb::SliceParts(slices.data(), static_cast<int>(slices.size())));
  });
}

void WriteSet::erase(Family family, std::string_view key) {
  change(*rep_, family, [&](auto& batch, auto* handle) { return batch.Delete(handle, to_slice(key)); });
}

void WriteSet::erase_range(Family family, std::string_view begin, std::string_view end) {
  change(*rep_, family, [&](auto& batch, auto* handle) {
    if (end.empty()) return rocksdb::Status::InvalidArgument("erase_range needs an end");
    // RocksDB meets an inverted range only while it inserts, too late to refuse the batch whole.
    if (begin >= end) return rocksdb::Status::OK();
    return batch.DeleteRange(handle, to_slice(begin), to_slice(end));
  });
}

std::uint64_t WriteSet::bytes() const { return rep_->batch.GetDataSize(); }
std::size_t WriteSet::count() const { return rep_->batch.Count(); }

void WriteSet::clear() {
  rep_->batch.Clear();
  rep_->highest_family = 0;
  rep_->error = ok_status();
}

PinnedValue::PinnedValue() = default;
PinnedValue::~PinnedValue() = default;
PinnedValue::PinnedValue(PinnedValue&&) noexcept = default;
PinnedValue& PinnedValue::operator=(PinnedValue&&) noexcept = default;
ByteView PinnedValue::bytes() const { return rep_ ? to_bytes(rep_->slice) : ByteView(); }

}  // namespace mneme::storage
