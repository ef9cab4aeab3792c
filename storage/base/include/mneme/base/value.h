// Value: a JSON-like tree with typed numbers, its canonical encoding, and a view that reads the
// encoding without building the tree.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "mneme/base/bytes.h"
#include "mneme/base/result.h"

namespace mneme {

/// A number that neither int64, uint64 nor a finite double holds, kept as the text it came in.
struct BigNumber {
  std::string text;
  friend bool operator==(const BigNumber&, const BigNumber&) = default;
};

/// null, bool, int64, uint64 (only above int64's range), double, BigNumber, text, array, object.
/// Objects keep the order of their members; keys are unique. Text is valid UTF-8.
class Value {
 public:
  using Array = std::vector<Value>;
  using Member = std::pair<std::string, Value>;
  using Object = std::vector<Member>;

  Value() = default;
  Value(std::nullptr_t) {}                               // NOLINT(google-explicit-constructor)
  Value(bool v) : data_(v) {}                            // NOLINT(google-explicit-constructor)
  Value(int v) : data_(static_cast<std::int64_t>(v)) {}  // NOLINT(google-explicit-constructor)
  Value(std::int64_t v) : data_(v) {}                    // NOLINT(google-explicit-constructor)
  Value(std::uint64_t v);                                // NOLINT(google-explicit-constructor)
  Value(double v) : data_(v) {}                          // NOLINT(google-explicit-constructor)
  Value(BigNumber v) : data_(std::move(v)) {}            // NOLINT(google-explicit-constructor)
  Value(std::string v) : data_(std::move(v)) {}          // NOLINT(google-explicit-constructor)
  Value(std::string_view v) : data_(std::string(v)) {}   // NOLINT(google-explicit-constructor)
  Value(const char* v) : data_(std::string(v)) {}        // NOLINT(google-explicit-constructor)
  Value(Array v) : data_(std::move(v)) {}                // NOLINT(google-explicit-constructor)
  Value(Object v) : data_(std::move(v)) {}               // NOLINT(google-explicit-constructor)

  bool is_null() const { return std::holds_alternative<std::monostate>(data_); }
  template <class T>
  const T* get_if() const {
    return std::get_if<T>(&data_);
  }
  template <class T>
  T* get_if() {
    return std::get_if<T>(&data_);
  }
  bool is_number() const;
  bool is_object() const { return get_if<Object>() != nullptr; }

  /// The member of an object, or nullptr (also when this is no object).
  const Value* find(std::string_view key) const;
  /// Adds or replaces a member; makes an object of a null.
  void set(std::string_view key, Value value);

  /// Doubles compare by bits, so that NaN == NaN and 0.0 != -0.0.
  friend bool operator==(const Value& a, const Value& b);

 private:
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, BigNumber, std::string, Array, Object> data_;
};

/// Canonical encoding: one kind byte, then the payload. A value has exactly one encoding.
///
///   kind          payload
///   Null 0        -
///   False 1       -
///   True 2        -
///   Int 3         varint, zigzag of the int64
///   Uint 4        varint, above the largest int64
///   Double 5      8 bytes, little-endian, the bits as they are
///   Big 6         varint length, the number's text: a JSON number that becomes a BigNumber (json.h)
///   Text 7        varint length, UTF-8
///   Array 8       varint length, then length bytes: varint count, count values
///   Object 9      varint length, then length bytes: varint count, count × (varint length, key, value)
///
/// Varints are LEB128 in their shortest form. Lengths before arrays and objects let a reader skip them.
enum class ValueKind : std::uint8_t {  // values are on disk
  Null = 0,
  False = 1,
  True = 2,
  Int = 3,
  Uint = 4,
  Double = 5,
  Big = 6,
  Text = 7,
  Array = 8,
  Object = 9,
};
/// The value should be valid (validate_value): of an invalid one the encoding does not decode.
void encode_value(const Value& value, Bytes& out);
/// The size of that encoding.
std::size_t encoded_value_bytes(const Value& value);
/// @error Corruption  not a canonical encoding, or beyond limits (depth, size); memory stays in proportion
///                    to the input (a Value per encoded value)
Result<Value> decode_value(ByteView bytes);
/// The same check without building the tree.
Status check_value(ByteView encoded);

/// UTF-8, unique keys, numbers in their own kind, and limits::kValueDepthMax and kValueBytesMax.
/// @error InvalidArgument  says what was found
Status validate_value(const Value& value);

/// Reads an encoded value in place. Invalid bytes read as Null; it never reads out of bounds.
class ValueView {
 public:
  ValueView() = default;
  explicit ValueView(ByteView encoded) : bytes_(encoded) {}
  ValueKind kind() const;
  /// A member of an object by name; nullopt when absent, a Null view when it is null.
  std::optional<ValueView> find(std::string_view key) const;
  std::optional<double> number() const;                   ///< Int, Uint, Double, Big (nearest double)
  std::optional<std::int64_t> integer() const;            ///< Int only
  std::optional<std::uint64_t> unsigned_integer() const;  ///< Uint only
  std::optional<std::string_view> big() const;            ///< Big only: its text
  std::optional<std::string_view> text() const;
  std::optional<bool> boolean() const;
  /// Calls `visit(ValueView)` for each element of an array until it returns false.
  template <class Visit>
  void for_each_element(Visit&& visit) const;
  ByteView bytes() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }

 private:
  std::size_t element_count(std::size_t& cursor) const;
  /// The encoded element at `cursor`, which moves behind it; empty when the bytes are invalid.
  ByteView take(std::size_t& cursor) const;
  ByteView bytes_;
};

template <class Visit>
void ValueView::for_each_element(Visit&& visit) const {
  if (kind() != ValueKind::Array) return;
  std::size_t cursor = 1;
  for (std::size_t left = element_count(cursor); left > 0; --left) {
    const ByteView element = take(cursor);
    if (element.empty() || !visit(ValueView(element))) return;
  }
}

/// Compares two scalar values by type: numbers with numbers (exact, across Int, Uint, Double and Big; 0.0
/// equals -0.0), text with text (bytewise), bool with bool. nullopt when the types do not compare, for NaN,
/// and for a BigNumber whose exponent is beyond 10^15: that is "no match".
std::optional<std::strong_ordering> compare_scalars(const ValueView& a, const ValueView& b);

}  // namespace mneme
