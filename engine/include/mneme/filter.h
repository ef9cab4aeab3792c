// Filter: one typed expression over a node's fields, evaluated inside a search or a scan.
//
// A field is named by a path:
//   kind id external_id key namespace content memory_type tags categories
//   user agent run app project actor
//   created_at updated_at last_verified deprecated_since expires_at valid_from valid_until occurred_at deleted_at
//   last_access formation_time            times, compared with RFC 3339 text
//   activation confidence importance decay_rate strength consolidation_score coherence access_count instance_count
//   version metadata.a.b                           a member of the metadata, nested by dots source.a.b a member of the
//   unknown source fields
//
// Values are typed. A comparison between types that do not compare is "no match", never an error: 10 < 9 is numeric,
// "10" < 9 matches nothing. `ne` and `nin` match only where the field exists; use not(...) for the complement. A field
// that holds an array (tags, a metadata array) matches `eq`, `in` and the comparisons when one element does, `ne` and
// `nin` when none does.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mneme/base/node_record.h"
#include "mneme/base/result.h"
#include "mneme/base/value.h"

namespace mneme {

enum class FilterOp : std::uint8_t {
  And,
  Or,
  Not,
  Eq,
  Ne,
  Gt,
  Gte,
  Lt,
  Lte,
  In,
  Nin,
  Contains,
  Exists,
  NamespacePrefix
};

/// A value; copies share their tree. An empty Filter matches everything.
class Filter {
 public:
  Filter() = default;

  static Filter all_of(std::vector<Filter> terms);                     ///< and
  static Filter any_of(std::vector<Filter> terms);                     ///< or
  static Filter negate(Filter term);                                   ///< not
  static Filter compare(std::string field, FilterOp op, Value value);  ///< Eq … Nin, Contains
  static Filter eq(std::string field, Value value) { return compare(std::move(field), FilterOp::Eq, std::move(value)); }
  static Filter exists(std::string field);
  static Filter kind(NodeKind kind);
  static Filter tag(std::string tag);  ///< one of its tags is `tag`
  static Filter namespace_prefix(std::vector<std::string> labels);

  /// The JSON form: {"metadata.pos": "n"}, {"metadata.year": {"gte": 1990, "lt": 2000}}, {"tags": {"in": ["a","b"]}},
  /// {"and": [..]}, {"or": [..]}, {"not": {..}}, {"content": {"contains": "tea"}}, {"metadata.x": {"exists": true}},
  /// {"namespace": {"prefix": ["a","b"]}} or {"namespace": {"prefix": "a/b"}}. Several members of one object are joined
  /// by and.
  /// @error InvalidArgument  unknown field or operator, a value of the wrong shape, beyond limits; says which
  static Result<Filter> parse(const Value& json);
  static Result<Filter> parse_json(std::string_view text);
  Value to_value() const;

  bool empty() const { return root_ == nullptr; }
  /// Field names, value shapes and sizes. @error InvalidArgument
  Status validate() const;

  /// Whether a stored node matches. Cost: about one walk over the node's fields per term. Threads: any.
  bool matches(const NodeRecord& record) const { return matches_body(record.body()); }
  bool matches_body(ByteView body) const;
  /// Whether it needs the node's content to decide.
  bool reads_content() const;
  /// Bytes that are equal exactly when two filters are the same expression: operators, fields, typed values and their
  /// order. To look things up by; not a format for disk, and not the same for all filters that match alike.
  std::string key() const;

  struct Term;

 private:
  Status check(std::size_t& count, std::size_t depth) const;
  void append_key(Bytes& key) const;
  explicit Filter(std::shared_ptr<const Term> root) : root_(std::move(root)) {}
  std::shared_ptr<const Term> root_;
};

}  // namespace mneme
