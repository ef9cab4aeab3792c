// What do the loops over compressed rows cost, by every instruction set of this processor?
//
//   bench_kernels --benchmark_filter=Codes      768 dimensions; 8,000 rows lie in L2, 400,000 beyond
// per_row is what one row costs; GB/s are bytes of codes read.
#include <benchmark/benchmark.h>

#include <functional>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "code_kernels.h"
#include "dense_kernels.h"
#include "huge_array.h"
#include "list_order.h"
#include "mneme/index/kernels.h"
#include "rotation.h"

namespace {

using namespace mneme::index;

constexpr std::size_t kDimension = 768, kSignBytes = kDimension / 8;
constexpr std::size_t kListRows = 512;

std::vector<float> normal_values(std::size_t count) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// Runs `step`, which handles `rows` rows of `bytes` bytes in all, by one target alone.
void measure(benchmark::State& state, const std::string& target, std::size_t rows, std::size_t bytes,
             const std::function<void()>& step) {
  if (!force_kernel_target(target)) return state.SkipWithError("no such target");
  for (auto _ : state) {
    step();
    benchmark::ClobberMemory();
  }
  force_kernel_target("");
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes));
  state.counters["per_row"] = benchmark::Counter(static_cast<double>(state.iterations() * rows),
                                                 benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// Lists one after the other; nothing is kept, as in most lists of a search.
void scan(benchmark::State& state, const std::string& target, std::size_t rows) {
  HugeArray<std::byte> blocks(rows * row_bytes(kSignBytes, false));
  std::mt19937_64 random(2);
  for (std::size_t row = 0; row < rows; row += kBlockRows)  // signs alone: factors of 0 estimate 0
    for (std::size_t i = 0; i < kBlockRows * kSignBytes; ++i)
      blocks[row * row_bytes(kSignBytes, false) + i] = static_cast<std::byte>(random());
  if (!force_kernel_target(target)) return state.SkipWithError("no such target");
  OneBitQuery query;  // by the target that will use it
  make_tables(normal_values(kDimension).data(), kSignBytes, query);
  std::vector<float> scores(kListRows + Candidates::kSpare), bases(scores.size());
  std::vector<std::uint32_t> positions(scores.size());
  const Candidates out{scores.data(), bases.data(), positions.data()};
  measure(state, target, rows, blocks.size(), [&] {
    for (std::size_t row = 0; row < rows; row += kListRows)
      scan_one_bit(query,
                   {blocks.data() + row * row_bytes(kSignBytes, false), std::min(kListRows, rows - row),
                    static_cast<std::uint32_t>(row), 0},
                   1, out, 0);
  });
}

void eight_bit(benchmark::State& state, const std::string& target, std::size_t rows, bool at_random) {
  constexpr std::size_t kCount = 4000;
  HugeArray<std::uint8_t> codes(rows * kDimension);
  std::mt19937_64 random(3);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::uint8_t>(random());
  const std::vector<std::int8_t> query(kDimension, 3);
  std::vector<std::uint32_t> positions(kCount);
  std::iota(positions.begin(), positions.end(), 0U);
  if (at_random)
    for (std::uint32_t& position : positions) position = static_cast<std::uint32_t>(random() % rows);
  std::vector<std::int32_t> out(kCount);
  measure(state, target, kCount, kCount * kDimension,
          [&] { eight_bit_products(query.data(), codes.data(), kDimension, positions, out.data()); });
}

// 512 queries with as many rows: per_row is what one row costs for all of them.
void dense(benchmark::State& state, const std::string& target, bool with_tiles) {
  constexpr std::size_t kCount = 512;
  std::mt19937_64 random(4);
  std::vector<std::uint8_t> codes(kCount * kDimension);
  for (auto& code : codes) code = static_cast<std::uint8_t>(random());
  const std::vector<std::int8_t> levels(kCount * kDimension, -5);
  std::vector<std::int32_t> out(kDenseRows * kDenseQueries);
  if (with_tiles && !DenseScope::has_tiles()) return state.SkipWithError("no matrix registers");
  const DenseScope scope(with_tiles);
  measure(state, target, kCount, codes.size(), [&] {
    for (std::size_t row = 0; row < kCount; row += kDenseRows)
      for (std::size_t query = 0; query < kCount; query += kDenseQueries)
        dense_products(codes.data() + row * kDimension, kDimension, kDenseRows, levels.data() + query * kDimension,
                       out.data());
  });
}

void sixteen_bit(benchmark::State& state, const std::string& target) {
  constexpr std::size_t kRows = 512;
  const std::vector<std::int16_t> rows(kRows * kDimension, 7), query(kDimension, -3);
  std::vector<std::int32_t> out(kRows);
  measure(state, target, kRows, rows.size() * sizeof(rows[0]),
          [&] { sixteen_bit_products(query.data(), rows.data(), kRows, kDimension, out.data()); });
}

void select(benchmark::State& state, const std::string& target) {
  constexpr std::size_t kCount = 4000;
  const std::vector<float> values = normal_values(kCount);
  std::vector<float> spoiled(kCount + Candidates::kSpare), scratch(spoiled.size());
  measure(state, target, kCount, kCount * sizeof(float), [&] {
    std::copy(values.begin(), values.end(), spoiled.begin());
    benchmark::DoNotOptimize(kth_largest(spoiled.data(), kCount, 800, scratch.data()));
  });
}

void prepare(benchmark::State& state, const std::string& target) {
  const Rotation rotation(kDimension, 42);
  const std::vector<float> query = normal_values(kDimension);
  std::vector<float> rotated(kDimension), scratch(kDimension);
  OneBitQuery made;
  measure(state, target, 1, kDimension * sizeof(float), [&] {
    rotation.apply(query.data(), rotated.data(), scratch.data());
    make_tables(rotated.data(), kSignBytes, made);
  });
}

// The 40 nearest of the lists that a million rows have.
void order(benchmark::State& state, const std::string& target) {
  constexpr std::size_t kLists = 2604, kComeTo = 40;
  const std::vector<float> bases = normal_values(kLists);
  ListOrder lists;
  measure(state, target, kLists, kLists * sizeof(float), [&] {
    lists.begin(bases);
    benchmark::DoNotOptimize(lists.at(kComeTo - 1));
  });
}

const bool kRegistered = [] {
  for (const std::string& target : kernel_targets()) {
    const auto add = [&](const char* name, auto run) {
      benchmark::RegisterBenchmark(("Codes/" + target + "/" + name).c_str(),
                                   [target, run](benchmark::State& state) { run(state, target); });
    };
    add("scan_L2", [](auto& state, auto& name) { scan(state, name, 8'192); });
    add("scan_memory", [](auto& state, auto& name) { scan(state, name, 400'000); });
    add("eight_bit_L2", [](auto& state, auto& name) { eight_bit(state, name, 4'000, false); });
    add("eight_bit_random", [](auto& state, auto& name) { eight_bit(state, name, 400'000, true); });
    add("dense_512_queries", [](auto& state, auto& name) { dense(state, name, false); });
    add("sixteen_bit_L2", [](auto& state, auto& name) { sixteen_bit(state, name); });
    add("kth_largest", [](auto& state, auto& name) { select(state, name); });
    add("order_lists", [](auto& state, auto& name) { order(state, name); });
    add("rotate_and_tables", [](auto& state, auto& name) { prepare(state, name); });
  }
  benchmark::RegisterBenchmark("Codes/tiles/dense_512_queries",
                               [](benchmark::State& state) { dense(state, kernel_targets().front(), true); });
  return true;
}();

}  // namespace
