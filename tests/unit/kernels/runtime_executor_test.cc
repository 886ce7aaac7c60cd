// SPDX-License-Identifier: Apache-2.0
// The two phases of the CPU device library.
#include <atomic>
#include <cfenv>
#include <cstdlib>
#include <thread>
#include <utility>

#include "tests/unit/kernels/executor_fixture.h"

namespace normgrad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

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

TEST_F(ExecutorTest, PhaseTwoKeepsItsPlaceInAStreamThatWaits) {
  // The first call waits for the gate; the second finds the stream busy and must not overtake it.
  const aclrtEvent gate = NewEvent();
  ASSERT_EQ(aclrtStreamWaitEvent(stream_, gate), ACL_SUCCESS);
  for (int call = 0; call < 2; ++call) {
    ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
    ASSERT_EQ(PhaseTwo(), ACL_SUCCESS);
  }
  EXPECT_EQ(Query(stream_), ACL_STREAM_STATUS_NOT_READY);
  EXPECT_EQ(Download<float>(dgamma_data_, 1)[0], -1);
  ASSERT_EQ(aclrtRecordEvent(gate, nullptr), ACL_SUCCESS);
  ASSERT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_EQ(Query(stream_), ACL_STREAM_STATUS_COMPLETE);
  EXPECT_EQ(Download<float>(dgamma_data_, 1)[0], 51);
}

TEST_F(ExecutorTest, TheCallersRoundingModeIsNotTheDevices) {
  const std::vector<float> values = {0.1F, 0.7F, 0.3F, 0.9F, 0.2F, 0.6F, 0.4F, 0.8F};
  aclDestroyTensor(x_);
  x_ = NewTensor({2, 4}, Upload(values));
  std::vector<float> dx[2];
  for (const int rounding : {FE_TONEAREST, FE_UPWARD}) {
    ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
    ASSERT_EQ(std::fesetround(rounding), 0);
    const aclnnStatus status = PhaseTwo();
    EXPECT_EQ(std::fegetround(), rounding);
    std::fesetround(FE_TONEAREST);
    ASSERT_EQ(status, ACL_SUCCESS);
    ASSERT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
    dx[rounding == FE_TONEAREST ? 0 : 1] = Download<float>(dx_data_, 8);
  }
  EXPECT_EQ(dx[0], dx[1]);
}

TEST_F(ExecutorTest, PhaseOneSeesWhatHasChangedSinceTheLastCall) {
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  ASSERT_EQ(PhaseTwo(), ACL_SUCCESS);
  void* const elsewhere = Upload(std::vector<float>(8, -1));
  ASSERT_EQ(aclSetRawTensorAddr(dx_, elsewhere), ACL_SUCCESS);
  ASSERT_EQ(PhaseOne(), ACL_SUCCESS);
  ASSERT_EQ(PhaseTwo(), ACL_SUCCESS);
  ASSERT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_EQ(Download<float>(elsewhere, 1)[0], -6.5F);
  ASSERT_EQ(normgradSetProduct("atlas-training"), ACL_SUCCESS);
  EXPECT_EQ(PhaseOne(), 161002);  // not offered there
  ASSERT_EQ(normgradSetProduct("atlas-a2"), ACL_SUCCESS);
  EXPECT_EQ(PhaseOne(), ACL_SUCCESS);
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

TEST_F(ExecutorTest, DumpsAreRefused) {
  EXPECT_EQ(aclDumpOpTensors("op", "name", &dy_, 1, 0, stream_), 207000);
}

}  // namespace
}  // namespace normgrad
