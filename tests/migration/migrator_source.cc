#include "migrator_source.h"

#include <limits>
#include <set>

namespace mneme::migration {

template <class Change>
void MemorySource::change(const Change& apply) {
  auto records = std::make_shared<Records>(*records_);
  apply(*records);
  records_ = std::move(records);
  ++last_.value;
}

Status MemorySource::put(std::span<const Memory> memories) {
  for (const Memory& memory : memories) MNEME_TRY(validate_memory(memory).with_context(memory.id));
  change([&](Records& records) {
    for (const Memory& memory : memories) {
      Bytes encoded;
      encode_memory(memory, encoded);
      records[memory.id] = std::move(encoded);
    }
  });
  return {};
}

Status MemorySource::erase(std::string_view id) {
  change([&](Records& records) { records.erase(std::string(id)); });
  return {};
}

Result<Memory> MemorySource::get(std::string_view id) const {
  const auto found = records_->find(id);
  if (found == records_->end()) return Status(Code::NotFound, std::string(id));
  return decode_memory(found->second);
}

void MemorySource::put_raw(std::string id, Bytes encoded) {
  change([&](Records& records) { records[std::move(id)] = std::move(encoded); });
}

std::shared_ptr<const LegacyStore::View> MemorySource::view() const {
  const auto pinned = std::make_shared<const Pinned>(Pinned{records_, last_});
  return {pinned, reinterpret_cast<const View*>(pinned.get())};
}

Status MemorySource::scan(const std::shared_ptr<const View>& view, std::string_view begin, std::string_view end,
                          const std::function<bool(const RawRecord&)>& visit) const {
  const Records& records = *pinned(*view).records;
  for (auto at = records.lower_bound(begin); at != records.end() && (end.empty() || at->first < end); ++at)
    if (!visit({at->first, at->second})) return {};
  return {};
}

Lsn MemorySource::lsn(const View& view) const { return pinned(view).lsn; }

Result<std::vector<std::string>> MemorySource::split_points(std::size_t n) const {
  std::vector<std::string> cuts;
  std::size_t place = 0;
  for (const auto& [id, encoded] : *records_) {
    if (place > 0 && place * n / records_->size() != (place - 1) * n / records_->size()) cuts.push_back(id);
    ++place;
  }
  return cuts;
}

std::uint64_t MemorySource::approximate_bytes(std::string_view begin, std::string_view end) const {
  std::uint64_t bytes = 0;
  for (auto at = records_->lower_bound(begin); at != records_->end() && (end.empty() || at->first < end); ++at)
    bytes += at->second.size();
  return bytes;
}

LegacyStats MemorySource::stats() const {
  LegacyStats stats;
  stats.id = id_;
  stats.last = last_;
  stats.memories = records_->size();
  for (const auto& [id, encoded] : *records_) {
    const Result<Memory> memory = decode_memory(encoded);
    if (!memory || !memory->embedding) continue;
    stats.dimension = static_cast<std::uint32_t>(memory->embedding->size());
    break;
  }
  return stats;
}

std::vector<std::string> MemorySource::ids() const {
  std::vector<std::string> ids;
  for (const auto& [id, encoded] : *records_) ids.push_back(id);
  return ids;
}

namespace {

std::string tricky_id(Random& random, std::size_t number) {
  static const std::vector<std::string> kLetters = {"a", "b", std::string(1, '\0'), "\x7f", "é", "💡", "/", "..", " "};
  std::string id;
  switch (random.below(4)) {
    case 0:
      return std::string(1 + number % 40, 'a');  // each a prefix of the next
    case 1:
      for (std::uint64_t left = 1 + random.below(6); left > 0; --left) id += kLetters[random.below(kLetters.size())];
      return id;
    case 2:
      return std::to_string(random.next());
    default:
      return "memory-" + std::to_string(number);
  }
}

float tricky_float(Random& random) {
  using limits = std::numeric_limits<float>;
  switch (random.below(12)) {
    case 0:
      return -0.0F;
    case 1:
      return limits::denorm_min();
    case 2:
      return limits::max();
    case 3:
      return limits::lowest();
    case 4:
      return limits::min();
    default:
      return static_cast<float>(random.below(2'000'001)) / 1e6F - 1.0F;
  }
}

Value tricky_value(Random& random, int depth) {
  switch (random.below(depth > 3 ? 7 : 9)) {
    case 0:
      return nullptr;
    case 1:
      return random.below(2) == 0;
    case 2:
      return static_cast<std::int64_t>(random.next());
    case 3:
      return random.next() | (std::uint64_t{1} << 63);
    case 4:
      return static_cast<double>(random.next()) / 3.0;
    case 5:
      return BigNumber{"123456789012345678901234567890"};
    case 6:
      return std::string(random.below(20), 'x');
    case 7: {
      Value::Array array;
      for (std::uint64_t left = random.below(4); left > 0; --left) array.push_back(tricky_value(random, depth + 1));
      return array;
    }
    default: {
      Value object{Value::Object{}};
      for (std::uint64_t left = random.below(4); left > 0; --left)
        object.set("member" + std::to_string(left), tricky_value(random, depth + 1));
      return object;
    }
  }
}

Bytes unknown_field(Random& random) {
  Bytes field;
  ByteWriter writer(field);
  writer.varint((200 << 2) | 2);
  writer.sized(std::string_view("of a later release").substr(0, 1 + random.below(18)));
  return field;
}

Memory tricky_memory(Random& random, std::string id, std::uint32_t dimension) {
  Memory memory;
  memory.id = std::move(id);
  const auto one_in = [&](std::uint64_t n) { return random.below(n) == 0; };
  if (!one_in(4)) {
    memory.embedding.emplace(dimension);
    for (float& value : *memory.embedding) value = tricky_float(random);
  } else if (one_in(2)) {
    memory.null_members |= static_cast<std::uint32_t>(MemoryMember::Embedding);
  }
  if (!one_in(5)) memory.content = std::string(one_in(50) ? 200'000 : random.below(100), 'c');
  if (one_in(2)) memory.activation = static_cast<double>(random.below(1'001)) / 1'000;
  if (one_in(2)) memory.confidence = one_in(2) ? -0.0 : 1.0;
  if (one_in(2)) memory.decay_rate = std::numeric_limits<double>::denorm_min();
  if (one_in(2)) memory.access_count = random.next();
  if (one_in(2)) memory.created_at = Timestamp(std::chrono::microseconds(random.below(2'000'000'000'000'000)));
  if (one_in(2)) memory.last_access = Timestamp(std::chrono::microseconds(random.below(2'000'000'000'000'000)));
  if (one_in(3)) memory.embedding_provenance = tricky_value(random, 0);
  if (one_in(2)) memory.metadata = tricky_value(random, 0);
  if (one_in(3)) memory.unknown_members = Value(Value::Object{{"later", tricky_value(random, 1)}});
  if (one_in(5)) memory.unknown = unknown_field(random);
  return memory;
}

}  // namespace

std::vector<Memory> tricky_memories(Random& random, std::size_t count, std::uint32_t dimension) {
  std::set<std::string> taken;
  std::vector<Memory> memories;
  for (std::size_t number = 0; memories.size() < count; ++number) {
    std::string id = tricky_id(random, number);
    if (taken.insert(id).second) memories.push_back(tricky_memory(random, std::move(id), dimension));
  }
  return memories;
}

}  // namespace mneme::migration
