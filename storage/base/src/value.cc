#include "mneme/base/value.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "mneme/base/json.h"
#include "mneme/base/limits.h"
#include "number.h"
#include "quote.h"
#include "unique_keys.h"
#include "varint.h"

namespace mneme {

namespace {

std::uint64_t bits_of(double v) { return std::bit_cast<std::uint64_t>(v); }

std::size_t sized_bytes(std::size_t content) { return detail::varint_bytes(content) + content; }

// Writes containers front to back and their lengths last, into a byte kept free in front of the content. A
// length of 128 or more needs more bytes and moves the content; small containers, the usual case, stay put.
class Encoder {
 public:
  explicit Encoder(Bytes& out) : out_(out), writer_(out) {}

  void write(const Value& value) {
    if (value.is_null()) return kind(ValueKind::Null);
    if (const auto* v = value.get_if<bool>()) return kind(*v ? ValueKind::True : ValueKind::False);
    if (const auto* v = value.get_if<std::int64_t>()) {
      kind(ValueKind::Int);
      return writer_.varint(detail::zigzag(*v));
    }
    if (const auto* v = value.get_if<std::uint64_t>()) {
      kind(ValueKind::Uint);
      return writer_.varint(*v);
    }
    if (const auto* v = value.get_if<double>()) {
      kind(ValueKind::Double);
      return writer_.fixed(bits_of(*v));
    }
    if (const auto* v = value.get_if<BigNumber>()) {
      kind(ValueKind::Big);
      return writer_.sized(v->text);
    }
    if (const auto* v = value.get_if<std::string>()) {
      kind(ValueKind::Text);
      return writer_.sized(*v);
    }
    if (const auto* v = value.get_if<Value::Array>()) return container(ValueKind::Array, *v);
    if (const auto* v = value.get_if<Value::Object>()) return container(ValueKind::Object, *v);
  }

 private:
  void kind(ValueKind kind) { out_.push_back(static_cast<std::byte>(kind)); }

  void write(const Value::Member& member) {
    writer_.sized(member.first);
    write(member.second);
  }

  template <class Items>
  void container(ValueKind which, const Items& items) {
    kind(which);
    const std::size_t start = out_.size();
    out_.push_back(std::byte{0});
    writer_.varint(items.size());
    for (const auto& item : items) write(item);
    std::byte length[10];
    const std::size_t size = detail::write_varint(length, out_.size() - start - 1);
    out_[start] = length[0];
    out_.insert(out_.begin() + static_cast<std::ptrdiff_t>(start) + 1, length + 1, length + size);
  }

  Bytes& out_;
  ByteWriter writer_;
};

Status invalid(const std::string& what) { return Status(Code::InvalidArgument, "value: " + what); }

Status check(const Value& value, std::size_t depth);

Status check_text(std::string_view text) {
  return is_valid_utf8(text) ? ok_status() : invalid("text " + quoted(text) + " is not UTF-8");
}

Status check_object(const Value::Object& object, std::size_t depth) {
  std::vector<std::string_view> keys;
  keys.reserve(object.size());
  for (const auto& [key, member] : object) {
    MNEME_TRY(check_text(key));
    keys.push_back(key);
    MNEME_TRY(check(member, depth));
  }
  if (const auto twice = detail::repeated_key(keys)) return invalid("member " + quoted(*twice) + " appears twice");
  return ok_status();
}

Status check(const Value& value, std::size_t depth) {
  if (const auto* text = value.get_if<std::string>()) return check_text(*text);
  if (const auto* big = value.get_if<BigNumber>())
    return detail::is_big_number(big->text)
               ? ok_status()
               : invalid("big number " + quoted(big->text) + " is no number beyond 64 bits and double");
  const auto* array = value.get_if<Value::Array>();
  const auto* object = value.get_if<Value::Object>();
  if (array == nullptr && object == nullptr) return ok_status();
  if (depth == limits::kValueDepthMax)
    return invalid("nested deeper than " + std::to_string(limits::kValueDepthMax) + " arrays and objects");
  if (object != nullptr) return check_object(*object, depth + 1);
  for (const Value& element : *array) MNEME_TRY(check(element, depth + 1));
  return ok_status();
}

}  // namespace

Value::Value(std::uint64_t v) {
  if (v <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    data_ = static_cast<std::int64_t>(v);
  else
    data_ = v;
}

bool Value::is_number() const {
  return get_if<std::int64_t>() || get_if<std::uint64_t>() || get_if<double>() || get_if<BigNumber>();
}

const Value* Value::find(std::string_view key) const {
  const Object* object = get_if<Object>();
  if (object == nullptr) return nullptr;
  const auto at = std::find_if(object->begin(), object->end(), [&](const Member& m) { return m.first == key; });
  return at == object->end() ? nullptr : &at->second;
}

void Value::set(std::string_view key, Value value) {
  if (is_null()) data_ = Object{};
  Object* object = get_if<Object>();
  assert(object != nullptr);
  if (object == nullptr) return;
  const auto at = std::find_if(object->begin(), object->end(), [&](const Member& m) { return m.first == key; });
  if (at == object->end())
    object->emplace_back(std::string(key), std::move(value));
  else
    at->second = std::move(value);
}

bool operator==(const Value& a, const Value& b) {
  if (const double* x = a.get_if<double>(), *y = b.get_if<double>(); x && y) return bits_of(*x) == bits_of(*y);
  return a.data_ == b.data_;
}

void encode_value(const Value& value, Bytes& out) { Encoder(out).write(value); }

std::size_t encoded_value_bytes(const Value& value) {
  if (const auto* v = value.get_if<std::int64_t>()) return 1 + detail::varint_bytes(detail::zigzag(*v));
  if (const auto* v = value.get_if<std::uint64_t>()) return 1 + detail::varint_bytes(*v);
  if (value.get_if<double>()) return 9;
  if (const auto* v = value.get_if<BigNumber>()) return 1 + sized_bytes(v->text.size());
  if (const auto* v = value.get_if<std::string>()) return 1 + sized_bytes(v->size());
  std::size_t content = 0;
  if (const auto* v = value.get_if<Value::Array>()) {
    content = detail::varint_bytes(v->size());
    for (const Value& element : *v) content += encoded_value_bytes(element);
  } else if (const auto* members = value.get_if<Value::Object>()) {
    content = detail::varint_bytes(members->size());
    for (const auto& [key, member] : *members) content += sized_bytes(key.size()) + encoded_value_bytes(member);
  } else {
    return 1;  // null, false, true
  }
  return 1 + sized_bytes(content);
}

Status validate_value(const Value& value) {
  MNEME_TRY(check(value, 0));  // first, for it bounds the depth of every later walk
  if (const std::size_t bytes = encoded_value_bytes(value); bytes > limits::kValueBytesMax)
    return invalid(std::to_string(bytes) + " bytes encoded, above the limit of " +
                   std::to_string(limits::kValueBytesMax));
  return ok_status();
}

}  // namespace mneme
