// A space whose models come and go, and a model of it: what every read and every search, by one model or fused, must say.

#include <cstdlib>
#include <iostream>
#include <map>
#include <random>

#include "engine_test.h"

namespace mneme::test {
namespace {

using Vectors = std::map<std::uint16_t, std::vector<float>>;

struct ModelNode {
  RowId row;
  Vectors vectors;
  bool tagged = false;
};
using Model = std::map<NodeId, ModelNode>;

struct ModelHit {
  RowId row;
  NodeId id;
  double score;
};

unsigned choose_seed() {
  const char* given = std::getenv("MNEME_TEST_SEED");
  return given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
}

class GenerationsModel : public EngineTest {
 protected:
  GenerationsModel() : seed_(choose_seed()), random_(seed_) {
    std::cout << "[   seed   ] MNEME_TEST_SEED=" << seed_ << '\n';
  }
  unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }
  std::vector<float> vector(std::uint32_t dimension) {
    std::vector<float> values(dimension);
    for (float& value : values) value = static_cast<float>(below(7)) - 3;
    return values;
  }

  void put_one() {
    Node node = named(std::to_string(below(80)), {});
    ModelNode expected;
    for (const auto& [generation, dimension] : live_) {
      if (below(3) == 0) continue;
      expected.vectors[generation] = vector(dimension);
      node.vectors.push_back({GenerationId{generation}, expected.vectors[generation]});
    }
    expected.tagged = below(2) == 0;
    if (expected.tagged) node.tags = {"tagged"};
    const NodeId id = must(space().put(std::move(node), Durability::Memory));
    expected.row = must(space().get(id)).row();
    now_[id] = std::move(expected);
  }
  NodeId any_node() {
    auto node = now_.begin();
    std::advance(node, below(static_cast<unsigned>(now_.size())));
    return node->first;
  }
  void erase_one() {
    const NodeId id = any_node();
    must(space().erase(id, Durability::Memory));
    now_.erase(id);
  }
  void move_one() {
    const NodeId id = any_node();
    must(space().move(id, below(3) == 0 ? TierId::Hot : below(2) == 0 ? TierId::Warm : TierId::Cold));
  }
  void add_generation() {
    const std::uint32_t dimension = 1 + below(5);
    const GenerationId id = must(space().add_generation({dimension, Metric::InnerProduct, "m"}));
    EXPECT_EQ(id.value, next_++);
    live_[id.value] = dimension;
  }
  void drop_generation() {
    auto dropped = live_.begin();
    std::advance(dropped, below(static_cast<unsigned>(live_.size())));
    must(space().drop_generation(GenerationId{dropped->first}));
    for (Model* model : {&now_, &then_})
      for (auto& [id, node] : *model) node.vectors.erase(dropped->first);
    live_.erase(dropped);
  }
  void step() {
    switch (below(40)) {
      case 0:
        if (live_.size() < 4) add_generation();
        break;
      case 1:
        if (live_.size() > 1) drop_generation();
        break;
      case 2:
        view_.reset();
        reopen();
        break;
      case 3:
        must(db_->flush());
        break;
      case 4:
        view_ = must(db_->read_view());
        then_ = now_;
        break;
      case 5:
      case 6:
      case 7:
        if (!now_.empty()) move_one();
        break;
      case 8:
      case 9:
        if (!now_.empty()) erase_one();
        break;
      default:
        put_one();
    }
  }

  // One list: by inner product of small whole numbers, so that sums are exact.
  static std::vector<ModelHit> ranked(const Model& model, std::uint16_t generation, const std::vector<float>& query,
                                      const Query& shape, std::size_t depth) {
    std::vector<ModelHit> hits;
    for (const auto& [id, node] : model) {
      const auto found = node.vectors.find(generation);
      if (found == node.vectors.end() || id == shape.like) continue;
      if (!shape.filter.empty() && !node.tagged) continue;
      double score = 0;
      for (std::size_t i = 0; i < query.size(); ++i) score += static_cast<double>(query[i] * found->second[i]);
      hits.push_back({node.row, id, score});
    }
    sort(hits);
    if (hits.size() > depth) hits.resize(depth);
    return hits;
  }
  static void sort(std::vector<ModelHit>& hits) {
    std::sort(hits.begin(), hits.end(), [](const ModelHit& a, const ModelHit& b) {
      return a.score != b.score ? a.score > b.score : a.row < b.row;
    });
  }
  static std::vector<Neighbour> expected(const Model& model, const Query& query) {
    std::vector<ModelHit> hits;
    if (query.also.empty()) {
      hits = ranked(model, query.generation.value, query.vector, query, query.k);
    } else {
      std::map<RowId, ModelHit> fused;
      const auto add = [&](GenerationId generation, const std::vector<float>& vector, float weight) {
        double rank = 0;
        for (const ModelHit& hit :
             ranked(model, generation.value, vector, query, std::max<std::size_t>(64, 4 * query.k)))
          fused.try_emplace(hit.row, ModelHit{hit.row, hit.id, 0}).first->second.score +=
              static_cast<double>(weight) / (60 + ++rank);
      };
      add(query.generation, query.vector, query.weight);
      for (const Query::Also& also : query.also) add(also.generation, also.vector, also.weight);
      for (auto& [row, hit] : fused) {
        hit.score = static_cast<double>(static_cast<float>(hit.score));
        hits.push_back(hit);
      }
      sort(hits);
      if (hits.size() > query.k) hits.resize(query.k);
    }
    std::vector<Neighbour> found;
    for (const ModelHit& hit : hits) found.push_back({hit.id, hit.row, static_cast<float>(hit.score)});
    return found;
  }

  Query query() {
    Query query;
    query.k = 1 + below(below(2) == 0 ? 10 : 200);
    bool first = true;
    for (const auto& [generation, dimension] : live_) {
      if (!first && below(3) == 0) continue;
      const float weight = below(2) == 0 ? 1.0F : 0.25F * static_cast<float>(1 + below(8));
      if (first) {
        query.generation = GenerationId{generation};
        query.vector = vector(dimension);
        query.weight = weight;
      } else {
        query.also.push_back({GenerationId{generation}, vector(dimension), weight});
      }
      first = false;
    }
    if (below(3) == 0) query.filter = Filter::tag("tagged");
    return query;
  }
  void check_search(const Query& query, const Model& model) {
    const std::vector<Neighbour> wanted = expected(model, query);
    EXPECT_EQ(must(space().nearest(query)), wanted);
    std::vector<Neighbour> with_nodes;
    for (const SearchHit& hit : must(space().search(query))) {
      with_nodes.push_back({hit.node.id(), hit.node.row(), hit.score});
      EXPECT_EQ(vectors_of(hit.node), model.at(hit.node.id()).vectors);
    }
    EXPECT_EQ(with_nodes, wanted);
    Query shape = query;
    std::vector<float> rows;
    for (int i = 0; i < 2; ++i) {
      rows.insert(rows.end(), query.vector.begin(), query.vector.end());
      for (const Query::Also& also : query.also) rows.insert(rows.end(), also.vector.begin(), also.vector.end());
    }
    shape.vector.clear();
    for (Query::Also& also : shape.also) also.vector.clear();
    EXPECT_EQ(must(space().nearest_batch(rows, shape)), (std::vector<std::vector<Neighbour>>{wanted, wanted}));
  }
  // Like a node: by its own vectors, of those models that it has.
  void check_like() {
    const NodeId id = any_node();
    const ModelNode& node = now_.at(id);
    Query like = query(), same = like;
    like.like = same.like = id;
    like.vector.clear();
    std::vector<Query::Also> parts{{like.generation, {}, like.weight}};
    parts.insert(parts.end(), like.also.begin(), like.also.end());
    for (Query::Also& also : like.also) also.vector.clear();
    std::erase_if(parts, [&](const Query::Also& part) { return !node.vectors.contains(part.generation.value); });
    if (parts.empty()) {
      EXPECT_EQ(space().nearest(like).status().code(), Code::FailedPrecondition);
      return;
    }
    for (Query::Also& part : parts) part.vector = node.vectors.at(part.generation.value);
    if (!like.also.empty() && parts.size() == 1) return;  // fused, of one list: the model has no form for it
    same.generation = parts.front().generation;
    same.vector = parts.front().vector;
    same.weight = parts.front().weight;
    same.also.assign(parts.begin() + 1, parts.end());
    EXPECT_EQ(must(space().nearest(like)), expected(now_, same));
  }

  static Vectors vectors_of(const NodeView& node) {
    Vectors vectors;
    for (std::size_t i = 0; i < node->vector_count(); ++i)
      vectors[node->shape(i).generation.value].assign(node->vector_at(i).begin(), node->vector_at(i).end());
    return vectors;
  }
  void check() {
    std::uint64_t vectors = 0;
    for (const auto& [id, node] : now_) {
      vectors += node.vectors.size();
      EXPECT_EQ(vectors_of(must(space().get(id))), node.vectors);
    }
    EXPECT_EQ(must(space().stats()).vectors, vectors);
    check_scan(now_, {});
    if (view_) check_scan(then_, view_);
    for (int i = 0; i < 3; ++i) check_search(query(), now_);
    if (!now_.empty()) check_like();
    if (view_) {
      Query then = query();
      then.view = view_;
      check_search(then, then_);
    }
  }
  void check_scan(const Model& model, const std::optional<ReadView>& view) {
    std::size_t seen = 0;
    must(space().scan({.filter = {}, .view = view}, [&](const NodeView& node) {
      ++seen;
      EXPECT_EQ(vectors_of(node), model.at(node.id()).vectors);
      return true;
    }));
    EXPECT_EQ(seen, model.size());
  }

  unsigned seed_;
  std::mt19937 random_;
  std::map<std::uint16_t, std::uint32_t> live_{{0, kDimension}};
  std::uint16_t next_ = 1;
  Model now_, then_;
  std::optional<ReadView> view_;
};

TEST_F(GenerationsModel, SaysWhatTheModelSaysWhateverComesAndGoes) {
  for (int i = 0; i < 1500 && !HasFailure(); ++i) {
    step();
    if (i % 25 == 0) check();
    if (i % 500 == 499) expect_sound();
  }
  view_.reset();
  reopen();
  check();
  expect_sound();
}

}  // namespace
}  // namespace mneme::test
