// The parts of a search, each alone: keys of filters, what is kept of them, the diverse choice, loading and compaction.

#include <tbb/info.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <random>
#include <set>

#include "background_work.h"
#include "diversity.h"
#include "engine_test.h"
#include "filter_cache.h"
#include "generation_index.h"
#include "mneme/base/json.h"
#include "mneme/index/exact_index.h"

namespace mneme::test {
namespace {

// --- keys of filters --------------------------------------------------------------------------------------------------

TEST(FilterKey, IsTheSameForTheSameExpression) {
  for (const char* text : {R"({"tags":"a"})", R"({"and":[{"tags":"a"},{"not":{"kind":"episode"}}]})", "{}"})
    EXPECT_EQ(must(Filter::parse_json(text)).key(), must(Filter::parse_json(text)).key());
}

TEST(FilterKey, DistinguishesEveryTwoExpressions) {
  std::vector<Filter> filters;
  for (const char* text : {R"({})",
                           R"({"tags":"a"})",
                           R"({"tags":["a"]})",
                           R"({"tags":["a","b"]})",
                           R"({"tags":["ab"]})",
                           R"({"tags":{"nin":["a","b"]}})",
                           R"({"tags":{"ne":"a"}})",
                           R"({"categories":"a"})",
                           R"({"key":"1"})",
                           R"({"metadata.a":1})",
                           R"({"metadata.a":1.0})",
                           R"({"metadata.a":"1"})",
                           R"({"metadata.a":true})",
                           R"({"metadata.a":null})",
                           R"({"metadata.a":-1})",
                           R"({"metadata.a":18446744073709551615})",
                           R"({"metadata.a":-0.0})",
                           R"({"metadata.a":0.0})",
                           R"({"metadata.a":{"gt":1}})",
                           R"({"metadata.a":{"gte":1}})",
                           R"({"metadata.a":{"exists":true}})",
                           R"({"metadata.a":{"exists":false}})",
                           R"({"source.a":1})",
                           R"({"metadata.a.b":1})",
                           R"({"namespace":{"prefix":"a/b"}})",
                           R"({"namespace":{"prefix":["a/b"]}})",
                           R"({"namespace":"a/b"})",
                           R"({"tags":{"contains":"a"}})",
                           R"({"created_at":{"lt":"2026-03-01T12:00:00Z"}})",
                           R"({"created_at":{"lt":"2026-03-01T12:00:01Z"}})",
                           R"({"not":{"tags":"a"}})",
                           R"({"not":{}})",
                           R"({"and":[{"tags":"a"},{"tags":"b"}]})",
                           R"({"and":[{"tags":"b"},{"tags":"a"}]})",
                           R"({"or":[{"tags":"a"},{"tags":"b"}]})",
                           R"({"or":[]})",
                           R"({"and":[]})",
                           R"({"and":[{}]})",
                           R"({"and":[{"tags":"a"},{"or":[{"tags":"b"},{"tags":"c"}]}]})",
                           R"({"and":[{"tags":"a"},{"or":[{"tags":"b"}]},{"tags":"c"}]})"})
    filters.push_back(must(Filter::parse_json(text)));
  std::set<std::string> keys;
  for (const Filter& filter : filters) EXPECT_TRUE(keys.insert(filter.key()).second) << to_json(filter.to_value());
}

// --- what is kept of filters ------------------------------------------------------------------------------------------

class FilterCacheTest : public ::testing::Test {
 protected:
  // Every slot whose number is a multiple of `step` matches; `looked_at` counts slots.
  FilterCache::BitmapPtr ask(int step, std::size_t slots, FilterCache& cache) {
    return cache.get(Filter::eq("metadata.step", Value(step)), slots,
                     [&](index::SlotBitmap& bitmap, std::size_t first) {
                       for (std::size_t slot = first; slot < bitmap.size(); ++slot, ++looked_at_)
                         if (slot % static_cast<std::size_t>(step) == 0) bitmap.set(static_cast<index::Slot>(slot));
                     });
  }
  std::size_t looked_at(const std::function<void()>& act) {
    looked_at_ = 0;
    act();
    return looked_at_;
  }
  std::size_t looked_at_ = 0;
};

TEST_F(FilterCacheTest, LooksAtEachSlotOnce) {
  FilterCache cache;
  EXPECT_EQ(looked_at([&] { ask(3, 100, cache); }), 100U);
  EXPECT_EQ(looked_at([&] { ask(3, 100, cache); }), 0U);
  EXPECT_EQ(looked_at([&] { ask(3, 80, cache); }), 0U);
  EXPECT_EQ(looked_at([&] { ask(3, 131, cache); }), 31U);
  const auto bitmap = ask(3, 131, cache);
  ASSERT_EQ(bitmap->size(), 131U);
  for (index::Slot slot = 0; slot < 131; ++slot) EXPECT_EQ(bitmap->test(slot), slot % 3 == 0) << slot;
}

TEST_F(FilterCacheTest, LeavesReadersWhatTheyHold) {
  FilterCache cache(4096);
  const auto held = ask(2, 70, cache);
  ask(2, 5000, cache);
  for (int step = 3; step < 100; ++step) ask(step, 5000, cache);
  EXPECT_EQ(held->size(), 70U);
  EXPECT_EQ(held->count(), 35U);
}

TEST_F(FilterCacheTest, ForgetsWhatWasNotUsedForLongest) {
  FilterCache cache;
  for (int step = 1; step <= 64; ++step) ask(step, 10, cache);
  ask(1, 10, cache);
  ask(65, 10, cache);
  EXPECT_EQ(cache.size(), FilterCache::kFiltersMax);
  EXPECT_EQ(looked_at([&] { ask(1, 10, cache); }), 0U);
  EXPECT_EQ(looked_at([&] { ask(3, 10, cache); }), 0U);
  EXPECT_EQ(looked_at([&] { ask(2, 10, cache); }), 10U);
}

TEST_F(FilterCacheTest, StaysWithinItsBytesAndAnswersAllTheSame) {
  constexpr std::uint64_t kBytes = 10'000;
  FilterCache cache(kBytes);
  std::mt19937 random(11);
  std::size_t slots = 100;
  for (int i = 0; i < 2000; ++i) {
    slots += random() % 40;
    const int step = 1 + static_cast<int>(random() % 20);
    const auto bitmap = ask(step, slots, cache);
    EXPECT_GE(bitmap->size(), slots);
    EXPECT_EQ(bitmap->count(), (bitmap->size() + static_cast<std::size_t>(step) - 1) / static_cast<std::size_t>(step));
    EXPECT_LE(cache.bytes(), kBytes);
  }
  EXPECT_LE(cache.size(), 64U);
  ask(2, 8 * kBytes + 64, cache);  // alone larger than what may be kept
  EXPECT_LE(cache.bytes(), kBytes);
}

// --- the diverse choice -----------------------------------------------------------------------------------------------

class Diversity : public ::testing::TestWithParam<Metric> {
 protected:
  static constexpr std::size_t kDimension = 5;
  using Vector = std::vector<float>;

  static double similarity(const Vector& a, const Vector& b) {
    double dot = 0, aa = 0, bb = 0, squared = 0;
    for (std::size_t i = 0; i < kDimension; ++i) {
      const double x = a[i], y = b[i];
      dot += x * y;
      aa += x * x;
      bb += y * y;
      squared += (x - y) * (x - y);
    }
    if (GetParam() == Metric::SquaredL2) return -squared;
    if (GetParam() == Metric::InnerProduct) return dot;
    return aa == 0 || bb == 0 ? 0 : dot / std::sqrt(aa) / std::sqrt(bb);
  }
  void make(std::mt19937& random, std::size_t count) {
    const Vector query{1, 2, 0, -1, 1};
    vectors_.assign(count, Vector(kDimension));
    candidates_.clear();
    for (std::size_t i = 0; i < count; ++i) {
      for (float& value : vectors_[i]) value = static_cast<float>(random() % 5) - 2;
      candidates_.push_back({RowId{1000 - i}, static_cast<float>(similarity(query, vectors_[i])), vectors_[i].data()});
    }
  }
  double value(std::size_t one, std::span<const std::size_t> chosen, double diversity) const {
    double closest = -std::numeric_limits<double>::infinity();
    for (const std::size_t other : chosen) closest = std::max(closest, similarity(vectors_[one], vectors_[other]));
    return (1 - diversity) * static_cast<double>(candidates_[one].score) - diversity * closest;
  }
  std::vector<std::size_t> choose(std::size_t k, double diversity) const {
    return choose_diverse(candidates_, k, diversity, kDimension, GetParam());
  }
  std::vector<Vector> vectors_;
  std::vector<DiversityCandidate> candidates_;
};

TEST_P(Diversity, TakesTheBestRemainingAtEveryStep) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 60; ++round) {
    make(random, random() % 40);
    const double diversity = static_cast<double>(1 + random() % 4) / 4;
    const auto chosen = choose(12, diversity);
    ASSERT_EQ(chosen.size(), std::min<std::size_t>(12, candidates_.size()));
    for (std::size_t step = 0; step < chosen.size(); ++step) {
      const std::span<const std::size_t> before(chosen.data(), step);
      for (std::size_t other = 0; other < candidates_.size(); ++other) {
        if (std::find(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(step) + 1, other) !=
            chosen.begin() + static_cast<std::ptrdiff_t>(step) + 1)
          continue;
        const double taken = step == 0 ? candidates_[chosen[0]].score : value(chosen[step], before, diversity);
        const double left = step == 0 ? candidates_[other].score : value(other, before, diversity);
        ASSERT_GE(taken, left - 1e-9);
        // Small whole numbers: equal is equal, but for the rounding of a cosine.
        if (taken == left && GetParam() != Metric::Cosine) {
          ASSERT_LT(candidates_[chosen[step]].row, candidates_[other].row);
        }
      }
    }
  }
}

TEST_P(Diversity, IsTheOrderOfScoresWhenThereIsNone) {
  std::mt19937 random(3);
  make(random, 30);
  const auto chosen = choose(30, 0);
  for (std::size_t i = 1; i < chosen.size(); ++i) {
    const DiversityCandidate &before = candidates_[chosen[i - 1]], &after = candidates_[chosen[i]];
    EXPECT_TRUE(before.score > after.score || (before.score == after.score && before.row < after.row));
  }
}

TEST_P(Diversity, ChoosesNothingOutOfNothing) {
  EXPECT_TRUE(choose(5, 0.5).empty());
  std::mt19937 random(3);
  make(random, 3);
  EXPECT_TRUE(choose(0, 0.5).empty());
}

INSTANTIATE_TEST_SUITE_P(Metrics, Diversity, ::testing::Values(Metric::InnerProduct, Metric::Cosine, Metric::SquaredL2),
                         [](const auto& metric) { return std::string(name_of(metric.param)); });

// --- loading and compaction -------------------------------------------------------------------------------------------

class GenerationIndexTest : public ::testing::Test {
 protected:
  static constexpr GenerationId kGeneration{0};
  GenerationIndexTest() : index_(GenerationInfo{kGeneration, "m", 2, Metric::InnerProduct}) {}

  static NodeId id(std::uint64_t number) {
    NodeId id;
    std::memcpy(id.bytes.data(), &number, sizeof number);
    return id;
  }
  static NodeRecordPtr record(std::uint64_t number) {
    Node node;
    node.id = id(number);
    node.vectors.push_back({kGeneration, {static_cast<float>(number), 1}});
    return NodeRecord::from_node(node);
  }
  void publish(std::uint64_t number, std::uint64_t lsn) { index_.publish(RowId{number}, record(number), Lsn{lsn}); }
  IndexStatePtr load(Lsn shows, std::uint64_t nodes) {
    return must(index_.acquire([&](IndexState& fresh, Lsn at_least) -> Result<Lsn> {
      EXPECT_LE(at_least, shows);
      for (std::uint64_t number = 0; number < nodes; ++number)
        must(fresh.put(RowId{number}, *record(number), kGeneration, shows));
      return shows;
    }));
  }
  GenerationIndex index_;
};

// The first half of a commit was published, then a search began to load: from a store that did not show the commit yet,
// and with a backlog that began in its middle. The first half was missing from the index until the next load.
TEST_F(GenerationIndexTest, LoadsFromAStoreThatShowsTheCommitThatIsBeingPublished) {
  publish(0, 5);
  Lsn asked_for;
  const auto state = must(index_.acquire([&](IndexState& fresh, Lsn at_least) -> Result<Lsn> {
    asked_for = at_least;
    publish(1, 5);  // the second half
    publish(2, 6);  // the next commit, which the store does not show yet
    must(fresh.put(RowId{0}, *record(0), kGeneration, Lsn{5}));
    must(fresh.put(RowId{1}, *record(1), kGeneration, Lsn{5}));
    return Lsn{5};
  }));
  EXPECT_EQ(asked_for, Lsn{5});
  EXPECT_EQ(state->vectors->slots(), 3U);
  for (std::uint64_t row = 0; row < 3; ++row) EXPECT_EQ(state->ids[state->vectors->find(RowId{row})], id(row));
}

// Compaction took the LSN of a commit of which half was published as the one it had seen all of, and dropped the rest of
// that commit.
TEST_F(GenerationIndexTest, CompactsAsOfAWholeCommitOnly) {
  constexpr std::uint64_t kNodes = 5000;
  load(Lsn{1}, kNodes);
  for (std::uint64_t number = 0; number < kNodes; ++number) publish(number, 2);
  publish(0, 3);  // the first half of commit 3
  must(index_.compact_if_worthwhile(Lsn{2}));
  EXPECT_EQ(index_.loaded()->vectors->slots(), 2 * kNodes + 1);
  publish(kNodes, 3);  // the second half
  must(index_.compact_if_worthwhile(Lsn{3}));
  const IndexStatePtr state = index_.loaded();
  EXPECT_EQ(state->vectors->slots(), kNodes + 1);
  EXPECT_EQ(state->base, Lsn{3});
  for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{17}, kNodes}) {
    const index::Slot slot = state->vectors->find(RowId{number});
    ASSERT_NE(slot, index::kNoSlot);
    EXPECT_EQ(state->ids[slot], id(number));
    EXPECT_EQ(state->vectors->vector(slot)[0], static_cast<float>(number));
  }
}

/// Work in the background, as much as may run at a time, that goes on as long as this lives.
class BusyBackground {
 public:
  BusyBackground() {
    for (int i = 0; i < std::max(1, tbb::info::default_concurrency() / 2); ++i)
      must(index::run_in_background([over = over_] { over->wait(false); }));
  }
  ~BusyBackground() {
    *over_ = true;
    over_->notify_all();
  }

 private:
  std::shared_ptr<std::atomic<bool>> over_ = std::make_shared<std::atomic<bool>>(false);
};

TEST_F(GenerationIndexTest, IsNotCompactedWhileItsFirstCodesAreMade) {
  constexpr std::uint64_t kNodes = 5000;
  const IndexStatePtr before = load(Lsn{1}, kNodes);
  {
    const BusyBackground busy;
    const float query[] = {1, 1};
    must(before->vectors->search({.queries = query, .recall_target = 0.9F}));
    EXPECT_TRUE(before->vectors->is_compressing_first());
    for (std::uint64_t number = 0; number < kNodes; ++number) publish(number, 2);
    must(index_.compact_if_worthwhile(Lsn{2}));
    EXPECT_EQ(index_.loaded(), before);
  }
  before->vectors->finish_background();
  EXPECT_FALSE(before->vectors->is_compressing_first());
  EXPECT_GT(before->vectors->compressed(), 0U);
  must(index_.compact_if_worthwhile(Lsn{2}));
  EXPECT_EQ(index_.loaded()->vectors->slots(), kNodes);
  EXPECT_GT(index_.loaded()->vectors->compressed(), 0U) << "it continues from those";
}

TEST_F(GenerationIndexTest, CountsItsIdsInTheBytesItUses) {
  const IndexStatePtr state = load(Lsn{1}, 10);
  EXPECT_GE(state->ids.bytes(), 10 * sizeof(NodeId));
  EXPECT_GE(index_.bytes_used(), state->vectors->bytes_used() + state->ids.bytes());
}

TEST(Compacting, PaysWhereAFifthOfTheSlotsIsDead) {
  EXPECT_FALSE(is_worth_compacting(14'000, 10'000, false)) << "few dead";
  EXPECT_TRUE(is_worth_compacting(14'096, 10'000, false));
  EXPECT_FALSE(is_worth_compacting(1'200'000, 1'000'000, false)) << "a sixth";
  EXPECT_TRUE(is_worth_compacting(1'250'000, 1'000'000, false));
}

// 10,000 rows that are all written once a second, as three writers of a stress test did, had no codes after two minutes.
TEST(Compacting, WaitsForTheFirstCodesButNotForEver) {
  EXPECT_FALSE(is_worth_compacting(30'000, 10'000, true));
  EXPECT_TRUE(is_worth_compacting(42'768, 10'000, true));
  EXPECT_FALSE(is_worth_compacting(1'999'999, 1'000'000, true));
  EXPECT_TRUE(is_worth_compacting(2'000'000, 1'000'000, true)) << "memory for twice the rows at most";
}

}  // namespace
}  // namespace mneme::test
