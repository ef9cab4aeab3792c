// A database in a temporary directory, with verbs.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "mneme/mneme.h"
#include "temp_directory.h"

namespace mneme::test {

template <class T>
T must(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.status().to_string());
  return std::move(result).value();
}
inline void must(const Status& status) {
  if (!status.ok()) throw std::runtime_error(status.to_string());
}

class EngineTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kDimension = 4;

  void SetUp() override {
    options_.create_if_missing = true;
    options_.default_dimension = kDimension;
    options_.default_metric = Metric::InnerProduct;
    open();
    must(db_->create_space("agent"));
  }
  void open() { db_ = must(Database::open(path(), options_)); }
  void reopen() {
    db_.reset();
    open();
  }
  std::filesystem::path path() const { return directory_ / "db"; }
  Space space(std::string_view name = "agent") const { return must(db_->space(name)); }

  static Node episode(std::string content, std::vector<float> vector = {1, 0, 0, 0}) {
    Node node;
    node.content = std::move(content);
    if (!vector.empty()) node.vectors.push_back({GenerationId{0}, std::move(vector)});
    return node;
  }
  static Node named(std::string name, std::vector<float> vector = {1, 0, 0, 0}) {
    Node node = episode("content of " + name, std::move(vector));
    node.external_id = std::move(name);
    return node;
  }
  NodeId put(Node node) const { return must(space().put(std::move(node))); }
  std::string content(const NodeId& id) const {
    const Result<NodeView> view = space().get(id);
    return view.ok() ? std::string((*view)->content().value_or("(none)")) : std::string(name_of(view.status().code()));
  }
  std::vector<std::string> found(std::vector<float> vector, std::size_t k = 10, Filter filter = {}) const {
    Query query;
    query.vector = std::move(vector);
    query.k = k;
    query.filter = std::move(filter);
    std::vector<std::string> contents;
    for (const SearchHit& hit : must(space().search(query)))
      contents.emplace_back(hit.node->content().value_or("(none)"));
    return contents;
  }
  std::vector<std::string> scanned(ScanQuery query = {}) const {
    std::vector<std::string> contents;
    must(space().scan(query, [&](const NodeView& view) {
      contents.emplace_back(view->content().value_or("(none)"));
      return true;
    }));
    return contents;
  }
  void expect_sound() const {
    const VerifyReport report = must(db_->verify(true));
    EXPECT_EQ(report.problem_count, 0U) << (report.problems.empty() ? "" : report.problems.front());
    EXPECT_EQ(report.index_problems, std::vector<std::string>());
  }

  TempDirectory directory_;
  DatabaseOptions options_;
  std::unique_ptr<Database> db_;
};

using Contents = std::vector<std::string>;

}  // namespace mneme::test
