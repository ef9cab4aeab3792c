// A peer from PyPI in a process of its own: bench/search/peers.py, asked by lines of JSON.

#include "core/report.h"
#include "mneme/base/json.h"
#include "search/child.h"
#include "search/subject.h"

namespace mneme::bench {
namespace {

class PythonPeer final : public Peer {
 public:
  PythonPeer(const Dataset& dataset, std::string name, const std::string& python)
      : dataset_(dataset),
        name_(std::move(name)),
        child_({python, MNEME_BENCH_SEARCH_DIR "/peers.py", name_, dataset.rows_path, dataset.queries_path,
                dataset.truth_path, std::to_string(dataset.truth_queries)}) {}

  std::string name() const override { return name_; }
  bool is_exact() const override { return name_.ends_with(" Flat"); }

  Built build(unsigned threads) override {
    const Value answer = ask(Value::Object{{"do", "build"}, {"threads", static_cast<std::int64_t>(threads)}});
    if (!answer.is_object()) return {-1, 0};
    return {number(answer, "seconds"), number(answer, "bytes") / static_cast<double>(dataset_.size())};
  }

  std::vector<std::vector<Setting>> ladders(std::size_t k) const override {
    const auto least = static_cast<double>(k);
    if (is_exact()) return {{Setting{}}};
    std::vector<std::vector<Setting>> ladders;
    if (name_.find("IVF") == std::string::npos) {
      ladders.emplace_back();
      for (const double effort : geometric(least, 8192)) ladders.back().push_back({{"effort", effort}});
      return ladders;
    }
    const auto lists = static_cast<double>(list_count(dataset_.size()));
    for (const double factor : {1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0}) {
      if (factor * least > 8192 || (factor > 8 && least > 100)) continue;
      ladders.emplace_back();
      for (const double probes : geometric(8, lists, 1.35))
        ladders.back().push_back({{"nprobe", probes}, {"k_factor", factor}});
    }
    return ladders;
  }

  double recall(const Setting& setting, std::size_t k) override {
    return number(ask(request("recall", setting, k, all_cores())), "recall");
  }

  Timing time(const Setting& setting, const Run& run) override {
    Value asked = request(run.batch ? "batch" : "single", setting, run.k, run.threads);
    asked.set("seconds", run.seconds);
    asked.set("queries", static_cast<std::int64_t>(run.batch_queries));
    const Value answer = ask(asked);
    return {number(answer, "qps"), number(answer, "p50_us"), number(answer, "p99_us"), number(answer, "cores")};
  }

 private:
  static Value request(const char* what, const Setting& setting, std::size_t k, unsigned threads) {
    Value::Object knobs;
    for (const auto& [knob, value] : setting) knobs.emplace_back(knob, value);
    return Value::Object{{"do", what},
                         {"setting", std::move(knobs)},
                         {"k", static_cast<std::int64_t>(k)},
                         {"threads", static_cast<std::int64_t>(threads)}};
  }

  static double number(const Value& answer, std::string_view key) {
    const Value* member = answer.find(key);
    if (member == nullptr) return 0;
    if (const double* value = member->get_if<double>()) return *value;
    if (const std::int64_t* value = member->get_if<std::int64_t>()) return static_cast<double>(*value);
    return 0;
  }

  // What the script answers; null, once said why, when it has failed.
  Value ask(const Value& asked) {
    const std::string line = child_.ask(to_json(asked));
    Result<Value> answer = parse_json(line);
    if (answer.ok()) return std::move(*answer);
    say("  " + name_ + " gave no answer; it is left out from here on");
    return {};
  }

  const Dataset& dataset_;
  std::string name_;
  Child child_;
};

}  // namespace

std::unique_ptr<Peer> make_python_peer(const Dataset& dataset, const std::string& name, const std::string& python) {
  return std::make_unique<PythonPeer>(dataset, name, python);
}

}  // namespace mneme::bench
