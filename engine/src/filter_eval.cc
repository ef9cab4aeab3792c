// Filters: evaluation over an encoded body, in place.

#include <algorithm>
#include <bit>

#include "filter_term.h"
#include "mneme/base/time.h"

namespace mneme {
namespace {

std::partial_ordering compare(const Scalar& a, const Scalar& b) {
  if (a.kind != b.kind) return std::partial_ordering::unordered;
  switch (a.kind) {
    case Scalar::Kind::Text: {
      const int order = a.text.compare(b.text);
      return order < 0   ? std::partial_ordering::less
             : order > 0 ? std::partial_ordering::greater
                         : std::partial_ordering::equivalent;
    }
    case Scalar::Kind::Bool:
      return static_cast<int>(a.boolean) <=> static_cast<int>(b.boolean);
    case Scalar::Kind::Null:
      return std::partial_ordering::equivalent;
    case Scalar::Kind::Number:
      if (const auto order = compare_scalars(a.number, b.number)) return *order;
      break;
    case Scalar::Kind::None:
      break;
  }
  return std::partial_ordering::unordered;
}

bool holds(FilterOp op, const Scalar& field, const std::vector<Operand>& operands) {
  const auto equals_any = [&] {
    return std::any_of(operands.begin(), operands.end(),
                       [&](const Operand& one) { return compare(field, one.scalar()) == 0; });
  };
  switch (op) {
    case FilterOp::Eq:
    case FilterOp::In:
    case FilterOp::Ne:
    case FilterOp::Nin:
      return equals_any();  // the negation is taken over all of a field's values
    case FilterOp::Contains: {
      const Scalar wanted = operands.front().scalar();
      return field.kind == Scalar::Kind::Text && wanted.kind == Scalar::Kind::Text &&
             field.text.find(wanted.text) != std::string_view::npos;
    }
    default:
      break;
  }
  const std::partial_ordering order = compare(field, operands.front().scalar());
  switch (op) {
    case FilterOp::Gt:
      return order > 0;
    case FilterOp::Gte:
      return order >= 0;
    case FilterOp::Lt:
      return order < 0;
    case FilterOp::Lte:
      return order <= 0;
    default:
      return false;
  }
}

Scalar from_value(const ValueView& value) {
  Scalar scalar;
  switch (value.kind()) {
    case ValueKind::Null:
      scalar.kind = Scalar::Kind::Null;
      break;
    case ValueKind::False:
    case ValueKind::True:
      scalar.kind = Scalar::Kind::Bool;
      scalar.boolean = value.kind() == ValueKind::True;
      break;
    case ValueKind::Text:
      scalar.kind = Scalar::Kind::Text;
      scalar.text = value.text().value_or("");
      break;
    case ValueKind::Int:
    case ValueKind::Uint:
    case ValueKind::Double:
    case ValueKind::Big:
      scalar.kind = Scalar::Kind::Number;
      scalar.number = value;
      break;
    case ValueKind::Array:
    case ValueKind::Object:
      break;
  }
  return scalar;
}

Scalar from_text(std::string_view text) {
  Scalar scalar;
  scalar.kind = Scalar::Kind::Text;
  scalar.text = text;
  return scalar;
}

// The member below `path`; a name with dots in it is tried before it is split.
std::optional<ValueView> find_path(const ValueView& value, std::string_view path) {
  if (path.empty()) return value;
  if (value.kind() != ValueKind::Object) return std::nullopt;
  if (const auto whole = value.find(path)) return whole;
  for (std::size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.', dot + 1)) {
    const auto member = value.find(path.substr(0, dot));
    if (!member) continue;
    if (const auto found = find_path(*member, path.substr(dot + 1))) return found;
  }
  return std::nullopt;
}

// Moves `cursor` to the field; fields ascend.
bool seek(FieldCursor& cursor, NodeField number) {
  while (cursor.next()) {
    if (cursor.number() == static_cast<std::uint16_t>(number)) return true;
    if (cursor.number() > static_cast<std::uint16_t>(number)) return false;
  }
  return false;
}

// Calls `visit` for each value of the field until it returns true; nullopt when the field is absent.
template <class Visit>
std::optional<bool> any_value(const FieldRef& field, ByteView body, Visit&& visit) {
  FieldCursor cursor(body);
  if (!seek(cursor, field.number)) return std::nullopt;
  const auto number = [&](const Value& value) {
    Bytes encoded;
    encode_value(value, encoded);
    return visit(from_value(ValueView(encoded)));
  };
  switch (field.shape) {
    case FieldShape::Text:
      return visit(from_text(as_text(cursor.bytes())));
    case FieldShape::Id: {
      const Result<Uuid> id = uuid_from_bytes(cursor.bytes());
      return id.ok() && visit(from_text(id->to_string()));
    }
    case FieldShape::Kind:
      return visit(from_text(name_of(static_cast<NodeKind>(cursor.integer()))));
    case FieldShape::MemoryType:
      return visit(from_text(name_of(static_cast<MemoryType>(cursor.integer()))));
    case FieldShape::Time:
      return number(Value(static_cast<std::int64_t>(cursor.integer())));
    case FieldShape::Real:
      return number(Value(std::bit_cast<double>(cursor.integer())));
    case FieldShape::Count:
      return number(Value(cursor.integer()));
    case FieldShape::Labels: {
      bool found = false;
      for_each_label(cursor.bytes(), [&](std::string_view label) { return !(found = visit(from_text(label))); });
      return found;
    }
    case FieldShape::Namespace: {
      std::string joined;
      for_each_label(cursor.bytes(), [&](std::string_view label) {
        if (!joined.empty()) joined.push_back('/');
        joined.append(label);
        return true;
      });
      return visit(from_text(joined));
    }
    case FieldShape::Tree:
      break;
  }
  const auto value = find_path(ValueView(cursor.bytes()), field.path);
  if (!value) return std::nullopt;
  if (value->kind() != ValueKind::Array) return visit(from_value(*value));
  bool found = false;
  value->for_each_element([&](const ValueView& element) { return !(found = visit(from_value(element))); });
  return found;
}

bool is_list(const FieldRef& field, ByteView body) {
  FieldCursor cursor(body);
  if (!seek(cursor, field.number)) return false;
  const auto value = find_path(ValueView(cursor.bytes()), field.path);
  return value && value->kind() == ValueKind::Array;
}

bool has_prefix(const Filter::Term& term, ByteView body) {
  if (term.labels.empty()) return true;
  FieldCursor cursor(body);
  if (!seek(cursor, NodeField::NamespacePath)) return false;
  std::size_t matched = 0;
  for_each_label(cursor.bytes(), [&](std::string_view label) {
    if (matched == term.labels.size() || label != term.labels[matched]) return false;
    ++matched;
    return true;
  });
  return matched == term.labels.size();
}

}  // namespace

Result<Operand> Operand::make(const Value& value, FieldShape shape) {
  Operand operand;
  if (shape == FieldShape::Time) {
    const auto* text = value.get_if<std::string>();
    if (text == nullptr) return Status(Code::InvalidArgument, "filter: a time is compared with RFC 3339 text");
    MNEME_ASSIGN(const Timestamp time, parse_rfc3339(*text));
    operand.kind_ = Scalar::Kind::Number;
    encode_value(Value(static_cast<std::int64_t>(time.time_since_epoch().count())), operand.number_);
    return operand;
  }
  if (const auto* text = value.get_if<std::string>()) {
    operand.kind_ = Scalar::Kind::Text;
    operand.text_ = *text;
  } else if (const auto* boolean = value.get_if<bool>()) {
    operand.kind_ = Scalar::Kind::Bool;
    operand.boolean_ = *boolean;
  } else if (value.is_null()) {
    operand.kind_ = Scalar::Kind::Null;
  } else if (value.is_number()) {
    operand.kind_ = Scalar::Kind::Number;
    encode_value(value, operand.number_);
  } else {
    return Status(Code::InvalidArgument, "filter: text, a number, true, false or null is needed to compare with");
  }
  return operand;
}

Scalar Operand::scalar() const {
  Scalar scalar;
  scalar.kind = kind_;
  scalar.text = text_;
  scalar.boolean = boolean_;
  scalar.number = ValueView(number_);
  return scalar;
}

bool Filter::matches_body(ByteView body) const {
  if (empty()) return true;
  const Term& term = *root_;
  const auto child_matches = [&](const Filter& child) { return child.matches_body(body); };
  switch (term.op) {
    case FilterOp::And:
      return std::all_of(term.terms.begin(), term.terms.end(), child_matches);
    case FilterOp::Or:
      return std::any_of(term.terms.begin(), term.terms.end(), child_matches);
    case FilterOp::Not:
      return !term.terms.front().matches_body(body);
    case FilterOp::NamespacePrefix:
      return has_prefix(term, body);
    case FilterOp::Exists: {
      // An empty array is there, too.
      return any_value(term.field, body, [](const Scalar&) { return true; }).has_value();
    }
    default:
      break;
  }
  if (!term.error.ok()) return false;
  const bool negated = term.op == FilterOp::Ne || term.op == FilterOp::Nin;
  // `contains` on a list asks for an element, as eq does; on text for a part of it.
  const bool element_wise =
      term.op == FilterOp::Contains &&
      (term.field.shape == FieldShape::Labels || (term.field.shape == FieldShape::Tree && is_list(term.field, body)));
  const FilterOp op = element_wise ? FilterOp::Eq : term.op;
  const auto found = any_value(term.field, body, [&](const Scalar& value) { return holds(op, value, term.operands); });
  return found.has_value() && *found != negated;
}

}  // namespace mneme
