// EffortTable in bytes: sizes (u8: neighbours, targets, numbers of an effort), per neighbours and target a flag, and where it is set probe and keep (f32), lists (u64) and rest (f32).

#include <bit>
#include <cmath>

#include "effort.h"

namespace mneme::index {
namespace {

constexpr std::uint8_t kNumbers = 4;  // of an effort

}  // namespace

void EffortTable::encode(ByteWriter& out) const {
  const auto number = [&](float value) { out.fixed(std::bit_cast<std::uint32_t>(value)); };
  out.fixed(static_cast<std::uint8_t>(kNeighbours.size()));
  out.fixed(static_cast<std::uint8_t>(kTargets.size()));
  out.fixed(kNumbers);
  for (const auto& by_target : efforts_)
    for (const std::optional<Effort>& effort : by_target) {
      out.fixed(static_cast<std::uint8_t>(effort.has_value()));
      if (!effort) continue;
      number(effort->probe_sigmas);
      number(effort->keep_sigmas);
      out.fixed(static_cast<std::uint64_t>(effort->lists_max));
      number(effort->rest_sigmas);
    }
  number(nearness_least_);
  number(nearness_most_);
}

Result<EffortTable> EffortTable::decode(ByteReader& in) {
  EffortTable table;
  const auto number = [&](float& value) -> Status {
    MNEME_ASSIGN(const auto bits, in.fixed<std::uint32_t>());
    value = std::bit_cast<float>(bits);
    // Limits of a search are computed from it; no number would make them hold nothing or everything.
    if (!std::isfinite(value)) return {Code::Corruption, "effort: a value that is not finite"};
    return ok_status();
  };
  MNEME_ASSIGN(const auto neighbours, in.fixed<std::uint8_t>());
  MNEME_ASSIGN(const auto targets, in.fixed<std::uint8_t>());
  MNEME_ASSIGN(const auto numbers, in.fixed<std::uint8_t>());
  if (neighbours != kNeighbours.size() || targets != kTargets.size() || numbers != kNumbers)
    return {Code::VersionMismatch, "effort: a table of " + std::to_string(neighbours) + " by " +
                                       std::to_string(targets) + " efforts of " + std::to_string(numbers) +
                                       " numbers, this release has another"};
  for (auto& by_target : table.efforts_)
    for (std::optional<Effort>& effort : by_target) {
      MNEME_ASSIGN(const auto there, in.fixed<std::uint8_t>());
      if (there > 1) return {Code::Corruption, "effort: flag " + std::to_string(there) + ", 0 or 1 is possible"};
      if (there == 0) continue;
      MNEME_TRY(number(effort.emplace().probe_sigmas));
      MNEME_TRY(number(effort->keep_sigmas));
      MNEME_ASSIGN(const auto lists, in.fixed<std::uint64_t>());
      effort->lists_max = lists;
      MNEME_TRY(number(effort->rest_sigmas));
    }
  MNEME_TRY(number(table.nearness_least_));
  MNEME_TRY(number(table.nearness_most_));
  return table;
}

}  // namespace mneme::index
