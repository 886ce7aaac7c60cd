// SPDX-License-Identifier: Apache-2.0
// Argument objects and the two phases of the CPU device library.
#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <thread>
#include <utility>

#include "base/dtype.h"
#include "tests/unit/kernels/runtime_fixture.h"

namespace normgrad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::int64_t> Take(std::int64_t* values, std::uint64_t count) {
  const std::unique_ptr<std::int64_t[]> owned(values);
  return {values, values + count};
}

TEST(Tensors, RememberWhatTheyWereMadeOf) {
  const std::int64_t dims[] = {2, 3}, strides[] = {1, 2}, storage[] = {12};
  int data = 0;
  aclTensor* const tensor =
      aclCreateTensor(dims, 2, ACL_BF16, strides, 4, ACL_FORMAT_NCHW, storage, 1, &data);
  ASSERT_NE(tensor, nullptr);
  std::int64_t* values = nullptr;
  std::uint64_t count = 0;
  EXPECT_EQ(aclGetViewShape(tensor, &values, &count), ACL_SUCCESS);
  EXPECT_THAT(Take(values, count), ElementsAre(2, 3));
  EXPECT_EQ(aclGetViewStrides(tensor, &values, &count), ACL_SUCCESS);
  EXPECT_THAT(Take(values, count), ElementsAre(1, 2));
  EXPECT_EQ(aclGetStorageShape(tensor, &values, &count), ACL_SUCCESS);
  EXPECT_THAT(Take(values, count), ElementsAre(12));
  std::int64_t offset = 0;
  aclFormat format = ACL_FORMAT_UNDEFINED;
  aclDataType dtype = ACL_DT_UNDEFINED;
  void* address = nullptr;
  EXPECT_EQ(aclGetViewOffset(tensor, &offset), ACL_SUCCESS);
  EXPECT_EQ(offset, 4);
  EXPECT_EQ(aclGetFormat(tensor, &format), ACL_SUCCESS);
  EXPECT_EQ(format, ACL_FORMAT_NCHW);
  EXPECT_EQ(aclGetDataType(tensor, &dtype), ACL_SUCCESS);
  EXPECT_EQ(dtype, ACL_BF16);
  EXPECT_EQ(aclGetRawTensorAddr(tensor, &address), ACL_SUCCESS);
  EXPECT_EQ(address, &data);
  EXPECT_EQ(aclSetRawTensorAddr(tensor, nullptr), ACL_SUCCESS);
  EXPECT_EQ(aclGetRawTensorAddr(tensor, &address), ACL_SUCCESS);
  EXPECT_EQ(address, nullptr);
  EXPECT_EQ(
      aclInitTensor(tensor, nullptr, 0, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, nullptr, 0, nullptr),
      ACL_SUCCESS);
  EXPECT_EQ(aclGetViewShape(tensor, &values, &count), ACL_SUCCESS);
  EXPECT_THAT(Take(values, count), IsEmpty());
  EXPECT_EQ(aclDestroyTensor(tensor), ACL_SUCCESS);
}

TEST(Tensors, WithoutStridesAreContiguous) {
  const std::int64_t dims[] = {2, 3, 4};
  aclTensor* const tensor =
      aclCreateTensor(dims, 3, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, dims, 3, nullptr);
  std::int64_t* values = nullptr;
  std::uint64_t count = 0;
  ASSERT_EQ(aclGetViewStrides(tensor, &values, &count), ACL_SUCCESS);
  EXPECT_THAT(Take(values, count), ElementsAre(12, 4, 1));
  EXPECT_EQ(aclDestroyTensor(tensor), ACL_SUCCESS);
}

TEST(Tensors, OfAnyExtentsCanBeMade) {
  const std::int64_t dims[] = {std::int64_t{1} << 32, std::int64_t{1} << 32, 8};
  aclTensor* const tensor =
      aclCreateTensor(dims, 3, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, dims, 3, nullptr);
  std::int64_t* values = nullptr;
  std::uint64_t count = 0;
  ASSERT_EQ(aclGetViewStrides(tensor, &values, &count), ACL_SUCCESS);
  EXPECT_THAT(Take(values, count), ElementsAre(std::int64_t{1} << 35, 8, 1));
  EXPECT_EQ(aclInitTensor(tensor, dims, 2, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, dims, 2, nullptr),
            ACL_SUCCESS);
  EXPECT_EQ(aclDestroyTensor(tensor), ACL_SUCCESS);
  const std::int64_t more[] = {2, std::int64_t{1} << 40, std::int64_t{1} << 40};
  aclTensor* const larger =
      aclCreateTensor(more, 3, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, more, 3, nullptr);
  EXPECT_NE(larger, nullptr);
  EXPECT_EQ(aclDestroyTensor(larger), ACL_SUCCESS);
}

TEST(Tensors, AreChangedByOneThreadAtATime) {
  aclTensor* const tensor =
      aclCreateTensor(nullptr, 0, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, nullptr, 0, nullptr);
  std::atomic<bool> started = false, stop = false;
  std::thread other([&] {
    while (!stop) {
      aclSetRawTensorAddr(tensor, nullptr);
      started = true;
    }
  });
  while (!started) std::this_thread::yield();
  int lost = 0;
  for (std::int64_t offset = 1; offset <= 5000; ++offset) {
    aclInitTensor(tensor, nullptr, 0, ACL_FLOAT, nullptr, offset, ACL_FORMAT_ND, nullptr, 0,
                  nullptr);
    for (int look = 0; look < 10; ++look) {  // the other thread may be slow
      std::int64_t found = 0;
      aclGetViewOffset(tensor, &found);
      lost += found == offset ? 0 : 1;
    }
  }
  stop = true;
  other.join();
  EXPECT_EQ(lost, 0);
  EXPECT_EQ(aclDestroyTensor(tensor), ACL_SUCCESS);
}

TEST(Tensors, NeedTheirDimensions) {
  const std::int64_t dims[] = {1};
  EXPECT_EQ(aclCreateTensor(nullptr, 1, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, dims, 1, nullptr),
            nullptr);
  EXPECT_EQ(aclCreateTensor(dims, 1, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, nullptr, 1, nullptr),
            nullptr);
  EXPECT_THAT(ErrorText(), HasSubstr("aclCreateTensor: storageDims is null"));
}

TEST(Tensors, ThatWereDestroyedAreRefused) {
  const std::int64_t dims[] = {1};
  aclTensor* const tensor =
      aclCreateTensor(dims, 1, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, dims, 1, nullptr);
  EXPECT_EQ(aclDestroyTensor(tensor), ACL_SUCCESS);
  EXPECT_EQ(aclDestroyTensor(tensor), 161002);
  std::int64_t offset = 0;
  EXPECT_EQ(aclGetViewOffset(tensor, &offset), 161002);
  EXPECT_EQ(aclGetViewOffset(nullptr, &offset), 161001);
  EXPECT_EQ(aclDestroyTensor(nullptr), ACL_SUCCESS);
}

TEST(Arrays, KnowTheirSize) {
  const std::array<std::int64_t, 2> ints = {1, 2};
  const std::array<float, 3> floats = {1, 2, 3};
  const std::array<bool, 4> bools = {true, false, true, true};
  std::uint64_t size = 9;
  aclIntArray* const int_array = aclCreateIntArray(ints.data(), ints.size());
  EXPECT_EQ(aclGetIntArraySize(int_array, &size), ACL_SUCCESS);
  EXPECT_EQ(size, 2U);
  aclFloatArray* const float_array = aclCreateFloatArray(floats.data(), floats.size());
  EXPECT_EQ(aclGetFloatArraySize(float_array, &size), ACL_SUCCESS);
  EXPECT_EQ(size, 3U);
  aclBoolArray* const bool_array = aclCreateBoolArray(bools.data(), bools.size());
  EXPECT_EQ(aclGetBoolArraySize(bool_array, &size), ACL_SUCCESS);
  EXPECT_EQ(size, 4U);
  aclIntArray* const empty = aclCreateIntArray(nullptr, 0);
  EXPECT_EQ(aclGetIntArraySize(empty, &size), ACL_SUCCESS);
  EXPECT_EQ(size, 0U);
  EXPECT_EQ(aclCreateIntArray(nullptr, 1), nullptr);
  EXPECT_EQ(aclGetIntArraySize(nullptr, &size), 161001);
  EXPECT_EQ(aclGetIntArraySize(empty, nullptr), 161001);
  EXPECT_EQ(aclDestroyIntArray(int_array), ACL_SUCCESS);
  EXPECT_EQ(aclDestroyIntArray(int_array), 161002);
  EXPECT_EQ(aclDestroyIntArray(empty), ACL_SUCCESS);
  EXPECT_EQ(aclDestroyFloatArray(float_array), ACL_SUCCESS);
  EXPECT_EQ(aclDestroyBoolArray(bool_array), ACL_SUCCESS);
}

TEST(Lists, OwnTheirMembers) {
  const std::int64_t dims[] = {1};
  float number = 1;
  const aclTensor* const tensor =
      aclCreateTensor(dims, 1, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, dims, 1, nullptr);
  const aclScalar* const scalar = aclCreateScalar(&number, ACL_FLOAT);
  aclTensorList* const tensors = aclCreateTensorList(&tensor, 1);
  aclScalarList* const scalars = aclCreateScalarList(&scalar, 1);
  std::uint64_t size = 0;
  EXPECT_EQ(aclGetTensorListSize(tensors, &size), ACL_SUCCESS);
  EXPECT_EQ(size, 1U);
  EXPECT_EQ(aclGetScalarListSize(scalars, &size), ACL_SUCCESS);
  EXPECT_EQ(size, 1U);
  EXPECT_EQ(aclDestroyTensorList(tensors), ACL_SUCCESS);
  EXPECT_EQ(aclDestroyTensor(tensor), 161002);
  EXPECT_EQ(aclDestroyScalarList(scalars), ACL_SUCCESS);
  EXPECT_EQ(aclDestroyScalar(scalar), 161002);
  EXPECT_EQ(aclCreateScalar(nullptr, ACL_FLOAT), nullptr);
}

TEST(ElementTypes, HaveSizesAndExactHalves) {
  EXPECT_EQ(aclDataTypeSize(ACL_FLOAT), 4U);
  EXPECT_EQ(aclDataTypeSize(ACL_BF16), 2U);
  EXPECT_EQ(aclDataTypeSize(ACL_INT64), 8U);
  EXPECT_EQ(aclDataTypeSize(ACL_COMPLEX128), 16U);
  EXPECT_EQ(aclDataTypeSize(ACL_FLOAT4_E2M1), 0U);
  EXPECT_EQ(aclDataTypeSize(ACL_DT_UNDEFINED), 0U);
  EXPECT_EQ(aclFloat16ToFloat(0x3C01), 1.0009765625F);
  EXPECT_EQ(aclFloatToFloat16(1.0F + 0x1p-11F), 0x3C00);  // a tie goes to even
  EXPECT_EQ(aclFloatToFloat16(1.0F + 3 * 0x1p-11F), 0x3C02);
}

// A call of aclnnRmsNormGrad on x of [2, 4], dy = x = 1 … 8, rstd = {1, 2}, gamma = 1.
class ExecutorTest : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    std::vector<float> x(8);
    std::iota(x.begin(), x.end(), 1.0F);
    dy_ = NewTensor({2, 4}, Upload(x));
    x_ = NewTensor({2, 4}, Upload(x));
    rstd_ = NewTensor({2}, Upload(std::vector<float>{1, 2}));
    gamma_ = NewTensor({4}, Upload(std::vector<float>(4, 1)));
    dx_ = NewTensor({2, 4}, dx_data_ = Upload(std::vector<float>(8, -1)));
    dgamma_ = NewTensor({4}, dgamma_data_ = Upload(std::vector<float>(4, -1)));
  }
  void TearDown() override {
    for (const aclTensor* tensor : {dy_, x_, rstd_, gamma_, dx_, dgamma_}) aclDestroyTensor(tensor);
    RuntimeTest::TearDown();
  }

  static aclTensor* NewTensor(const std::vector<std::int64_t>& dims, void* data,
                              aclDataType dtype = ACL_FLOAT) {
    return aclCreateTensor(dims.data(), dims.size(), dtype, nullptr, 0, ACL_FORMAT_ND, dims.data(),
                           dims.size(), data);
  }

  aclnnStatus PhaseOne() {
    return aclnnRmsNormGradGetWorkspaceSize(dy_, x_, rstd_, gamma_, dx_, dgamma_, &bytes_,
                                            &executor_);
  }
  // Phase 1 with `changed` in the place of `tensor`; the executor must stay as it was.
  aclnnStatus PhaseOneWith(aclTensor*& tensor, aclTensor* changed) {
    std::swap(tensor, changed);
    executor_ = nullptr;
    const aclnnStatus status = PhaseOne();
    EXPECT_EQ(executor_, nullptr);
    std::swap(tensor, changed);
    aclDestroyTensor(changed);
    return status;
  }
  void* Workspace() { return bytes_ == 0 ? nullptr : Malloc(bytes_); }
  aclnnStatus PhaseTwo() { return aclnnRmsNormGrad(Workspace(), bytes_, executor_, stream_); }

  aclTensor *dy_ = nullptr, *x_ = nullptr, *rstd_ = nullptr, *gamma_ = nullptr, *dx_ = nullptr,
            *dgamma_ = nullptr;
  void *dx_data_ = nullptr, *dgamma_data_ = nullptr;
  std::uint64_t bytes_ = 0;
  aclOpExecutor* executor_ = nullptr;
};

TEST_F(ExecutorTest, TwoPhasesComputeTheGradients) {
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  ASSERT_EQ(PhaseTwo(), ACL_SUCCESS);
  ASSERT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  // Row 1: m = mean(1, 4, 9, 16) = 7.5; row 2: m = 2 mean(25, 36, 49, 64) = 87.
  EXPECT_THAT(Download<float>(dx_data_, 8),
              ElementsAre(-6.5F, -13, -19.5F, -26, -1730, -2076, -2422, -2768));
  EXPECT_THAT(Download<float>(dgamma_data_, 4), ElementsAre(51, 76, 107, 144));
}

TEST_F(ExecutorTest, PhaseTwoIsAsynchronous) {
  const aclrtEvent gate = NewEvent();
  ASSERT_EQ(aclrtStreamWaitEvent(stream_, gate), ACL_SUCCESS);
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  ASSERT_EQ(PhaseTwo(), ACL_SUCCESS);
  EXPECT_EQ(Download<float>(dx_data_, 1)[0], -1);
  ASSERT_EQ(aclrtRecordEvent(gate, nullptr), ACL_SUCCESS);
  ASSERT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_EQ(Download<float>(dx_data_, 1)[0], -6.5F);
}

TEST_F(ExecutorTest, ArgumentObjectsMayGoBeforePhaseTwo) {
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  for (aclTensor** tensor : {&dy_, &x_, &rstd_, &gamma_, &dx_, &dgamma_}) {
    ASSERT_EQ(aclDestroyTensor(std::exchange(*tensor, nullptr)), ACL_SUCCESS);
  }
  ASSERT_EQ(PhaseTwo(), ACL_SUCCESS);
  ASSERT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_EQ(Download<float>(dx_data_, 1)[0], -6.5F);
}

TEST_F(ExecutorTest, ViewsAreReadAndWrittenThroughStrideAndOffset) {
  // dx is every second element of a storage of 17, from the second on.
  void* const storage = Upload(std::vector<float>(17, -1));
  const std::int64_t dims[] = {2, 4}, strides[] = {8, 2}, storage_dims[] = {17};
  aclDestroyTensor(dx_);
  dx_ = aclCreateTensor(dims, 2, ACL_FLOAT, strides, 1, ACL_FORMAT_ND, storage_dims, 1, storage);
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  ASSERT_EQ(PhaseTwo(), ACL_SUCCESS);
  ASSERT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_THAT(Download<float>(storage, 17),
              ElementsAre(-1, -6.5F, -1, -13, -1, -19.5F, -1, -26, -1, -1730, -1, -2076, -1, -2422,
                          -1, -2768, -1));
}

TEST_F(ExecutorTest, PhaseOneRefusesNullPointersFirst) {
  EXPECT_EQ(
      aclnnRmsNormGradGetWorkspaceSize(dy_, x_, rstd_, gamma_, dx_, dgamma_, nullptr, &executor_),
      161001);
  EXPECT_EQ(
      aclnnRmsNormGradGetWorkspaceSize(dy_, x_, rstd_, gamma_, dx_, dgamma_, &bytes_, nullptr),
      161001);
  for (aclTensor** tensor : {&dy_, &x_, &rstd_, &gamma_, &dx_, &dgamma_}) {
    EXPECT_EQ(PhaseOneWith(*tensor, nullptr), 161001);
  }
  EXPECT_THAT(ErrorText(), HasSubstr("aclnnRmsNormGradGetWorkspaceSize: dgammaOut: is null"));
}

TEST_F(ExecutorTest, PhaseOneRefusesWhatTheContractForbids) {
  EXPECT_EQ(PhaseOneWith(dy_, NewTensor({2, 4}, dx_data_, ACL_FLOAT16)), 161002);
  EXPECT_EQ(PhaseOneWith(dy_, NewTensor({2, 4}, dx_data_, ACL_INT8)), 161002);
  EXPECT_EQ(PhaseOneWith(dy_, NewTensor({2, 5}, dx_data_)), 561002);
  EXPECT_EQ(PhaseOneWith(gamma_, NewTensor({5}, dx_data_)), 561002);
  EXPECT_THAT(ErrorText(), HasSubstr("aclnnRmsNormGradGetWorkspaceSize: "));
  EXPECT_EQ(normgradSetProduct("atlas-training"), ACL_SUCCESS);
  EXPECT_EQ(PhaseOne(), 161002);
  EXPECT_THAT(ErrorText(), HasSubstr("atlas-training does not support aclnnRmsNormGrad"));
}

TEST_F(ExecutorTest, PhaseOneRefusesNegativeExtents) {
  for (aclTensor** tensor : {&dy_, &x_, &dx_}) {
    aclDestroyTensor(*tensor);
    *tensor = NewTensor({-2, 4}, dx_data_);
  }
  aclDestroyTensor(rstd_);
  rstd_ = NewTensor({-2}, dx_data_);
  EXPECT_EQ(PhaseOne(), 561002);
  EXPECT_THAT(ErrorText(), HasSubstr("has a negative extent"));
}

TEST_F(ExecutorTest, PhaseOneRefusesNumbersThatExceed64Bits) {
  constexpr std::int64_t kLarge = std::int64_t{1} << 61;
  const std::int64_t dims[] = {2, 4}, far[] = {kLarge, 1}, far_back[] = {-kLarge, 1},
                     near[] = {4, 1};
  const auto view = [&](const std::int64_t* strides, std::int64_t offset) {
    return aclCreateTensor(dims, 2, ACL_FLOAT, strides, offset, ACL_FORMAT_ND, dims, 2, dx_data_);
  };
  EXPECT_EQ(PhaseOneWith(dy_, view(far, 0)), 561002);
  EXPECT_THAT(ErrorText(), HasSubstr("dy: shape [2, 4] with strides [2305843009213693952, 1] and "
                                     "offset 0 exceeds 64 bits"));
  EXPECT_EQ(PhaseOneWith(dy_, view(far_back, 0)), 561002);
  EXPECT_EQ(PhaseOneWith(dy_, view(near, -kLarge)), 561002);
  EXPECT_EQ(PhaseOneWith(dy_, view(near, kLarge)), 561002);
}

TEST_F(ExecutorTest, NumbersThatFitMayStillReachBeyondTheDevice) {
  const std::int64_t dims[] = {2, 4}, far_back[] = {-(std::int64_t{1} << 55), 1};
  aclDestroyTensor(dx_);
  dx_ = aclCreateTensor(dims, 2, ACL_FLOAT, far_back, 0, ACL_FORMAT_ND, dims, 2, dx_data_);
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  ASSERT_EQ(PhaseTwo(), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), 507015);
  EXPECT_THAT(ErrorText(), HasSubstr("is not device memory"));
}

TEST_F(ExecutorTest, PhaseOneRefusesMoreElementsThanCanBeCounted) {
  // 2^67 of them, all in the same place; counted in 64 bits they would be none.
  const std::vector<std::int64_t> dims = {std::int64_t{1} << 32, std::int64_t{1} << 32, 4};
  const std::int64_t strides[] = {0, 0, 1};
  for (aclTensor** tensor : {&dy_, &x_, &dx_}) {
    aclDestroyTensor(*tensor);
    *tensor = aclCreateTensor(dims.data(), 3, ACL_FLOAT, strides, 0, ACL_FORMAT_ND, dims.data(), 3,
                              dx_data_);
  }
  aclDestroyTensor(rstd_);
  rstd_ = aclCreateTensor(dims.data(), 2, ACL_FLOAT, strides, 0, ACL_FORMAT_ND, dims.data(), 2,
                          dx_data_);
  EXPECT_EQ(PhaseOne(), 561002);
  EXPECT_THAT(ErrorText(), HasSubstr("exceeds 64 bits"));
}

TEST_F(ExecutorTest, PhaseOneRefusesTensorsThatAreNotAlive) {
  aclTensor* const dead = NewTensor({2, 4}, dx_data_);
  ASSERT_EQ(aclDestroyTensor(dead), ACL_SUCCESS);
  EXPECT_EQ(PhaseOneWith(dy_, dead), 161002);
}

TEST_F(ExecutorTest, PhaseTwoRefusesAndConsumes) {
  EXPECT_EQ(aclnnRmsNormGrad(nullptr, 0, nullptr, stream_), 161001);
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  EXPECT_EQ(aclnnRmsNormGrad(nullptr, bytes_ + 1, executor_, stream_), 161001);
  EXPECT_EQ(PhaseTwo(), 561000);
  EXPECT_THAT(ErrorText(), HasSubstr("call phase 1 again"));
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  EXPECT_EQ(PhaseTwo(), ACL_SUCCESS);
  EXPECT_EQ(PhaseTwo(), 561000);
  EXPECT_EQ(aclDestroyAclOpExecutor(executor_), 561000);
}

TEST_F(ExecutorTest, PhaseTwoRefusesASmallWorkspace) {
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  ASSERT_GT(bytes_, 0U);
  EXPECT_EQ(aclnnRmsNormGrad(Malloc(bytes_), bytes_ - 1, executor_, stream_), 161002);
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  auto* const workspace = static_cast<std::byte*>(Malloc(bytes_ + 32));
  EXPECT_EQ(aclnnRmsNormGrad(workspace + 16, bytes_, executor_, stream_), 161002);
  EXPECT_THAT(ErrorText(), HasSubstr("is not 32-byte aligned"));
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  EXPECT_EQ(aclnnRmsNormGrad(workspace + 32, bytes_, executor_, stream_), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_EQ(Download<float>(dx_data_, 1)[0], -6.5F);
}

TEST_F(ExecutorTest, OfTwoThreadsOneUsesASingleUseExecutor) {
  aclrtContext context = nullptr;
  ASSERT_EQ(aclrtGetCurrentContext(&context), ACL_SUCCESS);
  constexpr int kRounds = 1000;
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  void* const workspace = Workspace();
  std::atomic<int> arrivals = 0, uses = 0;
  const auto meet = [&](int times) {  // not a std::barrier, which wakes one after the other
    for (++arrivals; arrivals < 2 * times;) std::this_thread::yield();
  };
  const auto use = [&](int round) {
    meet(2 * round + 1);
    if (aclnnRmsNormGrad(workspace, bytes_, executor_, stream_) == ACL_SUCCESS) ++uses;
    meet(2 * round + 2);
  };
  std::thread other([&] {
    aclrtSetCurrentContext(context);
    for (int round = 0; round < kRounds; ++round) use(round);
  });
  for (int round = 0; round < kRounds; ++round) {
    use(round);
    if (round + 1 < kRounds) {
      EXPECT_EQ(PhaseOne(), ACL_SUCCESS);
    }
  }
  other.join();
  EXPECT_EQ(uses, kRounds);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
}

TEST_F(ExecutorTest, PhaseTwoRefusesStreamsThatAreNotAlive) {
  const aclrtStream stream = NewStream();
  ASSERT_EQ(aclrtDestroyStream(stream), ACL_SUCCESS);
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  EXPECT_EQ(aclnnRmsNormGrad(Workspace(), bytes_, executor_, stream), 107017);
}

TEST_F(ExecutorTest, PhaseTwoRefusesMissingData) {
  ASSERT_EQ(aclSetRawTensorAddr(x_, nullptr), ACL_SUCCESS);
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  EXPECT_EQ(PhaseTwo(), 161001);
  EXPECT_THAT(ErrorText(), HasSubstr("aclnnRmsNormGrad: x: data address is null"));
}

TEST_F(ExecutorTest, AFaultIsTheStreamsAndReportedOnce) {
  std::vector<float> host(8);
  ASSERT_EQ(aclSetRawTensorAddr(x_, host.data()), ACL_SUCCESS);
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  ASSERT_EQ(PhaseTwo(), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), 507015);
  EXPECT_THAT(ErrorText(), HasSubstr("aclrtSynchronizeStream: x: 0x"));
  EXPECT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_EQ(Download<float>(dx_data_, 1)[0], -1);  // nothing was written
}

TEST_F(ExecutorTest, RepeatableExecutorsRunAgainAndElsewhere) {
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  ASSERT_EQ(aclSetAclOpExecutorRepeatable(executor_), ACL_SUCCESS);
  ASSERT_EQ(PhaseTwo(), ACL_SUCCESS);
  ASSERT_EQ(PhaseTwo(), ACL_SUCCESS);
  void* const elsewhere = Upload(std::vector<float>(8, -1));
  void* const ones = Upload(std::vector<float>(8, 1));
  ASSERT_EQ(aclSetOutputTensorAddr(executor_, 0, dx_, elsewhere), ACL_SUCCESS);
  ASSERT_EQ(aclSetInputTensorAddr(executor_, 1, x_, ones), ACL_SUCCESS);
  ASSERT_EQ(PhaseTwo(), ACL_SUCCESS);
  ASSERT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_EQ(Download<float>(dx_data_, 1)[0], -6.5F);
  EXPECT_EQ(Download<float>(elsewhere, 1)[0], 1 - 2.5F);  // m = mean(1, 2, 3, 4)
  EXPECT_EQ(aclDestroyAclOpExecutor(executor_), ACL_SUCCESS);
  EXPECT_EQ(aclDestroyAclOpExecutor(executor_), 561000);
  EXPECT_EQ(PhaseTwo(), 561000);
}

TEST_F(ExecutorTest, TensorsWithNewAddressesBringTheirOwnStrides) {
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  ASSERT_EQ(aclSetAclOpExecutorRepeatable(executor_), ACL_SUCCESS);
  // The same x, stored column by column, from the second element on.
  void* const storage = Upload(std::vector<float>{0, 1, 5, 2, 6, 3, 7, 4, 8});
  const std::int64_t dims[] = {2, 4}, strides[] = {1, 2}, storage_dims[] = {9};
  aclTensor* const columns =
      aclCreateTensor(dims, 2, ACL_FLOAT, strides, 1, ACL_FORMAT_ND, storage_dims, 1, nullptr);
  ASSERT_EQ(aclSetInputTensorAddr(executor_, 1, columns, storage), ACL_SUCCESS);
  ASSERT_EQ(PhaseTwo(), ACL_SUCCESS);
  ASSERT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_THAT(Download<float>(dgamma_data_, 4), ElementsAre(51, 76, 107, 144));
  const std::int64_t far[] = {std::int64_t{1} << 61, 1};
  ASSERT_EQ(aclInitTensor(columns, dims, 2, ACL_FLOAT, far, 0, ACL_FORMAT_ND, dims, 2, nullptr),
            ACL_SUCCESS);
  EXPECT_EQ(aclSetInputTensorAddr(executor_, 1, columns, storage), 561002);
  EXPECT_EQ(aclDestroyTensor(columns), ACL_SUCCESS);
  EXPECT_EQ(aclDestroyAclOpExecutor(executor_), ACL_SUCCESS);
}

TEST_F(ExecutorTest, AddressesChangeByIndexOverAllTensorsToo) {
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  ASSERT_EQ(aclSetAclOpExecutorRepeatable(executor_), ACL_SUCCESS);
  void* const elsewhere = Upload(std::vector<float>(8, -1));
  ASSERT_EQ(AclSetTensorAddr(executor_, 4, dx_, elsewhere), ACL_SUCCESS);
  ASSERT_EQ(PhaseTwo(), ACL_SUCCESS);
  ASSERT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_EQ(Download<float>(elsewhere, 1)[0], -6.5F);
  EXPECT_EQ(Download<float>(dx_data_, 1)[0], -1);
  EXPECT_EQ(aclSetTensorAddr(executor_, 6, dx_, elsewhere), 161002);
  EXPECT_EQ(aclSetOutputTensorAddr(executor_, 2, dx_, elsewhere), 161002);
  EXPECT_EQ(aclSetInputTensorAddr(executor_, 2, dx_, elsewhere), 161002);  // rstd is no dx
  EXPECT_EQ(aclSetInputTensorAddr(executor_, 0, nullptr, elsewhere), 161001);
  EXPECT_EQ(AclSetInputTensorAddr(nullptr, 0, dy_, elsewhere), 161001);
  EXPECT_EQ(aclSetDynamicInputTensorAddr(executor_, 0, 0, nullptr, elsewhere), 161002);
  EXPECT_EQ(aclDestroyAclOpExecutor(executor_), ACL_SUCCESS);
}

TEST_F(ExecutorTest, OnlyRepeatableExecutorsChangeAddresses) {
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  EXPECT_EQ(aclSetOutputTensorAddr(executor_, 0, dx_, dx_data_), 161002);
  EXPECT_EQ(aclDestroyAclOpExecutor(executor_), ACL_SUCCESS);
  EXPECT_EQ(aclSetAclOpExecutorRepeatable(nullptr), 561103);
  EXPECT_EQ(aclSetAclOpExecutorRepeatable(executor_), 561000);
  EXPECT_EQ(aclDestroyAclOpExecutor(nullptr), 561103);
}

TEST_F(ExecutorTest, EmptyBatchesZeroTheParameterGradient) {
  for (aclTensor** tensor : {&dy_, &x_, &dx_}) {
    aclDestroyTensor(*tensor);
    *tensor = NewTensor({0, 4}, nullptr);
  }
  aclDestroyTensor(rstd_);
  rstd_ = NewTensor({0}, nullptr);
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  EXPECT_EQ(bytes_, 0U);
  ASSERT_EQ(aclnnRmsNormGrad(nullptr, 0, executor_, stream_), ACL_SUCCESS);
  ASSERT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_THAT(Download<float>(dgamma_data_, 4), ElementsAre(0, 0, 0, 0));
}

TEST_F(ExecutorTest, ThreadCountsDoNotChangeTheResult) {
  // Enough rows and elements for several threads to have a share.
  constexpr std::int64_t kRows = 256, kCols = 1024;
  constexpr auto kCount = static_cast<std::size_t>(kRows * kCols);
  std::vector<float> x(kCount);
  for (std::size_t i = 0; i < kCount; ++i) x[i] = 1 / static_cast<float>(1 + i % 97);
  for (aclTensor** tensor : {&dy_, &x_, &dx_}) {
    aclDestroyTensor(*tensor);
    *tensor = NewTensor({kRows, kCols}, dx_data_ = Upload(x));
  }
  for (aclTensor* tensor : {rstd_, gamma_, dgamma_}) aclDestroyTensor(tensor);
  rstd_ = NewTensor({kRows}, Upload(std::vector<float>(kRows, 2)));
  gamma_ = NewTensor({kCols}, Upload(std::vector<float>(kCols, 1)));
  dgamma_ = NewTensor({kCols}, dgamma_data_ = Upload(std::vector<float>(kCols, -1)));
  std::vector<std::vector<float>> dx, dgamma;
  for (const std::uint32_t threads : {1U, 3U, 0U}) {
    ASSERT_EQ(normgradSetThreads(threads), ACL_SUCCESS);
    ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
    ASSERT_EQ(PhaseTwo(), ACL_SUCCESS);
    ASSERT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
    dx.push_back(Download<float>(dx_data_, kCount));
    dgamma.push_back(Download<float>(dgamma_data_, kCols));
  }
  EXPECT_GT(dgamma[0][0], 0);
  EXPECT_TRUE(dx[1] == dx[0] && dgamma[1] == dgamma[0]) << "3 threads";
  EXPECT_TRUE(dx[2] == dx[0] && dgamma[2] == dgamma[0]) << "a thread per core";
}

TEST_F(ExecutorTest, OperatorsWithoutAKernelAreRefused) {
  std::uint64_t* const bytes = &bytes_;
  const auto layer = [&](std::uint64_t* size, aclOpExecutor** executor) {
    return aclnnLayerNormBackwardGetWorkspaceSize(dy_, x_, nullptr, rstd_, rstd_, nullptr, nullptr,
                                                  nullptr, dx_, nullptr, nullptr, size, executor);
  };
  const auto group = [&](std::uint64_t* size, aclOpExecutor** executor) {
    return aclnnGroupNormBackwardGetWorkspaceSize(dy_, x_, rstd_, rstd_, nullptr, 2, 4, 1, 1,
                                                  nullptr, dx_, nullptr, nullptr, size, executor);
  };
  const auto batch = [&](std::uint64_t* size, aclOpExecutor** executor) {
    return aclnnBatchNormElemtBackwardGetWorkspaceSize(dy_, x_, gamma_, gamma_, gamma_, gamma_,
                                                       gamma_, rstd_, dx_, size, executor);
  };
  EXPECT_EQ(layer(bytes, &executor_), 561003);
  EXPECT_EQ(ErrorText(),
            "aclnnLayerNormBackwardGetWorkspaceSize: this device has no kernel for it");
  EXPECT_EQ(group(bytes, &executor_), 561003);
  EXPECT_EQ(batch(bytes, &executor_), 561003);
  EXPECT_EQ(executor_, nullptr);
  for (const auto status :
       {layer(nullptr, &executor_), group(nullptr, &executor_), batch(nullptr, &executor_),
        layer(bytes, nullptr), group(bytes, nullptr), batch(bytes, nullptr)}) {
    EXPECT_EQ(status, 161001);
  }
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  for (const auto phase_two :
       {aclnnLayerNormBackward, aclnnGroupNormBackward, aclnnBatchNormElemtBackward}) {
    EXPECT_EQ(phase_two(nullptr, 0, nullptr, stream_), 161001);
    EXPECT_EQ(phase_two(nullptr, 0, executor_, stream_), 561000);
  }
  EXPECT_EQ(aclDestroyAclOpExecutor(executor_), ACL_SUCCESS);  // it was none of theirs
}

TEST_F(ExecutorTest, DumpsAreRefused) {
  EXPECT_EQ(aclDumpOpTensors("op", "name", &dy_, 1, 0, stream_), 207000);
}

}  // namespace
}  // namespace normgrad
