#include "mneme/migration/memory_json.h"

#include <charconv>
#include <cmath>

#include "memory_line.h"
#include "memory_members.h"
#include "mneme/base/json.h"

namespace mneme::migration {
namespace {

Status wanted(std::string_view what, std::string_view text) {
  return Status(Code::InvalidArgument, "wanted " + std::string(what) + ", found " + in_quotes(text));
}

Result<std::string> parse_text(std::string_view text) {
  if (!text.starts_with('"')) return wanted("a string", text);
  MNEME_ASSIGN(Value value, parse_json(text));
  return std::move(*value.get_if<std::string>());
}

/// A JSON number that a double holds without loss of what was written as an integer.
Result<double> parse_real(std::string_view text) {
  MNEME_ASSIGN(const Value value, parse_json(text));
  if (const auto* real = value.get_if<double>()) return *real;
  if (const auto* integer = value.get_if<std::int64_t>()) {
    const auto real = static_cast<double>(*integer);
    if (std::abs(real) < 0x1p63 && static_cast<std::int64_t>(real) == *integer) return real;
  }
  if (const auto* integer = value.get_if<std::uint64_t>()) {
    const auto real = static_cast<double>(*integer);
    if (real < 0x1p64 && static_cast<std::uint64_t>(real) == *integer) return real;
  }
  return wanted("a number that a double holds", text);
}

Result<double> parse_unit_real(std::string_view text) {
  MNEME_ASSIGN(const double real, parse_real(text));
  if (real < 0 || real > 1) return wanted("a number from 0 to 1", text);
  return real;
}

Result<double> parse_rate(std::string_view text) {
  MNEME_ASSIGN(const double real, parse_real(text));
  if (real < 0) return wanted("a number from 0", text);
  return real;
}

Result<std::uint64_t> parse_count(std::string_view text) {
  MNEME_ASSIGN(const Value value, parse_json(text));
  if (const auto* integer = value.get_if<std::int64_t>(); integer != nullptr && *integer >= 0)
    return static_cast<std::uint64_t>(*integer);
  if (const auto* integer = value.get_if<std::uint64_t>()) return *integer;
  if (const auto* real = value.get_if<double>())
    if (*real >= 0 && *real < 0x1p64 && std::trunc(*real) == *real) return static_cast<std::uint64_t>(*real);
  return wanted("an integer from 0 to 18446744073709551615", text);
}

Result<Timestamp> parse_time(std::string_view text) {
  if (!text.starts_with('"')) return wanted("an RFC 3339 time in a string", text);
  MNEME_ASSIGN(const std::string written, parse_text(text));
  return parse_rfc3339(written);
}

Result<std::vector<float>> parse_embedding(std::string_view text) {
  if (!text.starts_with('[')) return wanted("an array of numbers or null", text);
  return parse_json_floats(text);
}

/// What "mneme" of a line says: the vector of a built-in embedder and its name. Its other members are ours to drop.
struct OwnMember {
  std::optional<std::string> embedder;
  std::optional<std::vector<float>> embedding;
};

Result<OwnMember> parse_own(std::string_view text) {
  OwnMember own;
  if (!text.starts_with('{')) return wanted("an object: the name is kept for exports of Mneme", text);
  MNEME_ASSIGN(const std::vector<JsonMember> members, parse_json_members(text));
  for (const JsonMember& member : members) {
    if (member.name == "embedder") {
      auto embedder = parse_text(member.text);
      if (!embedder) return embedder.status().with_context("\"embedder\"");
      own.embedder = std::move(*embedder);
    } else if (member.name == "embedding") {
      auto embedding = parse_embedding(member.text);
      if (!embedding) return embedding.status().with_context("\"embedding\"");
      own.embedding = std::move(*embedding);
    }
  }
  return own;
}

class LineParser {
 public:
  Result<MemoryLine> parse(std::string_view line) {
    MNEME_ASSIGN(const std::vector<JsonMember> members, parse_json_members(line));
    for (const JsonMember& member : members)
      if (Status taken = take(member); !taken) return taken.with_context("member " + in_quotes(member.name));
    if (memory().id.empty()) return Status(Code::InvalidArgument, "member \"id\": wanted one, found none");
    MNEME_TRY(take_own_embedding());
    if (!unknown_.empty()) memory().unknown_members = Value(std::move(unknown_));
    MNEME_TRY(validate_memory(memory()));
    return std::move(line_);
  }

 private:
  Memory& memory() { return line_.memory; }

  Status take(const JsonMember& member) {
    const std::string_view name = member.name;
    Memory& m = memory();
    if (name == "id") return take_id(member.text);
    if (name == "embedding") return nullable(member, MemoryMember::Embedding, parse_embedding, m.embedding);
    if (name == "content") return nullable(member, MemoryMember::Content, parse_text, m.content);
    if (name == "activation") return nullable(member, MemoryMember::Activation, parse_unit_real, m.activation);
    if (name == "confidence") return nullable(member, MemoryMember::Confidence, parse_unit_real, m.confidence);
    if (name == "decay_rate") return nullable(member, MemoryMember::DecayRate, parse_rate, m.decay_rate);
    if (name == "access_count") return nullable(member, MemoryMember::AccessCount, parse_count, m.access_count);
    if (name == "created_at") return nullable(member, MemoryMember::CreatedAt, parse_time, m.created_at);
    if (name == "last_access") return nullable(member, MemoryMember::LastAccess, parse_time, m.last_access);
    if (name == kOwnMember) return take_own(member.text);
    MNEME_ASSIGN(Value value, parse_json(member.text));
    if (name == "metadata") {
      m.metadata = std::move(value);
    } else if (name == "embedding_provenance") {
      m.embedding_provenance = std::move(value);
    } else {
      unknown_.emplace_back(member.name, std::move(value));
    }
    return {};
  }

  Status take_id(std::string_view text) {
    MNEME_ASSIGN(memory().id, parse_text(text));
    return memory().id.empty() ? wanted("a string that is not empty", text) : Status();
  }

  Status take_own(std::string_view text) {
    MNEME_ASSIGN(own_, parse_own(text));
    return {};
  }

  template <class Parse, class T>
  Status nullable(const JsonMember& member, MemoryMember bit, Parse parse_value, std::optional<T>& into) {
    if (member.text == "null") {
      memory().null_members |= static_cast<std::uint32_t>(bit);
      return {};
    }
    MNEME_ASSIGN(into, parse_value(member.text));
    return {};
  }

  Status take_own_embedding() {
    if (own_.embedding && memory().embedding)
      return Status(Code::InvalidArgument, "an \"embedding\", and another one under \"mneme\"");
    if (own_.embedding && !own_.embedder)
      return Status(Code::InvalidArgument, "member \"mneme\": an \"embedding\" without its \"embedder\"");
    if (own_.embedding) {
      memory().embedding = std::move(own_.embedding);
      memory().embedder = std::move(own_.embedder);
    } else if (!memory().embedding) {
      line_.embedder_of_npy = std::move(own_.embedder);
    }
    return {};
  }

  MemoryLine line_;
  OwnMember own_;
  Value::Object unknown_;
};

/// Writes the members of one object.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }
  void close() { out_ += '}'; }

  /// Writes the name; the caller appends the value.
  std::string& member(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    append_json_string(name, out_);
    out_ += ':';
    return out_;
  }
  void null(std::string_view name) { member(name) += "null"; }

 private:
  std::string& out_;
  bool first_ = true;
};

void append_count(std::uint64_t count, std::string& out) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, count).ptr;
  out.append(digits, end);
}

void append_floats(std::span<const float> values, std::string& out) {
  out += '[';
  for (const float value : values) {
    append_json_float(value, out);
    out += ',';
  }
  if (values.empty()) {
    out += ']';
  } else {
    out.back() = ']';
  }
}

class LineWriter {
 public:
  LineWriter(const Memory& memory, EmbeddingIn embedding, std::string& out)
      : memory_(memory), embedding_(embedding), out_(out), object_(out) {}

  void write(const Value& extra) {
    append_json_string(memory_.id, object_.member("id"));
    nullable("content", MemoryMember::Content, memory_.content,
             [&](const std::string& v) { append_json_string(v, out_); });
    nullable("embedding", MemoryMember::Embedding, embedding_of_line(), [&](auto v) { append_floats(v, out_); });
    nullable("created_at", MemoryMember::CreatedAt, memory_.created_at, [&](Timestamp v) { time(v); });
    nullable("last_access", MemoryMember::LastAccess, memory_.last_access, [&](Timestamp v) { time(v); });
    if (memory_.metadata) append_json(*memory_.metadata, object_.member("metadata"));
    nullable("activation", MemoryMember::Activation, memory_.activation,
             [&](double v) { append_json_double(v, out_); });
    nullable("confidence", MemoryMember::Confidence, memory_.confidence,
             [&](double v) { append_json_double(v, out_); });
    nullable("access_count", MemoryMember::AccessCount, memory_.access_count,
             [&](std::uint64_t v) { append_count(v, out_); });
    nullable("decay_rate", MemoryMember::DecayRate, memory_.decay_rate, [&](double v) { append_json_double(v, out_); });
    if (memory_.embedding_provenance)
      append_json(*memory_.embedding_provenance, object_.member("embedding_provenance"));
    unknown_members();
    own_member(extra);
    object_.close();
  }

 private:
  std::optional<std::span<const float>> embedding_of_line() const {
    if (embedding_ == EmbeddingIn::Npy || !memory_.embedding || memory_.embedder) return std::nullopt;
    return std::span<const float>(*memory_.embedding);
  }

  /// What the source held as null is null again, whatever has been found out since.
  template <class T, class Append>
  void nullable(std::string_view name, MemoryMember bit, const std::optional<T>& value, Append append) {
    if (is_null(memory_.null_members, bit)) {
      object_.null(name);
    } else if (value) {
      object_.member(name);
      append(*value);
    }
  }

  void time(Timestamp time) { append_json_string(format_rfc3339(time), out_); }

  void unknown_members() {
    const auto* members = memory_.unknown_members ? memory_.unknown_members->get_if<Value::Object>() : nullptr;
    if (members == nullptr) return;
    for (const auto& [name, value] : *members) append_json(value, object_.member(name));
  }

  void own_member(const Value& extra) {
    const auto* members = extra.get_if<Value::Object>();
    const bool has_extra = members != nullptr && !members->empty();
    if (!memory_.embedder && !has_extra) return;
    ObjectWriter own(object_.member(kOwnMember));
    if (memory_.embedder) {
      append_json_string(*memory_.embedder, own.member("embedder"));
      if (memory_.embedding && embedding_ == EmbeddingIn::Line)
        append_floats(*memory_.embedding, own.member("embedding"));
    }
    if (has_extra)
      for (const auto& [name, value] : *members) append_json(value, own.member(name));
    own.close();
  }

  const Memory& memory_;
  const EmbeddingIn embedding_;
  std::string& out_;
  ObjectWriter object_;
};

}  // namespace

Result<MemoryLine> parse_memory_line(std::string_view line) { return LineParser().parse(line); }

Result<Memory> memory_from_json(std::string_view line) {
  MNEME_ASSIGN(MemoryLine parsed, parse_memory_line(line));
  return std::move(parsed.memory);
}

void append_memory_line(const Memory& memory, EmbeddingIn embedding, const Value& extra, std::string& out) {
  LineWriter(memory, embedding, out).write(extra);
}

void append_memory_json(const Memory& memory, const Value& extra, std::string& out) {
  append_memory_line(memory, EmbeddingIn::Line, extra, out);
}

}  // namespace mneme::migration
