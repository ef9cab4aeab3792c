// Links in the link family: one entry for the way out, which holds the value, and one for the way back.
//
//   out   key := space:u32 0:u8 from:16 length:u16 type to:16      value := LinkValue
//   back  key := space:u32 1:u8 to:16 length:u16 type from:16      value := empty
//
//   LinkValue := weight:f64 flags:u8 created_at:i64? valid_from:i64? valid_until:i64?
//                flags: bit 0 created_at, bit 1 valid_from, bit 2 valid_until are there
//
// Key integers are big-endian, value integers little-endian.
#pragma once

#include <string>

#include "mneme/base/bytes.h"
#include "mneme/link.h"

namespace mneme {

std::string link_out_key(SpaceId space, const NodeId& from, std::string_view type, const NodeId& to);
std::string link_back_key(SpaceId space, const NodeId& from, std::string_view type, const NodeId& to);
/// All links out of (or back to) a node; with `type` only those of that type.
std::string link_prefix(SpaceId space, LinkDirection direction, const NodeId& node, std::string_view type = {});

void encode_link_value(const Link& link, Bytes& out);
/// Sets weight and times of `link`. @error Corruption
Status decode_link_value(ByteView value, Link& link);
/// Sets from, type and to of `link` from either kind of key. @error Corruption
Status decode_link_key(std::string_view key, Link& link);
/// Whether a key is one of a way back.
bool is_back_key(std::string_view key);

/// Type of 1 … limits::kLabelBytesMax bytes of UTF-8, finite weight, times in order. @error InvalidArgument
Status validate_link(const Link& link);

}  // namespace mneme
