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

}  // namespace

void measure_writes(const Plan& plan, const Ours& ours, Findings& findings) {
  const double seconds = std::max(1.0, 10 * plan.seconds);
  Value::Array all;
  for (const std::size_t k : plan.ks) {
    if (k > 100) continue;
    const Run slice{.batch = false, .k = k, .threads = 1, .seconds = kSliceSeconds};
    const Ask ask{.target = 0.95F, .filter = {}};
    const Run whole{.batch = false, .k = k, .threads = 1, .seconds = seconds};
    const Timing idle = ours.time(ask, whole);
    Value::Array series;
    const double begin = seconds_now();
    const auto record = [&](const char* phase, double until) {
      while (seconds_now() - begin < until) {
        const double at = seconds_now() - begin;
        const Timing timing = ours.time(ask, slice);
        series.push_back(Value::Object{
            {"at_s", at}, {"phase", phase}, {"p50_us", timing.p50_us}, {"p99_us", timing.p99_us}, {"qps", timing.qps}});
      }
    };
    record("idle", seconds / 2);
    Writer writer(ours);
    const Timing busy = ours.time(ask, whole);
    const double measured = seconds_now() - begin;
    record("writing", measured + seconds);
    const double rate = writer.stop();
    record("idle again", seconds_now() - begin + seconds / 2);
    findings.lines.push_back(line(
        "writes %-18s k %zu: %.0f puts/s; search p99 %.0f us idle, %.0f us writing: %.2f times; "
        "%.0f/s idle, %.0f/s writing",
        ours.dataset().name.c_str(), k, rate, idle.p99_us, busy.p99_us, busy.p99_us / idle.p99_us, idle.qps, busy.qps));
    say("  " + findings.lines.back());
    all.push_back(Value::Object{{"dataset", ours.dataset().name},
                                {"k", static_cast<std::int64_t>(k)},
                                {"puts_per_second", rate},
                                {"idle_p50_us", idle.p50_us},
                                {"idle_p99_us", idle.p99_us},
                                {"idle_qps", idle.qps},
                                {"writing_p50_us", busy.p50_us},
                                {"writing_p99_us", busy.p99_us},
                                {"writing_qps", busy.qps},
                                {"series", Value(std::move(series))}});
  }
  Value::Array earlier;
  if (const Value::Array* kept = findings.writes.get_if<Value::Array>()) earlier = *kept;
  for (Value& one : all) earlier.push_back(std::move(one));
  findings.writes = Value(std::move(earlier));
}

}  // namespace mneme::bench
