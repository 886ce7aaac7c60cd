// SPDX-License-Identifier: Apache-2.0
#include "accuracy/judge.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <string_view>
#include <thread>

#include "accuracy/preimage.h"
#include "base/bytes.h"
#include "base/lanes.h"

namespace normgrad {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kTile = 512;  // elements at a time: five arrays of 4 KiB

// Some elements of a block, side by side with the device's.
struct Tile {
  std::array<double, kTile> actual, low, high, allowance, need;
};

double Margin(double need, double allowance) {
  if (need == 0) return 0;
  return allowance == 0 ? kInfinity : need / allowance;
}

// Ranks before: a larger margin, or the same at a lower index.
bool Worse(const OutputVerdict& a, const OutputVerdict& b) {
  return a.margin > b.margin || (a.margin == b.margin && a.worst < b.worst);
}

std::string_view DominantTerm(const ReferenceBlock& block, const BoundRule& rule, std::size_t i) {
  const AllowanceTerms terms = AllowanceOf(block, rule, i);
  if (!(terms.Total() > 0)) return "none";
  if (terms.local >= std::max(terms.sums, terms.flush)) return "local";
  return terms.sums >= terms.flush ? "sum" : "flush";
}

void CountViolation(std::size_t index, OutputVerdict* verdict) {
  if (verdict->violations++ == 0) verdict->first_violation = index;
}

// Whether a result that is exactly `golden`, an end of the preimage of element `index`, becomes
// another element: a tie that went to the odd neighbour.
bool IsWrongEnd(const HostTensor& actual, const BoundRule& rule, std::size_t index, double golden) {
  const std::byte* const element = actual.data + index * SizeOf(actual.dtype);
  return !IsOwnEnd(actual.dtype, rule.rounding, element, golden);
}

// What is known of the elements before any has been judged: the first is as bad as any.
OutputVerdict Begin(const ReferenceBlock& block, const Tile& tile) {
  OutputVerdict verdict;
  verdict.worst = block.first;
  verdict.worst_actual = tile.actual.front();
  verdict.worst_golden = block.value.front();
  verdict.worst_allowance = std::isfinite(block.value.front()) ? tile.allowance.front() : 0;
  return verdict;
}

// Adds element first + i of `block`, element i of `tile`, to `verdict`.
void JudgeElement(const ReferenceBlock& block, std::size_t first, std::size_t i, const Tile& tile,
                  OutputVerdict* verdict) {
  const double golden = block.value[first + i], actual = tile.actual[i];
  const std::size_t index = block.first + first + i;
  const double error = std::fabs(actual - golden);
  const double need = tile.need[i], allowance = tile.allowance[i];
  double margin = 0;
  if (error <= std::numeric_limits<double>::max()) {
    if (golden != 0) ++verdict->nonzero_reference;
    verdict->max_abs_error = std::max(verdict->max_abs_error, error);
    if (need > allowance) CountViolation(index, verdict);
    if (need > verdict->margin * allowance) margin = Margin(need, allowance);
  } else {
    const bool golden_finite = std::isfinite(golden);
    const bool accepted =
        golden_finite ? block.may_overflow || need <= allowance : !std::isfinite(actual);
    if (!accepted) {
      ++verdict->nonfinite_errors;
      CountViolation(index, verdict);
      margin = kInfinity;
    } else if (golden_finite && !block.may_overflow) {
      if (golden != 0) ++verdict->nonzero_reference;
      margin = Margin(need, allowance);
    }
  }
  if (margin > verdict->margin) {
    verdict->margin = margin;
    verdict->worst = index;
    verdict->worst_actual = actual;
    verdict->worst_golden = golden;
    verdict->worst_allowance = std::isfinite(golden) ? allowance : 0;
  }
  ++verdict->elements;
}

// Of some elements of a tile from the first on, as many as are nothing special: finite, allowed and
// no worse than what is known already; and what they add to the verdict.
struct Quiet {
  std::size_t elements = 0, nonzero_reference = 0;
  double max_abs_error = 0;
};

// Elements need `needs`, or at most their errors where that is null.
Quiet SkipQuiet(const double* golden, std::size_t i, std::size_t count, const Tile& tile,
                const double* needs, double margin) {
  return Vectorised([=, actual = tile.actual.data(), allowances = tile.allowance.data()] {
    LaneMask nonzero{};
    Lanes largest{};
    std::size_t at = i;
    for (; at + kLanes <= count; at += kLanes) {
      const Lanes goldens = LoadLanes(golden + at);
      const Lanes error = AbsOf(LoadLanes(actual + at) - goldens);
      const Lanes need = needs != nullptr ? LoadLanes(needs + at) : error;
      const Lanes allowance = LoadLanes(allowances + at);
      const LaneMask quiet = MaskOf(error <= std::numeric_limits<double>::max()) &
                             MaskOf(need <= allowance) & MaskOf(need <= margin * allowance);
      if (AnyOf(~quiet)) break;
      nonzero -= MaskOf(goldens != 0);
      largest = MaxOf(largest, error);
    }
    Quiet quiet{at - i, 0, 0};
    for (std::size_t k = 0; k < kLanes; ++k) {
      quiet.nonzero_reference += static_cast<std::size_t>(nonzero[k]);
      quiet.max_abs_error = std::max(quiet.max_abs_error, largest[k]);
    }
    return quiet;
  });
}

// What each element needs: its distance from the reference to the numbers that become it. NaN for a
// NaN element, whatever is allowed. Returns whether a reference is the very end of them where
// nothing is allowed.
bool SetNeeds(const double* golden, std::size_t count, Tile* tile) {
  return Vectorised([=] {
    LaneMask ends{};
    ForEachVector(count, [=, &ends](std::size_t i, std::size_t lanes) {
      const Lanes goldens = LoadLanes(golden + i, lanes);
      const Lanes below = LoadLanes(&tile->low[i], lanes) - goldens;
      const Lanes above = goldens - LoadLanes(&tile->high[i], lanes);
      const Lanes outside = below > above ? below : above;
      StoreLanes(outside <= 0 ? Lanes{} : outside, lanes, &tile->need[i]);
      const LaneMask real = LaneMask{0, 1, 2, 3, 4, 5, 6, 7} < static_cast<std::int64_t>(lanes);
      const LaneMask strict = MaskOf(LoadLanes(&tile->allowance[i], lanes) == 0);
      ends |= MaskOf(real) & MaskOf(outside == 0) & strict;
    });
    return AnyOf(ends);
  });
}

// Fills in what the elements first … first + count - 1 of `block` need.
void FillNeeds(const ReferenceBlock& block, const HostTensor& actual, const BoundRule& rule,
               std::size_t first, std::size_t count, Tile* tile) {
  const double* const golden = block.value.data() + first;
  const std::byte* const elements = actual.data + (block.first + first) * SizeOf(actual.dtype);
  RoundingPreimages(actual.dtype, rule, elements, count, tile->low.data(), tile->high.data());
  if (!SetNeeds(golden, count, tile)) return;
  for (std::size_t i = 0; i < count; ++i) {
    const bool end = golden[i] == tile->low[i] || golden[i] == tile->high[i];
    if (!end || tile->need[i] != 0 || tile->allowance[i] != 0) continue;
    if (!IsWrongEnd(actual, rule, block.first + first + i, golden[i])) continue;
    tile->need[i] = std::numeric_limits<double>::denorm_min();
  }
}

// How many of the elements first … first + count - 1 of `block` only the certified bound allows.
std::size_t CountSuspects(const ReferenceBlock& block, const BoundRule& rule, std::size_t first,
                          std::size_t count, const Tile& tile) {
  BoundRule sharp_rule = rule;
  sharp_rule.mode = SumMode::kSharp;
  std::array<double, kTile> sharp;  // NOLINT(cppcoreguidelines-pro-type-member-init): as Tile
  Allowances(block, sharp_rule, first, {sharp.data(), count});
  std::size_t suspects = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (tile.need[i] > sharp[i] && tile.need[i] <= tile.allowance[i]) ++suspects;
  }
  return suspects;
}

// Adds the elements first … first + count - 1 of `block` to `verdict`; `known` is a margin that
// some element has, here or elsewhere. What they need is asked for where their errors do not tell
// enough.
void JudgeTile(const ReferenceBlock& block, const HostTensor& actual, const BoundRule& rule,
               std::size_t first, std::size_t count, double known, Tile* tile,
               OutputVerdict* verdict) {
  const double* needs = nullptr;
  const auto fill_needs = [&] {
    FillNeeds(block, actual, rule, first, count, tile);
    needs = tile->need.data();
  };
  for (std::size_t i = 0; i < count;) {
    const Quiet quiet = SkipQuiet(block.value.data() + first, i, count, *tile, needs,
                                  std::max(verdict->margin, known));
    i += quiet.elements;
    verdict->elements += quiet.elements;
    verdict->nonzero_reference += quiet.nonzero_reference;
    verdict->max_abs_error = std::max(verdict->max_abs_error, quiet.max_abs_error);
    if (i < count && needs == nullptr) {
      fill_needs();
      continue;
    }
    const std::size_t end = std::min(count, i + kLanes);
    for (; i < end; ++i) JudgeElement(block, first, i, *tile, verdict);
  }
  if (rule.mode != SumMode::kCertified) return;
  if (needs == nullptr) fill_needs();
  verdict->suspects += CountSuspects(block, rule, first, count, *tile);
}

// Adds `part` to `*total`. Either may be empty.
void Merge(const OutputVerdict& part, OutputVerdict* total) {
  if (part.elements == 0) return;
  if (total->elements == 0) {
    *total = part;
    return;
  }
  OutputVerdict merged = Worse(part, *total) ? part : *total;
  if (part.violations > 0 && total->violations > 0) {
    merged.first_violation = std::min(part.first_violation, total->first_violation);
  } else {
    merged.first_violation = part.violations > 0 ? part.first_violation : total->first_violation;
  }
  merged.elements = total->elements + part.elements;
  merged.violations = total->violations + part.violations;
  merged.suspects = total->suspects + part.suspects;
  merged.nonfinite_errors = total->nonfinite_errors + part.nonfinite_errors;
  merged.nonzero_reference = total->nonzero_reference + part.nonzero_reference;
  merged.max_abs_error = std::max(total->max_abs_error, part.max_abs_error);
  *total = merged;
}

}  // namespace

OutputJudge::OutputJudge(const HostTensor& actual, const BoundRule& rule)
    : actual_(actual), rule_(rule) {}

void OutputJudge::Consume(const ReferenceBlock& block) {
  if (block.value.empty()) return;
  // Elements that are no match for the worst so far need no closer look. Those that are as bad do:
  // of equals, the lowest index is reported.
  const double known = known_margin_.load(std::memory_order_relaxed) * (1 - 0x1p-40);
  OutputVerdict part;
  Tile tile;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled as far as it is read
  for (std::size_t first = 0; first < block.value.size(); first += kTile) {
    const std::size_t count = std::min(kTile, block.value.size() - first);
    const std::size_t bytes = SizeOf(actual_.dtype);
    const std::byte* const actual = actual_.data + (block.first + first) * bytes;
    LoadAll(actual_.dtype, actual, count, tile.actual.data());
    Prefetch(actual + count * bytes, count * bytes);  // what is next, as a rule
    Allowances(block, rule_, first, {tile.allowance.data(), count});
    if (first == 0) part = Begin(block, tile);
    JudgeTile(block, actual_, rule_, first, count, known, &tile, &part);
  }
  Slot& slot = slots_[std::hash<std::thread::id>{}(std::this_thread::get_id()) % slots_.size()];
  const std::lock_guard lock(slot.mutex);
  if (slot.verdict.elements == 0 || Worse(part, slot.verdict)) {
    part.dominant = DominantTerm(block, rule_, part.worst - block.first);
    if (part.margin > known_margin_.load(std::memory_order_relaxed)) {
      known_margin_.store(part.margin, std::memory_order_relaxed);
    }
  }
  Merge(part, &slot.verdict);
}

OutputVerdict OutputJudge::Verdict() const {
  OutputVerdict total;
  for (const Slot& slot : slots_) {
    const std::lock_guard lock(slot.mutex);
    Merge(slot.verdict, &total);
  }
  return total;
}

}  // namespace normgrad
