// split_points: pieces of about equal bytes for keys of every shape.
#include "store_fixture.h"

#include <algorithm>

namespace mneme::storage {
namespace {

class SplitPoints : public StoreTest {
 protected:
  void SetUp() override {
    random.seed(test_seed());
    open();
  }

  /// Puts `content` into family 2; values keep their length in bytes on disk.
  void fill(const KeyValues& content) {
    WriteSet set;
    for (const auto& [key, value] : content) {
      set.put(2, key, as_bytes(value));
      if (set.bytes() > kMiB) ASSERT_OK(store->apply(set, {++lsn}));
    }
    ASSERT_OK(store->apply(set, {++lsn}));
  }

  std::string value(std::size_t bytes) {
    std::string text(bytes, '\0');
    for (char& byte : text) byte = static_cast<char>(random());
    return text;
  }

  std::vector<std::string> split(std::size_t n, std::string_view begin = {}, std::string_view end = {}) {
    auto points = store->split_points(2, begin, end, n);
    EXPECT_TRUE(points.ok()) << points.status().to_string();
    return points.ok() ? *points : std::vector<std::string>();
  }

  /// Bytes of each piece; checks that the points ascend strictly inside the range and leave no piece empty.
  static std::vector<std::uint64_t> pieces(const KeyValues& content, const std::vector<std::string>& points) {
    std::vector<std::uint64_t> bytes(points.size() + 1);
    for (std::size_t i = 1; i < points.size(); ++i) EXPECT_LT(points[i - 1], points[i]);
    for (const auto& [key, value] : content) {
      const auto piece = std::upper_bound(points.begin(), points.end(), key) - points.begin();
      bytes[static_cast<std::size_t>(piece)] += key.size() + value.size();
    }
    for (const std::uint64_t piece : bytes) EXPECT_GT(piece, 0u);
    return bytes;
  }

  static void expect_even(const KeyValues& content, const std::vector<std::string>& points, std::size_t n) {
    ASSERT_EQ(points.size(), n - 1);
    const std::vector<std::uint64_t> bytes = pieces(content, points);
    std::uint64_t total = 0;
    for (const std::uint64_t piece : bytes) total += piece;
    for (const std::uint64_t piece : bytes) {
      EXPECT_LT(piece, 3 * total / n);
      EXPECT_GT(piece, total / n / 3);
    }
  }

  KeyValues numbered(std::size_t count, const std::string& prefix, std::size_t bytes) {
    KeyValues content;
    for (std::uint64_t i = 0; i < count; ++i) {
      std::string key = prefix;
      append_be(key, i);
      content[key] = value(bytes);
    }
    return content;
  }

  std::mt19937_64 random;
  std::uint64_t lsn = 0;
};

TEST_F(SplitPoints, AreEvenForSequentialRowsOnDisk) {
  const KeyValues content = numbered(20'000, "\1\2", 400);
  fill(content);
  ASSERT_OK(store->flush());
  for (const std::size_t n : {2u, 3u, 8u, 64u}) expect_even(content, split(n), n);
}

TEST_F(SplitPoints, AreEvenInMemory) {
  const KeyValues content = numbered(6'000, "rows", 200);
  fill(content);
  for (const std::size_t n : {2u, 3u, 8u}) expect_even(content, split(n), n);
}

TEST_F(SplitPoints, AreEvenForRandomKeysBehindALongCommonPrefix) {
  KeyValues content;
  for (int i = 0; i < 20'000; ++i) content[std::string(300, 'c') + value(16)] = value(300);
  fill(content);
  ASSERT_OK(store->flush());
  ASSERT_OK(store->compact(2, "", ""));
  for (const std::size_t n : {2u, 5u, 16u}) expect_even(content, split(n), n);
}

TEST_F(SplitPoints, FindTheClusterBetweenFarOutliers) {
  KeyValues content = numbered(20'000, "m/cluster/deep/inside/", 300);
  content[std::string(1, '\0')] = "first";
  content[std::string(40, '\xff')] = "last";
  fill(content);
  ASSERT_OK(store->flush());
  expect_even(content, split(8), 8);
}

TEST_F(SplitPoints, WeighBytesNotKeys) {
  KeyValues content = numbered(10'000, "a", 40);
  content.merge(numbered(3'000, "b", 4'000));
  fill(content);
  ASSERT_OK(store->flush());
  ASSERT_OK(store->compact(2, "", ""));
  expect_even(content, split(8), 8);
}

TEST_F(SplitPoints, StayInsideTheRange) {
  const KeyValues content = numbered(20'000, "k", 300);
  fill(content);
  ASSERT_OK(store->flush());
  const auto begin = std::next(content.begin(), 5'000)->first, end = std::next(content.begin(), 15'000)->first;
  const KeyValues inside(content.lower_bound(begin), content.lower_bound(end));
  const std::vector<std::string> points = split(4, begin, end);
  expect_even(inside, points, 4);
  EXPECT_GT(points.front(), begin);
  EXPECT_LT(points.back(), end);
}

TEST_F(SplitPoints, OfFewKeysAreThoseKeys) {
  EXPECT_TRUE(split(8).empty());
  fill({{"a", "1"}});
  EXPECT_TRUE(split(8).empty());
  fill({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  EXPECT_EQ(split(8), (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(split(3), (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(split(2).size(), 1u);
  EXPECT_TRUE(split(1).empty());
  EXPECT_TRUE(split(8, "b", "b").empty());
  EXPECT_TRUE(split(8, "x", "z").empty());
}

TEST_F(SplitPoints, GiveOneHugeValueItsOwnPiece) {
  KeyValues content = numbered(100, "k", 10);
  content["l"] = value(8 * kMiB);
  fill(content);
  pieces(content, split(4));
  EXPECT_GE(split(4).size(), 1u);
}

TEST_F(SplitPoints, AscendForKeysThatArePrefixesOfOneAnother) {
  KeyValues content;
  for (std::size_t i = 0; i < 6'000; ++i) content[std::string(i % 900, '\0') + std::string(i / 900, 'x')] = value(1500);
  fill(content);
  for (int round = 0; round < 2; ++round) {
    for (const std::size_t n : {2u, 7u, 32u}) pieces(content, split(n));
    ASSERT_OK(store->flush());
  }
}

}  // namespace
}  // namespace mneme::storage
