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

// Adds the elements first … first + count - 1 of `block` to `verdict`.
void JudgeTile(const ReferenceBlock& block, std::size_t first, std::size_t count, const Tile& tile,
               OutputVerdict* verdict) {
  const double* const golden = block.value.data() + first;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t index = block.first + first + i;
    const double error = std::fabs(tile.actual[i] - golden[i]);
    const double need = tile.need[i], allowance = tile.allowance[i];
    double margin = 0;
    if (error <= std::numeric_limits<double>::max()) {
      if (golden[i] != 0) ++verdict->nonzero_reference;
      verdict->max_abs_error = std::max(verdict->max_abs_error, error);
      if (need > allowance) CountViolation(index, verdict);
      if (need > verdict->margin * allowance) margin = Margin(need, allowance);
    } else {
      const bool golden_finite = std::isfinite(golden[i]);
      const bool actual_finite = std::isfinite(tile.actual[i]);
      const bool accepted =
          golden_finite ? block.may_overflow || need <= allowance : !actual_finite;
      if (!accepted) {
        ++verdict->nonfinite_errors;
        CountViolation(index, verdict);
        margin = kInfinity;
      } else if (golden_finite && !block.may_overflow) {
        if (golden[i] != 0) ++verdict->nonzero_reference;
        margin = Margin(need, allowance);
      }
    }
    if (margin > verdict->margin || verdict->elements == 0) {
      verdict->margin = margin;
      verdict->worst = index;
      verdict->worst_actual = tile.actual[i];
      verdict->worst_golden = golden[i];
      verdict->worst_allowance = std::isfinite(golden[i]) ? allowance : 0;
    }
    ++verdict->elements;
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
  OutputVerdict part;
  Tile tile;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled as far as it is read
  for (std::size_t first = 0; first < block.value.size(); first += kTile) {
    const std::size_t count = std::min(kTile, block.value.size() - first);
    const double* const golden = block.value.data() + first;
    const std::byte* const actual = actual_.data + (block.first + first) * SizeOf(actual_.dtype);
    LoadAll(actual_.dtype, actual, count, tile.actual.data());
    RoundingPreimages(actual_.dtype, rule_, actual, count, tile.low.data(), tile.high.data());
    Allowances(block, rule_, first, {tile.allowance.data(), count});
    for (std::size_t i = 0; i < count; ++i) {
      const double below = tile.low[i] - golden[i], above = golden[i] - tile.high[i];
      const double outside = below > above ? below : above;
      tile.need[i] = outside <= 0 ? 0 : outside;  // NaN for a NaN element, whatever is allowed
      const bool end = outside == 0 && tile.allowance[i] == 0;
      if (end && IsWrongEnd(actual_, rule_, block.first + first + i, golden[i])) {
        tile.need[i] = std::numeric_limits<double>::denorm_min();
      }
    }
    JudgeTile(block, first, count, tile, &part);
    if (rule_.mode == SumMode::kCertified) {
      part.suspects += CountSuspects(block, rule_, first, count, tile);
    }
  }
  Slot& slot = slots_[std::hash<std::thread::id>{}(std::this_thread::get_id()) % slots_.size()];
  const std::lock_guard lock(slot.mutex);
  if (slot.verdict.elements == 0 || Worse(part, slot.verdict)) {
    part.dominant = DominantTerm(block, rule_, part.worst - block.first);
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
