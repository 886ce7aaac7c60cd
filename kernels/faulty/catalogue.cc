// SPDX-License-Identifier: Apache-2.0
#include "kernels/faulty/catalogue.h"

#include <algorithm>
#include <vector>

namespace normgrad::faulty {
namespace {

/// What the catalogue says of the faults of faults.h. Those it leaves out, which take their time or
/// show in another process only, are for NORMGRAD_FAULT.
constexpr normgradFault kDescribed[] = {
    {"wrong-element", "element", "", kEveryOperator, "", "accuracy", "cpu", "", ""},
    {"one-ulp", "element", "", kEveryOperator, "16-bit dx, or data whose results are exact",
     "accuracy", "cpu", "", ""},
    {"nan", "element", "", kEveryOperator, "", "accuracy", "cpu", "", ""},
    {"unwritten-tail", "memory", "", kEveryOperator, "", "memory", "cpu", "", ""},
    {"out-of-bounds", "memory", "", kEveryOperator, "", "memory", "cpu", "", ""},
    {"out-of-bounds-by-default", "memory", "", kEveryOperator, "", "memory", "cpu", "", ""},
    {"gap-written", "memory", "", kEveryOperator, "dx is strided", "memory", "cpu", "", ""},
    {"input-changed", "memory", "", kEveryOperator, "", "memory", "cpu", "", ""},
    {"stale-accumulation", "memory", "", kEveryOperator, "", "memory", "cpu", "", ""},
    {"workspace-overrun", "memory", "", kEveryOperator, "", "memory", "cpu", "", ""},
    {"nondeterministic-sum", "determinism", "", "rms_norm_grad", "more than two rows",
     "determinism", "cpu", "", ""},
    {"nondeterministic-bits", "determinism", "", kEveryOperator, "dgamma is float32", "determinism",
     "cpu", "", ""},
    {"nondeterministic-bits-by-default", "determinism", "",
     "layer_norm_backward batch_norm_elemt_backward", "dgamma is float32", "determinism", "cpu", "",
     ""},
    {"throws", "launch", "", kEveryOperator, "", "accuracy", "cpu", "", ""},
    {"ignores-formats", "contract", "", "batch_norm_elemt_backward", "a private format", "contract",
     "cpu", "", ""},
    {"wrong-status", "contract", "", kEveryOperator, "", "contract", "cpu", "", ""},
    {"refuses-float16", "contract", "", kEveryOperator, "data are float16", "contract", "cpu", "",
     ""},
    {"growing-workspace", "contract", "", kEveryOperator, "", "contract", "cpu", "", ""},
    {"nondeterministic-by-default", kHealthy, "", "rms_norm_grad", "", "", "cpu", "", ""},
};

constexpr std::uint64_t kSpareWorkspace = 64;

/// Adds what is written in faults.h, in its words.
template <typename Row, typename Into>
void AddDescribed(const Row& row, Entry entry, Into* into) {
  const auto text = std::ranges::find(kDescribed, row.name, [](const normgradFault& fault) {
    return std::string_view(fault.name);
  });
  if (text == std::end(kDescribed)) return;
  entry.text = *text;
  entry.text.what = row.what.data();
  if (row.name == "workspace-overrun") entry.spare_workspace = kSpareWorkspace;
  into->push_back(entry);
}

bool IsHealthy(const Entry& entry) { return std::string_view(entry.text.kind) == kHealthy; }

std::vector<Entry> MakeCatalogue() {
  std::vector<Entry> all(ModelFaults().begin(), ModelFaults().end());
  all.insert(all.end(), DeviceFaults().begin(), DeviceFaults().end());
  all.insert(all.end(), ContextFaults().begin(), ContextFaults().end());
  for (const Fault& fault : Faults()) AddDescribed(fault, {.run = fault.run}, &all);
  for (const PhaseOneFault& fault : PhaseOneFaults()) {
    AddDescribed(fault, {.check = fault.check}, &all);
  }
  all.insert(all.end(), HealthyVariants().begin(), HealthyVariants().end());
  // Not its sibling in std::ranges, which clang 14 cannot read.
  std::stable_partition(all.begin(), all.end(),
                        [](const Entry& entry) { return !IsHealthy(entry); });
  // Together what belongs together, in the order of first appearance.
  std::vector<std::string_view> kinds;
  for (const Entry& entry : all) {
    if (std::ranges::find(kinds, entry.text.kind) == kinds.end())
      kinds.emplace_back(entry.text.kind);
  }
  std::ranges::stable_sort(all, {}, [&](const Entry& entry) {
    return std::ranges::find(kinds, entry.text.kind) - kinds.begin();
  });
  return all;
}

}  // namespace

std::span<const Entry> Catalogue() {
  static const std::vector<Entry> kAll = MakeCatalogue();
  return kAll;
}

const Entry* FindEntry(std::string_view name) {
  const auto found = std::ranges::find(
      Catalogue(), name, [](const Entry& entry) { return std::string_view(entry.text.name); });
  return found == Catalogue().end() ? nullptr : &*found;
}

}  // namespace normgrad::faulty
