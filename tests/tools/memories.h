// Memories that are hard to carry, and how a line that came out is compared with the line that went in.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "mneme/base/value.h"

namespace mneme::tools {

/// JSONL lines with everything that a conversion could lose: floats at the edges, odd ids, empty, null and absent
/// members, nested and unknown ones, a megabyte of content. Embeddings have 4 values.
std::vector<std::string> tricky_lines();

/// `count` small memories with ids m0 … and 8 values each.
std::string many_lines(std::size_t count);

/// Lines by their "id".
std::map<std::string, Value> by_id(std::string_view text);

/// What differs between a line that was imported and the one that was exported; empty when every member is there again
/// with an equal value (embeddings bit for bit, times as instants) and nothing new besides "mneme".
std::string difference(const Value& imported, const Value& exported);

}  // namespace mneme::tools
