// Searches of every kind beside a writer.

#include <atomic>
#include <random>
#include <thread>

#include "engine_test.h"

namespace mneme::test {
namespace {

class SearchConcurrentTest : public EngineTest {
 protected:
  static Node pair(int number, int side, int mark) {
    Node node = named(std::to_string(number) + (side == 0 ? "a" : "b"), {static_cast<float>(mark), 1, 0, 0});
    node.tags = {mark % 2 == 0 ? "even" : "odd"};
    node.metadata = Value(Value::Object{{"mark", Value(mark)}});
    return node;
  }
};

// Both nodes of a pair always carry the same mark; each batch gives a pair another one, or erases it.
TEST_F(SearchConcurrentTest, FilteredSearchesSeeWholeBatchesBesideOneWriter) {
  constexpr int kPairs = 20, kRounds = 600;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    std::mt19937 random(1);
    for (int i = 0; i < kRounds; ++i) {
      const int number = static_cast<int>(random() % kPairs), mark = static_cast<int>(random() % 50);
      Batch batch;
      for (int side = 0; side < 2; ++side) {
        const NodeId id = must(batch.put(space(), pair(number, side, mark)));
        if (i % 5 == 4) must(batch.erase(space(), id));
      }
      must(db_->write(batch, Durability::Memory));
    }
    stop = true;
  });
  for (unsigned searcher = 0; searcher < 3; ++searcher) {
    threads.emplace_back([&, searcher] {
      std::mt19937 random(100 + searcher);
      do {
        Query query;
        query.k = 100;
        const int at = static_cast<int>(random() % 50);
        switch (random() % 3) {
          case 0:
            query.filter = Filter::tag(at % 2 == 0 ? "even" : "odd");
            break;
          case 1:
            query.filter = Filter::compare("metadata.mark", FilterOp::Lt, Value(at));
            break;
          default:
            break;
        }
        query.diversity = random() % 4 == 0 ? 0.3F : 0.0F;
        std::vector<Neighbour> found;
        if (random() % 2 == 0) {
          query.vector = {1, 0, 0, 0};
          found = must(space().nearest(query));
        } else {
          found = must(space().nearest_batch(std::vector<float>{1, 0, 0, 0, 0, 1, 0, 0}, query))[0];
        }
        EXPECT_EQ(found.size() % 2, 0U);
        int sum = 0;  // of marks: even and odd as the filter wants, each one twice
        for (const Neighbour& one : found) sum ^= static_cast<int>(one.score);
        EXPECT_EQ(sum, 0);
      } while (!stop);
    });
  }
  threads.emplace_back([&] {
    while (!stop) {
      Query query;
      query.like = space().id_for_external("1a");
      query.k = 3;
      const auto found = space().nearest(query);
      if (found.ok()) {
        EXPECT_LE(found->size(), 3U);
        for (const Neighbour& one : *found) EXPECT_NE(one.id, *query.like);
      } else {
        EXPECT_EQ(found.status().code(), Code::NotFound) << found.status().to_string();
      }
    }
  });
  for (std::thread& thread : threads) thread.join();
  expect_sound();
}

// Every search of a database just opened may be the one that loads the index, beside a writer that is under way.
TEST_F(SearchConcurrentTest, LoadsAnIndexBesideAWriterWithoutLosingHalfABatch) {
  constexpr int kReopens = 25;
  for (int round = 0; round < kReopens; ++round) {
    reopen();
    std::atomic<int> written{0};
    std::thread writer([&] {
      for (int i = 0; i < 40; ++i) {
        Batch batch;
        for (int side = 0; side < 2; ++side) must(batch.put(space(), pair(i, side, 100 * round + i)));
        must(db_->write(batch, Durability::Memory));
        written = i + 1;
      }
    });
    while (written < 3 + round % 7) std::this_thread::yield();
    Query query;
    query.vector = {1, 0, 0, 0};
    query.k = 200;
    must(space().nearest(query).status());
    writer.join();
    int sum = 0;
    const auto found = must(space().nearest(query));
    ASSERT_EQ(found.size(), 80U);
    for (const Neighbour& one : found) sum += static_cast<int>(one.score);
    EXPECT_EQ(sum, 2 * (40 * 100 * round + 39 * 40 / 2));
  }
}

// Nodes have both models or the newest, whichever that is; models come and go under fused searches. A search finds every
// node that stays, or says that the model is gone.
TEST_F(SearchConcurrentTest, ModelsComeAndGoUnderSearchesAndWriters) {
  constexpr int kStay = 200, kRounds = 12;
  for (int i = 0; i < kStay; ++i) must(space().put(named("stays " + std::to_string(i)), Durability::Memory));
  std::atomic<bool> stop{false};
  std::atomic<unsigned> newest{0}, fused{0};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (int round = 0; round < kRounds; ++round) {
      const GenerationId id = must(space().add_generation({2, Metric::InnerProduct, "m"}));
      newest = id.value;
      const unsigned before = fused;
      for (int i = 0; i < 100 || (fused == before && i < 5'000); ++i) {
        Node node = named("comes " + std::to_string(i % 100), {0, 1, 0, 0});
        node.vectors.push_back({id, {1, static_cast<float>(i)}});
        must(space().put(std::move(node), Durability::Memory));
      }
      must(space().drop_generation(id));
    }
    stop = true;
  });
  threads.emplace_back([&] {  // writes what may be refused by then
    while (!stop) {
      Node node = named("late", {0, 0, 1, 0});
      node.vectors.push_back({GenerationId{static_cast<std::uint16_t>(newest.load())}, {1, 1}});
      const Status done = space().put(std::move(node), Durability::Memory).status();
      EXPECT_TRUE(done.ok() || done.code() == Code::InvalidArgument) << done.to_string();
    }
  });
  for (int searcher = 0; searcher < 2; ++searcher) {
    threads.emplace_back([&, searcher] {
      do {
        Query query;
        query.vector = {1, 0, 0, 0};
        query.k = kStay;
        if (searcher == 1) query.view = must(db_->read_view());
        if (newest != 0) query.also = {{GenerationId{static_cast<std::uint16_t>(newest.load())}, {1, 0}, 0.0001F}};
        const auto found = space().nearest(query);
        if (!found.ok()) {
          EXPECT_EQ(found.status().code(), Code::NotFound) << found.status().to_string();
          continue;
        }
        ++fused;
        EXPECT_EQ(found->size(), static_cast<std::size_t>(kStay));
        std::size_t there = 0;
        for (const Neighbour& one : *found) {
          const auto node = space().get(one.id);
          if (node.ok() && (**node).external_id().value_or("").starts_with("stays")) ++there;
        }
        EXPECT_EQ(there, static_cast<std::size_t>(kStay));
      } while (!stop);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(fused, 0U);
  expect_sound();
}

}  // namespace
}  // namespace mneme::test
