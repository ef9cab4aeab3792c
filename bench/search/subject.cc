#include "search/subject.h"

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <thread>

#include "core/report.h"

namespace mneme::bench {
namespace {

// Calls in turn until the time is over; a call answers `per_call` queries.
Timing timed(std::size_t per_call, std::size_t calls_min, double seconds,
             const std::function<void(std::size_t)>& call) {
  std::vector<double> latencies;
  const double processor = processor_seconds(), begin = seconds_now();
  double now = begin;
  while (latencies.size() < calls_min || now - begin < seconds) {
    const double start = now;
    call(latencies.size());
    now = seconds_now();
    latencies.push_back((now - start) * 1e6);
  }
  Timing timing;
  timing.qps = static_cast<double>(latencies.size() * per_call) / (now - begin);
  timing.cores = (processor_seconds() - processor) / (now - begin);
  timing.p50_us = percentile(latencies, 0.50);
  timing.p99_us = percentile(latencies, 0.99);
  return timing;
}

}  // namespace

double percentile(std::vector<double>& values, double share) {
  const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

std::string to_text(const Setting& setting) {
  std::string text;
  for (const auto& [knob, value] : setting) {
    char number[32];
    std::snprintf(number, sizeof number, "%g", value);
    text += (text.empty() ? "" : " ") + knob + "=" + number;
  }
  return text;
}

Timing time_single(std::size_t queries, double seconds, const std::function<void(std::size_t)>& search) {
  constexpr std::size_t kWarmUp = 50, kCallsMin = 20;
  for (std::size_t i = 0; i < std::min(kWarmUp, queries); ++i) search(queries - 1 - i);
  return timed(1, kCallsMin, seconds, [&](std::size_t i) { search(i % queries); });
}

Timing time_batch(std::size_t queries, double seconds, const std::function<void()>& search) {
  return timed(queries, 1, seconds, [&](std::size_t) { search(); });
}

double LocalPeer::recall(const Setting& setting, std::size_t k) {
  configure(setting, all_cores());
  const std::size_t queries = dataset_.truth_queries;
  std::vector<std::int64_t> rows(queries * k);
  search(dataset_.queries.values<float>().first(queries * dataset_.dimension()), k, rows);
  const std::vector<std::int32_t> found(rows.begin(), rows.end());
  double total = 0;
  for (std::size_t i = 0; i < queries; ++i) total += dataset_.recall(i, std::span(found).subspan(i * k, k), k);
  return total / static_cast<double>(queries);
}

Timing LocalPeer::time(const Setting& setting, const Run& run) {
  configure(setting, run.threads);
  const std::size_t queries = run.batch ? run.batch_queries : dataset_.truth_queries;
  std::vector<std::int64_t> rows((run.batch ? queries : 1) * run.k);
  const std::span<const float> all = dataset_.queries.values<float>();
  if (!run.batch)
    return time_single(queries, run.seconds, [&](std::size_t i) { search(dataset_.query(i), run.k, rows); });
  return time_batch(queries, run.seconds, [&] { search(all.first(queries * dataset_.dimension()), run.k, rows); });
}

Built LocalPeer::measure_build(const std::function<void()>& make) const {
  const double before = resident_bytes(), begin = seconds_now();
  make();
  const double seconds = seconds_now() - begin;
  return {seconds, (resident_bytes() - before) / static_cast<double>(dataset_.size())};
}

double resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:")) return std::strtod(line.c_str() + 8, nullptr) * 1024;
  return 0;
}

double processor_seconds() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

unsigned all_cores() { return std::max(1U, std::thread::hardware_concurrency()); }

std::vector<double> geometric(double from, double to, double factor) {
  std::vector<double> values;
  for (double value = from; value < to; value = std::max(value + 1, std::ceil(value * factor))) values.push_back(value);
  values.push_back(to);
  return values;
}

std::size_t list_count(std::size_t rows) {
  return std::size_t{1} << std::lround(std::log2(1.5 * std::sqrt(static_cast<double>(rows))));
}

std::vector<MakePeer> make_peers(const Dataset& dataset, const std::string& wanted, const std::string& python) {
  std::vector<MakePeer> makers;
  const auto is_wanted = [&](const std::string& name) {
    if (wanted == "all") return true;
    for (std::size_t at = 0; at < wanted.size();) {
      const std::size_t comma = std::min(wanted.find(',', at), wanted.size());
      if (comma > at && name.starts_with(wanted.substr(at, comma - at))) return true;
      at = comma + 1;
    }
    return false;
  };
  const std::string lists = std::to_string(list_count(dataset.size()));
  const std::string parts = std::to_string(dataset.dimension() / 4);
  if (is_wanted("hnswlib-debian")) makers.emplace_back([&dataset] { return make_debian_hnswlib(dataset); });
  for (const std::string& factory : {std::string("HNSW16,SQ8"), "IVF" + lists + ",Flat", std::string("Flat")})
    if (is_wanted("faiss-debian " + factory))
      makers.emplace_back([&dataset, factory] { return make_debian_faiss(dataset, factory); });
  const std::string fast_scan = "faiss-pypi IVF" + lists + ",PQ" + parts + "x4fs,Refine(SQfp16)";
  for (const std::string& name : {std::string("hnswlib-pypi"), std::string("faiss-pypi HNSW16,SQ8"), fast_scan,
                                  std::string("faiss-pypi Flat"), std::string("usearch-pypi bf16")}) {
    if (!is_wanted(name)) continue;
    if (python.empty())
      say("  " + name + " is left out: there is no Python environment");
    else
      makers.emplace_back([&dataset, name, python] { return make_python_peer(dataset, name, python); });
  }
  return makers;
}

}  // namespace mneme::bench
