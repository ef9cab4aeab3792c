// Status and Result<T>: how every expected failure travels in Mneme.
#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace mneme {

/// What kind of failure a Status carries. The values are stable: the C API and exit codes use them.
enum class Code : std::uint8_t {
  Ok = 0,
  InvalidArgument = 1,      ///< the caller's input breaks a documented rule; nothing was changed
  NotFound = 2,             ///< no such node, space, file
  AlreadyExists = 3,        ///< a thing of that name or id is there
  Busy = 4,                 ///< another holder, or no room just now; the same call may succeed later
  NoSpace = 5,              ///< the disk is full; reads go on, writes succeed again when there is room
  IoError = 6,              ///< the operating system reported a failure
  Corruption = 7,           ///< bytes do not match their checksum or their format
  DataLoss = 8,             ///< acknowledged data is missing or damaged; an explicit override is needed
  VersionMismatch = 9,      ///< written by a release, or with a feature, that this one does not know
  Indeterminate = 10,       ///< the outcome is unknown (an fsync failed); reopen to find out
  FailedPrecondition = 11,  ///< the object is in a state that forbids the call (stopped, read-only)
  Unsupported = 12,         ///< a valid request this build cannot serve
  Cancelled = 13,           ///< stopped on request
  Mismatch = 14,            ///< a verification compared two things and they differ
  Internal = 15,            ///< a broken invariant of Mneme itself
};

/// The name of a code as it is printed, for example "NoSpace".
std::string_view name_of(Code code);

/// Success, or a Code with a message that says what was tried, where, and what was found.
/// Threads: a value; copy it freely. Cost of success: one null pointer.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message);

  bool ok() const { return code_ == Code::Ok; }
  explicit operator bool() const { return ok(); }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  /// "NoSpace: wal 12: write of 4096 bytes: No space left on device", or "Ok".
  std::string to_string() const;

  /// The same code with `what: ` before the message; success stays success.
  Status with_context(std::string_view what) const;

 private:
  Code code_ = Code::Ok;
  std::string message_;
};

inline Status ok_status() { return {}; }

/// A T, or the Status that says why there is none (never an ok Status).
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}        // NOLINT(google-explicit-constructor)
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) {  // NOLINT(google-explicit-constructor)
    assert(!std::get<1>(state_).ok());
  }
  Result(Code code, std::string message) : state_(std::in_place_index<1>, Status(code, std::move(message))) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    assert(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  /// The error, or an ok Status when there is a value.
  Status status() const { return ok() ? Status() : *std::get_if<1>(&state_); }

 private:
  std::variant<T, Status> state_;
};

#define MNEME_CONCAT_(a, b) a##b
#define MNEME_CONCAT(a, b) MNEME_CONCAT_(a, b)

/// Returns from the enclosing function when `expr` (a Status) is an error.
#define MNEME_TRY(expr) MNEME_TRY_(MNEME_CONCAT(mneme_status_, __COUNTER__), expr)
#define MNEME_TRY_(tmp, expr)                           \
  do {                                                  \
    if (::mneme::Status tmp = (expr); !tmp) return tmp; \
  } while (false)

/// Declares `lhs` from the value of `expr` (a Result), or returns its error.
#define MNEME_ASSIGN(lhs, expr) MNEME_ASSIGN_(MNEME_CONCAT(mneme_result_, __COUNTER__), lhs, expr)
#define MNEME_ASSIGN_(tmp, lhs, expr) \
  auto tmp = (expr);                  \
  if (!tmp) return tmp.status();      \
  lhs = std::move(tmp).value()

}  // namespace mneme
