// SPDX-License-Identifier: Apache-2.0
// Argument objects of the CPU device library.
#include <array>
#include <atomic>
#include <memory>
#include <thread>

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

}  // namespace
}  // namespace normgrad
