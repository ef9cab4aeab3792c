// Whether an exported line says what the imported one said: by parsing both, not by any code under test.
#pragma once

#include <gtest/gtest.h>

#include <string_view>

#include "mneme/base/value.h"

namespace mneme::migration::testing {

/// Equal values: numbers by value whatever their form, objects by member whatever their order.
bool same_json(const Value& a, const Value& b);

/// Two memory lines: the same members but for "mneme", with equal values; embeddings equal as float32, bit for bit;
/// times equal as instants in microseconds.
::testing::AssertionResult same_line(std::string_view imported, std::string_view exported);

}  // namespace mneme::migration::testing
