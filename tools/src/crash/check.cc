#include "check.h"

#include <set>
#include <string>
#include <unordered_set>

#include "mneme/base/clock.h"
#include "workload.h"

namespace mneme::crash {

namespace {

constexpr std::size_t kSearches = 24;

std::string to_string(const PairState& state) {
  return "(" + std::to_string(state.node[0]) + ", " + std::to_string(state.node[1]) + ", link " +
         std::to_string(state.link) + ")";
}

class Check {
 public:
  Check(Database& database, const Space& space, Model& model, std::uint64_t seed)
      : database_(database), space_(space), model_(model), random_(seeded_random(seed)) {}

  void run() {
    for (std::size_t i = 0; i < kPairs; ++i) check_pair(i);
    for (std::size_t i = 0; i < kGuests; ++i) check_guest(i);
    check_whole_space(space_, nodes_expected_, links_expected_);
    check_searches();
    check_deep();
    model_.checks.fetch_add(1);
  }

 private:
  // ---- pairs ----

  void check_pair(std::size_t index) {
    Journaled<PairState>& state = model_.pairs[index].state;
    PairState found;
    for (std::size_t which = 0; which < 2; ++which) found.node[which] = version_found(index, which);
    found.link = link_found(index, found);
    const PairState before = state.acknowledged();
    const std::optional<PairState> after = state.pending();
    const std::string name = "pair " + std::to_string(index);
    if (after) model_.indeterminate.fetch_add(1);

    if (found.same_content(before)) {
      found.home = after ? std::array{Home::Any, Home::Any} : before.home;
    } else if (after && found.same_content(*after)) {
      found.home = after->home;
    } else {
      const bool half = after && is_mix(found, before, *after);
      report(half ? model_.torn : model_.lost, name + ": found " + to_string(found) + ", acknowledged " +
                                                   to_string(before) +
                                                   (after ? ", pending " + to_string(*after) : std::string()));
    }
    check_homes(index, found);
    state.settle(found);
    nodes_expected_ += (found.node[0] != 0) + (found.node[1] != 0);
    links_expected_ += found.link != 0;
  }

  // Every part is of one of the two states, but not all of the same one.
  static bool is_mix(const PairState& found, const PairState& before, const PairState& after) {
    const auto of_either = [](std::uint32_t x, std::uint32_t a, std::uint32_t b) { return x == a || x == b; };
    return of_either(found.node[0], before.node[0], after.node[0]) &&
           of_either(found.node[1], before.node[1], after.node[1]) && of_either(found.link, before.link, after.link);
  }

  /// The version that is there, exact in every field; 0 when there is none.
  std::uint32_t version_found(std::size_t index, std::size_t which) {
    const std::string name = pair_node_name(index, which);
    const NodeId id = space_.id_for_external(name);
    const Result<NodeView> view = space_.get(id);
    if (!view && view.status().code() == Code::NotFound) return 0;
    const Result<Node> node = view ? view->node() : Result<Node>(view.status());
    if (!node) {
      report(model_.lost, name + ": " + node.status().to_string());
      return 0;
    }
    const Value* version = node->metadata ? node->metadata->find("version") : nullptr;
    const std::int64_t* number = version != nullptr ? version->get_if<std::int64_t>() : nullptr;
    if (number == nullptr) {
      report(model_.lost, name + ": found without a version");
      return 0;
    }
    const auto found = static_cast<std::uint32_t>(*number);
    Node expected = pair_node(index, which, found);
    expected.id = id;
    if (*node != expected)
      report(model_.torn, name + ": version " + std::to_string(found) + " is not what was written");
    return found;
  }

  /// The weight of the pair's link, seen from both ends; 0 when there is none.
  std::uint32_t link_found(std::size_t index, const PairState& found) {
    const NodeId first = space_.id_for_external(pair_node_name(index, 0));
    const NodeId second = space_.id_for_external(pair_node_name(index, 1));
    const std::vector<Link> out = links_of(index, 0, first, found.node[0] != 0, LinkDirection::Out);
    const std::vector<Link> in = links_of(index, 1, second, found.node[1] != 0, LinkDirection::In);
    if (out.empty() && in.empty()) return 0;
    const bool both = out.size() == 1 && in.size() == 1 && out[0] == in[0] && out[0].to == second &&
                      out[0].from == first && out[0].type == kPairLink;
    if (!both) {
      report(model_.torn, "pair " + std::to_string(index) + ": " + std::to_string(out.size()) +
                              " links from the first node, " + std::to_string(in.size()) + " to the second");
      return 0;
    }
    return static_cast<std::uint32_t>(out[0].weight);
  }

  std::vector<Link> links_of(std::size_t index, std::size_t which, const NodeId& node, bool there,
                             LinkDirection direction) {
    Result<std::vector<Link>> links = space_.links(node, direction, kPairLink);
    if (links) return std::move(*links);
    if (there || links.status().code() != Code::NotFound)
      report(model_.lost, pair_node_name(index, which) + ": links: " + links.status().to_string());
    return {};
  }

  void check_homes(std::size_t index, const PairState& found) {
    for (std::size_t which = 0; which < 2; ++which) {
      if (found.node[which] == 0 || found.home[which] == Home::Any) continue;
      const std::string name = pair_node_name(index, which);
      const Result<TierId> tier = space_.tier_of(space_.id_for_external(name));
      // A copy in memory says nothing about the home: a replayed write brings one along.
      const TierId lost = found.home[which] == Home::Cold ? TierId::Warm : TierId::Cold;
      if (!tier)
        report(model_.lost, name + ": tier: " + tier.status().to_string());
      else if (*tier == lost)
        report(model_.lost, name + ": an acknowledged move is lost: found in " + std::string(name_of(*tier)));
    }
  }

  // ---- guests ----

  void check_guest(std::size_t index) {
    Journaled<GuestState>& state = model_.guests[index].state;
    const GuestState before = state.acknowledged();
    const std::optional<GuestState> after = state.pending();
    if (after) model_.indeterminate.fetch_add(1);
    const std::string name = guest_name(index);
    const Result<Space> space = database_.space(name);
    if (!space && space.status().code() != Code::NotFound)
      return report(model_.lost, name + ": " + space.status().to_string());

    GuestState found;
    if (space) found = guest_found(index, *space, before, after);
    if (found != before && !(after && found == *after))
      report(after && after->epoch == found.epoch && before.epoch == found.epoch ? model_.torn : model_.lost,
             name + ": found epoch " + std::to_string(found.epoch) + " with " + std::to_string(found.nodes) +
                 " nodes, acknowledged " + std::to_string(before.epoch) + " with " + std::to_string(before.nodes) +
                 (after ? ", pending " + std::to_string(after->epoch) + " with " + std::to_string(after->nodes)
                        : std::string()));
    state.settle(found);
  }

  // Nodes 0 … n-1 of one epoch, in this order, each exact. An empty space is of the epoch that may be empty.
  GuestState guest_found(std::size_t index, const Space& space, GuestState before, std::optional<GuestState> after) {
    GuestState found{before.epoch != 0 ? before.epoch : after ? after->epoch : 0, 0};
    const Status scanned = space.scan({}, [&](const NodeView& view) {
      Node expected = guest_node(index, found.epoch, found.nodes);
      expected.id = space.id_for_external(*expected.external_id);
      const Result<Node> node = view.node();
      if (!node || *node != expected) {
        report(model_.torn, guest_name(index) + ": node " + std::to_string(found.nodes) + " of epoch " +
                                std::to_string(found.epoch) + ": " +
                                (node ? "found " + node->external_id.value_or("another") : node.status().to_string()));
        return false;
      }
      ++found.nodes;
      return true;
    });
    if (!scanned) report(model_.lost, guest_name(index) + ": scan: " + scanned.to_string());
    check_whole_space(space, found.nodes, 0);
    return found;
  }

  // ---- the whole ----

  void check_whole_space(const Space& space, std::uint64_t nodes, std::uint64_t links) {
    std::uint64_t scanned = 0;
    std::unordered_set<NodeId> seen;
    const Status walked = space.scan({}, [&](const NodeView& view) {
      ++scanned;
      if (!seen.insert(view.id()).second)
        report(model_.duplicates, space.name() + ": two rows of " + view.id().to_string());
      return true;
    });
    if (!walked) report(model_.lost, space.name() + ": scan: " + walked.to_string());
    if (scanned != nodes)
      report(
          scanned > nodes ? model_.duplicates : model_.lost,
          space.name() + ": a scan finds " + std::to_string(scanned) + " nodes, gets found " + std::to_string(nodes));
    const Result<SpaceStats> stats = space.stats();
    if (!stats || stats->nodes != scanned || stats->links != links || stats->vectors != scanned)
      report(model_.torn, space.name() + ": counts " +
                              (stats ? std::to_string(stats->nodes) + " nodes, " + std::to_string(stats->vectors) +
                                           " vectors, " + std::to_string(stats->links) + " links"
                                     : stats.status().to_string()) +
                              "; there are " + std::to_string(scanned) + " and " + std::to_string(links));
  }

  void check_searches() {
    for (std::size_t i = 0; i < kSearches; ++i) {
      const std::size_t index = random_->below(kPairs), which = random_->below(2);
      const std::uint32_t version = model_.pairs[index].state.acknowledged().node[which];
      if (version == 0) continue;
      const std::string name = pair_node_name(index, which);
      const Node expected = pair_node(index, which, version);
      const Result<std::vector<SearchHit>> hits = space_.search(nearest_to(expected));
      if (!hits || hits->empty() || hits->front().node.id() != space_.id_for_external(name))
        report(model_.lost,
               name + ": a search for its vector finds " +
                   (hits ? std::string(hits->empty() ? "nothing" : "another") : hits.status().to_string()));
    }
  }

  void check_deep() {
    const Result<VerifyReport> verified = database_.verify(/*deep=*/true);
    if (!verified) return report(model_.lost, "verify: " + verified.status().to_string());
    for (const std::string& problem : verified->problems) report(model_.torn, "verify: " + problem);
  }

  Database& database_;
  const Space& space_;
  Model& model_;
  const std::unique_ptr<Random> random_;
  std::uint64_t nodes_expected_ = 0, links_expected_ = 0;
};

}  // namespace

void check_database(Database& database, const Space& space, Model& model, std::uint64_t seed) {
  Check(database, space, model, seed).run();
}

}  // namespace mneme::crash
