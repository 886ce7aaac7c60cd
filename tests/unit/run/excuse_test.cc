// SPDX-License-Identifier: Apache-2.0
// What InProcessExecutor makes of mismatches on a device that deviates as the vendor's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cpu_device.h"
#include "ops/operators.h"
#include "run/executor.h"

namespace normgrad {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

const Device& DeviatingDevice() {
  static const DeviceLibrary kLibrary({NORMGRAD_DEVIATING_LIBRARY});
  static const Device kDevice(kLibrary, 0, /*timeout_seconds=*/60);
  return kDevice;
}

Result Execute(const Case& the_case, const Device& device = DeviatingDevice()) {
  return InProcessExecutor(device, {}, [](const Case&, std::string_view) {}).Execute(the_case);
}

/// A case on the product that the device is.
Case CaseOf(Shape rows, std::vector<std::string> checks) {
  Case the_case;
  the_case.op = &kRmsNormGrad;
  the_case.product = "atlas-a2";
  the_case.dims = {{"A", std::move(rows)}, {"R", {16}}};
  the_case.dtypes.assign(4, DType::kFloat32);
  the_case.checks = std::move(checks);
  return the_case;
}

const DeviationResult kEmptyBatch = {
    "D2", "an empty batch is refused although the document supports it", true};
const DeviationResult kStridedOutputs = {
    "D4", "strides of dxOut and dgammaOut are ignored: they are written as if contiguous", true};

TEST(KnownDeviations, AreNoneWhereNoRowIsAboutTheCase) {
  const Result result = Execute(CaseOf({4}, {"accuracy", "memory"}));
  EXPECT_EQ(result.outcome, Outcome::kPassed) << result.reason;
  EXPECT_THAT(result.deviations, IsEmpty());
}

TEST(KnownDeviations, ExcuseWrongResultsThatARowDescribes) {
  Case the_case = CaseOf({4}, {"accuracy"});
  the_case.layout_of["dxOut"] = LayoutKind::kStrided;
  const Result result = Execute(the_case);
  EXPECT_EQ(result.outcome, Outcome::kKnownDeviation);
  EXPECT_THAT(result.reason, StartsWith("accuracy: D4: " + kStridedOutputs.text + " (dxOut: "));
  EXPECT_THAT(result.deviations, ElementsAre(kStridedOutputs));
}

TEST(KnownDeviations, ExcuseARefusalThatARowDescribes) {
  const Result result = Execute(CaseOf({0}, {"accuracy", "determinism"}));
  EXPECT_EQ(result.outcome, Outcome::kKnownDeviation);
  for (const CheckResult& check : result.checks) {
    EXPECT_THAT(check.reason, StartsWith("D2: " + kEmptyBatch.text + " (")) << check.check;
  }
  EXPECT_THAT(result.deviations, ElementsAre(kEmptyBatch));
}

TEST(KnownDeviations, ThatNoCheckCanSeeAreNotExpected) {
  Case the_case = CaseOf({4}, {"determinism"});
  the_case.layout_of["dxOut"] = LayoutKind::kStrided;
  EXPECT_THAT(Execute(the_case).deviations, IsEmpty());
}

TEST(KnownDeviations, ExcuseNothingOnADeviceOfOurs) {
  Case the_case = CaseOf({4}, {"accuracy"});
  the_case.product = "atlas-training";  // D1 says that the vendor accepts it; ours refuses
  the_case.layout_of["dxOut"] = LayoutKind::kStrided;
  const Result result = Execute(the_case, CpuDevice());
  EXPECT_EQ(result.outcome, Outcome::kError);
  EXPECT_THAT(result.deviations, IsEmpty());
}

}  // namespace
}  // namespace normgrad
