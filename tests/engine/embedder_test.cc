#include "mneme/embedder.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mneme {
namespace {

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

TEST(HashEmbedding, HasTheAskedLengthAndUnitNorm) {
  const auto embedding = hash_embedding("The ferry leaves at nine.", 384);
  ASSERT_EQ(embedding.size(), 384U);
  EXPECT_NEAR(dot(embedding, embedding), 1.0, 1e-6);
}

TEST(HashEmbedding, IsTheSameEveryTimeAndOnEveryMachine) {
  EXPECT_EQ(hash_embedding("tea", 64), hash_embedding("tea", 64));
  // A change here makes stored vectors incomparable with new ones: it needs another embedder name.
  const auto golden = hash_embedding("tea", 8);
  std::vector<int> rounded;
  for (const float value : golden) rounded.push_back(static_cast<int>(std::lround(value * 1000)));
  EXPECT_EQ(rounded, (std::vector<int>{0, 283, -774, 0, 0, 0, 566, 0}));
}

TEST(HashEmbedding, IgnoresCaseAndPunctuation) {
  EXPECT_EQ(hash_embedding("Tea, or coffee?", 128), hash_embedding("tea or   COFFEE", 128));
}

TEST(HashEmbedding, PutsTextsThatShareWordsCloserThanThoseThatDoNot) {
  const auto question = hash_embedding("does ada drink tea or coffee", 384);
  EXPECT_GT(dot(question, hash_embedding("Ada prefers tea to coffee.", 384)),
            dot(question, hash_embedding("The ferry leaves at nine.", 384)) + 0.2);
  EXPECT_GT(dot(hash_embedding("swimming", 384), hash_embedding("swimmer", 384)), 0.2);
}

TEST(HashEmbedding, GivesTheZeroVectorForNothing) {
  for (const char* nothing : {"", " ", "?!.,"}) EXPECT_EQ(hash_embedding(nothing, 4), std::vector<float>(4, 0.0F));
  EXPECT_TRUE(hash_embedding("x", 0).empty());
}

TEST(HashEmbedding, TakesAnyBytes) {
  std::string bytes;
  for (int i = 0; i < 2000; ++i) bytes.push_back(static_cast<char>(i * 37));
  const auto embedding = hash_embedding(bytes, 16);
  for (const float value : embedding) EXPECT_TRUE(std::isfinite(value));
}

}  // namespace
}  // namespace mneme
