// Filters: building, parsing, printing.

#include "mneme/filter.h"

#include <algorithm>

#include "filter_term.h"
#include "mneme/base/json.h"
#include "mneme/base/limits.h"

namespace mneme {
namespace {

struct FieldName {
  std::string_view name;
  NodeField number;
  FieldShape shape;
};

constexpr FieldName kFields[] = {
    {"id", NodeField::Id, FieldShape::Id},
    {"kind", NodeField::Kind, FieldShape::Kind},
    {"namespace", NodeField::NamespacePath, FieldShape::Namespace},
    {"key", NodeField::Key, FieldShape::Text},
    {"version", NodeField::Version, FieldShape::Count},
    {"external_system", NodeField::ExternalSystem, FieldShape::Text},
    {"external_id", NodeField::ExternalId, FieldShape::Text},
    {"user", NodeField::ScopeUser, FieldShape::Text},
    {"agent", NodeField::ScopeAgent, FieldShape::Text},
    {"run", NodeField::ScopeRun, FieldShape::Text},
    {"app", NodeField::ScopeApp, FieldShape::Text},
    {"project", NodeField::ScopeProject, FieldShape::Text},
    {"actor", NodeField::ScopeActor, FieldShape::Text},
    {"content", NodeField::Content, FieldShape::Text},
    {"memory_type", NodeField::MemoryType, FieldShape::MemoryType},
    {"tags", NodeField::Tags, FieldShape::Labels},
    {"categories", NodeField::Categories, FieldShape::Labels},
    {"created_at", NodeField::CreatedAt, FieldShape::Time},
    {"updated_at", NodeField::UpdatedAt, FieldShape::Time},
    {"last_verified", NodeField::LastVerified, FieldShape::Time},
    {"deprecated_since", NodeField::DeprecatedSince, FieldShape::Time},
    {"expires_at", NodeField::ExpiresAt, FieldShape::Time},
    {"valid_from", NodeField::ValidFrom, FieldShape::Time},
    {"valid_until", NodeField::ValidUntil, FieldShape::Time},
    {"occurred_at", NodeField::OccurredAt, FieldShape::Time},
    {"deleted_at", NodeField::DeletedAt, FieldShape::Time},
    {"last_access", NodeField::LastAccess, FieldShape::Time},
    {"formation_time", NodeField::FormationTime, FieldShape::Time},
    {"activation", NodeField::Activation, FieldShape::Real},
    {"confidence", NodeField::Confidence, FieldShape::Real},
    {"importance", NodeField::Importance, FieldShape::Real},
    {"decay_rate", NodeField::DecayRate, FieldShape::Real},
    {"strength", NodeField::Strength, FieldShape::Real},
    {"consolidation_score", NodeField::ConsolidationScore, FieldShape::Real},
    {"coherence", NodeField::Coherence, FieldShape::Real},
    {"access_count", NodeField::AccessCount, FieldShape::Count},
    {"instance_count", NodeField::InstanceCount, FieldShape::Count},
};

struct OpName {
  std::string_view name;
  FilterOp op;
};
constexpr OpName kOps[] = {{"eq", FilterOp::Eq},   {"ne", FilterOp::Ne},   {"gt", FilterOp::Gt},
                           {"gte", FilterOp::Gte}, {"lt", FilterOp::Lt},   {"lte", FilterOp::Lte},
                           {"in", FilterOp::In},   {"nin", FilterOp::Nin}, {"contains", FilterOp::Contains}};

Status invalid(std::string message) { return {Code::InvalidArgument, "filter: " + std::move(message)}; }

Result<std::vector<std::string>> namespace_labels(const Value& value) {
  std::vector<std::string> labels;
  if (const auto* text = value.get_if<std::string>()) {
    for (std::size_t begin = 0; begin <= text->size() && !text->empty();) {
      const std::size_t end = std::min(text->find('/', begin), text->size());
      labels.push_back(text->substr(begin, end - begin));
      begin = end + 1;
    }
    return labels;
  }
  const auto* list = value.get_if<Value::Array>();
  if (list == nullptr) return invalid("namespace prefix: a list of labels or text with slashes is needed");
  for (const Value& label : *list) {
    const auto* text = label.get_if<std::string>();
    if (text == nullptr) return invalid("namespace prefix: a label is no text");
    labels.push_back(*text);
  }
  return labels;
}

Result<std::vector<Filter>> parse_list(const Value& json, std::string_view op) {
  const auto* list = json.get_if<Value::Array>();
  if (list == nullptr) return invalid("\"" + std::string(op) + "\": a list of filters is needed");
  std::vector<Filter> terms;
  for (const Value& term : *list) {
    MNEME_ASSIGN(Filter parsed, Filter::parse(term));
    terms.push_back(std::move(parsed));
  }
  return terms;
}

// {"gte": 1, "lt": 5} of one field.
Status parse_operators(const std::string& field, const Value::Object& operators, std::vector<Filter>& terms) {
  for (const auto& [name, operand] : operators) {
    if (name == "exists") {
      const auto* wanted = operand.get_if<bool>();
      if (wanted == nullptr) return invalid(field + ": \"exists\" takes true or false");
      terms.push_back(*wanted ? Filter::exists(field) : Filter::negate(Filter::exists(field)));
      continue;
    }
    if (name == "prefix" && field == "namespace") {
      MNEME_ASSIGN(std::vector<std::string> labels, namespace_labels(operand));
      terms.push_back(Filter::namespace_prefix(std::move(labels)));
      continue;
    }
    const auto* op = std::find_if(std::begin(kOps), std::end(kOps),
                                  [&wanted = name](const OpName& one) { return one.name == wanted; });
    if (op == std::end(kOps)) return invalid(field + ": no operator \"" + name + "\"");
    terms.push_back(Filter::compare(field, op->op, operand));
  }
  return {};
}

}  // namespace

Result<FieldRef> resolve_field(std::string_view name) {
  for (const FieldName& field : kFields)
    if (field.name == name) return FieldRef{field.number, field.shape, {}};
  if (name == "metadata") return FieldRef{NodeField::Metadata, FieldShape::Tree, {}};
  if (name.starts_with("metadata."))
    return FieldRef{NodeField::Metadata, FieldShape::Tree, std::string(name.substr(9))};
  if (name.starts_with("source."))
    return FieldRef{NodeField::SourceFields, FieldShape::Tree, std::string(name.substr(7))};
  return invalid("no field \"" + std::string(name) + "\"");
}

Filter Filter::all_of(std::vector<Filter> terms) {
  auto term = std::make_shared<Term>();
  term->op = FilterOp::And;
  term->terms = std::move(terms);
  return Filter(std::move(term));
}

Filter Filter::any_of(std::vector<Filter> terms) {
  auto term = std::make_shared<Term>();
  term->op = FilterOp::Or;
  term->terms = std::move(terms);
  return Filter(std::move(term));
}

Filter Filter::negate(Filter negated) {
  auto term = std::make_shared<Term>();
  term->op = FilterOp::Not;
  term->terms.push_back(std::move(negated));
  return Filter(std::move(term));
}

Filter Filter::compare(std::string field, FilterOp op, Value value) {
  auto term = std::make_shared<Term>();
  term->op = op;
  term->name = std::move(field);
  term->value = std::move(value);
  const auto fill = [&]() -> Status {
    if (op < FilterOp::Eq || op > FilterOp::Contains) return invalid(term->name + ": not a comparison");
    MNEME_ASSIGN(term->field, resolve_field(term->name));
    if (op != FilterOp::In && op != FilterOp::Nin) {
      MNEME_ASSIGN(Operand operand, Operand::make(term->value, term->field.shape));
      term->operands.push_back(std::move(operand));
      return {};
    }
    const auto* list = term->value.get_if<Value::Array>();
    if (list == nullptr) return invalid(term->name + ": in and nin take a list");
    for (const Value& one : *list) {
      MNEME_ASSIGN(Operand operand, Operand::make(one, term->field.shape));
      term->operands.push_back(std::move(operand));
    }
    return {};
  };
  term->error = fill();
  return Filter(std::move(term));
}

Filter Filter::exists(std::string field) {
  auto term = std::make_shared<Term>();
  term->op = FilterOp::Exists;
  term->name = std::move(field);
  Result<FieldRef> resolved = resolve_field(term->name);
  if (resolved)
    term->field = std::move(*resolved);
  else
    term->error = resolved.status();
  return Filter(std::move(term));
}

Filter Filter::kind(NodeKind kind) { return eq("kind", Value(name_of(kind))); }
Filter Filter::tag(std::string tag) { return eq("tags", Value(std::move(tag))); }

Filter Filter::namespace_prefix(std::vector<std::string> labels) {
  auto term = std::make_shared<Term>();
  term->op = FilterOp::NamespacePrefix;
  term->name = "namespace";
  term->field = {NodeField::NamespacePath, FieldShape::Namespace, {}};
  term->labels = std::move(labels);
  return Filter(std::move(term));
}

Result<Filter> Filter::parse_json(std::string_view text) {
  Result<Value> json = mneme::parse_json(text);
  if (!json) return json.status().with_context("filter");
  return parse(*json);
}

Result<Filter> Filter::parse(const Value& json) {
  const auto* object = json.get_if<Value::Object>();
  if (object == nullptr) return invalid("an object is needed");
  std::vector<Filter> terms;
  for (const auto& [name, value] : *object) {
    if (name == "and" || name == "or") {
      MNEME_ASSIGN(std::vector<Filter> list, parse_list(value, name));
      terms.push_back(name == "and" ? all_of(std::move(list)) : any_of(std::move(list)));
    } else if (name == "not") {
      MNEME_ASSIGN(Filter negated, parse(value));
      terms.push_back(negate(std::move(negated)));
    } else if (const auto* operators = value.get_if<Value::Object>()) {
      MNEME_TRY(parse_operators(name, *operators, terms));
    } else if (value.get_if<Value::Array>() != nullptr) {
      terms.push_back(compare(name, FilterOp::In, value));
    } else {
      terms.push_back(eq(name, value));
    }
  }
  Filter filter = terms.empty() ? Filter() : terms.size() == 1 ? std::move(terms.front()) : all_of(std::move(terms));
  MNEME_TRY(filter.validate());
  return filter;
}

Value Filter::to_value() const {
  Value json{Value::Object{}};
  if (empty()) return json;
  const auto list = [&] {
    Value::Array all;
    for (const Filter& term : root_->terms) all.push_back(term.to_value());
    return all;
  };
  switch (root_->op) {
    case FilterOp::And:
      json.set("and", list());
      break;
    case FilterOp::Or:
      json.set("or", list());
      break;
    case FilterOp::Not:
      json.set("not", root_->terms.front().to_value());
      break;
    case FilterOp::Exists:
      json.set(root_->name, Value::Object{{"exists", Value(true)}});
      break;
    case FilterOp::NamespacePrefix: {
      Value::Array labels(root_->labels.begin(), root_->labels.end());
      json.set("namespace", Value::Object{{"prefix", Value(std::move(labels))}});
      break;
    }
    default:
      for (const OpName& one : kOps)
        if (one.op == root_->op) json.set(root_->name, Value::Object{{std::string(one.name), root_->value}});
  }
  return json;
}

Status Filter::validate() const {
  std::size_t count = 0;
  return check(count, 0);
}

Status Filter::check(std::size_t& count, std::size_t depth) const {
  if (empty()) return {};
  count += 1 + root_->operands.size();
  if (count > limits::kFilterNodesMax || depth > limits::kValueDepthMax)
    return invalid("more than " + std::to_string(limits::kFilterNodesMax) + " terms, or nested deeper than " +
                   std::to_string(limits::kValueDepthMax));
  MNEME_TRY(root_->error);
  for (const Filter& child : root_->terms) MNEME_TRY(child.check(count, depth + 1));
  return {};
}

std::string Filter::key() const {
  Bytes key;
  append_key(key);
  return std::string(as_text(key));
}

// Each term is its operator, then what that operator has, every part with its length or count before it: a key can be
// read in one way only, so two different trees never share one.
void Filter::append_key(Bytes& key) const {
  constexpr std::uint8_t kEmpty = 0xff;
  ByteWriter out(key);
  if (empty()) return out.fixed(kEmpty);
  out.fixed(static_cast<std::uint8_t>(root_->op));
  switch (root_->op) {
    case FilterOp::And:
    case FilterOp::Or:
    case FilterOp::Not:
      out.varint(root_->terms.size());
      for (const Filter& term : root_->terms) term.append_key(key);
      return;
    case FilterOp::NamespacePrefix:
      out.varint(root_->labels.size());
      for (const std::string& label : root_->labels) out.sized(label);
      return;
    default:
      break;
  }
  out.sized(root_->name);
  if (root_->op == FilterOp::Exists) return;
  Bytes value;
  encode_value(root_->value, value);
  out.sized(value);
}

bool Filter::reads_content() const {
  if (empty()) return false;
  if (root_->terms.empty()) return root_->name == "content";
  return std::any_of(root_->terms.begin(), root_->terms.end(), [](const Filter& term) { return term.reads_content(); });
}

}  // namespace mneme
