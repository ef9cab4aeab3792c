#include "mneme/base/value.h"

#include <cmath>
#include <limits>

#include "mneme/base/checksum.h"
#include "mneme/base/json.h"
#include "mneme/base/limits.h"
#include "random_data.h"
#include "seeded_test.h"

namespace mneme {
namespace {

class Values : public testing::SeededTest {
 protected:
  static Bytes encode(const Value& value) {
    Bytes out;
    encode_value(value, out);
    return out;
  }
  static Bytes bytes(std::initializer_list<int> values) {
    Bytes out;
    for (const int value : values) out.push_back(static_cast<std::byte>(value));
    return out;
  }
  static Value object(std::initializer_list<std::pair<const char*, Value>> members) {
    Value value{Value::Object{}};
    for (const auto& [key, member] : members) value.set(key, member);
    return value;
  }
  static Value nested(std::size_t depth) {
    Value value;
    for (; depth > 0; --depth) value = Value(Value::Array{std::move(value)});
    return value;
  }
};

constexpr std::uint64_t kUintMax = std::numeric_limits<std::uint64_t>::max();
constexpr std::int64_t kIntMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kIntMin = std::numeric_limits<std::int64_t>::min();

// The bytes were made by a separate program from the table in value.h. They are on disk.
TEST_F(Values, HaveTheBytesTheyHaveAlwaysHad) {
  const Value value = object({{"n", Value()},
                              {"b", Value(Value::Array{Value(true), Value(false)})},
                              {"i", Value(-2)},
                              {"u", Value(kUintMax)},
                              {"d", Value(-0.0)},
                              {"big", Value(BigNumber{"1e400"})},
                              {"t", Value("é")},
                              {"o", Value(Value::Object{})}});
  const Bytes encoded = encode(value);
  EXPECT_EQ(to_hex(encoded),
            "093d08016e000162080302020101690303017504ffffffffffffffffff010164050000000000000080036269670605316534"
            "303001740702c3a9016f090100");
  EXPECT_EQ(decode_value(encoded).value(), value);
}

TEST_F(Values, ComeBackFromTheirEncodingAndMeasureIt) {
  for (int i = 0; i < 20'000; ++i) {
    const Value value = testing::random_value(random());
    ASSERT_TRUE(validate_value(value).ok()) << to_json(value) << validate_value(value).to_string();
    const Bytes encoded = encode(value);
    ASSERT_EQ(encoded.size(), encoded_value_bytes(value));
    const auto decoded = decode_value(encoded);
    ASSERT_TRUE(decoded.ok()) << decoded.status().message();
    ASSERT_EQ(*decoded, value);
    ASSERT_EQ(encode(*decoded), encoded);
  }
}

TEST_F(Values, EncodeContainersWithLengthsOfMoreThanOneByte) {
  for (const std::size_t size : {0U, 1U, 120U, 126U, 127U, 128U, 16'380U, 16'384U, 70'000U}) {
    const Value value = object({{"a", Value(Value::Array{Value(std::string(size, 'x'))})}, {"b", Value(1)}});
    const Bytes encoded = encode(value);
    EXPECT_EQ(encoded.size(), encoded_value_bytes(value));
    EXPECT_EQ(decode_value(encoded).value(), value);
    EXPECT_EQ(ValueView(encoded).find("b")->integer(), 1);
  }
}

TEST_F(Values, AcceptDamagedBytesOnlyAsTheOneEncodingOfAnotherValue) {
  int accepted = 0;
  for (int i = 0; i < 100'000; ++i) {
    const Bytes bad = testing::damaged(random(), encode(testing::random_value(random(), 3)));
    const auto decoded = decode_value(bad);
    ASSERT_EQ(decoded.ok(), check_value(bad).ok());
    if (!decoded.ok()) {
      ASSERT_EQ(decoded.status().code(), Code::Corruption);
      continue;
    }
    ++accepted;
    ASSERT_EQ(encode(*decoded), bad);
  }
  EXPECT_GT(accepted, 0);
}

TEST_F(Values, RefuseEncodingsThatAreNotCanonical) {
  for (const Bytes& bad : {
           bytes({}),  // nothing
           bytes({10}),
           bytes({255}),            // unknown kinds
           bytes({0, 0}),           // something behind
           bytes({3, 0x80, 0x00}),  // a long varint
           bytes({4, 5}),           // an unsigned integer that int64 holds
           bytes({5, 0, 0, 0}),     // a short double
           bytes({6, 1, '7'}),
           bytes({6, 0}),                 // big numbers that are none
           bytes({6, 3, '-', '-', '1'}),  //
           bytes({7, 2, 'a'}),            // a short text
           bytes({7, 2, 0xc0, 0x80}),     // no UTF-8
           bytes({8, 0}),                 // an array without its count
           bytes({8, 2, 0, 0}),           // a length with something behind the elements
           bytes({8, 1, 1}),
           bytes({8, 2, 2, 0}),                                                  // counts without their elements
           bytes({8, 9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}),  // a count beyond the input
           bytes({8, 0xff, 0xff, 0xff, 0xff, 0x0f, 0}),                          // a length beyond the input
           bytes({8, 3, 1, 7, 1, 'a'}),                                          // an element beyond its array
           bytes({9, 7, 2, 1, 'a', 0, 1, 'a', 0}),                               // a key twice
           bytes({9, 4, 1, 1, 0xff, 0}),                                         // a key that is no UTF-8
           bytes({9, 3, 1, 1, 'a'}),                                             // a key without its value
       }) {
    const auto decoded = decode_value(bad);
    ASSERT_FALSE(decoded.ok()) << to_hex(bad);
    EXPECT_EQ(decoded.status().code(), Code::Corruption);
  }
}

TEST_F(Values, NestToTheLimitAndNoDeeper) {
  const Value deepest = nested(limits::kValueDepthMax);
  EXPECT_TRUE(validate_value(deepest).ok());
  EXPECT_EQ(decode_value(encode(deepest)).value(), deepest);
  const Value deeper = nested(limits::kValueDepthMax + 1);
  EXPECT_EQ(validate_value(deeper).code(), Code::InvalidArgument);
  EXPECT_FALSE(decode_value(encode(deeper)).ok());
}

TEST_F(Values, AreRefusedWithBadTextKeysNumbersOrSize) {
  EXPECT_FALSE(validate_value(Value("\xff")).ok());
  EXPECT_FALSE(validate_value(Value(Value::Object{{"\xff", Value()}})).ok());
  EXPECT_FALSE(validate_value(Value(Value::Object{{"a", Value()}, {"a", Value(1)}})).ok());
  for (const char* text : {"", "1", "-0", "1.5", "18446744073709551615", "abc", "1e400 ", "0x1p9999"})
    EXPECT_FALSE(validate_value(Value(BigNumber{text})).ok()) << text;
  for (const char* text : {"18446744073709551616", "-9223372036854775809", "1e400", "-1.5E+999999999999999999999"})
    EXPECT_TRUE(validate_value(Value(BigNumber{text})).ok()) << text;
  EXPECT_TRUE(validate_value(Value(std::string(limits::kValueBytesMax - 5, 'a'))).ok());
  EXPECT_FALSE(validate_value(Value(std::string(limits::kValueBytesMax - 4, 'a'))).ok());
}

TEST_F(Values, FindARepeatedKeyAmongMany) {
  Value::Object members;
  for (int i = 0; i < 100; ++i) members.emplace_back("key" + std::to_string(i), Value());
  EXPECT_TRUE(validate_value(Value(members)).ok());
  members.emplace_back("key" + std::to_string(below(100)), Value());
  EXPECT_FALSE(validate_value(Value(members)).ok());
  EXPECT_FALSE(decode_value(encode(Value(members))).ok());
}

TEST_F(Values, KeepUnsignedIntegersInOneForm) {
  EXPECT_EQ(Value(std::uint64_t{5}), Value(5));
  EXPECT_NE(Value(kUintMax).get_if<std::uint64_t>(), nullptr);
  EXPECT_NE(Value(static_cast<std::uint64_t>(kIntMax)).get_if<std::int64_t>(), nullptr);
}

TEST_F(Values, CompareDoublesByBits) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(Value(nan), Value(nan));
  EXPECT_FALSE(Value(0.0) == Value(-0.0));
  EXPECT_EQ(Value(Value::Array{Value(nan)}), Value(Value::Array{Value(nan)}));
  EXPECT_FALSE(Value(1) == Value(1.0));
}

TEST_F(Values, SetReplacesInPlaceAndMakesAnObjectOfNull) {
  Value value;
  value.set("a", Value(1));
  value.set("b", Value(2));
  value.set("a", Value(3));
  EXPECT_EQ(to_json(value), R"({"a":3,"b":2})");
  EXPECT_EQ(value.find("c"), nullptr);
  EXPECT_EQ(Value(1).find("a"), nullptr);
}

TEST_F(Values, AreReadInPlaceByAView) {
  const Bytes encoded = encode(object({{"skip", nested(3)},
                                       {"text", Value("hello")},
                                       {"yes", Value(true)},
                                       {"int", Value(kIntMin)},
                                       {"uint", Value(kUintMax)},
                                       {"real", Value(0.25)},
                                       {"big", Value(BigNumber{"-1e999"})},
                                       {"list", Value(Value::Array{Value(1), Value("two"), Value()})},
                                       {"null", Value()}}));
  const ValueView view(encoded);
  EXPECT_EQ(view.find("text")->text(), "hello");
  EXPECT_EQ(view.find("yes")->boolean(), true);
  EXPECT_EQ(view.find("int")->integer(), kIntMin);
  EXPECT_EQ(view.find("uint")->unsigned_integer(), kUintMax);
  EXPECT_EQ(view.find("real")->number(), 0.25);
  EXPECT_EQ(view.find("big")->number(), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(view.find("big")->big(), "-1e999");
  EXPECT_EQ(view.find("null")->kind(), ValueKind::Null);
  EXPECT_FALSE(view.find("absent").has_value());
  EXPECT_FALSE(view.find("text")->find("text").has_value());
  EXPECT_FALSE(view.find("text")->number().has_value());

  std::vector<ValueKind> kinds;
  view.find("list")->for_each_element([&](const ValueView& element) {
    kinds.push_back(element.kind());
    return kinds.size() < 2;
  });
  EXPECT_EQ(kinds, (std::vector{ValueKind::Int, ValueKind::Text}));
}

TEST_F(Values, ShowTheSameThroughAViewAsInTheTree) {
  for (int i = 0; i < 5000; ++i) {
    const Value value = testing::random_value(random());
    const Bytes encoded = encode(value);
    const auto* members = value.get_if<Value::Object>();
    if (members == nullptr) continue;
    for (const auto& [key, member] : *members) {
      const auto found = ValueView(encoded).find(key);
      ASSERT_TRUE(found.has_value());
      ASSERT_EQ(decode_value(found->bytes()).value(), member);
    }
  }
}

TEST_F(Values, NeverReadOutOfBoundsThroughAView) {
  for (int i = 0; i < 100'000; ++i) {
    const Bytes bad = testing::damaged(random(), encode(testing::random_value(random(), 3)));
    const ValueView view(bad);
    std::size_t seen = 0;
    const auto look = [&](const ValueView& v) {
      seen += v.text().value_or("").size() + v.big().value_or("").size();
      seen += v.number().has_value() + v.boolean().has_value();
      return true;
    };
    look(view);
    view.for_each_element(look);
    if (const auto member = view.find("a")) look(*member);
    ASSERT_LE(seen, 10 * bad.size() + 10);
  }
}

class Comparisons : public Values {
 protected:
  static std::string order(const Value& a, const Value& b) {
    const Bytes x = encode(a), y = encode(b);
    const auto forward = compare_scalars(ValueView(x), ValueView(y));
    const auto backward = compare_scalars(ValueView(y), ValueView(x));
    EXPECT_EQ(forward.has_value(), backward.has_value());
    if (!forward) return "none";
    EXPECT_TRUE((0 <=> *backward) == *forward) << to_json(a) << " and " << to_json(b);
    return *forward < 0 ? "<" : (*forward > 0 ? ">" : "=");
  }
};

TEST_F(Comparisons, AreExactAcrossIntegersAndDoubles) {
  constexpr double kTwo53 = 9007199254740992.0, kTwo63 = 0x1p63, kTwo64 = 0x1p64;
  EXPECT_EQ(order(Value(std::int64_t{9007199254740993}), Value(kTwo53)), ">");
  EXPECT_EQ(order(Value(std::int64_t{9007199254740992}), Value(kTwo53)), "=");
  EXPECT_EQ(order(Value(kIntMax), Value(kTwo63)), "<");
  EXPECT_EQ(order(Value(kIntMin), Value(-kTwo63)), "=");
  EXPECT_EQ(order(Value(kUintMax), Value(kTwo64)), "<");
  EXPECT_EQ(order(Value(std::uint64_t{1} << 63), Value(kTwo63)), "=");
  EXPECT_EQ(order(Value(kUintMax), Value(kIntMax)), ">");
  EXPECT_EQ(order(Value(kUintMax), Value(-1)), ">");
  EXPECT_EQ(order(Value(kUintMax), Value(-0.5)), ">");
  EXPECT_EQ(order(Value(1), Value(1.5)), "<");
  EXPECT_EQ(order(Value(-1), Value(-1.5)), ">");
  EXPECT_EQ(order(Value(0), Value(-0.0)), "=");
  EXPECT_EQ(order(Value(0.0), Value(-0.0)), "=");
  EXPECT_EQ(order(Value(0), Value(5e-324)), "<");
  EXPECT_EQ(order(Value(kIntMax), Value(std::numeric_limits<double>::infinity())), "<");
  EXPECT_EQ(order(Value(kIntMin), Value(-std::numeric_limits<double>::infinity())), ">");
}

TEST_F(Comparisons, AreExactForBigNumbers) {
  const auto big = [](const char* text) { return Value(BigNumber{text}); };
  EXPECT_EQ(order(big("18446744073709551616"), Value(kUintMax)), ">");
  EXPECT_EQ(order(big("18446744073709551616"), Value(0x1p64)), "=");
  EXPECT_EQ(order(big("18446744073709551617"), Value(0x1p64)), ">");
  EXPECT_EQ(order(big("-9223372036854775809"), Value(kIntMin)), "<");
  EXPECT_EQ(order(big("1e400"), Value(std::numeric_limits<double>::max())), ">");
  EXPECT_EQ(order(big("1e400"), Value(std::numeric_limits<double>::infinity())), "<");
  EXPECT_EQ(order(big("-1e400"), Value(-std::numeric_limits<double>::infinity())), ">");
  EXPECT_EQ(order(big("1e400"), big("10.0E+399")), "=");
  EXPECT_EQ(order(big("0.00123e403"), big("1.23e400")), "=");
  EXPECT_EQ(order(big("1.23e400"), big("1.2300000000000001e400")), "<");
  EXPECT_EQ(order(big("-1e400"), big("1e400")), "<");
  EXPECT_EQ(order(big("-1e401"), big("-1e400")), "<");
  EXPECT_EQ(order(big("1e400"), Value(0)), ">");
  EXPECT_EQ(order(big("1e99999999999999999999"), big("1e400")), "none");
}

TEST_F(Comparisons, LeaveNaNAndDifferentTypesWithoutAnOrder) {
  const Value nan(std::numeric_limits<double>::quiet_NaN());
  for (const Value& other : {Value(1), Value(1.0), Value(kUintMax), nan, Value(BigNumber{"1e400"}), Value("1")})
    EXPECT_EQ(order(nan, other), "none");
  EXPECT_EQ(order(Value("1"), Value(1)), "none");
  EXPECT_EQ(order(Value(true), Value(1)), "none");
  EXPECT_EQ(order(Value(), Value()), "none");
  EXPECT_EQ(order(Value(Value::Array{}), Value(Value::Array{})), "none");
}

TEST_F(Comparisons, OrderTextByBytesAndFalseBeforeTrue) {
  EXPECT_EQ(order(Value("a"), Value("b")), "<");
  EXPECT_EQ(order(Value("z"), Value("é")), "<");
  EXPECT_EQ(order(Value(""), Value("")), "=");
  EXPECT_EQ(order(Value("a"), Value("ab")), "<");
  EXPECT_EQ(order(Value(false), Value(true)), "<");
  EXPECT_EQ(order(Value(true), Value(true)), "=");
}

TEST_F(Comparisons, AgreeWithLongDoubleArithmetic) {
  static_assert(std::numeric_limits<long double>::digits >= 64, "long double holds every int64 and uint64 exactly");
  const auto any = [&]() -> Value {
    switch (below(3)) {
      case 0:
        return Value(static_cast<std::int64_t>(random().next() >> below(64)));
      case 1:
        return Value(random().next());
      default:
        return Value(std::ldexp(static_cast<double>(random().next() >> 11), static_cast<int>(below(24)) - 12));
    }
  };
  const auto exact = [](const Value& v) -> long double {
    if (const auto* i = v.get_if<std::int64_t>()) return static_cast<long double>(*i);
    if (const auto* u = v.get_if<std::uint64_t>()) return static_cast<long double>(*u);
    return static_cast<long double>(*v.get_if<double>());
  };
  for (int i = 0; i < 50'000; ++i) {
    const Value a = any();
    const Value b = one_in(3) ? Value(static_cast<double>(exact(a))) : any();
    const long double x = exact(a), y = exact(b);
    ASSERT_EQ(order(a, b), x < y ? "<" : (x > y ? ">" : "=")) << to_json(a) << " and " << to_json(b);
  }
}

}  // namespace
}  // namespace mneme
