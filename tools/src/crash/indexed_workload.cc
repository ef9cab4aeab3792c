#include <iterator>
#include <thread>
#include <utility>

#include "indexed_space.h"
#include "mneme/base/checksum.h"

namespace mneme::crash {

namespace {

constexpr std::size_t kWriters = 3;  // each has the keys whose number leaves its own when divided by so many
constexpr std::size_t kLoadMax = 1'000;
constexpr std::chrono::milliseconds kPauses[] = {std::chrono::milliseconds(0), std::chrono::milliseconds(20),
                                                 std::chrono::milliseconds(60), std::chrono::milliseconds(120)};
constexpr std::chrono::milliseconds kBeforeDropMax{250};

bool left_no_trace(const Status& status) { return status.code() == Code::Busy || status.code() == Code::NoSpace; }

std::uint64_t seed_of(std::uint64_t seed, std::uint64_t part) {
  const std::uint64_t words[] = {seed, part};
  return xxh3_64(std::as_bytes(std::span(words)));
}

/// Changes the keys of one thread, each noted before the call and after it.
class KeyWriter {
 public:
  KeyWriter(Database& database, const Space& space, IndexedModel& model, std::uint64_t seed)
      : database_(database), space_(space), model_(model), random_(seeded_random(seed)) {}

  void run(std::size_t writer, std::chrono::milliseconds pause, const std::atomic<bool>& stop) {
    while (!stop && model_.sound() && step(writer)) std::this_thread::sleep_for(pause);
  }

  /// Keys that are absent, by a bulk load.
  bool load(const std::vector<std::size_t>& keys) {
    std::vector<NodeRecordPtr> nodes;
    for (const std::size_t key : keys) {
      Node node = key_node(key, begin(key));
      node.id = space_.id_for_external(*node.external_id);
      nodes.push_back(NodeRecord::from_node(node));
    }
    return finish(keys, database_.bulk_insert(space_, nodes, {}).status());
  }

 private:
  bool step(std::size_t writer) {
    const bool loads = random_->below(12) == 0;
    const std::size_t count = 1 + random_->below(loads ? kLoadMax : 48);
    std::vector<std::size_t> keys;
    std::size_t key = random_->below(kKeys / kWriters);
    for (std::size_t i = 0; i < count; ++i, key = (key + 1) % (kKeys / kWriters)) {
      const std::size_t mine = key * kWriters + writer;
      if (!loads || !is_there(mine)) keys.push_back(mine);
    }
    return keys.empty() || (loads ? load(keys) : write(keys));
  }

  bool write(const std::vector<std::size_t>& keys) {
    Batch batch;
    const bool erases = random_->below(4) == 0;
    for (const std::size_t key : keys) {
      Status planned;
      if (erases && is_there(key)) {
        model_.keys[key].state.begin({});
        planned = batch.erase(space_, space_.id_for_external(key_name(key)));
      } else {
        planned = batch.put(space_, key_node(key, begin(key))).status();
      }
      if (!planned) return unexpected(planned);
    }
    const Durability durability = random_->below(8) == 0 ? Durability::Sync : Durability::Memory;
    return finish(keys, database_.write(batch, durability).status());
  }

  bool is_there(std::size_t key) const {
    const KeyState state = model_.keys[key].state.acknowledged();
    return state.version != 0 && state.epoch == model_.epoch.acknowledged();
  }

  KeyState begin(std::size_t key) {
    const KeyState next{model_.epoch.acknowledged(), model_.keys[key].last_version.fetch_add(1) + 1};
    model_.keys[key].state.begin(next);
    return next;
  }

  bool finish(const std::vector<std::size_t>& keys, const Status& status) {
    if (!status && !left_no_trace(status)) return unexpected(status);
    for (const std::size_t key : keys) status ? model_.keys[key].state.acknowledge() : model_.keys[key].state.refuse();
    (status ? model_.acknowledged : model_.refused).fetch_add(keys.size());
    return true;
  }

  bool unexpected(const Status& status) {
    report(model_.lost, "indexed: a write: " + status.to_string());
    return false;
  }

  Database& database_;
  const Space& space_;
  IndexedModel& model_;
  const std::unique_ptr<Random> random_;
};

/// Searches keep the index loaded, and have it compressed and so saved.
void search_until(const Space& space, IndexedModel& model, const std::atomic<bool>& stop, std::uint64_t seed) {
  const std::unique_ptr<Random> random = seeded_random(seed);
  while (!stop && model.sound()) {
    Query query;
    query.vector = key_vector(random->below(kKeys), {1, 1});
    query.recall_target = random->below(2) == 0 ? 0.9F : 0.99F;
    const auto hits = space.nearest(query);
    if (!hits) report(model.wrong, "indexed: search: " + hits.status().to_string());
  }
}

Result<Space> make(Database& database, IndexedModel& model, std::uint64_t seed) {
  model.epoch.begin(model.last_epoch.fetch_add(1) + 1);
  MNEME_ASSIGN(const Space space, database.create_space(kIndexedSpace, {.dimension = kIndexedDimension}));
  model.epoch.acknowledge();
  KeyWriter writer(database, space, model, seed);
  for (std::size_t first = 0; first < kKeysAtFirst; first += 3'000) {
    std::vector<std::size_t> keys;
    for (std::size_t key = first; key < first + 3'000; ++key) keys.push_back(key);
    if (!writer.load(keys)) break;
  }
  return space;
}

void work(Database& database, const Space& space, IndexedModel& model, std::uint64_t seed,
          std::chrono::milliseconds limit) {
  // Where many rows change between saves the next open reads the index again; where few do, it restores.
  const std::chrono::milliseconds pause = kPauses[seed % std::size(kPauses)];
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (std::size_t writer = 0; writer < kWriters; ++writer)
    threads.emplace_back(
        [&, writer] { KeyWriter(database, space, model, seed_of(seed, writer)).run(writer, pause, stop); });
  threads.emplace_back([&] { search_until(space, model, stop, seed_of(seed, kWriters)); });
  std::uint64_t saved = 0;
  for (auto left = limit; left.count() != 0 && model.sound(); --left) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const std::uint64_t now = database.stats().indexes_saved;
    model.saved.fetch_add(now - std::exchange(saved, now));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

void run_indexed_workload(Database& database, IndexedModel& model, std::uint64_t seed, bool drops) {
  const auto failed = [&](const Status& status) { report(model.lost, "indexed: " + status.to_string()); };
  constexpr std::chrono::milliseconds kForEver{-1};
  Result<Space> space = database.space(kIndexedSpace);
  if (!space) space = make(database, model, seed_of(seed, 10));
  if (!space) return failed(space.status());
  if (drops) {
    const std::unique_ptr<Random> random = seeded_random(seed_of(seed, 11));
    const auto before = static_cast<std::int64_t>(random->below(static_cast<std::uint64_t>(kBeforeDropMax.count())));
    work(database, *space, model, seed_of(seed, 12), std::chrono::milliseconds(1 + before));
    model.epoch.begin(0);
    if (const Status dropped = database.drop_space(kIndexedSpace); !dropped) return failed(dropped);
    model.epoch.acknowledge();
    model.drops.fetch_add(1);
    space = make(database, model, seed_of(seed, 13));
    if (!space) return failed(space.status());
  }
  work(database, *space, model, seed_of(seed, 14), kForEver);
}

}  // namespace mneme::crash
