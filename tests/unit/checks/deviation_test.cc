// SPDX-License-Identifier: Apache-2.0
#include "checks/deviation.h"

#include <stdexcept>

#include <gtest/gtest.h>

#include "cpu_device.h"
#include "sample_case.h"

namespace normgrad {
namespace {

Answer Wrong(std::optional<int> status = {}) { return {Outcome::kFailed, "", status}; }

TEST(IsObserved, ComparesWhatPhaseOneReturned) {
  EXPECT_TRUE(IsObserved("accepted", Wrong(0), nullptr, {}));
  EXPECT_FALSE(IsObserved("accepted", Wrong(161002), nullptr, {}));
  EXPECT_FALSE(IsObserved("accepted", Wrong(), nullptr, {})) << "something else was wrong";
  EXPECT_TRUE(IsObserved("status=561002", Wrong(561002), nullptr, {}));
  EXPECT_FALSE(IsObserved("status=561002", Wrong(561003), nullptr, {}));
  EXPECT_FALSE(IsObserved("status=561002", Wrong(), nullptr, {}));
}

TEST(IsObserved, KnowsNoOtherWord) {
  EXPECT_THROW(IsObserved("acepted", Wrong(0), nullptr, {}), std::logic_error);
}

TEST(IsObserved, IsNeverTrueOfWhatACorrectDeviceMayDo) {
  EXPECT_FALSE(IsObserved("same-bits", Wrong(), nullptr, {}));
  EXPECT_FALSE(IsObserved("within-bound", Wrong(), nullptr, {}));
}

TEST(IsObserved, AsksForNoOutputsWhereThereWereNone) {
  const Case the_case = FloatCase({4}, {8});
  CaseRun run(the_case, CpuDevice(), Constant(the_case, 1));
  for (const char* word : {"nan-scale-gradients", "unwritten-scale-gradients", "unwanted-zeros",
                           "contiguous-outputs", "float16-arithmetic", "rebuilt-variance"}) {
    EXPECT_FALSE(IsObserved(word, Wrong(), nullptr, {})) << word;
    EXPECT_FALSE(IsObserved(word, Wrong(561003), &run, {})) << word;
  }
}

TEST(IsObserved, SeesNothingInTheOutputsOfACorrectDevice) {
  Case the_case = FloatCase(kLayerNormBackward, {{"A", {3}}, {"R", {4}}});
  the_case.masks = "1x1";
  the_case.layout = LayoutKind::kStrided;
  auto inputs = Constant(the_case, 1);
  Store(DType::kFloat32, 7.0, inputs->tensors[1].data());  // of rows that differ
  CaseRun run(the_case, CpuDevice(), inputs);
  for (const char* word : {"nan-scale-gradients", "unwritten-scale-gradients", "unwanted-zeros",
                           "contiguous-outputs"}) {
    EXPECT_FALSE(IsObserved(word, Wrong(), &run, {})) << word;
  }
}

TEST(ShowsDeviation, IsTrueOfRunsThatAgreeWithTheOptionOff) {
  Result result;
  EXPECT_FALSE(ShowsDeviation("same-bits", result)) << "nobody compared runs";
  result.determinism = {{.option = true, .runs = 5, .differing = 0}};
  EXPECT_FALSE(ShowsDeviation("same-bits", result));
  result.determinism.push_back({.option = false, .runs = 5, .differing = 1});
  EXPECT_FALSE(ShowsDeviation("same-bits", result));
  result.determinism.back().differing = 0;
  EXPECT_TRUE(ShowsDeviation("same-bits", result));
  EXPECT_FALSE(ShowsDeviation("accepted", result));
}

TEST(IsObservable, DependsOnTheChecksThatAreAsked) {
  EXPECT_TRUE(IsObservable("accepted", {"contract"}));
  EXPECT_TRUE(IsObservable("status=561002", {"accuracy"}));
  EXPECT_TRUE(IsObservable("same-bits", {"accuracy", "determinism"}));
  EXPECT_FALSE(IsObservable("same-bits", {"accuracy"}));
  EXPECT_TRUE(IsObservable("contiguous-outputs", {"memory"}));
  EXPECT_FALSE(IsObservable("contiguous-outputs", {"determinism"}));
  EXPECT_FALSE(IsObservable("within-bound", {"accuracy", "memory", "determinism"}));
}

}  // namespace
}  // namespace normgrad
