// verify --deep of a database with a saved index, as a user runs it.

#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <random>

#include "cli_fixture.h"
#include "mneme/mneme.h"

namespace mneme::tools {
namespace {

class Verify : public CliTest {
 protected:
  /// "mind" with enough vectors that their index is saved.
  void make_saved_index() {
    make_mind("32");
    auto opened = Database::open(path("mind"), {});
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    Database& database = **opened;
    const auto space = database.space("notes");
    ASSERT_TRUE(space.ok());
    std::mt19937 random(7);
    std::vector<NodeRecordPtr> nodes;
    for (int i = 0; i < 9000; ++i) {
      Node node;
      node.external_id = std::to_string(i);
      node.id = space->id_for_external(*node.external_id);
      NodeVector vector{GenerationId{0}, std::vector<float>(32)};
      for (float& value : vector.values) value = std::normal_distribution<float>()(random);
      node.vectors.push_back(std::move(vector));
      nodes.push_back(NodeRecord::from_node(node));
    }
    ASSERT_TRUE(database.bulk_insert(*space, nodes, {}, {.ids_are_new = true}).ok());
    Query query;
    query.vector.assign(32, 0.5F);
    query.recall_target = 0.9F;
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock lock(mutex);
    for (int i = 0; i < 3000 && database.stats().indexes_saved == 0; ++i) {
      ASSERT_TRUE(space->nearest(query).ok());
      never.wait_for(lock, std::chrono::milliseconds(20));
    }
    ASSERT_EQ(database.stats().indexes_saved, 1U);
    ASSERT_TRUE(database.close().ok());
  }
  std::filesystem::path file(const std::string& kind) const {
    for (const auto& entry : std::filesystem::directory_iterator(path("mind/index")))
      if (entry.path().filename().string().find("." + kind) != std::string::npos) return entry.path();
    return {};
  }
};

TEST_F(Verify, CountsTheFilesOfIndexes) {
  make_saved_index();
  const Value report = object("verify", "mind", "--deep");
  EXPECT_EQ(member(report, "indexes"), "1");
  EXPECT_EQ(member(report, "index_files"), "5");
  EXPECT_EQ(member(report, "index_problem_count"), "0");
  EXPECT_EQ(member(object("verify", "mind"), "index_files"), "absent");
}

TEST_F(Verify, NamesADamagedIndexFileAndSaysThatNothingIsLost) {
  make_saved_index();
  const std::filesystem::path book = file("book");
  {
    std::fstream bytes(book, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(5000);
    bytes.put('\x5A');
  }
  const Ran ran = mneme("verify", "mind", "--deep", "--json");
  EXPECT_EQ(ran.exit_code, 4);
  const std::vector<Value> facts = objects_of(ran.out);
  ASSERT_EQ(facts.size(), 1U);
  EXPECT_EQ(member(facts[0], "problem_count"), "0");
  EXPECT_EQ(member(facts[0], "index_problem_count"), "1");
  EXPECT_NE(member(facts[0], "index_problems").find(book.filename().string()), std::string::npos);
  EXPECT_NE(error_member(ran, "message").find("section centroid"), std::string::npos) << ran.err;
  EXPECT_NE(error_member(ran, "hint").find("nothing is lost"), std::string::npos) << ran.err;
  EXPECT_EQ(mneme("verify", "mind").exit_code, 0);  // only --deep reads index files
}

}  // namespace
}  // namespace mneme::tools
