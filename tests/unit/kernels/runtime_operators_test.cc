// SPDX-License-Identifier: Apache-2.0
// What sets the operators apart at the C ABI: masks, arrays, numbers, tensors that may be null.
#include <array>
#include <memory>
#include <utility>

#include "tests/unit/kernels/runtime_fixture.h"

namespace normgrad {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

using Mask = std::unique_ptr<aclBoolArray, decltype(&aclDestroyBoolArray)>;
using Ints = std::unique_ptr<aclIntArray, decltype(&aclDestroyIntArray)>;

Mask MakeMask(std::array<bool, 3> bits) {
  return {aclCreateBoolArray(bits.data(), bits.size()), aclDestroyBoolArray};
}

Ints MakeInts(std::array<std::int64_t, 1> values) {
  return {aclCreateIntArray(values.data(), values.size()), aclDestroyIntArray};
}

// A call of each of the other operators whose results are exact. What a test changes stays
// changed; tensors live as long as the process.
class OperatorsTest : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    const std::vector<float> numbers = {0, 1, 2, 3, 4, 5, 6, 7};
    layer_ = {.dy = NewTensor({2, 2}, Upload<float>({2, 3, 4, 5})),
              .x = NewTensor({2, 2}, Upload<float>({2, 3, 4, 5})),
              .mean = NewTensor({2, 1}, Upload<float>({2, 3})),
              .rstd = NewTensor({2, 1}, Upload<float>({4, 5})),
              .weight = NewTensor({2}, Upload<float>({1, 1})),
              .bias = NewTensor({2}, Upload<float>({9, 9})),
              .dx = NewTensor({2, 2}, dx_data_ = Upload(std::vector<float>(8, -1))),
              .dweight = NewTensor({2}, dweight_data_ = Upload(std::vector<float>(2, -1))),
              .dbias = NewTensor({2}, dbias_data_ = Upload(std::vector<float>(2, -1)))};
    group_ = {.dy = NewTensor({1, 2, 2}, Upload<float>({1, 0, 0, 0})),
              .x = NewTensor({1, 2, 2}, Upload<float>({1, -1, 1, -1})),
              .mean = NewTensor({1, 1}, Upload<float>({0})),
              .rstd = NewTensor({1, 1}, Upload<float>({1})),
              .gamma = NewTensor({2}, Upload<float>({1, 1})),
              .dx = NewTensor({1, 2, 2}, dx_data_),
              .dgamma = NewTensor({2}, dweight_data_),
              .dbeta = NewTensor({2}, dbias_data_)};
    batch_ = {.dy = NewTensor({1, 2, 4}, Upload(numbers)),
              .x = NewTensor({1, 2, 4}, Upload(numbers)),
              .mean = NewTensor({2}, Upload<float>({0, 0})),
              .invstd = NewTensor({2}, Upload<float>({1, 1})),
              .weight = NewTensor({2}, Upload<float>({1, 1})),
              .sum_dy = NewTensor({2}, Upload<float>({0, 0})),
              .sum_dy_xmu = NewTensor({2}, Upload<float>({1, 1})),
              .counter = NewTensor({3}, Upload<std::int32_t>({5, 2, 1}), ACL_INT32),
              .dx = NewTensor({1, 2, 4}, dx_data_)};
  }

  aclnnStatus Layer(const aclBoolArray* mask, const aclIntArray* normalized_shape) {
    return aclnnLayerNormBackwardGetWorkspaceSize(
        layer_.dy, layer_.x, normalized_shape, layer_.mean, layer_.rstd, layer_.weight, layer_.bias,
        mask, layer_.dx, layer_.dweight, layer_.dbias, bytes_out_, executor_out_);
  }
  aclnnStatus Layer(std::array<bool, 3> mask = {true, true, true}) {
    return Layer(MakeMask(mask).get(), MakeInts({2}).get());
  }
  aclnnStatus Group(const aclBoolArray* mask, std::int64_t n = 1, std::int64_t c = 2,
                    std::int64_t hxw = 2, std::int64_t group = 1) {
    return aclnnGroupNormBackwardGetWorkspaceSize(
        group_.dy, group_.x, group_.mean, group_.rstd, group_.gamma, n, c, hxw, group, mask,
        group_.dx, group_.dgamma, group_.dbeta, bytes_out_, executor_out_);
  }
  aclnnStatus Group(std::array<bool, 3> mask = {true, true, true}) {
    return Group(MakeMask(mask).get());
  }
  aclnnStatus Batch() {
    return aclnnBatchNormElemtBackwardGetWorkspaceSize(
        batch_.dy, batch_.x, batch_.mean, batch_.invstd, batch_.weight, batch_.sum_dy,
        batch_.sum_dy_xmu, batch_.counter, batch_.dx, bytes_out_, executor_out_);
  }

  using PhaseTwo = decltype(&aclnnLayerNormBackward);
  aclnnStatus Run(PhaseTwo phase_two) {
    const aclnnStatus status =
        phase_two(bytes_ == 0 ? nullptr : Malloc(bytes_), bytes_, executor_, stream_);
    EXPECT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
    return status;
  }

  std::vector<float> Dx(std::size_t count) { return Download<float>(dx_data_, count); }

  struct {
    aclTensor *dy = nullptr, *x = nullptr, *mean = nullptr, *rstd = nullptr, *weight = nullptr,
              *bias = nullptr, *dx = nullptr, *dweight = nullptr, *dbias = nullptr;
  } layer_;
  struct {
    aclTensor *dy = nullptr, *x = nullptr, *mean = nullptr, *rstd = nullptr, *gamma = nullptr,
              *dx = nullptr, *dgamma = nullptr, *dbeta = nullptr;
  } group_;
  struct {
    aclTensor *dy = nullptr, *x = nullptr, *mean = nullptr, *invstd = nullptr, *weight = nullptr,
              *sum_dy = nullptr, *sum_dy_xmu = nullptr, *counter = nullptr, *dx = nullptr;
  } batch_;
  void *dx_data_ = nullptr, *dweight_data_ = nullptr, *dbias_data_ = nullptr;
  std::uint64_t bytes_ = 0, *bytes_out_ = &bytes_;
  aclOpExecutor *executor_ = nullptr, **executor_out_ = &executor_;
};

TEST_F(OperatorsTest, ComputeTheirGradients) {
  ASSERT_EQ(Layer(), ACL_SUCCESS);
  ASSERT_EQ(Run(aclnnLayerNormBackward), ACL_SUCCESS);
  EXPECT_THAT(Dx(4), ElementsAre(-2, -94, -877.5F, -1747.5F));
  EXPECT_THAT(Download<float>(dweight_data_, 2), ElementsAre(20, 62));
  EXPECT_THAT(Download<float>(dbias_data_, 2), ElementsAre(6, 8));
  ASSERT_EQ(Group(), ACL_SUCCESS);
  ASSERT_EQ(Run(aclnnGroupNormBackward), ACL_SUCCESS);
  EXPECT_THAT(Dx(4), ElementsAre(0.5F, 0, -0.5F, 0));
  EXPECT_THAT(Download<float>(dweight_data_, 2), ElementsAre(1, 0));
  EXPECT_THAT(Download<float>(dbias_data_, 2), ElementsAre(1, 0));
  ASSERT_EQ(Batch(), ACL_SUCCESS);
  ASSERT_EQ(Run(aclnnBatchNormElemtBackward), ACL_SUCCESS);
  EXPECT_THAT(Dx(8), ElementsAre(0, 0.875F, 1.75F, 2.625F, 3.5F, 4.375F, 5.25F, 6.125F));
}

TEST_F(OperatorsTest, TakeNullForOnesAndForBias) {
  layer_.weight = layer_.bias = nullptr;
  ASSERT_EQ(Layer(), ACL_SUCCESS);
  ASSERT_EQ(Run(aclnnLayerNormBackward), ACL_SUCCESS);
  EXPECT_THAT(Dx(4), ElementsAre(-2, -94, -877.5F, -1747.5F));
  group_.gamma = nullptr;
  ASSERT_EQ(Group(), ACL_SUCCESS);
  ASSERT_EQ(Run(aclnnGroupNormBackward), ACL_SUCCESS);
  EXPECT_THAT(Dx(4), ElementsAre(0.5F, 0, -0.5F, 0));
  batch_.weight = nullptr;
  ASSERT_EQ(Batch(), ACL_SUCCESS);
  ASSERT_EQ(Run(aclnnBatchNormElemtBackward), ACL_SUCCESS);
  EXPECT_EQ(Dx(8)[7], 6.125F);
}

TEST_F(OperatorsTest, RefuseNullWhereADocumentAsksForATensor) {
  for (aclTensor** tensor : {&layer_.dy, &layer_.x, &layer_.mean, &layer_.rstd, &layer_.dx}) {
    aclTensor* const passed = std::exchange(*tensor, nullptr);
    EXPECT_EQ(Layer(), 161001);
    *tensor = passed;
  }
  for (aclTensor** tensor : {&group_.dy, &group_.x, &group_.mean, &group_.rstd, &group_.dx}) {
    aclTensor* const passed = std::exchange(*tensor, nullptr);
    EXPECT_EQ(Group(), 161001);
    *tensor = passed;
  }
  for (aclTensor** tensor : {&batch_.dy, &batch_.x, &batch_.mean, &batch_.invstd, &batch_.sum_dy,
                             &batch_.sum_dy_xmu, &batch_.counter, &batch_.dx}) {
    aclTensor* const passed = std::exchange(*tensor, nullptr);
    EXPECT_EQ(Batch(), 161001);
    *tensor = passed;
  }
  EXPECT_EQ(executor_, nullptr);
}

TEST_F(OperatorsTest, RefuseNullArrays) {
  EXPECT_EQ(Layer(nullptr, MakeInts({2}).get()), 161001);
  EXPECT_THAT(ErrorText(), HasSubstr("outputMask: is null"));
  EXPECT_EQ(Layer(MakeMask({true, true, true}).get(), nullptr), 161001);
  EXPECT_THAT(ErrorText(), HasSubstr("normalizedShape: is null"));
  EXPECT_EQ(Group(nullptr), 161002) << "as the document has it";
  EXPECT_EQ(executor_, nullptr);
}

TEST_F(OperatorsTest, RefuseArraysThatAreNotAlive) {
  aclBoolArray* const dead_mask = MakeMask({true, true, true}).get();
  aclIntArray* const dead_ints = MakeInts({2}).get();
  EXPECT_EQ(Layer(dead_mask, MakeInts({2}).get()), 161002);
  EXPECT_EQ(Layer(MakeMask({true, true, true}).get(), dead_ints), 161002);
  EXPECT_EQ(Group(dead_mask), 161002);
}

TEST_F(OperatorsTest, RefuseMasksOfAnotherSize) {
  const bool bits[] = {true, true, true, true};
  for (const std::uint64_t size : {0U, 2U, 4U}) {
    const Mask mask(aclCreateBoolArray(bits, size), aclDestroyBoolArray);
    EXPECT_EQ(Layer(mask.get(), MakeInts({2}).get()), 161002) << size;
    EXPECT_EQ(Group(mask.get()), 161002) << size;
  }
}

TEST_F(OperatorsTest, RefuseNumbersThatDisagreeWithTheTensors) {
  const Mask mask = MakeMask({true, true, true});
  EXPECT_EQ(Group(mask.get(), 2), 161002);
  EXPECT_EQ(Group(mask.get(), 1, 3), 161002);
  EXPECT_EQ(Group(mask.get(), 1, 2, 3), 161002);
  EXPECT_EQ(Group(mask.get(), 1, 2, 2, 2), 161002);
  EXPECT_EQ(Group(mask.get(), 1, 2, 2, 0), 161002);
  EXPECT_EQ(Group(mask.get(), 1, 2, 2, -1), 161002);
  EXPECT_EQ(Layer(MakeMask({true, true, true}).get(), MakeInts({3}).get()), 161002);
  EXPECT_EQ(executor_, nullptr);
}

TEST_F(OperatorsTest, TakeNullForOutputsThatAreNotWanted) {
  layer_.dweight = layer_.dbias = nullptr;
  ASSERT_EQ(Layer({true, false, false}), ACL_SUCCESS);
  ASSERT_EQ(Run(aclnnLayerNormBackward), ACL_SUCCESS);
  EXPECT_THAT(Dx(4), ElementsAre(-2, -94, -877.5F, -1747.5F));
  EXPECT_EQ(Layer({true, false, true}), 161001);
  EXPECT_THAT(ErrorText(), HasSubstr("gradBiasOut: is null"));
  group_.dx = group_.dgamma = nullptr;
  ASSERT_EQ(Group({false, false, true}), ACL_SUCCESS);
  ASSERT_EQ(Run(aclnnGroupNormBackward), ACL_SUCCESS);
  EXPECT_THAT(Download<float>(dbias_data_, 2), ElementsAre(1, 0));
  EXPECT_EQ(Group({true, false, true}), 161001);
  EXPECT_THAT(ErrorText(), HasSubstr("gradInput: is null"));
}

TEST_F(OperatorsTest, LeaveOutputsThatAreNotWantedAsTheyAre) {
  ASSERT_EQ(Layer({false, false, false}), ACL_SUCCESS);
  ASSERT_EQ(Run(aclnnLayerNormBackward), ACL_SUCCESS);
  ASSERT_EQ(Group({false, false, false}), ACL_SUCCESS);
  ASSERT_EQ(Run(aclnnGroupNormBackward), ACL_SUCCESS);
  EXPECT_THAT(Dx(8), Each(-1));
  EXPECT_THAT(Download<float>(dweight_data_, 2), Each(-1));
  EXPECT_THAT(Download<float>(dbias_data_, 2), Each(-1));
}

TEST_F(OperatorsTest, RefuseNullWhereTheyWouldAnswer) {
  bytes_out_ = nullptr;
  for (const aclnnStatus status : {Layer(), Group(), Batch()}) EXPECT_EQ(status, 161001);
  bytes_out_ = &bytes_;
  executor_out_ = nullptr;
  for (const aclnnStatus status : {Layer(), Group(), Batch()}) EXPECT_EQ(status, 161001);
  for (const PhaseTwo phase_two :
       {aclnnLayerNormBackward, aclnnGroupNormBackward, aclnnBatchNormElemtBackward}) {
    EXPECT_EQ(phase_two(nullptr, 0, nullptr, stream_), 161001);
  }
}

TEST_F(OperatorsTest, RefuseExecutorsOfOneAnother) {
  ASSERT_EQ(Layer(), ACL_SUCCESS);
  EXPECT_EQ(Run(aclnnGroupNormBackward), 161002);
  EXPECT_THAT(ErrorText(), HasSubstr("the executor is one of aclnnLayerNormBackward"));
  EXPECT_EQ(Run(aclnnLayerNormBackward), 561000) << "it was consumed";
  ASSERT_EQ(Group(), ACL_SUCCESS);
  EXPECT_EQ(Run(aclnnBatchNormElemtBackward), 161002);
  ASSERT_EQ(Batch(), ACL_SUCCESS);
  EXPECT_EQ(Run(aclnnRmsNormGrad), 161002);
  EXPECT_THAT(Dx(8), Each(-1));
}

TEST_F(OperatorsTest, RunRepeatableExecutorsAgainAndElsewhere) {
  const auto run_elsewhere = [&](PhaseTwo phase_two, aclTensor* dx, std::size_t elements,
                                 std::size_t inputs) {
    ASSERT_EQ(aclSetAclOpExecutorRepeatable(executor_), ACL_SUCCESS);
    ASSERT_EQ(Run(phase_two), ACL_SUCCESS);
    const std::vector<float> first = Dx(elements);
    void* const elsewhere = Upload(std::vector<float>(elements, -1));
    ASSERT_EQ(aclSetOutputTensorAddr(executor_, 0, dx, elsewhere), ACL_SUCCESS);
    ASSERT_EQ(Run(phase_two), ACL_SUCCESS);
    EXPECT_EQ(Download<float>(elsewhere, elements), first);
    // Over all tensors, the outputs follow the inputs.
    void* const elsewhere_again = Upload(std::vector<float>(elements, -1));
    ASSERT_EQ(aclSetTensorAddr(executor_, inputs, dx, elsewhere_again), ACL_SUCCESS);
    ASSERT_EQ(Run(phase_two), ACL_SUCCESS);
    EXPECT_EQ(Download<float>(elsewhere_again, elements), first);
    EXPECT_EQ(aclDestroyAclOpExecutor(executor_), ACL_SUCCESS);
  };
  ASSERT_EQ(Layer(), ACL_SUCCESS);
  run_elsewhere(aclnnLayerNormBackward, layer_.dx, 4, 6);
  ASSERT_EQ(Group(), ACL_SUCCESS);
  run_elsewhere(aclnnGroupNormBackward, group_.dx, 4, 5);
  ASSERT_EQ(Batch(), ACL_SUCCESS);
  run_elsewhere(aclnnBatchNormElemtBackward, batch_.dx, 8, 8);
}

TEST_F(OperatorsTest, CountTensorsOnlyAndThoseThatAreNullToo) {
  // Inputs of layer norm: gradOut 0, input 1, mean 2, rstd 3, weight 4, bias 5.
  layer_.weight = layer_.dweight = nullptr;
  ASSERT_EQ(Layer({true, false, true}), ACL_SUCCESS);
  ASSERT_EQ(aclSetAclOpExecutorRepeatable(executor_), ACL_SUCCESS);
  void* const means = Upload<float>({1, 2});
  EXPECT_EQ(aclSetInputTensorAddr(executor_, 2, layer_.mean, means), ACL_SUCCESS);
  EXPECT_EQ(aclSetInputTensorAddr(executor_, 5, layer_.bias, Upload<float>({0, 0})), ACL_SUCCESS);
  EXPECT_EQ(aclSetInputTensorAddr(executor_, 4, layer_.bias, means), 161002)
      << "phase 1 saw no weight";
  EXPECT_EQ(aclSetInputTensorAddr(executor_, 6, layer_.bias, means), 161002) << "there are 6";
  void* const elsewhere = Upload(std::vector<float>(2, -1));
  EXPECT_EQ(aclSetOutputTensorAddr(executor_, 1, layer_.dbias, elsewhere), 161002)
      << "phase 1 saw no gradWeightOut";
  EXPECT_EQ(aclSetOutputTensorAddr(executor_, 2, layer_.dbias, elsewhere), ACL_SUCCESS);
  EXPECT_EQ(aclSetOutputTensorAddr(executor_, 3, layer_.dbias, elsewhere), 161002) << "there are 3";
  ASSERT_EQ(Run(aclnnLayerNormBackward), ACL_SUCCESS);
  EXPECT_THAT(Download<float>(elsewhere, 2), ElementsAre(6, 8));
  // xhat = (4, 8) in the first row: dx = 4 (dy - 2.5 - xhat (2 * 4 + 3 * 8) / 2).
  EXPECT_EQ(Dx(1)[0], -258);
  EXPECT_EQ(aclDestroyAclOpExecutor(executor_), ACL_SUCCESS);
}

TEST_F(OperatorsTest, RefuseProductsThatDoNotOfferThem) {
  ASSERT_EQ(normgradSetProduct("atlas-200i-a2"), ACL_SUCCESS);
  for (const aclnnStatus status : {Layer(), Group(), Batch()}) EXPECT_EQ(status, 161002);
  EXPECT_THAT(ErrorText(), HasSubstr("atlas-200i-a2 does not support aclnnBatchNormElemtBackward"));
}

}  // namespace
}  // namespace normgrad
