// SPDX-License-Identifier: Apache-2.0
// Relations between launches, and between the elements of one, that hold whatever the right result
// is. They need no reference, only to know which elements share statistics: a second opinion.
#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "checks/check.h"
#include "checks/relations.h"

namespace normgrad {

Answer CheckInvariants(CaseRun& run, const CheckOptions& options, Result* result) {
  run.Launch(Poison::kFirst, /*deterministic=*/true);
  const KeptOutputs base(run.Outputs());
  run.Launch(Poison::kFirst, /*deterministic=*/true);
  if (!run.LeftAgain(base)) {
    return {Outcome::kMistrusted, "two launches on equal inputs differ: nothing can be compared"};
  }
  std::vector<PropertyResult> properties;
  for (const auto relations : {ExactRelations, ColumnRelations, SetRelations}) {
    std::ranges::move(relations(run, base.tensors(), options.threads),
                      std::back_inserter(properties));
  }
  std::vector<std::string> broken;
  std::uint64_t compared = 0;
  for (PropertyResult& property : properties) {
    compared += property.compared;
    if (property.violations > 0) {
      broken.push_back(fmt::format("{}: {} of {} do not hold, first: {}", property.name,
                                   property.violations, property.compared, property.first));
    }
    result->properties.push_back(std::move(property));
  }
  if (!broken.empty()) return {Outcome::kFailed, fmt::format("{}", fmt::join(broken, "; "))};
  if (compared == 0) {
    const bool empty =
        std::ranges::all_of(base.tensors(), [](const auto& output) { return output.empty(); });
    return empty ? Skipped(SkipReason::kNoElements, "no output has an element to compare")
                 : Answer{Outcome::kMistrusted, "no relation could be looked at"};
  }
  return {};
}

}  // namespace normgrad
