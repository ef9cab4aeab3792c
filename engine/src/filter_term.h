// A filter's tree, compiled: fields resolved, operands encoded.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "mneme/base/node_codec.h"
#include "mneme/filter.h"

namespace mneme {

/// How a field's bytes are read.
enum class FieldShape : std::uint8_t { Id, Kind, MemoryType, Text, Labels, Namespace, Time, Real, Count, Tree };

struct FieldRef {
  NodeField number = NodeField::Id;
  FieldShape shape = FieldShape::Text;
  std::string path;  // Tree: members below, joined by dots
};

/// The field that a name means. @error InvalidArgument
Result<FieldRef> resolve_field(std::string_view name);

/// One scalar to compare: text and booleans in place, numbers as an encoded value.
struct Scalar {
  enum class Kind : std::uint8_t { None, Null, Text, Bool, Number };
  Kind kind = Kind::None;
  std::string_view text;
  bool boolean = false;
  ValueView number;
};

/// A scalar that owns its bytes.
class Operand {
 public:
  /// `shape` Time: RFC 3339 text becomes microseconds. @error InvalidArgument  an array, an object, no time
  static Result<Operand> make(const Value& value, FieldShape shape);
  Scalar scalar() const;

 private:
  Scalar::Kind kind_ = Scalar::Kind::None;
  std::string text_;
  bool boolean_ = false;
  Bytes number_;
};

struct Filter::Term {
  FilterOp op = FilterOp::And;
  std::vector<Filter> terms;  // And, Or, Not
  std::string name;           // the field as given
  FieldRef field;
  Value value;                      // as given
  std::vector<Operand> operands;    // one, or the list of In and Nin
  std::vector<std::string> labels;  // NamespacePrefix
  Status error;                     // why it cannot be used
};

}  // namespace mneme
