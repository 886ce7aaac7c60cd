// SPDX-License-Identifier: Apache-2.0
#include "checks/check.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace normgrad {
namespace {

std::string Hex(const std::byte* element, std::size_t bytes) {
  std::string hex = "0x";
  for (std::size_t i = bytes; i-- > 0;) {  // little-endian element, most significant byte first
    hex += fmt::format("{:02x}", std::to_integer<unsigned>(element[i]));
  }
  return hex;
}

/// How many numbers of the dtype lie between two elements, plus one; empty for a NaN and for
/// dtypes without units in the last place.
std::string UlpsApart(DType dtype, const std::byte* a, const std::byte* b) {
  if (dtype == DType::kInt32 || std::isnan(Load(dtype, a)) || std::isnan(Load(dtype, b))) return "";
  const std::size_t bytes = SizeOf(dtype);
  const auto rank = [&](const std::byte* element) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, element, bytes);
    const std::uint64_t sign = std::uint64_t{1} << (8 * bytes - 1);
    const auto magnitude = static_cast<std::int64_t>(bits & (sign - 1));
    return (bits & sign) != 0 ? -magnitude : magnitude;
  };
  return fmt::format(", {} ULP apart", std::abs(rank(a) - rank(b)));
}

}  // namespace

Answer Skipped(SkipReason skip, std::string detail) {
  return {Outcome::kSkipped, std::move(detail), {}, skip};
}

std::span<const Check> Checks() {
  static constexpr Check kChecks[] = {
      {"contract",
       "both phases answer as documented: right calls are taken, wrong ones refused with the "
       "documented status, a message, and without a byte written; the workspace asked for is the "
       "same every time and is enough",
       CheckContract},
      {"accuracy", "every element of every output is within the derived bound of the oracle",
       CheckAccuracy},
      {"memory",
       "every output element is written, and nothing else: inputs, gaps, guards around tensors and "
       "the exact-size workspace; results depend neither on what memory held before nor on how "
       "tensors are aligned",
       CheckMemory},
      {"determinism",
       "repeated launches on re-poisoned outputs agree byte for byte wherever the document "
       "promises it: at other addresses, beside other work, from an executor used before, with "
       "other thread counts and in another process too",
       CheckDeterminism},
      {"batch",
       "a row's gradient does not depend on the rest of the batch or on the order of rows; no "
       "document promises it, so that where it does not hold that is noted, and a failure only of "
       "a "
       "device that does: --batch-invariant",
       CheckBatch},
      {"invariants",
       "relations that hold whatever the right result is: exact scaling by powers of two; sums of "
       "the gradients, of batches in parts and of gradients in parts within the derived bound",
       CheckInvariants},
      {"throughput",
       "device time of phase 2, cold and hot, against the device's own copy, of launches that "
       "compute "
       "what others do",
       CheckThroughput},
  };
  return kChecks;
}

std::string FirstDifference(const Case& the_case, const DenseTensors& first,
                            const DenseTensors& other, std::string_view other_run) {
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (first[i] == other[i]) continue;
    const Param& param = the_case.op->params[i];
    const DType dtype = the_case.DTypeOf(param);
    const std::size_t bytes = SizeOf(dtype);
    const std::byte* one = first[i].data();
    const std::byte* two = other[i].data();
    std::size_t element = 0;
    for (; std::memcmp(one, two, bytes) == 0; ++element, one += bytes, two += bytes) {
    }
    return fmt::format("{}{}: {} has {}, run 1 has {}{}", param.name,
                       IndexText(the_case.ShapeOf(param), element), other_run, Hex(two, bytes),
                       Hex(one, bytes), UlpsApart(dtype, one, two));
  }
  return "";
}

std::string DifferenceFrom(const KeptOutputs& first, const CaseRun& run,
                           std::string_view other_run) {
  if (run.LeftAgain(first)) return "";
  std::string difference =
      FirstDifference(run.the_case(), first.tensors(), run.Outputs(), other_run);
  // There was one a moment ago.
  if (difference.empty()) return fmt::format("{} wrote on after it had been waited for", other_run);
  return difference;
}

}  // namespace normgrad
