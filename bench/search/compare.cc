#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <map>

#include "core/report.h"
#include "search/plan.h"

namespace mneme::bench {
namespace {

struct Place {
  bool batch;
  std::size_t k;
  double target;
  friend auto operator<=>(const Place&, const Place&) = default;
};

// A setting that was tried.
struct Step {
  Setting setting;
  double recall = 0;
  Timing single, batch;
};

struct Rounds {
  std::vector<Timing> timings;
  Timing middle() const {
    std::vector<double> qps, p50, p99, cores;
    for (const Timing& one : timings) {
      qps.push_back(one.qps);
      p50.push_back(one.p50_us);
      p99.push_back(one.p99_us);
      cores.push_back(one.cores);
    }
    return {median(qps), median(p50), median(p99), median(cores)};
  }
};

std::vector<Place> places_of(const Plan& plan) {
  std::vector<Place> places;
  for (const bool batch : {false, true}) {
    if (!plan.wants(batch ? "batch" : "single")) continue;
    for (const std::size_t k : plan.ks)
      for (const double target : plan.targets) places.push_back({batch, k, target});
  }
  return places;
}

class Comparison {
 public:
  Comparison(const Plan& plan, const Ours& ours, const Ours::Loaded& loaded, Findings& findings)
      : plan_(plan), ours_(ours), findings_(findings), places_(places_of(plan)) {
    built_ = {loaded.built.seconds, loaded.index_bytes};
    for (const Place& place : places_) {
      const Ask ask{.target = static_cast<float>(place.target), .filter = {}};
      recalls_[place] = ours.recall(place.k, ask, place.batch);
      say(line("  mneme: %s, k %zu, target %.2f: recall %.4f", place.batch ? "batch" : "single", place.k, place.target,
               recalls_[place]));
    }
  }

  void against(Peer& peer) {
    const std::string name = peer.name();
    say("  " + name + ": building with " + std::to_string(all_cores()) + " threads");
    const Built built = peer.build(all_cores());
    if (built.seconds < 0) return;
    if (!peer.is_exact()) builds_.emplace_back(built.seconds, name);
    for (const std::size_t k : plan_.ks) {
      if (places_.empty()) break;
      const std::vector<Step> steps = sweep(peer, k, built);
      for (const Place& place : places_)
        if (place.k == k) duel(peer, place, steps, built);
    }
  }

  void finish() {
    for (const Place& place : places_) {
      if (rounds_[place].timings.empty())
        for (std::size_t i = 0; i < plan_.rounds; ++i) time_ours(place);
      findings_.points.push_back(our_point(place));
    }
    for (const Pair& pair : pairs_) {
      findings_.points.push_back(pair.peer);
      findings_.pairs.push_back(pair);
    }
    if (!plan_.wants("build")) return;
    std::sort(builds_.begin(), builds_.end());
    findings_.lines.push_back(line("build %-18s mneme %.1f s", ours_.dataset().name.c_str(), built_.seconds));
    for (const auto& [seconds, name] : builds_)
      findings_.lines.push_back(line("build %-18s %s %.1f s: %.2f times ours", ours_.dataset().name.c_str(),
                                     name.c_str(), seconds, seconds / built_.seconds));
  }

 private:
  Run run_of(const Place& place, double seconds, std::size_t batch_queries) const {
    return {.batch = place.batch,
            .batch_queries = batch_queries,
            .k = place.k,
            .threads = place.batch ? plan_.threads : 1,
            .seconds = seconds};
  }

  // Climbs each ladder until recall is beyond every target, or does not rise any more.
  std::vector<Step> sweep(Peer& peer, std::size_t k, const Built& built) {
    const double top = *std::max_element(plan_.targets.begin(), plan_.targets.end());
    const double low = *std::min_element(plan_.targets.begin(), plan_.targets.end());
    std::vector<Step> steps;
    const std::vector<std::vector<Setting>> ladders = peer.ladders(k);
    for (std::size_t l = 0; l < ladders.size(); l += plan_.sweep_stride) {
      double before = 0;
      int flat = 0;
      for (std::size_t s = 0; s < ladders[l].size(); s += plan_.sweep_stride) {
        const Setting& setting = ladders[l][s];
        Step step{setting, peer.recall(setting, k), {}, {}};
        flat = step.recall - before < 0.0005 ? flat + 1 : 0;
        before = std::max(before, step.recall);
        if (flat >= 3) break;
        if (step.recall < low - 0.1) continue;
        for (const bool batch : {false, true}) {
          if (!plan_.wants(batch ? "batch" : "single")) continue;
          Timing& timing = batch ? step.batch : step.single;
          timing = peer.time(setting, run_of({batch, k, 0}, plan_.seconds / 4, plan_.sweep_batch_queries));
          findings_.sweep.push_back(peer_point(peer, {batch, k, 0}, step, timing, built));
        }
        steps.push_back(step);
        if (step.recall >= top + 0.002) break;
      }
    }
    return steps;
  }

  // Of the settings that reach the target, the fastest. A sweep times each but briefly, and a moment in which the machine
  // was busy must not cost a peer its best setting: the first three are timed again.
  const Step* fastest(Peer& peer, const Place& place, const std::vector<Step>& steps) const {
    std::vector<std::pair<double, const Step*>> reaching;
    for (const Step& step : steps)
      if (step.recall >= place.target) reaching.emplace_back(place.batch ? step.batch.qps : step.single.qps, &step);
    std::sort(reaching.begin(), reaching.end(), std::greater<>());
    if (reaching.size() > 3) reaching.resize(3);
    for (auto& [qps, step] : reaching)
      qps = std::max(qps, peer.time(step->setting, run_of(place, plan_.seconds / 2, plan_.batch_queries)).qps);
    return reaching.empty() ? nullptr : std::max_element(reaching.begin(), reaching.end())->second;
  }

  void duel(Peer& peer, const Place& place, const std::vector<Step>& steps, const Built& built) {
    const Step* best = fastest(peer, place, steps);
    if (best == nullptr) {
      say("  " + peer.name() + " does not reach " + std::to_string(place.target) +
          " at k = " + std::to_string(place.k));
      return;
    }
    Rounds theirs;
    std::vector<double> ratios;
    for (std::size_t i = 0; i < plan_.rounds; ++i) {
      theirs.timings.push_back(peer.time(best->setting, run_of(place, plan_.seconds, plan_.batch_queries)));
      ratios.push_back(time_ours(place) / theirs.timings.back().qps);
    }
    pairs_.push_back({our_point(place), peer_point(peer, place, *best, theirs.middle(), built), median(ratios)});
    const Point& point = pairs_.back().peer;
    say(line("  %s, %s, k %zu, target %.2f: recall %.4f, %.0f/s at %s; mneme %.2f times", point.system.c_str(),
             point.mode.c_str(), place.k, place.target, point.recall, point.timing.qps, point.setting.c_str(),
             pairs_.back().ratio));
  }

  double time_ours(const Place& place) {
    const Ask ask{.target = static_cast<float>(place.target), .filter = {}};
    const Run run = run_of(place, plan_.seconds, plan_.batch_queries);
    rounds_[place].timings.push_back(ours_.time(ask, run));
    const Timing& timing = rounds_[place].timings.back();
    if (timing.cores > run.threads + 0.2)
      say(line("  mneme took %.1f cores where %u were given: something runs in the background", timing.cores,
               run.threads));
    return timing.qps;
  }

  Point our_point(const Place& place) const {
    Point point{.system = "mneme", .dataset = ours_.dataset().name, .mode = place.batch ? "batch" : "single"};
    point.k = place.k;
    point.target = place.target;
    point.recall = recalls_.at(place);
    point.timing = rounds_.at(place).middle();
    point.built = built_;
    point.threads = place.batch ? plan_.threads : 1;
    return point;
  }

  Point peer_point(const Peer& peer, const Place& place, const Step& step, const Timing& timing,
                   const Built& built) const {
    Point point{.system = peer.name(), .dataset = ours_.dataset().name, .mode = place.batch ? "batch" : "single"};
    point.k = place.k;
    point.target = place.target;
    point.recall = step.recall;
    point.timing = timing;
    point.built = built;
    point.threads = place.batch ? plan_.threads : 1;
    point.setting = to_text(step.setting);
    return point;
  }

  const Plan& plan_;
  const Ours& ours_;
  Findings& findings_;
  std::vector<Place> places_;
  Built built_;
  std::map<Place, double> recalls_;
  std::map<Place, Rounds> rounds_;
  std::vector<Pair> pairs_;
  std::vector<std::pair<double, std::string>> builds_;
};

}  // namespace

bool Plan::wants(const std::string& question) const {
  return only.empty() || std::find(only.begin(), only.end(), question) != only.end();
}

std::string line(const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return text;
}

void compare_with_peers(const Plan& plan, const Ours& ours, const Ours::Loaded& loaded, Findings& findings) {
  Comparison comparison(plan, ours, loaded, findings);
  for (const MakePeer& make : make_peers(ours.dataset(), plan.peers, plan.python)) {
    const std::unique_ptr<Peer> peer = make();
    comparison.against(*peer);
  }
  comparison.finish();
}

}  // namespace mneme::bench
