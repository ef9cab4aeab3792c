#include <cmath>
#include <cstring>

#include "indexed_space.h"
#include "mneme/base/checksum.h"

namespace mneme::crash {

namespace {

constexpr std::size_t kSelfQueries = 60, kOldQueries = 40;
constexpr float kTarget = 0.99F;

float cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double product = 0, aa = 0, bb = 0;
  for (std::size_t d = 0; d < a.size(); ++d) {
    product += static_cast<double>(a[d]) * b[d];
    aa += static_cast<double>(a[d]) * a[d];
    bb += static_cast<double>(b[d]) * b[d];
  }
  return static_cast<float>(product / std::sqrt(aa * bb));
}

class IndexedCheck {
 public:
  IndexedCheck(Database& database, const Space& space, IndexedModel& model, std::uint64_t seed)
      : database_(database), space_(space), model_(model), random_(seeded_random(seed)), found_(kKeys) {}

  void run(bool deep) {
    for (std::size_t key = 0; key < kKeys; ++key) key_of_[space_.id_for_external(key_name(key))] = key;
    scan();
    for (std::size_t key = 0; key < kKeys; ++key) settle(key);
    check_searches();
    check_stats(deep);
    model_.checks.fetch_add(1);
  }

 private:
  void scan() {
    const Status scanned = space_.scan({}, [&](const NodeView& view) {
      const auto key = key_of_.find(view.id());
      const Result<Node> node = view.node();
      const Value* const epoch = node && node->metadata ? node->metadata->find("epoch") : nullptr;
      const Value* const version = node && node->metadata ? node->metadata->find("version") : nullptr;
      if (key == key_of_.end() || epoch == nullptr || version == nullptr) {
        report(model_.lost, "indexed: a node that nobody put: " + view.id().to_string());
        return true;
      }
      const KeyState state{static_cast<std::uint32_t>(*epoch->get_if<std::int64_t>()),
                           static_cast<std::uint32_t>(*version->get_if<std::int64_t>())};
      if (node->vectors.size() != 1 || node->vectors[0].values != key_vector(key->second, state))
        report(model_.lost, key_name(key->second) + ": another vector than was put");
      found_[key->second] = state;
      present_.push_back(key->second);
      return true;
    });
    if (!scanned) report(model_.lost, "indexed: scan: " + scanned.to_string());
  }

  // What was there in an earlier life of the space is absent in this one.
  KeyState now(KeyState state) const {
    return state.epoch == model_.epoch.acknowledged() && state.version != 0 ? state : KeyState{};
  }

  void settle(std::size_t key) {
    Journaled<KeyState>& state = model_.keys[key].state;
    const auto pending = state.pending();
    if (pending) model_.indeterminate.fetch_add(1);
    if (found_[key] != now(state.acknowledged()) && !(pending && found_[key] == now(*pending)))
      report(model_.lost, key_name(key) + ": found version " + std::to_string(found_[key].version) + ", acknowledged " +
                              std::to_string(now(state.acknowledged()).version) +
                              (pending ? ", pending " + std::to_string(now(*pending).version) : std::string()));
    state.settle(found_[key]);
  }

  std::vector<Neighbour> nearest(const std::vector<float>& vector, float recall) {
    Query query;
    query.vector = vector;
    query.k = 3;
    query.recall_target = recall;
    Result<std::vector<Neighbour>> hits = space_.nearest(query);
    if (hits) return std::move(*hits);
    report(model_.wrong, "indexed: search: " + hits.status().to_string());
    return {};
  }

  // Every hit is a node that is there, with the score of the vector that it has now.
  void check_hits(const std::vector<float>& vector, const std::vector<Neighbour>& hits) {
    for (const Neighbour& hit : hits) {
      const auto key = key_of_.find(hit.id);
      if (key == key_of_.end() || found_[key->second].version == 0)
        report(model_.wrong, "indexed: a search finds a node that is not there: " + hit.id.to_string());
      else if (std::abs(hit.score - cosine(vector, key_vector(key->second, found_[key->second]))) > 1e-5F)
        report(model_.wrong, key_name(key->second) + ": a search finds a vector that it has no more");
    }
  }

  void check_searches() {
    for (std::size_t i = 0; i < kSelfQueries && !present_.empty(); ++i) {
      const std::size_t key = present_[random_->below(present_.size())];
      const std::vector<float> vector = key_vector(key, found_[key]);
      const auto hits = nearest(vector, kTarget);
      check_hits(vector, hits);
      model_.self_queries.fetch_add(1);
      if (!hits.empty() && key_of_.at(hits.front().id) == key) continue;
      model_.self_missed.fetch_add(1);
      const auto exact = nearest(vector, 1);
      if (exact.empty() || exact.front().id != space_.id_for_external(key_name(key)))
        report(model_.lost, key_name(key) + ": an exact search for its vector does not find it");
    }
    for (std::size_t i = 0; i < kOldQueries; ++i) {
      const std::size_t key = random_->below(kKeys);
      const std::uint32_t last = model_.keys[key].last_version;
      if (last == 0) continue;
      const KeyState old{model_.epoch.acknowledged(), static_cast<std::uint32_t>(1 + random_->below(last))};
      const std::vector<float> vector = key_vector(key, old);
      check_hits(vector, nearest(vector, kTarget));
    }
  }

  void check_stats(bool deep) {
    const DatabaseStats stats = database_.stats();
    model_.restored.fetch_add(stats.indexes_restored);
    model_.loaded.fetch_add(stats.indexes_loaded);
    if (!deep) return;
    const Result<VerifyReport> verified = database_.verify(/*deep=*/true);
    if (!verified) return report(model_.lost, "verify: " + verified.status().to_string());
    for (const std::string& problem : verified->problems) report(model_.lost, "verify: " + problem);
    for (const std::string& problem : verified->index_problems) report(model_.damaged, "verify: " + problem);
  }

  Database& database_;
  const Space& space_;
  IndexedModel& model_;
  const std::unique_ptr<Random> random_;
  std::unordered_map<NodeId, std::size_t> key_of_;
  std::vector<KeyState> found_;  // by key
  std::vector<std::size_t> present_;
};

}  // namespace

std::string key_name(std::size_t key) { return "key/" + std::to_string(key); }

// Around a few centres, as embeddings are.
std::vector<float> key_vector(std::size_t key, KeyState state) {
  const std::uint64_t words[] = {key, state.epoch, state.version};
  const std::unique_ptr<Random> random = seeded_random(xxh3_64(std::as_bytes(std::span(words))));
  std::vector<float> values(kIndexedDimension);
  const std::uint64_t centre = random->below(16);
  for (std::size_t d = 0; d < values.size(); ++d)
    values[d] =
        static_cast<float>(random->below(2'000'001)) / 1e6F - 1.0F + ((centre >> d % 4 & 1) != 0 ? 0.7F : -0.7F);
  return values;
}

Node key_node(std::size_t key, KeyState state) {
  Node node;
  node.external_id = key_name(key);
  Value metadata;
  metadata.set("epoch", static_cast<std::int64_t>(state.epoch));
  metadata.set("version", static_cast<std::int64_t>(state.version));
  node.metadata = std::move(metadata);
  node.vectors.push_back({GenerationId{0}, key_vector(key, state)});
  return node;
}

bool check_indexed(Database& database, IndexedModel& model, std::uint64_t seed, bool deep) {
  const Result<Space> space = database.space(kIndexedSpace);
  if (!space && space.status().code() != Code::NotFound) {
    report(model.lost, "indexed: " + space.status().to_string());
    return false;
  }
  const std::uint32_t before = model.epoch.acknowledged();
  const auto after = model.epoch.pending();
  // A space is dropped or made, never both in one step: whether it is there says which of the two states this is.
  const bool as_before = (before != 0) == space.ok();
  if (!as_before && !(after && (*after != 0) == space.ok()))
    report(model.lost, std::string("indexed: the space is ") + (space ? "there" : "not there"));
  model.epoch.settle(as_before ? before : after.value_or(0));
  if (!space) {
    for (IndexedModel::Key& key : model.keys) key.state.settle({});
    return false;
  }
  IndexedCheck(database, *space, model, seed).run(deep);
  return true;
}

}  // namespace mneme::crash
