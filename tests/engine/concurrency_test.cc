// Many threads on one database. What a reader may see at any moment is checked while writers run.

#include <atomic>
#include <random>
#include <thread>

#include "engine_test.h"

namespace mneme::test {
namespace {

class ConcurrencyTest : public EngineTest {
 protected:
  static void run(std::vector<std::function<void()>> bodies) {
    std::vector<std::thread> threads;
    for (auto& body : bodies) threads.emplace_back(std::move(body));
    for (std::thread& thread : threads) thread.join();
  }
};

TEST_F(ConcurrencyTest, ShowsEveryAcknowledgedWriteToGetAndSearchAtOnce) {
  constexpr int kWriters = 4, kEach = 60;
  std::vector<std::function<void()>> bodies;
  for (int writer = 0; writer < kWriters; ++writer) {
    bodies.emplace_back([this, writer] {
      for (int i = 0; i < kEach; ++i) {
        const std::string name = std::to_string(writer) + "-" + std::to_string(i);
        const float mark = static_cast<float>(1000 * (writer + 1) + i);
        const NodeId id = put(named(name, {mark, mark * mark, 0, 0}));
        EXPECT_EQ(content(id), "content of " + name);
        // Of all vectors (m, m²), this one alone maximises 2·m·x − y at its own mark.
        Query query;
        query.vector = {2 * mark, -1, 0, 0};
        query.k = 1;
        const auto hits = must(space().search(query));
        ASSERT_EQ(hits.size(), 1U);
        EXPECT_EQ(hits[0].node->content(), "content of " + name);
      }
    });
  }
  run(std::move(bodies));
  EXPECT_EQ(must(space().stats()).nodes, static_cast<std::uint64_t>(kWriters * kEach));
  expect_sound();
}

// Two accounts always hold 100 together; each batch moves some from one to the other.
TEST_F(ConcurrencyTest, NeverShowsHalfABatchThroughAViewOrASearch) {
  const auto account = [](const char* name, int amount) {
    Node node = named(name, {static_cast<float>(amount), 1, 0, 0});
    node.metadata = Value(Value::Object{{"amount", Value(amount)}});
    return node;
  };
  const NodeId a = put(account("a", 50)), b = put(account("b", 50));
  std::atomic<bool> stop{false};
  const auto amount = [](const NodeView& view) { return *view->metadata().find("amount")->integer(); };
  run({[&] {
         std::mt19937 random(1);
         for (int i = 0; i < 300; ++i) {
           const int part = static_cast<int>(random() % 101);
           Batch batch;
           must(batch.put(space(), account("a", part)));
           must(batch.put(space(), account("b", 100 - part)));
           must(db_->write(batch, Durability::Memory));
         }
         stop = true;
       },
       [&] {
         while (!stop) {
           const ReadView view = must(db_->read_view());
           EXPECT_EQ(amount(must(space().get(a, view))) + amount(must(space().get(b, view))), 100);
         }
       },
       [&] {
         while (!stop) {
           Query query;
           query.vector = {1, 0, 0, 0};
           float sum = 0;
           for (const SearchHit& hit : must(space().search(query))) sum += hit.score;
           EXPECT_EQ(sum, 100.0F);
         }
       }});
  expect_sound();
}

// Two commits that erased the two ends of a link each took it away: the count of links fell by two.
TEST_F(ConcurrencyTest, CountsALinkOnceWhenBothItsEndsAreErasedAtOnce) {
  for (int round = 0; round < 60; ++round) {
    const NodeId a = put(named("a")), b = put(named("b"));
    must(space().link({a, b}, Durability::Memory));
    std::atomic<int> ready{0};
    const auto erase = [&](const NodeId& node) {
      ++ready;
      while (ready < 2) {
      }
      must(space().erase(node, Durability::Memory));
    };
    run({[&] { erase(a); }, [&] { erase(b); }});
    ASSERT_EQ(must(space().stats()).links, 0U) << "round " << round;
  }
  expect_sound();
}

TEST_F(ConcurrencyTest, SurvivesWritesErasesLinksMovesScansAndFlushesAtOnce) {
  constexpr int kNames = 40;
  options_.hot_bytes_max = 16 * kKiB;  // evicts all the time
  reopen();
  std::atomic<int> writers{3};
  std::vector<std::function<void()>> bodies;
  for (unsigned writer = 0; writer < 3; ++writer) {
    bodies.emplace_back([this, writer, &writers] {
      std::mt19937 random(writer);
      const auto pick = [&] { return space().id_for_external(std::to_string(random() % kNames)); };
      for (int i = 0; i < 200; ++i) {
        switch (random() % 6) {
          case 0:
          case 1:
          case 2:
            must(space().put(named(std::to_string(random() % kNames)), Durability::Memory).status());
            break;
          case 3:
            must(space().erase(pick(), Durability::Memory));
            break;
          case 4: {
            const Status linked = space().link({pick(), pick()}, Durability::Memory);
            EXPECT_TRUE(linked.ok() || linked.code() == Code::NotFound) << linked.to_string();
            break;
          }
          default: {
            const Status moved = space().move(pick(), random() % 2 == 0 ? TierId::Cold : TierId::Warm);
            EXPECT_TRUE(moved.ok() || moved.code() == Code::NotFound) << moved.to_string();
          }
        }
      }
      --writers;
    });
  }
  bodies.emplace_back([this, &writers] {
    while (writers > 0) {
      scanned();
      found({1, 0, 0, 0});
      for (int i = 0; i < kNames; ++i) {
        const auto links = space().links(space().id_for_external(std::to_string(i)), LinkDirection::Both);
        EXPECT_TRUE(links.ok()) << links.status().to_string();
      }
    }
  });
  bodies.emplace_back([this, &writers] {
    while (writers > 0) must(db_->flush());
  });
  run(std::move(bodies));
  expect_sound();
  const auto before = must(space().stats());
  reopen();
  const auto after = must(space().stats());
  EXPECT_EQ(after.nodes, before.nodes);
  EXPECT_EQ(after.links, before.links);
  expect_sound();
}

TEST_F(ConcurrencyTest, DropsASpaceUnderItsWriters) {
  must(db_->create_space("doomed"));
  const Space doomed = space("doomed");
  std::atomic<bool> dropped{false};
  run({[&] {
         while (true) {
           const Status put = doomed.put(named("x"), Durability::Memory).status();
           if (put.ok()) continue;
           EXPECT_EQ(put.code(), Code::NotFound) << put.to_string();
           EXPECT_TRUE(dropped.load() || db_->space("doomed").status().code() == Code::NotFound);
           return;
         }
       },
       [&] {
         must(db_->drop_space("doomed"));
         dropped = true;
       }});
  EXPECT_EQ(must(db_->verify(true)).problem_count, 0U);
}

}  // namespace
}  // namespace mneme::test
