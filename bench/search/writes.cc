// Searches while another thread puts 1,000 nodes a second.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "core/report.h"
#include "search/plan.h"

namespace mneme::bench {
namespace {

constexpr double kPutsPerSecond = 1000, kSliceSeconds = 0.1;
constexpr std::size_t kPutsAtOnce = 10;  // in one durable batch

// Puts copies of rows, moved a little, on schedule; what is late is made up for.
class Writer {
 public:
  explicit Writer(const Ours& ours) : ours_(ours), thread_([this] { write(); }) {}
  ~Writer() { stop(); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  double stop() {  // puts per second
    if (thread_.joinable()) {
      stopped_ = true;
      thread_.join();
    }
    return rate_;
  }

 private:
  void write() {
    const double begin = seconds_now();
    std::size_t put = 0;
    for (; !stopped_; put += kPutsAtOnce) {
      const double due = begin + static_cast<double>(put) / kPutsPerSecond;
      if (const double early = due - seconds_now(); early > 0)
        std::this_thread::sleep_for(std::chrono::duration<double>(early));
      Batch batch;
      for (std::size_t i = 0; i < kPutsAtOnce; ++i) {
        Node node = ours_.node_of(mix(put + i) % ours_.dataset().size());
        for (std::size_t d = 0; d < node.vectors[0].values.size(); ++d)
          node.vectors[0].values[d] += static_cast<float>(mix(put + i * 4096 + d) % 1000) * 2e-5F;
        require(batch.put(ours_.space(), std::move(node)).ok(), "put");
      }
      const auto written = ours_.database().write(batch, Durability::Sync);
      require(written.ok(), written.status().to_string());
    }
    rate_ = static_cast<double>(put) / (seconds_now() - begin);
  }

  const Ours& ours_;
  std::atomic<bool> stopped_{false};
  double rate_ = 0;
  std::thread thread_;
};

struct Search {
  double at, latency_us;
};

struct Phase {
  const char* name;
  std::vector<Search> searches;

  double percentile_us(double share, double from = 0, double to = 1e300) const {
    std::vector<double> latencies;
    for (const Search& search : searches)
      if (search.at >= from && search.at < to) latencies.push_back(search.latency_us);
    return latencies.empty() ? 0 : percentile(latencies, share);
  }
  double qps() const {
    return static_cast<double>(searches.size()) / (searches.back().at - searches.front().at + 1e-9);
  }
};

// One search after the other, for so long; `number` goes on from phase to phase.
Phase searches_for(const char* name, double seconds, double begin, std::size_t& number,
                   const std::function<void(std::size_t)>& search) {
  Phase phase{name, {}};
  for (double now = seconds_now(), end = now + seconds; now < end;) {
    const double start = now;
    search(number++);
    now = seconds_now();
    phase.searches.push_back({start - begin, (now - start) * 1e6});
  }
  return phase;
}

Value series_of(const std::vector<Phase>& phases) {
  Value::Array series;
  for (const Phase& phase : phases)
    for (double at = phase.searches.front().at; at <= phase.searches.back().at; at += kSliceSeconds) {
      const double p99 = phase.percentile_us(0.99, at, at + kSliceSeconds);
      if (p99 == 0) continue;  // none began: the one before took longer than a slice
      series.push_back(Value::Object{{"at_s", at},
                                     {"phase", phase.name},
                                     {"p50_us", phase.percentile_us(0.50, at, at + kSliceSeconds)},
                                     {"p99_us", p99}});
    }
  return series;
}

Value measure(const Plan& plan, const Ours& ours, std::size_t k, Findings& findings) {
  const double seconds = std::max(1.0, 10 * plan.seconds);
  const auto search = ours.single_search(0.95F, k, {Filter()});
  std::vector<Phase> phases;
  double rate = 0;
  with_threads(1, [&] {
    std::size_t number = 0;
    searches_for("warm", seconds / 10, 0, number, search);
    const double begin = seconds_now();
    phases.push_back(searches_for("idle", seconds, begin, number, search));
    Writer writer(ours);
    phases.push_back(searches_for("writing", 2 * seconds, begin, number, search));
    rate = writer.stop();
    phases.push_back(searches_for("idle again", seconds / 2, begin, number, search));
  });
  const Phase &idle = phases[0], &busy = phases[1];
  const double idle_p99 = idle.percentile_us(0.99), busy_p99 = busy.percentile_us(0.99);
  findings.lines.push_back(
      line("writes %-18s k %zu: %.0f puts/s; search p99 %.0f us idle, %.0f us writing: %.2f times; "
           "%.0f/s idle, %.0f/s writing",
           ours.dataset().name.c_str(), k, rate, idle_p99, busy_p99, busy_p99 / idle_p99, idle.qps(), busy.qps()));
  say("  " + findings.lines.back());
  return Value::Object{{"dataset", ours.dataset().name},
                       {"k", static_cast<std::int64_t>(k)},
                       {"target", 0.95},
                       {"puts_per_second", rate},
                       {"idle_p50_us", idle.percentile_us(0.50)},
                       {"idle_p99_us", idle_p99},
                       {"idle_qps", idle.qps()},
                       {"writing_p50_us", busy.percentile_us(0.50)},
                       {"writing_p99_us", busy_p99},
                       {"writing_qps", busy.qps()},
                       {"series", series_of(phases)}};
}

}  // namespace

void measure_writes(const Plan& plan, const Ours& ours, Findings& findings) {
  for (const std::size_t k : plan.ks)
    if (k <= 100) findings.writes.push_back(measure(plan, ours, k, findings));
}

}  // namespace mneme::bench
