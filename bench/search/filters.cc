// Searches with filters: recall against the exact filtered answer, speed against no filter.

#include <algorithm>
#include <map>

#include "core/report.h"
#include "search/plan.h"

namespace mneme::bench {
namespace {

// One filter for all queries, or one for each; `matches` tells by the labels what the engine finds by the filter.
struct Case {
  std::string name;
  std::vector<Filter> filters;  // of query i: filters[i % size]
  std::function<bool(const Labels&, std::size_t query)> matches;
};

std::vector<Case> cases_of(const Dataset& dataset) {
  std::vector<Case> cases;
  for (std::size_t t = 0; t < kTagNames.size(); ++t)
    cases.push_back({"tag=" + std::string(kTagNames[t]),
                     {Filter::tag(kTagNames[t])},
                     [t](const Labels& labels, std::size_t) { return labels.tags[t]; }});
  for (const std::string pos : {"n", "v", "r"})
    cases.push_back(
        {"pos=" + pos, {pos_filter(pos)}, [pos](const Labels& labels, std::size_t) { return labels.pos == pos; }});
  std::map<std::string, std::size_t> groups;
  for (const Labels& labels : dataset.labels) ++groups[labels.group];
  std::vector<std::pair<std::size_t, std::string>> by_size;
  for (const auto& [group, count] : groups) by_size.emplace_back(count, group);
  std::sort(by_size.begin(), by_size.end());
  for (const std::size_t at :
       {by_size.size() - 1, by_size.size() - std::min<std::size_t>(4, by_size.size()), by_size.size() / 2}) {
    const std::string group = by_size[at].second;
    cases.push_back({"lexname=" + group, {group_filter(group)}, [group](const Labels& labels, std::size_t) {
                       return labels.group == group;
                     }});
  }
  Case own{"lexname=of the query", {}, [&dataset](const Labels& labels, std::size_t query) {
             return labels.group == dataset.query_groups[query];
           }};
  for (std::size_t i = 0; i < dataset.truth_queries; ++i) own.filters.push_back(group_filter(dataset.query_groups[i]));
  cases.push_back(std::move(own));
  Case other{"lexname=of another query", {}, [&dataset](const Labels& labels, std::size_t query) {
               return labels.group == dataset.query_groups[(query + 1) % dataset.truth_queries];
             }};
  for (std::size_t i = 0; i < dataset.truth_queries; ++i)
    other.filters.push_back(group_filter(dataset.query_groups[(i + 1) % dataset.truth_queries]));
  cases.push_back(std::move(other));
  return cases;
}

class FilterBench {
 public:
  FilterBench(const Plan& plan, const Ours& ours, const Ours::Loaded& loaded, Findings& findings)
      : plan_(plan), ours_(ours), loaded_(loaded), findings_(findings), dataset_(ours.dataset()) {
    sample_ = std::min<std::size_t>(200, dataset_.truth_queries);
  }

  void measure(const Case& one, std::size_t k) {
    std::size_t matching = 0;
    for (const Labels& labels : dataset_.labels) matching += one.matches(labels, 0) ? 1 : 0;
    const auto exact = answers(one, k, 1.0F);
    // Filters that come again are what is measured: each has been asked for once.
    for (std::size_t i = 0; i < one.filters.size(); ++i) checked_answer(one, i, k, 0.95F);
    for (const double target : plan_.targets) {
      const double recall = overlap(exact, answers(one, k, static_cast<float>(target)));
      const Run run{.batch = false, .k = k, .threads = 1, .seconds = plan_.seconds / 2};
      std::vector<double> filtered, p50, p99, ratios;
      for (std::size_t round = 0; round < plan_.rounds; ++round) {
        const Timing plain = ours_.time({.target = static_cast<float>(target), .filter = {}}, run);
        const Timing timing = ours_.time_filtered(static_cast<float>(target), one.filters, run);
        filtered.push_back(timing.qps);
        p50.push_back(timing.p50_us);
        p99.push_back(timing.p99_us);
        ratios.push_back(timing.qps / plain.qps);
      }
      Point point{.system = "mneme", .dataset = dataset_.name, .mode = "single", .k = k, .target = target};
      point.recall = recall;
      point.timing = {median(filtered), median(p50), median(p99), 0};
      point.built = {loaded_.built.seconds, loaded_.index_bytes};
      point.filter = one.name;
      findings_.points.push_back(point);
      const std::string share =
          one.filters.size() > 1
              ? "varies"
              : line("%.2f %%", 100.0 * static_cast<double>(matching) / static_cast<double>(dataset_.size()));
      findings_.lines.push_back(line("filter %-30s %-9s k %4zu target %.2f: recall %.4f, %.0f/s, %.2f of unfiltered",
                                     one.name.c_str(), share.c_str(), k, target, recall, point.timing.qps,
                                     median(ratios)));
      say("  " + findings_.lines.back());
    }
  }

 private:
  using Answers = std::vector<std::vector<std::int32_t>>;

  // Ends the run when the answer holds a row that does not match.
  std::vector<std::int32_t> checked_answer(const Case& one, std::size_t i, std::size_t k, float target) const {
    const auto rows =
        ours_.rows_of(dataset_.query(i), k, {.target = target, .filter = one.filters[i % one.filters.size()]});
    for (const std::int32_t row : rows)
      require(row >= 0 && one.matches(dataset_.labels[static_cast<std::size_t>(row)], i),
              "filter " + one.name + ": a row in the answer does not match");
    return rows;
  }
  Answers answers(const Case& one, std::size_t k, float target) const {
    Answers all;
    for (std::size_t i = 0; i < sample_; ++i) all.push_back(checked_answer(one, i, k, target));
    return all;
  }

  static double overlap(const Answers& exact, const Answers& found) {
    std::size_t both = 0, wanted = 0;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      std::vector<std::int32_t> a = exact[i], b = found[i], common;
      std::sort(a.begin(), a.end());
      std::sort(b.begin(), b.end());
      std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(common));
      both += common.size();
      wanted += a.size();
    }
    return wanted == 0 ? 1 : static_cast<double>(both) / static_cast<double>(wanted);
  }

  const Plan& plan_;
  const Ours& ours_;
  const Ours::Loaded& loaded_;
  Findings& findings_;
  const Dataset& dataset_;
  std::size_t sample_;
};

}  // namespace

void measure_filters(const Plan& plan, const Ours& ours, const Ours::Loaded& loaded, Findings& findings) {
  FilterBench bench(plan, ours, loaded, findings);
  for (const Case& one : cases_of(ours.dataset()))
    for (const std::size_t k : plan.ks)
      if (k <= 100) bench.measure(one, k);
}

}  // namespace mneme::bench
