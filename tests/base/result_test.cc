#include "mneme/base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace mneme {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return Status(Code::InvalidArgument, std::to_string(number) + " is odd");
  return number / 2;
}

Result<int> quarter(int number) {
  MNEME_ASSIGN(const int first, half(number));
  MNEME_ASSIGN(const int second, half(first));
  return second;
}

Status check_even(int number) {
  MNEME_TRY(half(number).status());
  return ok_status();
}

TEST(Results, CarryTheValueOrTheReason) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).status().message(), "3 is odd");
  EXPECT_TRUE(quarter(8).status().ok());
  EXPECT_TRUE(check_even(2).ok());
  EXPECT_EQ(check_even(3).code(), Code::InvalidArgument);
}

TEST(Results, HoldValuesThatOnlyMove) {
  const auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(7); };
  const auto use = [&]() -> Result<int> {
    MNEME_ASSIGN(const std::unique_ptr<int> number, make());
    return *number;
  };
  EXPECT_EQ(use().value(), 7);
}

TEST(Statuses, PrintTheirCodeAndMessage) {
  EXPECT_EQ(Status().to_string(), "Ok");
  EXPECT_EQ(Status(Code::NoSpace, "wal 12: write").to_string(), "NoSpace: wal 12: write");
  EXPECT_EQ(Status(Code::Busy, "").to_string(), "Busy");
}

TEST(Statuses, TakeContextInFrontAndStayOkWhenOk) {
  EXPECT_TRUE(ok_status().with_context("open").ok());
  const Status failed = Status(Code::IoError, "read").with_context("wal 3");
  EXPECT_EQ(failed.code(), Code::IoError);
  EXPECT_EQ(failed.message(), "wal 3: read");
}

TEST(Statuses, NameEveryCodeDifferently) {
  std::string all;
  for (int code = 0; code <= static_cast<int>(Code::Internal); ++code) {
    const std::string name = "[" + std::string(name_of(static_cast<Code>(code))) + "]";
    EXPECT_EQ(all.find(name), std::string::npos) << name;
    EXPECT_NE(name, "[Unknown]") << code;
    all += name;
  }
}

}  // namespace
}  // namespace mneme
