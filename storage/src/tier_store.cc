#include "mneme/storage/tier_store.h"

#include <cassert>
#include <map>

#include "mneme/base/limits.h"

namespace mneme::storage {
namespace {

std::string place_name(TierId tier, SpaceId space, RowId row) {
  return std::string(name_of(tier)) + " tier: space " + std::to_string(space.value) + " row " +
         std::to_string(row.value);
}

Status missing_vector(GenerationId generation) {
  return {Code::Corruption, "vector of generation " + std::to_string(generation.value) + ": missing"};
}

Status check_length(const VectorShape& shape, ByteView bytes) {
  const std::size_t expected = std::size_t{shape.dimension} * sizeof(float);
  if (bytes.size() == expected) return ok_status();
  return {Code::Corruption, "vector of generation " + std::to_string(shape.generation.value) + ": " +
                                std::to_string(bytes.size()) + " bytes, expected " + std::to_string(expected)};
}

std::vector<ByteView> views_of(const std::vector<PinnedValue>& values) {
  std::vector<ByteView> views;
  views.reserve(values.size());
  for (const PinnedValue& value : values) views.push_back(value.bytes());
  return views;
}

// The stored vectors of one row, in the order of `shapes`.
Result<std::vector<PinnedValue>> get_vectors(const OrderedStore& store, Family family, SpaceId space, RowId row,
                                             std::span<const VectorShape> shapes, const StoreSnapshotPtr& state) {
  std::vector<PinnedValue> values;
  values.reserve(shapes.size());
  for (const VectorShape& shape : shapes) {
    MNEME_ASSIGN(std::optional<PinnedValue> value, store.get(family, vector_key(space, shape.generation, row), state));
    if (!value) return missing_vector(shape.generation);
    MNEME_TRY(check_length(shape, value->bytes()));
    values.push_back(*std::move(value));
  }
  return values;
}

// A stored body without the generations that were dropped, and what it names then.
struct ShownBody {
  ByteView stored;
  std::optional<Bytes> changed;
  std::vector<VectorShape> shapes;
  ByteView bytes() const { return changed ? ByteView(*changed) : stored; }
};

Result<ShownBody> shown_body(const DroppedGenerations* dropped, SpaceId space, ByteView stored) {
  ShownBody shown{.stored = stored};
  MNEME_ASSIGN(shown.shapes, vector_shapes(stored));
  if (dropped != nullptr && dropped->remove_from(shown.shapes, space))
    shown.changed = body_with_shapes(stored, shown.shapes);
  return shown;
}

Result<RowId> row_of(std::string_view key, std::size_t prefix_bytes) {
  if (key.size() != prefix_bytes + sizeof(std::uint64_t))
    return Status(Code::Corruption, "a key of " + std::to_string(key.size()) + " bytes, expected " +
                                        std::to_string(prefix_bytes + sizeof(std::uint64_t)));
  return RowId{load_be<std::uint64_t>(key.data() + prefix_bytes)};
}

// Walks the vectors of one space beside a walk over its bodies. Rows come ascending in both, so that a vector is
// found by stepping; a walk is opened when the first body names its generation.
class VectorWalk {
 public:
  VectorWalk(const OrderedStore& store, Family family, SpaceId space, const ScanOptions& options)
      : store_(store), family_(family), space_(space), options_(options) {}

  /// Bytes of the vectors of `row`, valid until the next call.
  Result<std::span<const ByteView>> at(RowId row, std::span<const VectorShape> shapes) {
    views_.clear();
    for (const VectorShape& shape : shapes) {
      StoreIterator& position = walk_of(shape.generation, row);
      MNEME_TRY(step_to(position, vector_key(space_, shape.generation, row)));
      if (!position.valid() || position.key() != vector_key(space_, shape.generation, row))
        return missing_vector(shape.generation);
      MNEME_TRY(check_length(shape, position.value()));
      views_.push_back(position.value());
    }
    return std::span<const ByteView>(views_);
  }

 private:
  // Further away than this a seek is cheaper than stepping over what other nodes have.
  static constexpr int kStepsMax = 8;

  StoreIterator& walk_of(GenerationId generation, RowId first) {
    std::unique_ptr<StoreIterator>& position = walks_[generation];
    if (!position)
      position = store_.scan(family_, vector_key(space_, generation, first),
                             prefix_end(vector_prefix(space_, generation)), options_);
    return *position;
  }

  static Status step_to(StoreIterator& position, const std::string& key) {
    for (int step = 0; position.valid() && position.key() < key; ++step) {
      if (step == kStepsMax) {
        position.seek(key);
        break;
      }
      position.next();
    }
    return position.status();
  }

  const OrderedStore& store_;
  const Family family_;
  const SpaceId space_;
  const ScanOptions options_;
  std::map<GenerationId, std::unique_ptr<StoreIterator>> walks_;
  std::vector<ByteView> views_;
};

}  // namespace

TierStore::TierStore(const OrderedStore& store, TierId tier, const DroppedGenerations* dropped)
    : store_(store), tier_(tier), dropped_(dropped) {
  assert(tier == TierId::Warm || tier == TierId::Cold);
}

Result<std::optional<NodeRecordPtr>> TierStore::get(SpaceId space, RowId row, const StoreSnapshotPtr& snapshot) const {
  // Body and vectors are two reads: both must see the same version of the node.
  const StoreSnapshotPtr state = snapshot ? snapshot : store_.snapshot();
  MNEME_ASSIGN(const std::optional<PinnedValue> body, get_body(space, row, state));
  if (!body) return std::optional<NodeRecordPtr>();
  const auto read = [&]() -> Result<NodeRecordPtr> {
    MNEME_ASSIGN(const ShownBody shown, shown_body(dropped_, space, body->bytes()));
    MNEME_ASSIGN(const std::vector<PinnedValue> vectors,
                 get_vectors(store_, vector_family(), space, row, shown.shapes, state));
    return NodeRecord::from_parts(shown.bytes(), views_of(vectors));
  };
  Result<NodeRecordPtr> record = read();
  if (!record) return record.status().with_context(place_name(tier_, space, row));
  return std::optional<NodeRecordPtr>(std::move(record).value());
}

Result<std::optional<PinnedValue>> TierStore::get_body(SpaceId space, RowId row,
                                                       const StoreSnapshotPtr& snapshot) const {
  return store_.get(body_family(), body_key(space, row), snapshot);
}

void TierStore::put(WriteSet& set, SpaceId space, RowId row, const NodeRecord& record) const {
  set.put(body_family(), body_key(space, row), record.body());
  for (std::size_t i = 0; i < record.vector_count(); ++i)
    set.put(vector_family(), vector_key(space, record.shape(i).generation, row), std::as_bytes(record.vector_at(i)));
}

void TierStore::erase(WriteSet& set, SpaceId space, RowId row, std::span<const VectorShape> shapes) const {
  set.erase(body_family(), body_key(space, row));
  for (const VectorShape& shape : shapes) set.erase(vector_family(), vector_key(space, shape.generation, row));
}

Status TierStore::scan(SpaceId space, RowId first, const ScanOptions& options,
                       const std::function<bool(RowId, NodeRecordPtr)>& visit) const {
  ScanOptions same_state = options;
  if (!same_state.snapshot) same_state.snapshot = store_.snapshot();
  VectorWalk vectors(store_, vector_family(), space, same_state);
  Status failed;
  const auto visit_body = [&](RowId row, ByteView body) {
    const auto read = [&]() -> Result<NodeRecordPtr> {
      MNEME_ASSIGN(const ShownBody shown, shown_body(dropped_, space, body));
      MNEME_ASSIGN(const std::span<const ByteView> values, vectors.at(row, shown.shapes));
      return NodeRecord::from_parts(shown.bytes(), values);
    };
    Result<NodeRecordPtr> record = read();
    if (record) return visit(row, std::move(record).value());
    failed = record.status().with_context(place_name(tier_, space, row));
    return false;
  };
  MNEME_TRY(scan_bodies(space, first, same_state, visit_body));
  return failed;
}

Status TierStore::scan_bodies(SpaceId space, RowId first, const ScanOptions& options,
                              const std::function<bool(RowId, ByteView)>& visit) const {
  const std::string prefix = space_prefix(space);
  const auto bodies = store_.scan(body_family(), body_key(space, first), prefix_end(prefix), options);
  for (; bodies->valid(); bodies->next()) {
    const Result<RowId> row = row_of(bodies->key(), prefix.size());
    if (!row)
      return row.status().with_context(std::string(name_of(tier_)) + " tier: space " + std::to_string(space.value));
    if (!visit(*row, bodies->value())) return ok_status();
  }
  return bodies->status();
}

Result<std::vector<VectorShape>> TierStore::shapes_of(SpaceId space, ByteView body) const {
  MNEME_ASSIGN(ShownBody shown, shown_body(dropped_, space, body));
  return std::move(shown.shapes);
}

std::uint64_t TierStore::bytes_used(SpaceId space) const {
  const std::string begin = space_prefix(space), end = prefix_end(begin);
  return store_.approximate_bytes(body_family(), begin, end) + store_.approximate_bytes(vector_family(), begin, end);
}

Status stage_move(WriteSet& set, const OrderedStore& store, SpaceId space, const NodeId& node, TierId to,
                  const DroppedGenerations* dropped) {
  const std::string name = "move of node " + node.to_string() + " of space " + std::to_string(space.value);
  if (to != TierId::Warm && to != TierId::Cold)
    return {Code::InvalidArgument, name + ": to tier " + std::string(name_of(to)) + ", which is not on disk"};
  const StoreSnapshotPtr state = store.snapshot();
  MNEME_ASSIGN(std::optional<Place> place, TierMap(store).find(space, node, state));
  if (!place) return {Code::NotFound, name + ": the store does not hold it"};
  if (place->tier == to) return ok_status();

  const TierStore source(store, place->tier), target(store, to);
  MNEME_ASSIGN(const std::optional<PinnedValue> body, source.get_body(space, place->row, state));
  const std::string where = name + ": " + place_name(place->tier, space, place->row);
  if (!body) return {Code::Corruption, where + ": the place names it, the tier does not hold it"};
  const Result<std::vector<VectorShape>> stored = vector_shapes(body->bytes());
  const Result<ShownBody> shown = shown_body(dropped, space, body->bytes());
  if (!stored || !shown) return (stored ? shown.status() : stored.status()).with_context(where);
  const auto vectors = get_vectors(store, source.vector_family(), space, place->row, shown->shapes, state);
  if (!vectors) return vectors.status().with_context(where);

  set.put(target.body_family(), body_key(space, place->row), shown->bytes());
  for (std::size_t i = 0; i < shown->shapes.size(); ++i)
    set.put(target.vector_family(), vector_key(space, shown->shapes[i].generation, place->row), (*vectors)[i].bytes());
  source.erase(set, space, place->row, *stored);
  place->tier = to;
  TierMap::put(set, space, node, *place);
  return ok_status();
}

}  // namespace mneme::storage
