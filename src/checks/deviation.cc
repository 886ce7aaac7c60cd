// SPDX-License-Identifier: Apache-2.0
#include "checks/deviation.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <fmt/format.h>

#include "accuracy/bound.h"

namespace normgrad {
namespace {

struct Scene {
  const Answer& answer;
  CaseRun* run;
  const CheckOptions& options;
};

bool Accepted(const Scene& scene) { return scene.answer.status == 0; }

/// Calls visit(param, dense elements) for the gradients of scales after a fresh launch; whether it
/// holds for all of them, and there are some.
template <typename Visit>
bool AllScaleGradients(CaseRun& run, Poison poison, Visit visit) {
  run.Launch(poison, /*deterministic=*/false);
  const DenseTensors outputs = run.Outputs();
  bool any = false;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Param& param = run.op().params[i];
    if (param.role != Role::kScaleGrad || outputs[i].empty()) continue;
    any = true;
    if (!visit(param, outputs[i])) return false;
  }
  return any;
}

bool NanScaleGradients(const Scene& scene) {
  const Case& the_case = scene.run->the_case();
  return AllScaleGradients(*scene.run, Poison::kFirst,
                           [&](const Param& param, const Bytes& elements) {
                             const DType dtype = the_case.DTypeOf(param);
                             for (std::size_t at = 0; at < elements.size(); at += SizeOf(dtype)) {
                               if (!std::isnan(Load(dtype, &elements[at]))) return false;
                             }
                             return true;
                           });
}

bool UnwrittenScaleGradients(const Scene& scene) {
  const auto holds = [&](Poison poison) {
    return AllScaleGradients(*scene.run, poison, [&](const Param&, const Bytes& elements) {
      return std::ranges::all_of(elements,
                                 [&](std::byte value) { return value == PoisonByte(poison); });
    });
  };
  return holds(Poison::kFirst) && holds(Poison::kSecond);
}

bool UnwantedZeros(const Scene& scene) {
  scene.run->Launch(Poison::kFirst, /*deterministic=*/false);
  const Case& the_case = scene.run->the_case();
  bool any = false;
  for (std::size_t i = 0; i < the_case.op->params.size(); ++i) {
    const Param& param = the_case.op->params[i];
    if (param.kind != Param::Kind::kOutput || the_case.Uses(param)) continue;
    const Bytes storage = scene.run->Storage(i);
    if (storage.empty()) continue;
    const Layout layout = MakeLayout(the_case.LayoutOf(param), the_case.ShapeOf(param));
    const std::size_t element_bytes = SizeOf(the_case.DTypeOf(param));
    Bytes elements(ElementCount(layout.shape) * element_bytes);
    Gather(layout, element_bytes, storage.data(), elements.data());
    any = true;
    if (std::ranges::any_of(elements, [](std::byte value) { return value != std::byte{0}; })) {
      return false;
    }
  }
  return any;
}

bool ContiguousOutputs(const Scene& scene) {
  scene.run->Launch(Poison::kFirst, /*deterministic=*/false);
  const Case& the_case = scene.run->the_case();
  DenseTensors outputs = scene.run->Outputs();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].empty()) continue;
    const Param& param = the_case.op->params[i];
    const Layout layout = MakeLayout(the_case.LayoutOf(param), the_case.ShapeOf(param));
    const Bytes storage = scene.run->Storage(i);
    const std::size_t first =
        static_cast<std::size_t>(layout.offset) * SizeOf(the_case.DTypeOf(param));
    if (first + outputs[i].size() > storage.size()) return false;
    std::copy_n(storage.begin() + static_cast<std::ptrdiff_t>(first), outputs[i].size(),
                outputs[i].begin());
  }
  return JudgeOutputs(*scene.run, scene.options, outputs, kFloat32Roundoff).outcome ==
         Outcome::kPassed;
}

bool PassesWithRoundoff(const Scene& scene, double roundoff) {
  scene.run->Launch(Poison::kFirst, /*deterministic=*/false);
  return JudgeOutputs(*scene.run, scene.options, scene.run->Outputs(), roundoff).outcome ==
         Outcome::kPassed;
}

bool Float16Arithmetic(const Scene& scene) { return PassesWithRoundoff(scene, 0x1p-11); }

// 1 / rstd^2 - eps + eps rounds four times, half of which reach rstd; 16 leaves room for the rest
// of the formula.
bool RebuiltVariance(const Scene& scene) {
  return PassesWithRoundoff(scene, 16 * kFloat32Roundoff);
}

bool Never(const Scene&) { return false; }

struct Word {
  std::string_view name;
  bool (*holds)(const Scene& scene);
  bool needs_run;
};

constexpr std::string_view kStatus = "status=", kSameBits = "same-bits", kWithin = "within-bound";

constexpr Word kWords[] = {
    {"accepted", Accepted, false},
    {"nan-scale-gradients", NanScaleGradients, true},
    {"unwritten-scale-gradients", UnwrittenScaleGradients, true},
    {"unwanted-zeros", UnwantedZeros, true},
    {"contiguous-outputs", ContiguousOutputs, true},
    {"float16-arithmetic", Float16Arithmetic, true},
    {"rebuilt-variance", RebuiltVariance, true},
    {kSameBits, Never, false},
    {kWithin, Never, false},
};

}  // namespace

bool IsObserved(std::string_view observed, const Answer& answer, CaseRun* run,
                const CheckOptions& options) {
  if (observed.starts_with(kStatus)) {
    return answer.status && fmt::to_string(*answer.status) == observed.substr(kStatus.size());
  }
  const auto* word = std::ranges::find(kWords, observed, &Word::name);
  if (word == std::end(kWords)) {
    throw std::logic_error(
        fmt::format("deviations.csv: nothing can be observed as '{}'", observed));
  }
  // What a call that phase 1 answered with an error did to its outputs is no question.
  if (word->needs_run && (run == nullptr || answer.status)) return false;
  return word->holds({answer, run, options});
}

bool ShowsDeviation(std::string_view observed, const Result& result) {
  if (observed != kSameBits) return false;
  return std::ranges::any_of(result.determinism, [](const DeterminismResult& mode) {
    return !mode.option && mode.runs > 1 && mode.differing == 0;
  });
}

bool IsObservable(std::string_view observed, const std::vector<std::string>& checks) {
  const auto asked = [&](std::string_view name) {
    return std::ranges::find(checks, name) != checks.end();
  };
  if (observed == kWithin) return false;
  if (observed == kSameBits) return asked("determinism");
  const auto* word = std::ranges::find(kWords, observed, &Word::name);
  const bool needs_run = word != std::end(kWords) && word->needs_run;
  return !needs_run || asked("accuracy") || asked("memory");
}

}  // namespace normgrad
