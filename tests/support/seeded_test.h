// A fixture for tests with random data: the seed is printed, and MNEME_TEST_SEED repeats a run.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <string>

#include "mneme/base/clock.h"

namespace mneme::testing {

class SeededTest : public ::testing::Test {
 protected:
  SeededTest() : seed_(choose_seed()), random_(seeded_random(seed_)) {
    std::cout << "[   seed   ] MNEME_TEST_SEED=" << seed_ << '\n';
  }

  Random& random() { return *random_; }
  std::uint64_t below(std::uint64_t bound) { return random_->below(bound); }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

 private:
  static std::uint64_t choose_seed() {
    if (const char* given = std::getenv("MNEME_TEST_SEED")) return std::strtoull(given, nullptr, 10);
    return std::random_device{}();
  }

  std::uint64_t seed_;
  std::unique_ptr<Random> random_;
};

}  // namespace mneme::testing
