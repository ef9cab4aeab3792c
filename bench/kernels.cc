// How near do the distance kernels and the exact index come to the bandwidth of memory?
//
// BM_ReadMemory is the limit: one core adding up 1 GiB. GB/s are bytes of stored rows read, not counting queries.
//   bench_kernels --benchmark_filter='ReadMemory|Scan|Exact'     beyond the caches, 300,000 rows × 768 (0.92 GB)
//   bench_kernels --benchmark_filter=Product                      one product, rows in L1 and in L2, every target
//   bench_kernels --benchmark_filter=Codes                        loops over compressed rows: code_kernels.cc
#include <benchmark/benchmark.h>
#include <sys/mman.h>
#include <tbb/task_arena.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mneme/index/exact_index.h"
#include "mneme/index/kernels.h"

namespace {

using namespace mneme;
using namespace mneme::index;

constexpr std::size_t kDimension = 768;
constexpr std::size_t kRows = 300'000;
constexpr std::size_t kRowBytes = kDimension * sizeof(float);
constexpr std::size_t kArrayBytes = std::size_t{1} << 30;

// Fast pseudo-random floats in [−1, 1), the same in every run (splitmix64).
class Noise {
 public:
  float next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return static_cast<float>(static_cast<std::int32_t>((z ^ (z >> 31)) >> 32)) * 0x1p-31F;
  }

 private:
  std::uint64_t state_ = 1;
};

// 1 GiB of floats in huge pages where the system gives them.
std::span<const float> array() {
  static float* const values = [] {
    void* memory = ::mmap(nullptr, kArrayBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      std::perror("bench_kernels: mmap of 1 GiB");
      std::exit(1);
    }
    ::madvise(memory, kArrayBytes, MADV_HUGEPAGE);
    float* const begin = static_cast<float*>(memory);
    Noise noise;
    for (std::size_t i = 0; i < kArrayBytes / sizeof(float); ++i) begin[i] = noise.next();
    return begin;
  }();
  return {values, kArrayBytes / sizeof(float)};
}

const VectorIndex& exact_index() {
  static const std::unique_ptr<VectorIndex> index = [] {
    auto filled = make_exact_index(kDimension, Metric::Cosine);
    for (std::size_t row = 0; row < kRows; ++row) {
      if (auto slot = filled->add(RowId{row}, array().subspan(row * kDimension, kDimension), Lsn{row + 1}); !slot) {
        std::fprintf(stderr, "bench_kernels: %s\n", slot.status().to_string().c_str());
        std::exit(1);
      }
    }
    return filled;
  }();
  return *index;
}

void report_bytes(benchmark::State& state, std::size_t bytes_per_iteration) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes_per_iteration));
}

#if defined(__x86_64__)
// 16 sums of 32 bytes each: wide enough that the loads are all that takes time.
__attribute__((target("avx2"))) float add_up(std::span<const float> values) {
  typedef float Wide __attribute__((vector_size(32), aligned(4)));
  Wide sums[16] = {};
  for (std::size_t i = 0; i + 128 <= values.size(); i += 128)
#pragma GCC unroll 16
    for (std::size_t k = 0; k < 16; ++k) sums[k] += *reinterpret_cast<const Wide*>(values.data() + i + 8 * k);
  float total = 0;
  for (const Wide& sum : sums)
    for (int lane = 0; lane < 8; ++lane) total += sum[lane];
  return total;
}
#else
float add_up(std::span<const float> values) {
  float sums[64] = {};
  for (std::size_t i = 0; i + 64 <= values.size(); i += 64)
    for (std::size_t k = 0; k < 64; ++k) sums[k] += values[i + k];
  float total = 0;
  for (const float sum : sums) total += sum;
  return total;
}
#endif

void BM_ReadMemory(benchmark::State& state) {
  const std::span<const float> values = array();
  for (auto _ : state) benchmark::DoNotOptimize(add_up(values));
  report_bytes(state, kArrayBytes);
}
BENCHMARK(BM_ReadMemory)->Unit(benchmark::kMillisecond);

using ScanKernel = void (*)(const float*, const float*, std::size_t, std::size_t, float*);

void scan(benchmark::State& state, ScanKernel kernel) {
  std::vector<float> out(kRows);
  const float* rows = array().data();
  for (auto _ : state) kernel(rows + kRows * kDimension, rows, kRows, kDimension, out.data());
  report_bytes(state, kRows * kRowBytes);
}
void BM_ScanInnerProducts(benchmark::State& state) { scan(state, inner_products); }
void BM_ScanSquaredL2s(benchmark::State& state) { scan(state, squared_l2s); }
BENCHMARK(BM_ScanInnerProducts)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_ScanSquaredL2s)->Unit(benchmark::kMillisecond);

// Arguments: threads, queries, k.
void BM_ExactSearch(benchmark::State& state) {
  const VectorIndex& index = exact_index();
  const auto threads = static_cast<int>(state.range(0));
  const auto queries = static_cast<std::size_t>(state.range(1));
  tbb::task_arena arena(threads);
  SearchRequest request;
  request.queries = array().subspan(kRows * kDimension, queries * kDimension);
  request.k = static_cast<std::size_t>(state.range(2));
  request.parallel = threads > 1;
  for (auto _ : state) {
    const auto hits = arena.execute([&] { return index.search(request); });
    if (!hits) return state.SkipWithError(hits.status().to_string().c_str());
    benchmark::DoNotOptimize(hits.value().front().front().row);
  }
  report_bytes(state, kRows * kRowBytes);
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * queries));
}
BENCHMARK(BM_ExactSearch)
    ->ArgNames({"threads", "queries", "k"})
    ->Args({1, 1, 10})
    ->Args({2, 1, 10})
    ->Args({1, 1, 1000})
    ->Args({1, 8, 10})
    ->Args({1, 64, 10})
    ->Args({2, 64, 10})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

// One product of 768 dimensions, rows in L1 (8 rows) and in L2 (128 rows), by each target of this processor.
void one_product(benchmark::State& state, const std::string& target, std::size_t rows, bool batched) {
  if (!force_kernel_target(target)) return state.SkipWithError("no such target");
  std::vector<float> out(rows);
  const float* query = array().data() + kRows * kDimension;
  const float* base = array().data();
  for (auto _ : state) {
    if (batched) {
      inner_products(query, base, rows, kDimension, out.data());
    } else {
      for (std::size_t r = 0; r < rows; ++r) out[r] = inner_product(query, base + r * kDimension, kDimension);
    }
    benchmark::ClobberMemory();
  }
  force_kernel_target("");
  report_bytes(state, rows * kRowBytes);
  state.counters["per_product"] = benchmark::Counter(static_cast<double>(state.iterations() * rows),
                                                     benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// 64 queries against 64 rows that are in L2.
void batch_product(benchmark::State& state, const std::string& target) {
  constexpr std::size_t kSide = 64;
  if (!force_kernel_target(target)) return state.SkipWithError("no such target");
  std::vector<float> out(kSide * kSide);
  const float* queries = array().data() + kRows * kDimension;
  for (auto _ : state) {
    inner_products_batch(queries, kSide, array().data(), kSide, kDimension, out.data());
    benchmark::ClobberMemory();
  }
  force_kernel_target("");
  state.counters["per_product"] = benchmark::Counter(static_cast<double>(state.iterations() * kSide * kSide),
                                                     benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void register_products() {
  for (const std::string& target : kernel_targets()) {
    const std::string name = "Product/" + target;
    benchmark::RegisterBenchmark((name + "/one_L1").c_str(),
                                 [target](benchmark::State& s) { one_product(s, target, 8, false); });
    benchmark::RegisterBenchmark((name + "/one_L2").c_str(),
                                 [target](benchmark::State& s) { one_product(s, target, 128, false); });
    benchmark::RegisterBenchmark((name + "/rows_L1").c_str(),
                                 [target](benchmark::State& s) { one_product(s, target, 8, true); });
    benchmark::RegisterBenchmark((name + "/rows_L2").c_str(),
                                 [target](benchmark::State& s) { one_product(s, target, 128, true); });
    benchmark::RegisterBenchmark((name + "/batch_64x64").c_str(),
                                 [target](benchmark::State& s) { batch_product(s, target); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  register_products();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
