// SPDX-License-Identifier: Apache-2.0
#include "checks/check.h"

#include <cstring>

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

}  // namespace

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
       "the exact-size workspace; results do not depend on what memory held before",
       CheckMemory},
      {"determinism",
       "repeated launches on re-poisoned outputs agree byte for byte wherever the document "
       "promises it",
       CheckDeterminism},
      {"throughput", "device time of phase 2, cold and hot, against the device's own copy",
       CheckThroughput},
  };
  return kChecks;
}

std::string FirstDifference(const Case& the_case, const DenseTensors& first,
                            const DenseTensors& other, int other_run) {
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (first[i] == other[i]) continue;
    const Param& param = the_case.op->params[i];
    const std::size_t bytes = SizeOf(the_case.DTypeOf(param));
    std::size_t element = 0;
    while (std::memcmp(&first[i][element * bytes], &other[i][element * bytes], bytes) == 0) {
      ++element;
    }
    return fmt::format("{}{}: run {} has {}, run 1 has {}", param.name,
                       IndexText(the_case.ShapeOf(param), element), other_run,
                       Hex(&other[i][element * bytes], bytes),
                       Hex(&first[i][element * bytes], bytes));
  }
  return "";
}

}  // namespace normgrad
