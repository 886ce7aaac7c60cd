// SPDX-License-Identifier: Apache-2.0
// Executors that are used more than once, and at other addresses.
#include "tests/unit/kernels/executor_fixture.h"

namespace normgrad {
namespace {

using testing::ElementsAre;

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
  EXPECT_EQ(aclSetInputTensorAddr(executor_, 0, nullptr, elsewhere), 561103);
  EXPECT_EQ(AclSetInputTensorAddr(nullptr, 0, dy_, elsewhere), 561103);
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

}  // namespace
}  // namespace normgrad
