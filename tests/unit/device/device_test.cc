// SPDX-License-Identifier: Apache-2.0
#include "device/device.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "cpu_device.h"
#include "ops/operators.h"

namespace normgrad {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::ThrowsMessage;

TEST(Device, StandsInForEveryProduct) {
  for (const Product& product : AllProducts()) {
    EXPECT_TRUE(CpuDevice().Become(product.key));
    EXPECT_EQ(CpuDevice().SocName(), product.soc);
    EXPECT_EQ(ProductOfSoc(CpuDevice().SocName())->key, product.key);
  }
  EXPECT_TRUE(CpuDevice().Become("atlas-a2"));
}

TEST(Device, DescribesItself) {
  EXPECT_THAT(CpuDevice().Description(), StartsWith("Ascend"));
  EXPECT_THAT(CpuDevice().Description(), HasSubstr(" free of "));
  EXPECT_GT(CpuDevice().FreeBytes(), std::size_t{1} << 20);
}

TEST(Device, CarriesBytesThereAndBack) {
  const std::vector<std::byte> bytes(1000, std::byte{42});
  const DeviceMemory memory = CpuDevice().Allocate(bytes.size());
  CpuDevice().Upload(memory.address(), bytes);
  std::vector<std::byte> back(bytes.size());
  CpuDevice().Download(back, memory.address());
  EXPECT_EQ(back, bytes);
}

TEST(Device, FillsMemoryToMeasureInWithMoreThanZeros) {
  constexpr std::size_t kLine = 64;
  const std::vector<std::byte> zeros(kLine);
  std::vector<std::byte> bytes((std::size_t{9} << 20) + kLine);
  const DeviceMemory memory = CpuDevice().AllocateFilled(bytes.size());
  CpuDevice().Download(bytes, memory.address());
  for (std::size_t i = 0; i < bytes.size(); i += kLine) {
    ASSERT_FALSE(std::equal(zeros.begin(), zeros.end(), bytes.data() + i)) << "byte " << i;
  }
}

TEST(Device, TurnsARefusedCallIntoAnErrorThatSaysWhy) {
  const Operator& op = kRmsNormGrad;
  const std::vector<Arg> args(op.params.size(), static_cast<aclTensor*>(nullptr));
  EXPECT_THAT([&] { CpuDevice().PhaseOneOf(CpuDevice().library().Bind(op), args); },
              ThrowsMessage<DeviceError>(StartsWith(
                  "aclnnRmsNormGradGetWorkspaceSize returned 161001 (ACLNN_ERR_PARAM_NULLPTR): ")));
}

TEST(Device, TimesWhatIsOnItsStream) {
  const std::size_t bytes = std::size_t{1} << 20;
  const DeviceMemory from = CpuDevice().Allocate(bytes), to = CpuDevice().Allocate(bytes);
  const double seconds = CpuDevice().TimeSeconds(
      [&] { CpuDevice().CopyOnDevice(to.address(), from.address(), bytes); });
  EXPECT_GT(seconds, 0);
  EXPECT_LT(seconds, 60);
}

TEST(Device, RefusesAnIdTheLibraryDoesNotHave) {
  EXPECT_THAT([] { Device(CpuDevice().library(), 1, 1); },
              ThrowsMessage<Error>(HasSubstr("no device 1: the library has 1, numbered from 0")));
}

TEST(DeviceLibrary, NamesTheFileItCannotOpen) {
  EXPECT_THAT(
      [] { DeviceLibrary({"/nowhere/lib.so"}); },
      ThrowsMessage<Error>(StartsWith("/nowhere/lib.so: cannot be opened as a device library: ")));
}

TEST(ProductOfSoc, TellsTheFirstGenerationFromA2) {
  EXPECT_EQ(ProductOfSoc("Ascend910B")->key, "atlas-training");
  EXPECT_EQ(ProductOfSoc("Ascend910B1")->key, "atlas-a2");
  EXPECT_EQ(ProductOfSoc("Ascend910B4-1")->key, "atlas-a2");
  EXPECT_EQ(ProductOfSoc("Ascend910_9362")->key, "atlas-a3");
  EXPECT_EQ(ProductOfSoc("Ascend950DT_95A2")->key, "ascend-950");
  EXPECT_EQ(ProductOfSoc("Ascend310P7")->key, "atlas-inference");
  EXPECT_EQ(ProductOfSoc("Ascend310")->key, "atlas-200-300-500");
  EXPECT_EQ(ProductOfSoc("Kirin"), nullptr);
}

}  // namespace
}  // namespace normgrad
