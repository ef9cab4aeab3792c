// What fuzz targets share: the input as bytes and text, and a check that ends the process in every build.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mneme/base/bytes.h"

/// Aborts, so that libFuzzer keeps the input, when `condition` does not hold.
#define MNEME_FUZZ_CHECK(condition)                                                       \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)

namespace mneme::fuzz {

inline ByteView bytes_of(const std::uint8_t* data, std::size_t size) { return std::as_bytes(std::span(data, size)); }
inline std::string_view text_of(const std::uint8_t* data, std::size_t size) { return as_text(bytes_of(data, size)); }

inline bool same(ByteView a, ByteView b) { return as_text(a) == as_text(b); }

}  // namespace mneme::fuzz
