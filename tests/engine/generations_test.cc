// Embedding models of a space: one more, one less, what reads show of it, and what a kill leaves.

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <future>
#include <random>

#include "engine_test.h"
#include "mneme/base/limits.h"
#include "mneme/storage/failpoint.h"

namespace mneme::test {
namespace {

constexpr GenerationId kOld{0}, kNew{1};

class Generations : public EngineTest {
 protected:
  static constexpr std::uint32_t kNewDimension = 2;

  GenerationId add(std::uint32_t dimension = kNewDimension) const {
    return must(space().add_generation({dimension, Metric::InnerProduct, "new"}));
  }
  NodeId put_both(std::string name, float value = 1) const {
    Node node = named(std::move(name), {value, 0, 0, 0});
    node.vectors.push_back({kNew, {value, value}});
    return put(std::move(node));
  }
  NodeId put_new(std::string name, float value = 1) const {
    Node node = named(std::move(name), {});
    node.vectors.push_back({kNew, {value, value}});
    return put(std::move(node));
  }
  NodeId id(std::string_view name) const { return space().id_for_external(name); }
  static std::vector<unsigned> generations_of(const NodeView& node) {
    std::vector<unsigned> ids;
    for (std::size_t i = 0; i < node->vector_count(); ++i) ids.push_back(node->shape(i).generation.value);
    return ids;
  }
  std::vector<unsigned> generations_of(std::string_view name) const {
    return generations_of(must(space().get(id(name))));
  }
  std::vector<std::vector<unsigned>> scanned_generations(std::optional<ReadView> view = {}) const {
    std::vector<std::vector<unsigned>> all;
    must(space().scan({.filter = {}, .view = std::move(view)}, [&](const NodeView& node) {
      all.push_back(generations_of(node));
      return true;
    }));
    return all;
  }
  std::uint64_t vectors() const { return must(space().stats()).vectors; }
  static Query query(GenerationId generation) {
    Query query;
    query.generation = generation;
    query.vector.assign(generation == kOld ? kDimension : kNewDimension, 1);
    return query;
  }
  std::size_t found_by(GenerationId generation) const { return must(space().nearest(query(generation))).size(); }
  Code searched(GenerationId generation) const { return space().nearest(query(generation)).status().code(); }

  // Opens the database in a child, which does `work` and is killed, at the latest when it has done it. The store's
  // background threads do not survive the fork: `work` must not flush.
  template <class Work>
  void die_after(const Work& work) {
    db_.reset();
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      open();
      work();
      kill(getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
  }
};

using Ids = std::vector<unsigned>;

TEST_F(Generations, AddsAModelWhoseVectorsNodesHaveBesideOrInsteadOfTheFirst) {
  put(named("old"));
  EXPECT_EQ(add(), kNew);
  put_both("both");
  put_new("new");
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(generations_of("old"), Ids{0});
    EXPECT_EQ(generations_of("both"), (Ids{0, 1}));
    EXPECT_EQ(generations_of("new"), Ids{1});
    EXPECT_EQ(found_by(kOld), 2U);
    EXPECT_EQ(found_by(kNew), 2U);
    EXPECT_EQ(vectors(), 4U);
    const SpaceInfo info = must(space().info());
    ASSERT_EQ(info.generations.size(), 2U);
    EXPECT_EQ(info.generations[1].model, "new");
    EXPECT_EQ(info.generations[1].dimension, kNewDimension);
    expect_sound();
    reopen();
  }
}

TEST_F(Generations, GivesTheNewModelToASpaceWhoseIndexIsLoadedAlready) {
  put(named("old"));
  EXPECT_EQ(found_by(kOld), 1U);
  add();
  EXPECT_EQ(found_by(kNew), 0U);
  put_new("new");
  EXPECT_EQ(found_by(kNew), 1U);
}

TEST_F(Generations, RefusesAModelThatCannotBeAndOneTooMany) {
  EXPECT_EQ(space().add_generation({0, Metric::Cosine, "m"}).status().code(), Code::InvalidArgument);
  EXPECT_EQ(space().add_generation({limits::kDimensionsMax + 1, Metric::Cosine, "m"}).status().code(),
            Code::InvalidArgument);
  EXPECT_EQ(space().add_generation({2, Metric::Cosine, std::string(limits::kLabelBytesMax + 1, 'm')}).status().code(),
            Code::InvalidArgument);
  for (std::size_t i = 1; i < limits::kGenerationsPerSpaceMax; ++i) add();
  EXPECT_EQ(space().add_generation({2, Metric::Cosine, "m"}).status().code(), Code::FailedPrecondition);
  must(space().drop_generation(kNew));
  add();
}

TEST_F(Generations, DropsAModelFromEveryReadAtOnceWhereverTheNodesLie) {
  add();
  put_both("hot");
  put_both("warm");
  put_both("cold");
  put_new("bare");
  must(db_->flush());
  must(space().move(id("cold"), TierId::Cold));
  must(space().move(id("hot"), TierId::Hot));
  EXPECT_EQ(found_by(kNew), 4U);
  must(space().drop_generation(kNew));
  for (int round = 0; round < 2; ++round) {
    for (const char* name : {"hot", "warm", "cold"}) EXPECT_EQ(generations_of(name), Ids{0}) << name;
    EXPECT_EQ(generations_of("bare"), Ids{});
    EXPECT_EQ(content(id("bare")), "content of bare");
    EXPECT_EQ(scanned_generations(), (std::vector<Ids>{{0}, {0}, {0}, {}}));
    EXPECT_EQ(found_by(kOld), 3U);
    EXPECT_EQ(searched(kNew), Code::NotFound);
    EXPECT_EQ(vectors(), 3U);
    EXPECT_EQ(must(space().info()).generations.size(), 1U);
    expect_sound();
    reopen();
  }
}

TEST_F(Generations, DropsTheFirstModelLikeAnyOther) {
  add();
  put_both("a");
  put(named("b"));
  must(space().drop_generation(kOld));
  reopen();
  EXPECT_EQ(generations_of("a"), Ids{1});
  EXPECT_EQ(generations_of("b"), Ids{});
  EXPECT_EQ(searched(kOld), Code::NotFound);
  EXPECT_EQ(found_by(kNew), 1U);
  expect_sound();
}

TEST_F(Generations, LeavesTheDroppedModelOutOfAViewThatIsOlderToo) {
  add();
  put_both("a");
  const ReadView view = must(db_->read_view());
  Query then = query(kNew);
  then.view = view;
  EXPECT_EQ(must(space().nearest(then)).size(), 1U);
  must(space().drop_generation(kNew));
  EXPECT_EQ(space().nearest(then).status().code(), Code::NotFound);
  EXPECT_EQ(generations_of(must(space().get(id("a"), view))), Ids{0});
  EXPECT_EQ(scanned_generations(view), (std::vector<Ids>{{0}}));
  then = query(kOld);
  then.view = view;
  EXPECT_EQ(must(space().nearest(then)).size(), 1U);
}

TEST_F(Generations, KeepsWhatWritesAndMovesMakeOfANodeThatHadADroppedVector) {
  add();
  for (const char* name : {"moved", "put", "erased", "back"}) put_both(name);
  must(db_->flush());
  must(space().move(id("back"), TierId::Cold));
  must(space().drop_generation(kNew));
  must(space().move(id("moved"), TierId::Cold));
  must(space().move(id("back"), TierId::Warm));
  put(must(must(space().get(id("put"))).node()));  // what is read can be put again
  must(space().erase(id("erased")));
  reopen();
  for (const char* name : {"moved", "put", "back"}) EXPECT_EQ(generations_of(name), Ids{0}) << name;
  EXPECT_EQ(vectors(), 3U);
  expect_sound();
}

TEST_F(Generations, RefusesWritesThatStillBringAVectorOfTheDroppedModel) {
  add();
  Node node = named("late");
  node.vectors.push_back({kNew, {1, 1}});
  Batch before;
  must(before.put(space(), named("beside")));
  must(before.put(space(), node));
  must(space().drop_generation(kNew));
  const Status late = db_->write(before).status();
  EXPECT_EQ(late.code(), Code::InvalidArgument);
  EXPECT_NE(late.message().find("generation 1 of space agent was dropped"), std::string::npos) << late.message();
  EXPECT_EQ(space().put(node).status().code(), Code::InvalidArgument);
  const NodeRecordPtr record = NodeRecord::from_node([&] {
    node.id = id("late");
    return node;
  }());
  EXPECT_EQ(db_->bulk_insert(space(), std::span(&record, 1), {}).status().code(), Code::InvalidArgument);
  EXPECT_EQ(must(space().stats()).nodes, 0U);
}

TEST_F(Generations, KeepsTheLastModelOfASpace) {
  const Status only = space().drop_generation(kOld);
  EXPECT_EQ(only.code(), Code::FailedPrecondition);
  EXPECT_NE(only.message().find("the only one"), std::string::npos) << only.message();
  EXPECT_EQ(space().drop_generation(kNew).code(), Code::NotFound);
  add();
  must(space().drop_generation(kOld));
  EXPECT_EQ(space().drop_generation(kNew).code(), Code::FailedPrecondition);
  const Status again = space().drop_generation(kOld);
  EXPECT_EQ(again.code(), Code::NotFound);
  EXPECT_NE(again.message().find("was dropped"), std::string::npos) << again.message();
}

TEST_F(Generations, NeverUsesAnIdAgain) {
  EXPECT_EQ(add(), GenerationId{1});
  must(space().drop_generation(GenerationId{1}));
  EXPECT_EQ(add(), GenerationId{2});
  must(space().drop_generation(GenerationId{2}));
  reopen();
  EXPECT_EQ(add(), GenerationId{3});
  must(db_->stop_space("agent"));
  must(db_->start_space("agent"));
  reopen();
  EXPECT_EQ(add(), GenerationId{4});
}

TEST_F(Generations, LeavesAStoppedSpaceAsItIs) {
  add();
  must(db_->stop_space("agent"));
  EXPECT_EQ(space().add_generation({2, Metric::Cosine, "m"}).status().code(), Code::FailedPrecondition);
  EXPECT_EQ(space().drop_generation(kNew).code(), Code::FailedPrecondition);
}

TEST_F(Generations, DropsOnlyInTheSpaceThatWasNamed) {
  add();
  put_both("a");
  const Space other = must(db_->create_space("other"));
  must(other.add_generation({2, Metric::InnerProduct, "new"}));
  Node node = named("a");
  node.vectors.push_back({kNew, {1, 1}});
  const NodeId there = must(other.put(node));
  must(space().drop_generation(kNew));
  reopen();
  EXPECT_EQ(generations_of(must(must(db_->space("other")).get(there))), (Ids{0, 1}));
  EXPECT_EQ(must(must(db_->space("other")).nearest(query(kNew))).size(), 1U);
  expect_sound();
}

TEST_F(Generations, GivesBackTheMemoryOfTheIndexAtOnce) {
  add();
  for (int i = 0; i < 50; ++i) put_both(std::to_string(i));
  found_by(kOld);
  const std::uint64_t one = must(space().stats()).index_bytes;
  found_by(kNew);
  EXPECT_GT(must(space().stats()).index_bytes, one);
  must(space().drop_generation(kNew));
  EXPECT_EQ(must(space().stats()).index_bytes, one);
}

TEST_F(Generations, GivesBackTheRoomOnDiskInTheBackground) {
  if (!failpoint::enabled()) GTEST_SKIP() << "built without failpoints";
  constexpr std::uint32_t kWide = 4096;
  const GenerationId wide = add(kWide);
  std::mt19937 random(1);
  std::uniform_real_distribution<float> value(-1, 1);
  for (int i = 0; i < 200; ++i) {
    Node node = named(std::to_string(i));
    node.vectors.push_back({wide, std::vector<float>(kWide)});
    for (float& one : node.vectors.back().values) one = value(random);
    must(space().put(std::move(node), Durability::Memory));
  }
  must(db_->flush());
  const std::uint64_t full = db_->stats().store_bytes;
  EXPECT_GT(full, 3'000'000U);
  std::promise<void> reclaimed;
  failpoint::arm("generations.reclaimed", 1, [&] { reclaimed.set_value(); });
  std::optional<ReadView> view = must(db_->read_view());
  must(space().drop_generation(wide));
  must(db_->flush());
  EXPECT_EQ(failpoint::passes("generations.reclaimed"), 0U);  // not under a view that is older
  view.reset();
  ASSERT_EQ(reclaimed.get_future().wait_for(std::chrono::minutes(1)), std::future_status::ready);
  failpoint::disarm_all();
  EXPECT_LT(db_->stats().store_bytes, full / 4);
  expect_sound();
}

TEST_F(Generations, FindsADropAgainThatWasLoggedAndNotYetInTheStore) {
  add();
  for (int i = 0; i < 20; ++i) put_both(std::to_string(i));
  die_after([&] { must(space().drop_generation(kNew)); });
  options_.read_only = true;
  options_.create_if_missing = false;
  open();  // cannot apply: the store still has the vectors
  EXPECT_EQ(scanned_generations(), std::vector<Ids>(20, Ids{0}));
  EXPECT_EQ(generations_of("3"), Ids{0});
  EXPECT_EQ(searched(kNew), Code::NotFound);
  EXPECT_EQ(found_by(kOld), 10U);
  options_.read_only = false;
  reopen();
  EXPECT_EQ(scanned_generations(), std::vector<Ids>(20, Ids{0}));
  EXPECT_EQ(vectors(), 20U);
  EXPECT_EQ(add(), GenerationId{2});
  expect_sound();
}

TEST_F(Generations, ShowsReplayedNodesWithoutTheVectorsOfALaterDrop) {
  die_after([&] {
    add();
    for (int i = 0; i < 5; ++i) put_both(std::to_string(i));
    must(space().move(id("2"), TierId::Cold));
    must(space().drop_generation(kNew));
  });
  for (const bool read_only : {true, false}) {
    options_.read_only = read_only;
    options_.create_if_missing = false;
    reopen();
    EXPECT_EQ(scanned_generations(), std::vector<Ids>(5, Ids{0})) << read_only;
    for (int i = 0; i < 5; ++i) EXPECT_EQ(generations_of(std::to_string(i)), Ids{0}) << read_only << i;
    EXPECT_EQ(vectors(), 5U) << read_only;
  }
  expect_sound();
}

TEST_F(Generations, ADropIsWholeOrNotAtAllWhereverAKillMeetsIt) {
  if (!failpoint::enabled()) GTEST_SKIP() << "built without failpoints";
  add();
  for (int i = 0; i < 20; ++i) put_both(std::to_string(i));
  int dropped = 0;
  GenerationId next = kNew;
  for (const char* place : {"wal.before_write", "wal.after_write", "wal.after_sync", "store.applied"}) {
    SCOPED_TRACE(place);
    die_after([&] {
      failpoint::arm(place, 1, [] { kill(getpid(), SIGKILL); });
      must(space().drop_generation(next));
      must(db_->read_view());  // waits for the applier
    });
    open();
    const bool there = must(space().info()).generations.size() == 2;
    if (std::string_view(place) != "wal.before_write" && std::string_view(place) != "wal.after_write") {
      EXPECT_FALSE(there);
    }
    for (int i = 0; i < 20; ++i)
      EXPECT_EQ(generations_of(std::to_string(i)), there ? (Ids{0, next.value}) : Ids{0}) << i;
    EXPECT_EQ(vectors(), there ? 40U : 20U);
    expect_sound();
    if (there) continue;
    ++dropped;
    next = add();
    for (int i = 0; i < 20; ++i) {
      Node node = named(std::to_string(i));
      node.vectors.push_back({next, {1, 1}});
      put(std::move(node));
    }
  }
  EXPECT_GE(dropped, 2);
}

}  // namespace
}  // namespace mneme::test
