// Effort: what it is measured on keeps the promise for queries that it was not measured on, at a cost that is worth it.
#include "effort.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <memory>
#include <optional>
#include <random>
#include <set>

#include "code_segment.h"
#include "codebook_support.h"
#include "exact_search.h"
#include "funnel_plan.h"
#include "funnel_search.h"
#include "mneme/index/kernels.h"

namespace mneme::index {
namespace {

constexpr std::size_t kDimension = 64, kCentres = 60, kDirections = 4, kRows = 24'000, kLists = 40, kManyLists = 1100;
using Floats = std::vector<float>;

class EffortTest : public testing::Test {
 protected:
  void SetUp() override {
    for (std::size_t i = 0; i < kCentres * (1 + kDirections); ++i) {
      const Floats values = random_vector(1);
      (i < kCentres ? centres_ : directions_).push_back(values);
    }
    // One topic after another, as rows come.
    for (std::size_t row = 0; row < kRows; ++row)
      ASSERT_TRUE(rows_.add(RowId{row}, around(row * kCentres / kRows, 1), Lsn{row + 1}));
    compress(kLists);
  }

  Floats random_vector(float scale) {
    Floats values(kDimension);
    for (float& value : values) value = scale * normal_(random_);
    return values;
  }
  // Far along the centre's own directions, a little along all.
  Floats around(std::size_t centre, float width) {
    Floats values = centres_[centre];
    for (std::size_t j = 0; j < kDirections; ++j) {
      const float factor = 0.6F * width * normal_(random_);
      for (std::size_t d = 0; d < kDimension; ++d) values[d] += factor * directions_[centre * kDirections + j][d];
    }
    for (float& value : values) value += 0.15F * width * normal_(random_);
    return values;
  }
  void compress(std::size_t lists) {
    book_ = trained_codebook(rows_, kRows, lists);
    Result<CodeSegmentPtr> segment = CodeSegment::encode(rows_, book_, 0, kRows, rows_.view(kMaxLsn), stop_);
    ASSERT_TRUE(segment);
    segments_ = {*segment};
  }

  Floats queries(std::size_t count, float width) {
    Floats all;
    for (std::size_t i = 0; i < count; ++i) {
      const Floats one = around(random_() % kCentres, width);
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  }
  EffortTable measure(const Floats& asked) {
    return calibrate(rows_, *book_, segments_, kRows, rows_.view(kMaxLsn), asked, stop_);
  }

  using Answers = std::vector<std::vector<Hit>>;
  Answers exact(const Floats& queries, std::size_t k) const {
    SearchRequest request;
    request.queries = queries;
    request.k = k;
    Result<Answers> hits = search_exact(rows_, request);
    EXPECT_TRUE(hits);
    return std::move(*hits);
  }

  struct Outcome {
    double recall = 0;
    std::size_t estimated = 0;
  };
  Outcome try_out(const Floats& queries, const Answers& truth, const Effort& effort) const {
    Outcome outcome;
    FunnelSearch search;
    std::vector<Hit> hits;
    std::size_t found = 0, all = 0;
    for (std::size_t i = 0; i < truth.size(); ++i) {
      FunnelRequest request;
      request.query = queries.data() + i * kDimension;
      request.squared_norm = inner_product_f64(request.query, request.query, kDimension);
      request.k = truth[i].size();
      request.effort = effort;
      request.view = rows_.view(kMaxLsn);
      EXPECT_TRUE(search.run(rows_, *book_, segments_, kRows, request, hits));
      std::set<std::uint64_t> near;
      for (const Hit& hit : truth[i]) near.insert(hit.row.value);
      for (const Hit& hit : hits) found += near.count(hit.row.value);
      all += near.size();
      outcome.estimated += search.work().estimated;
    }
    outcome.recall = static_cast<double>(found) / static_cast<double>(all);
    return outcome;
  }

  // Measures on some queries; of others, each target's recall is looked at, and whatever `use` wants.
  template <class Use>
  void for_targets(const Use& use) {
    const EffortTable table = measure(queries(400, 1.2F));
    const Floats others = queries(400, 1.2F);
    const Answers truth = exact(others, 10);
    for (const float target : {0.9F, 0.95F, 0.99F}) {
      const std::optional<Effort> effort = table.find(10, target);
      ASSERT_TRUE(effort) << "target " << target;
      EXPECT_GE(try_out(others, truth, *effort).recall, target - 0.01);
      use(target, *effort, others, truth);
    }
  }

  std::mt19937 random_{20261129};
  std::normal_distribution<float> normal_;
  std::atomic<bool> stop_{false};
  std::vector<Floats> centres_, directions_;
  ExactRows rows_{kDimension, Metric::InnerProduct};
  CodebookPtr book_;
  std::vector<CodeSegmentPtr> segments_;
};

// Else a search that looks at the first rows of a list would see one topic of several.
TEST_F(EffortTest, TheFirstRowsOfAListAreASampleOfIt) {
  const CodeSegment& segment = *segments_[0];
  std::size_t looked_at = 0;
  for (std::size_t list = 0; list < segment.lists(); ++list) {
    const std::size_t n = segment.list_rows(list), sampled = rows_sampled(n);
    if (sampled == n) continue;
    ++looked_at;
    const auto mean_of_first = [&](std::size_t count) {
      double sum = 0;
      for (std::uint32_t i = 0; i < count; ++i) sum += segment.slot(segment.list_begin(list) + i);
      return sum / static_cast<double>(count);
    };
    Slot least = kRows, most = 0;
    for (std::uint32_t i = 0; i < n; ++i) {
      least = std::min(least, segment.slot(segment.list_begin(list) + i));
      most = std::max(most, segment.slot(segment.list_begin(list) + i));
    }
    // The mean of 64 has a standard error of at most a sixteenth of what they span.
    EXPECT_NEAR(mean_of_first(sampled), mean_of_first(n), (most - least) / 6.0) << "list " << list;
  }
  EXPECT_GT(looked_at, kLists / 2);
}

TEST_F(EffortTest, IsNotSpentOnTheRestOfListsWhoseSamplesLieTooFarAway) {
  for_targets([&](float target, const Effort& effort, const Floats& others, const Answers& truth) {
    if (target > 0.95F) return;  // there nearly all is needed
    Effort of_whole_lists = effort;
    of_whole_lists.rest_sigmas = Effort::kWhole;
    const Outcome sampled = try_out(others, truth, effort), whole = try_out(others, truth, of_whole_lists);
    EXPECT_LT(sampled.estimated, whole.estimated * 3 / 4) << "target " << target;
  });
}

// Where there are more lists than a query is compared with whole, it meets them in about their order.
TEST_F(EffortTest, HoldsWhereCentroidsAreComparedByTheirCodes) {
  compress(kManyLists);
  ASSERT_FALSE(book_->clusters.codes().empty());
  for_targets([&](float target, const Effort& effort, const Floats& others, const Answers& truth) {
    EXPECT_LT(try_out(others, truth, effort).estimated, truth.size() * kRows / 3) << "target " << target;
  });
}

// How many lists a search comes to tells which effort it took.
TEST_F(EffortTest, UnderAFilterIsThatForTheShareKeptNearTheQuery) {
  const Floats query = queries(1, 0.1F);
  const std::vector<Hit> nearest = exact(query, kRows / 5)[0];
  SlotBitmap any(kRows), near(kRows);
  for (Slot slot = 0; slot < kRows; slot += 5) any.set(slot);
  for (const Hit& hit : nearest) near.set(hit.slot);
  const auto lists = [&](const SlotBitmap& kept) {
    const std::vector<PositionBitmapPtr> by_position{segments_[0]->keep(kept)};
    FunnelRequest request;
    request.query = query.data();
    request.squared_norm = inner_product_f64(query.data(), query.data(), kDimension);
    request.k = 10;
    request.effort = request.effort_against = {1e6F, 4, kLists / 2};
    request.efforts_with[0] = {1e6F, 4, kLists * 3 / 4};  // for a share like that of all
    request.efforts_with[1] = {1e6F, 4, SIZE_MAX};
    request.efforts_with[2] = {0, 4, 1};  // for four times that
    request.levels_with = 3;
    request.share_kept = 0.2F;
    request.view = rows_.view(kMaxLsn);
    request.filter = &kept;
    request.kept = by_position;
    FunnelSearch search;
    std::vector<Hit> hits;
    EXPECT_TRUE(search.run(rows_, *book_, segments_, kRows, request, hits));
    EXPECT_EQ(hits.size(), 10U);
    return search.work().lists;
  };
  EXPECT_EQ(lists(any), kLists * 3 / 4);
  EXPECT_LE(lists(near), 2U);
}

TEST_F(EffortTest, OfFewKeptRowsReads8BitCodesOfAllUnlessTheyLieInFiles) {
  Sealed sealed;
  sealed.codebook = book_;
  sealed.segments = segments_;
  sealed.end = kRows;
  SlotBitmap few(kRows);
  for (Slot slot = 0; slot < kRows; slot += 50) few.set(slot);
  SearchRequest request;
  request.filter = &few;
  request.recall_target = 0.95F;
  for (const bool cold : {false, true}) {
    std::vector<PositionBitmapPtr> kept;
    const std::optional<FunnelRequest> plan = plan_search(rows_, sealed, request, rows_.view(kMaxLsn), cold, kept);
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->score_all_kept, !cold);
    EXPECT_EQ(plan->cold, cold);
  }
}

// Rows in close groups of twelve, and as many by themselves. Queries at a group find all of theirs with little effort,
// those by themselves find few: how many of a sample are of the latter kind is luck.
class UnlikeQueries : public EffortTest {
 protected:
  static constexpr std::size_t kGroup = 12, kAsked = 192, kAlone = 24;

  void SetUp() override {
    for (std::size_t row = 0; row < kRows; ++row) {
      if (row % (2 * kGroup) == 0) groups_.push_back(random_vector(1));
      Floats values = row % (2 * kGroup) < kGroup ? groups_.back() : random_vector(1);
      for (float& value : values) value += 0.02F * normal_(random_);
      ASSERT_TRUE(rows_.add(RowId{row}, values, Lsn{row + 1}));
    }
    compress(kLists);
  }

  std::vector<Floats> groups_;
};

TEST_F(UnlikeQueries, AreReasonForMoreEffortThanTheSampleNeeds) {
  Floats asked;
  for (std::size_t i = 0; i < kAsked; ++i) {
    const Floats one = i < kAlone ? random_vector(1) : groups_[random_() % groups_.size()];
    asked.insert(asked.end(), one.begin(), one.end());
  }
  const EffortTable table = measure(asked);
  const Answers truth = exact(asked, 10);
  for (const float target : {0.9F, 0.95F}) {
    const std::optional<Effort> effort = table.find(10, target);
    ASSERT_TRUE(effort) << "target " << target;
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < kAsked; ++i) {
      const auto at = asked.begin() + static_cast<std::ptrdiff_t>(i * kDimension);
      const double recall = try_out(Floats(at, at + kDimension), {truth[i]}, *effort).recall;
      sum += recall;
      squares += recall * recall;
    }
    // 0.01 may be missed, and searches may find a little less than was measured.
    const double mean = sum / kAsked, error = std::sqrt((squares / kAsked - mean * mean) / (kAsked - 1));
    EXPECT_GE(mean, target + 2 * error - 0.01 - 0.003) << "target " << target << ", standard error " << error;
  }
}

// Two lists: one around nothing that the query is like, with a corner where it is; one of others that lie between.
class SampleOfAList : public testing::Test {
 protected:
  static constexpr Slot kRest = 650, kCorner = 50, kOthers = 200, kAll = kRest + kCorner + kOthers;

  void SetUp() override {
    std::mt19937 random{20261129};
    std::normal_distribution<float> normal;
    for (Slot slot = 0; slot < kAll; ++slot) {
      Floats values(kDimension);
      for (float& value : values) value = 0.05F * normal(random);
      const bool is_other = slot >= kRest + kCorner;
      values[is_other ? 2 : 1] += is_other ? -2 : 0.3F;
      if (slot >= kRest) values[0] += is_other ? 0.7F : 1;
      ASSERT_TRUE(rows_.add(RowId{slot}, values, Lsn{slot + 1}));
    }
    Floats centres(2 * kDimension), rotated(2 * kDimension), scratch(kDimension);
    centres[1] = 0.3F;
    centres[kDimension] = 0.7F;
    centres[kDimension + 2] = -2;
    auto book = std::make_shared<Codebook>(Codebook{Metric::InnerProduct, Rotation(kDimension, 42), {}});
    for (std::size_t i = 0; i < 2; ++i)
      book->rotation.apply(&centres[i * kDimension], &rotated[i * kDimension], scratch.data());
    book->clusters = Clusters::of(std::move(rotated), kDimension);
    book_ = std::move(book);
    const std::atomic<bool> stop{false};
    Result<CodeSegmentPtr> segment = CodeSegment::encode(rows_, book_, 0, kAll, rows_.view(kMaxLsn), stop);
    ASSERT_TRUE(segment);
    ASSERT_EQ((*segment)->list_rows(0), kRest + kCorner);
    segments_ = {*segment};
  }

  // Ten of those that are kept.
  Work search(const SlotBitmap& kept, std::vector<Hit>& hits, bool cold = false) const {
    const std::vector<PositionBitmapPtr> by_position{segments_[0]->keep(kept)};
    Floats query(kDimension);
    query[0] = 1;
    FunnelRequest request;
    request.query = query.data();
    request.squared_norm = 1;
    request.k = 10;
    request.effort = {1e6F, 3, SIZE_MAX, 2};
    request.effort_against = request.effort;
    request.view = rows_.view(kMaxLsn);
    request.filter = &kept;
    request.kept = by_position;
    request.cold = cold;
    FunnelSearch search;
    EXPECT_TRUE(search.run(rows_, *book_, segments_, kAll, request, hits));
    return search.work();
  }

  ExactRows rows_{kDimension, Metric::InnerProduct};
  CodebookPtr book_;
  std::vector<CodeSegmentPtr> segments_;
};

TEST_F(SampleOfAList, IsOfTheRowsThatAFilterKeeps) {
  SlotBitmap kept(kAll);
  for (Slot slot = kRest; slot < kAll; ++slot) kept.set(slot);
  std::vector<Hit> hits;
  search(kept, hits);
  ASSERT_EQ(hits.size(), 10U);
  for (const Hit& hit : hits) EXPECT_TRUE(hit.slot >= kRest && hit.slot < kRest + kCorner) << "slot " << hit.slot;
}

TEST_F(SampleOfAList, IsLargerWhereAFilterKeepsFewAndNotAllWhereTheySuffice) {
  SlotBitmap kept(kAll);
  for (Slot slot = 0; slot < kAll; ++slot)
    if (slot % 10 == 0 ? slot < kRest : slot >= kRest + kCorner) kept.set(slot);
  std::vector<Hit> hits;
  const std::size_t of_the_list = search(kept, hits).estimated - kOthers;
  EXPECT_GT(of_the_list, 2 * kBlockRows);  // six or seven of ten kept rows in each block
  EXPECT_LT(of_the_list, kRest - 2 * kBlockRows);
}

TEST_F(SampleOfAList, IsNotTakenWhereSoFewAreKeptThatTheir8BitCodesAreReadAtOnce) {
  SlotBitmap kept(kAll);
  for (Slot slot = 0; slot < kAll; slot += 40) kept.set(slot);
  std::vector<Hit> hits;
  EXPECT_EQ(search(kept, hits).estimated, 0U);
  ASSERT_EQ(hits.size(), 10U);
  EXPECT_TRUE(hits.front().slot >= kRest && hits.front().slot < kRest + kCorner) << "slot " << hits.front().slot;
  for (const Hit& hit : hits) EXPECT_TRUE(kept.test(hit.slot)) << hit.slot;
}

TEST_F(SampleOfAList, IsTakenWhere8BitCodesLieInFilesThoughFewAreKept) {
  SlotBitmap kept(kAll);
  std::size_t count = 0;
  for (Slot slot = 0; slot < kAll; slot += 20, ++count) kept.set(slot);
  std::vector<Hit> hits, cold_hits;
  const Work warm = search(kept, hits), cold = search(kept, cold_hits, true);
  EXPECT_EQ(warm.estimated, 0U);
  EXPECT_GE(warm.kept, count);
  EXPECT_GT(cold.estimated, kAll / 2);
  EXPECT_LT(cold.kept, count) << "fewer 8-bit codes are read than rows are kept";
  ASSERT_EQ(cold_hits.size(), hits.size());
  for (std::size_t i = 0; i < hits.size(); ++i) EXPECT_EQ(cold_hits[i].slot, hits[i].slot);
}

// A table that has this effort for 10 neighbours at every target and none, or that one, for 1.
EffortTable table_of(const Effort& for_10, const std::optional<Effort>& for_1) {
  Bytes bytes;
  ByteWriter writer(bytes);
  for (const int size : {4, 3, 4}) writer.fixed(static_cast<std::uint8_t>(size));
  const auto number = [&](float value) { writer.fixed(std::bit_cast<std::uint32_t>(value)); };
  for (const std::optional<Effort>& effort :
       {for_1, std::optional(for_10), std::optional<Effort>(), std::optional<Effort>()})
    for (int target = 0; target < 3; ++target) {
      writer.fixed(static_cast<std::uint8_t>(effort.has_value()));
      if (!effort) continue;
      number(effort->probe_sigmas);
      number(effort->keep_sigmas);
      writer.fixed(static_cast<std::uint64_t>(effort->lists_max));
      number(effort->rest_sigmas);
    }
  number(-1);
  number(1);
  ByteReader reader(bytes);
  Result<EffortTable> table = EffortTable::decode(reader);
  EXPECT_TRUE(table) << table.status().to_string();
  return *table;
}

// Of 192 queries all may be answered by an effort that misses one in fifty.
TEST(EffortTableTest, OfFewQueriesIsNoLessForOneNeighbourThanThatOfTheRowsThemselves) {
  const Effort for_10{10, 2.5F, 50, 5}, asked{7, 3.5F, 40, 4}, own{14, 3, SIZE_MAX, Effort::kWhole};
  EffortTable table = table_of(for_10, asked);
  table.be_cautious_for_one(table_of(for_10, own), 1);
  const std::optional<Effort> one = table.find(1, 0.95F), ten = table.find(10, 0.95F);
  ASSERT_TRUE(one && ten);
  EXPECT_EQ(one->probe_sigmas, own.probe_sigmas);
  EXPECT_EQ(one->keep_sigmas, asked.keep_sigmas);
  EXPECT_EQ(one->lists_max, own.lists_max);
  EXPECT_EQ(one->rest_sigmas, own.rest_sigmas);
  EXPECT_EQ(ten->probe_sigmas, for_10.probe_sigmas);
  EXPECT_EQ(ten->lists_max, for_10.lists_max);
  table.be_cautious_for_one(table_of(for_10, std::nullopt), 1);
  EXPECT_FALSE(table.find(1, 0.95F)) << "only an exact search answers for the rows themselves";
  EXPECT_TRUE(table.find(10, 0.95F));
}

// Where one neighbour needs an exact search, the first row after the measurement made one of a search for ten.
TEST(EffortTableTest, GrowsLittleByLittleWithTheRows) {
  const Effort for_10{10, 2.5F, 50, 5};
  for (const std::optional<Effort>& for_1 :
       {std::optional<Effort>(), std::optional(Effort{14, 4, SIZE_MAX, Effort::kWhole})}) {
    const EffortTable table = table_of(for_10, for_1);
    Effort before = for_10;
    for (const double growth : {1.0001, 1.1, 1.5, 2.0, 3.0}) {
      const std::optional<Effort> effort = table.find(10, 0.95F, growth);
      ASSERT_TRUE(effort) << growth;
      EXPECT_GE(effort->probe_sigmas, before.probe_sigmas);
      EXPECT_GE(effort->keep_sigmas, before.keep_sigmas);
      EXPECT_GE(effort->lists_max, before.lists_max);
      EXPECT_GE(effort->rest_sigmas, before.rest_sigmas);
      before = *effort;
      if (growth > 1.2) continue;
      EXPECT_LT(effort->probe_sigmas, 10.5F);
      EXPECT_LT(effort->keep_sigmas, 2.7F);
      EXPECT_LT(effort->lists_max, 60U);
      EXPECT_LT(effort->rest_sigmas, 5.5F);
    }
    const std::optional<Effort> far = table.find(10, 0.95F, 5);
    EXPECT_TRUE(!far || far->lists_max == SIZE_MAX) << "near the one, what the one needs";
  }
}

}  // namespace
}  // namespace mneme::index
