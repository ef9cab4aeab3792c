#include "workload.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <thread>
#include <vector>

#include "mneme/base/clock.h"

namespace mneme::crash {

namespace {

constexpr std::uint64_t kNodeSeed = 0x6E6F6465;

std::uint64_t mix(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d = 0) {
  const std::uint64_t words[] = {a, b, c, d};
  return xxh3_64(std::as_bytes(std::span(words)), kNodeSeed);
}

// Most contents are short; one in twenty fills a good part of a log segment.
std::string content_of(Random& random) {
  const std::uint64_t size = random.below(20) == 0 ? random.below(100'000) : random.below(300);
  std::string text(size, ' ');
  for (char& c : text) c = static_cast<char>('a' + random.below(26));
  return text;
}

Node node_from(std::uint64_t seed, std::string name, Value metadata) {
  const std::unique_ptr<Random> random = seeded_random(seed);
  Node node;
  node.kind = random->below(8) == 0 ? NodeKind::Concept : NodeKind::Episode;
  node.external_id = std::move(name);
  node.content = content_of(*random);
  node.metadata = std::move(metadata);
  if (random->below(2) == 0) node.tags = {"tag" + std::to_string(random->below(10))};
  node.created_at = Timestamp(std::chrono::microseconds(random->below(2'000'000'000'000'000)));
  NodeVector vector{GenerationId{0}, std::vector<float>(kDimension)};
  for (float& value : vector.values) value = static_cast<float>(random->below(2'000'001)) / 1e6F - 1.0F;
  vector.values[0] += 0.5F;  // never the zero vector
  node.vectors.push_back(std::move(vector));
  return node;
}

Durability any_durability(Random& random) {
  const std::uint64_t drawn = random.below(10);
  return drawn < 7 ? Durability::Sync : drawn < 9 ? Durability::Interval : Durability::Memory;
}

/// What an error means for the model: the call had no effect, or nobody knows.
bool left_no_trace(const Status& status) {
  return status.code() == Code::Busy || status.code() == Code::NoSpace || status.code() == Code::InvalidArgument;
}

/// One thread's pairs.
class PairWriter {
 public:
  PairWriter(Database& database, const Space& space, Model& model, std::size_t writer, std::uint64_t seed)
      : database_(database), space_(space), model_(model), writer_(writer), random_(seeded_random(seed)) {}

  void run() {
    while (model_.sound() && step()) {
    }
  }

 private:
  // False when the outcome of a call is unknown: what follows would build on it.
  bool step() {
    index_ = writer_ * kPairsPerWriter + random_->below(kPairsPerWriter);
    Pair& pair = model_.pairs[index_];
    const PairState now = pair.state.acknowledged();
    PairState next = now;
    Batch batch;
    Status planned;
    std::optional<std::size_t> move;
    const std::uint32_t version = pair.last_version.fetch_add(1) + 1;
    const std::uint64_t drawn = random_->below(100);
    if (drawn < 45) {
      planned = put(batch, next, random_->below(2), version);
    } else if (drawn < 65) {
      planned = put_both_and_link(batch, next, version);
    } else if (drawn < 75) {
      planned = erase(batch, next, random_->below(2));
    } else if (drawn < 80) {
      planned = erase(batch, next, 0);
      if (planned) planned = erase(batch, next, 1);
    } else if (drawn < 90) {
      planned = toggle_link(batch, next, version);
    } else if (drawn < 99) {
      move = random_->below(2);
      if (now.node[*move] == 0) return true;
    } else {
      return flush();
    }
    if (!planned) return unexpected(planned);
    if (move) return run_move(pair, next, *move);
    return run_batch(pair, now, next, batch);
  }

  Status put(Batch& batch, PairState& next, std::size_t which, std::uint32_t version) {
    next.node[which] = version;
    next.home[which] = Home::Any;
    return batch.put(space_, pair_node(index_, which, version)).status();
  }

  Status put_both_and_link(Batch& batch, PairState& next, std::uint32_t version) {
    MNEME_TRY(put(batch, next, 0, version));
    MNEME_TRY(put(batch, next, 1, version));
    next.link = version;
    return batch.link(space_, link(version));
  }

  Status erase(Batch& batch, PairState& next, std::size_t which) {
    next.node[which] = 0;
    next.home[which] = Home::Any;
    next.link = 0;
    return batch.erase(space_, id(which));
  }

  Status toggle_link(Batch& batch, PairState& next, std::uint32_t version) {
    if (next.node[0] == 0 || next.node[1] == 0) return put_both_and_link(batch, next, version);
    if (next.link != 0 && random_->below(2) == 0) {
      next.link = 0;
      return batch.unlink(space_, id(0), kPairLink, id(1));
    }
    next.link = version;
    return batch.link(space_, link(version));
  }

  bool run_batch(Pair& pair, const PairState& before, const PairState& next, const Batch& batch) {
    pair.state.begin(next);
    const Result<Lsn> written = database_.write(batch, any_durability(*random_));
    if (!finish(pair, written.status())) return false;
    if (written && random_->below(16) == 0) look_at_once(before, next);
    return true;
  }

  bool run_move(Pair& pair, PairState next, std::size_t which) {
    const auto to = static_cast<TierId>(random_->below(3));
    // Hot is a copy in memory; the home stays where it is.
    if (to != TierId::Hot) next.home[which] = to == TierId::Cold ? Home::Cold : Home::Warm;
    pair.state.begin(next);
    return finish(pair, space_.move(id(which), to));
  }

  bool finish(Pair& pair, const Status& status) {
    if (status) {
      pair.state.acknowledge();
      model_.acknowledged.fetch_add(1);
      return true;
    }
    if (!left_no_trace(status)) return unexpected(status);
    pair.state.refuse();
    model_.refused.fetch_add(1);
    return true;
  }

  // Acknowledged means visible: to a get and to a search with the node's own vector.
  void look_at_once(const PairState& before, const PairState& next) {
    for (std::size_t which = 0; which < 2; ++which) {
      if (next.node[which] == before.node[which]) continue;
      const Result<NodeView> found = space_.get(id(which));
      const std::string name = pair_node_name(index_, which);
      if (next.node[which] == 0) {
        if (found || found.status().code() != Code::NotFound) report(model_.lost, name + " was erased and is there");
        continue;
      }
      const Node expected = pair_node(index_, which, next.node[which]);
      if (!found) {
        report(model_.lost, name + " was just put: " + found.status().to_string());
        continue;
      }
      if (found->operator->()->content() != expected.content)
        report(model_.lost, name + " was just put and reads as something else");
      const Result<std::vector<SearchHit>> hits = space_.search(nearest_to(expected));
      if (!hits || hits->empty() || hits->front().node.id() != id(which))
        report(model_.lost,
               name + " was just put and a search for its vector finds " +
                   (hits ? std::string(hits->empty() ? "nothing" : "another") : hits.status().to_string()));
    }
  }

  bool flush() {
    const Status flushed = database_.flush();
    return flushed.ok() || unexpected(flushed);
  }

  bool unexpected(const Status& status) {
    report(model_.lost, "writer " + std::to_string(writer_) + ": " + status.to_string());
    return false;
  }

  NodeId id(std::size_t which) const { return space_.id_for_external(pair_node_name(index_, which)); }
  Link link(std::uint32_t version) const {
    Link link;
    link.from = id(0);
    link.to = id(1);
    link.type = kPairLink;
    link.weight = version;
    return link;
  }

  Database& database_;
  const Space& space_;
  Model& model_;
  const std::size_t writer_;
  const std::unique_ptr<Random> random_;
  std::size_t index_ = 0;  // of the pair at hand
};

/// Spaces that come, are filled one by one and in bulk, and go.
class GuestWriter {
 public:
  GuestWriter(Database& database, Model& model, std::uint64_t seed)
      : database_(database), model_(model), random_(seeded_random(seed)) {}

  void run() {
    while (model_.sound() && step()) {
    }
  }

 private:
  bool step() {
    index_ = random_->below(kGuests);
    Guest& guest = model_.guests[index_];
    const GuestState now = guest.state.acknowledged();
    const std::string name = guest_name(index_);
    if (now.epoch == 0) {
      guest.state.begin({guest.last_epoch.fetch_add(1) + 1, 0});
      return finish(guest, database_.create_space(name, {.dimension = kDimension}).status());
    }
    if (now.nodes > 400 || random_->below(20) == 0) {
      guest.state.begin({});
      return finish(guest, database_.drop_space(name));
    }
    const Result<Space> space = database_.space(name);
    if (!space) return finish(guest, space.status());
    return random_->below(4) == 0 ? bulk(guest, now, *space) : put(guest, now, *space);
  }

  bool put(Guest& guest, GuestState now, const Space& space) {
    guest.state.begin({now.epoch, now.nodes + 1});
    return finish(guest, space.put(guest_node(index_, now.epoch, now.nodes), any_durability(*random_)).status());
  }

  bool bulk(Guest& guest, GuestState now, const Space& space) {
    const auto count = static_cast<std::uint32_t>(1 + random_->below(60));
    std::vector<NodeRecordPtr> nodes;
    for (std::uint32_t i = 0; i < count; ++i) {
      Node node = guest_node(index_, now.epoch, now.nodes + i);
      node.id = space.id_for_external(*node.external_id);
      nodes.push_back(NodeRecord::from_node(node));
    }
    guest.state.begin({now.epoch, now.nodes + count});
    return finish(guest, database_.bulk_insert(space, nodes, {}).status());
  }

  bool finish(Guest& guest, const Status& status) {
    if (status) {
      guest.state.acknowledge();
      model_.acknowledged.fetch_add(1);
      return true;
    }
    if (left_no_trace(status)) {
      guest.state.refuse();
      model_.refused.fetch_add(1);
      return true;
    }
    report(model_.lost, guest_name(index_) + ": " + status.to_string());
    return false;
  }

  Database& database_;
  Model& model_;
  const std::unique_ptr<Random> random_;
  std::size_t index_ = 0;
};

}  // namespace

DatabaseOptions small_database() {
  DatabaseOptions options;
  options.create_if_missing = true;
  options.default_dimension = kDimension;
  options.hot_bytes_max = 256 * kKiB;
  options.unapplied_bytes_max = 4 * kMiB;
  options.log_bytes_max = 2 * kMiB;
  options.block_cache_bytes = 8 * kMiB;
  return options;
}

std::string pair_node_name(std::size_t pair, std::size_t which) {
  return "pair/" + std::to_string(pair) + (which == 0 ? "/first" : "/second");
}

Node pair_node(std::size_t pair, std::size_t which, std::uint32_t version) {
  Value metadata;
  metadata.set("version", static_cast<std::int64_t>(version));
  return node_from(mix(pair, which, version), pair_node_name(pair, which), std::move(metadata));
}

Query nearest_to(const Node& node) {
  Query query;
  query.vector = node.vectors.at(0).values;
  query.k = 1;
  return query;
}

std::string guest_name(std::size_t guest) { return "guest " + std::to_string(guest); }

Node guest_node(std::size_t guest, std::uint32_t epoch, std::uint32_t index) {
  Value metadata;
  metadata.set("epoch", static_cast<std::int64_t>(epoch));
  return node_from(mix(guest, epoch, index, 1), std::to_string(epoch) + "/" + std::to_string(index),
                   std::move(metadata));
}

void run_workload(Database& database, const Space& space, Model& model, std::uint64_t seed) {
  std::vector<std::thread> threads;
  for (std::size_t writer = 0; writer < kWriters; ++writer)
    threads.emplace_back([&, writer] { PairWriter(database, space, model, writer, mix(seed, writer, 2)).run(); });
  threads.emplace_back([&] { GuestWriter(database, model, mix(seed, 0, 3)).run(); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace mneme::crash
