// SPDX-License-Identifier: Apache-2.0
// Phase 2 on a repeatable executor, and waiting for it, take no memory from the system once threads
// have what such a call needs.
#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>

#include "tests/unit/kernels/runtime_fixture.h"

// What glibc's are called when they are replaced.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" void* __libc_malloc(std::size_t bytes);
extern "C" void* __libc_memalign(std::size_t alignment, std::size_t bytes);
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace {
std::atomic<std::int64_t> taken = 0;
}  // namespace

// In the place of the C library's, for the device library, too: whoever takes memory comes here.
extern "C" void* malloc(std::size_t bytes) {
  ++taken;
  return __libc_malloc(bytes);
}
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  ++taken;
  return __libc_memalign(alignment, bytes);
}
extern "C" int posix_memalign(void** address, std::size_t alignment, std::size_t bytes) {
  ++taken;
  *address = __libc_memalign(alignment, bytes);
  return *address == nullptr ? 12 : 0;  // ENOMEM
}

namespace normgrad {
namespace {

using Dims = std::vector<std::int64_t>;

class AllocationTest : public RuntimeTest {
 protected:
  /// A tensor of zeros: dense, or every second element of its storage.
  aclTensor* Tensor(const Dims& dims, aclDataType dtype = ACL_FLOAT, std::int64_t step = 1) {
    std::size_t elements = static_cast<std::size_t>(step);
    Dims strides(dims.size());
    for (std::size_t axis = dims.size(); axis-- > 0;) {
      strides[axis] = static_cast<std::int64_t>(elements);
      elements *= static_cast<std::size_t>(dims[axis]);
    }
    void* const data = Malloc(elements * sizeof(float));
    EXPECT_EQ(aclrtMemset(data, elements * sizeof(float), 0, elements * sizeof(float)),
              ACL_SUCCESS);
    const auto storage = static_cast<std::int64_t>(elements);
    return aclCreateTensor(dims.data(), dims.size(), dtype, strides.data(), 0, ACL_FORMAT_ND,
                           &storage, 1, data);
  }

  using PhaseTwo = aclnnStatus (*)(void*, std::uint64_t, aclOpExecutor*, aclrtStream);

  /// Launches the call that phase 1 has prepared until some launches have taken nothing.
  void ExpectNoneTaken(PhaseTwo phase_two) {
    ASSERT_EQ(aclSetAclOpExecutorRepeatable(executor_), ACL_SUCCESS);
    void* const workspace = bytes_ > 0 ? Malloc(bytes_) : nullptr;
    constexpr int kMostRounds = 20, kLaunches = 8;
    std::int64_t last = -1;
    for (int round = 0; round < kMostRounds && last != 0; ++round) {
      const std::int64_t before = taken;
      for (int launch = 0; launch < kLaunches; ++launch) {
        ASSERT_EQ(phase_two(workspace, bytes_, executor_, stream_), ACL_SUCCESS);
        ASSERT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
      }
      last = taken - before;
    }
    EXPECT_EQ(last, 0) << "in " << kLaunches << " launches";
    EXPECT_EQ(aclDestroyAclOpExecutor(executor_), ACL_SUCCESS);
  }

  void Rms(std::int64_t rows, std::int64_t columns, aclDataType data, std::int64_t step) {
    ASSERT_EQ(aclnnRmsNormGradGetWorkspaceSize(
                  Tensor({rows, columns}, data), Tensor({rows, columns}, data, step),
                  Tensor({rows}), Tensor({columns}), Tensor({rows, columns}, data, step),
                  Tensor({columns}, ACL_FLOAT, step), &bytes_, &executor_),
              ACL_SUCCESS)
        << ErrorText();
    ExpectNoneTaken(aclnnRmsNormGrad);
  }

  void Group(std::int64_t samples, std::int64_t channels, std::int64_t plane, std::int64_t groups,
             std::int64_t step) {
    const Dims data = {samples, channels, plane}, statistic = {samples, groups};
    ASSERT_EQ(aclnnGroupNormBackwardGetWorkspaceSize(
                  Tensor(data), Tensor(data, ACL_FLOAT, step), Tensor(statistic), Tensor(statistic),
                  Tensor({channels}), samples, channels, plane, groups, wanted_,
                  Tensor(data, ACL_FLOAT, step), Tensor({channels}), Tensor({channels}), &bytes_,
                  &executor_),
              ACL_SUCCESS)
        << ErrorText();
    ExpectNoneTaken(aclnnGroupNormBackward);
  }

  void Batch(std::int64_t samples, std::int64_t channels, std::int64_t plane, aclDataType dy) {
    const Dims data = {samples, channels, plane};
    const auto of_channels = [&] { return Tensor({channels}); };
    ASSERT_EQ(aclnnBatchNormElemtBackwardGetWorkspaceSize(
                  Tensor(data, dy), Tensor(data), of_channels(), of_channels(), of_channels(),
                  of_channels(), of_channels(), Tensor({1}, ACL_INT32), Tensor(data), &bytes_,
                  &executor_),
              ACL_SUCCESS)
        << ErrorText();
    ExpectNoneTaken(aclnnBatchNormElemtBackward);
  }

  aclBoolArray* wanted_ = [] {
    const bool all[] = {true, true, true};
    return aclCreateBoolArray(all, 3);
  }();
  std::uint64_t bytes_ = 0;
  aclOpExecutor* executor_ = nullptr;
};

TEST_F(AllocationTest, IsSeen) {
  const std::int64_t before = taken;
  ASSERT_NE(aclrtMalloc(nullptr, 1, ACL_MEM_MALLOC_HUGE_FIRST), ACL_SUCCESS);  // makes a message
  EXPECT_GT(taken, before) << "the device library's allocations do not come here";
}

TEST_F(AllocationTest, NoneOfRows) {
  Rms(300, 16, ACL_FLOAT, 1);     // many at a time
  Rms(300, 768, ACL_FLOAT16, 1);  // tiles
  Rms(4, 20000, ACL_FLOAT, 1);    // split by columns
  Rms(700, 4096, ACL_FLOAT, 1);   // for the queue's own thread
}

TEST_F(AllocationTest, NoneOfRowsThatAreCollected) {
  Rms(300, 16, ACL_FLOAT, 2);
  Rms(300, 768, ACL_FLOAT16, 2);
  Rms(4, 20000, ACL_FLOAT, 2);
}

TEST_F(AllocationTest, NoneOfGroups) {
  Group(4, 64, 1024, 8, 1);
  Group(64, 32, 4, 8, 1);   // rows of a layer norm, many at a time
  Group(8, 4096, 4, 2, 1);  // the same, one by one
  Group(4, 64, 1024, 8, 2);
  Group(64, 32, 4, 8, 2);
}

TEST_F(AllocationTest, NoneOfChannels) {
  Batch(4, 64, 1024, ACL_FLOAT);
  Batch(64, 32, 1, ACL_FLOAT);
  Batch(64, 32, 1, ACL_FLOAT16);
  Batch(4, 64, 1024, ACL_FLOAT16);
}

}  // namespace
}  // namespace normgrad
