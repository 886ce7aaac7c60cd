// SPDX-License-Identifier: Apache-2.0
// Initialisation, device, contexts, options and error text of the CPU device library.
#include <atomic>
#include <bit>
#include <fstream>
#include <thread>

#include "tests/unit/kernels/runtime_fixture.h"

namespace normgrad {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(Initialisation, IsCountedAndRepeatable) {
  EXPECT_EQ(aclInit(nullptr), ACL_SUCCESS);
  EXPECT_EQ(aclInit(nullptr), 100002);
  std::uint64_t left = 9;
  EXPECT_EQ(aclFinalizeReference(&left), ACL_SUCCESS);
  EXPECT_EQ(left, 1U);
  EXPECT_EQ(aclFinalize(), ACL_SUCCESS);
  EXPECT_EQ(aclFinalize(), 100037);
  EXPECT_EQ(aclFinalizeReference(&left), 100037);
  EXPECT_EQ(aclInit(nullptr), ACL_SUCCESS);  // and again
  EXPECT_EQ(aclFinalizeReference(nullptr), ACL_SUCCESS);
}

TEST(Initialisation, RefusesConfigurationItCannotHonour) {
  EXPECT_EQ(aclInit("/nonexistent/acl.json"), 100003);
  EXPECT_THAT(ErrorText(), HasSubstr("/nonexistent/acl.json: cannot be read"));
  const std::string path = testing::TempDir() + "/acl.json";
  std::ofstream(path) << "{\"dump\": {}}";
  EXPECT_EQ(aclInit(path.c_str()), 207000);
  EXPECT_EQ(aclInit(testing::TempDir().c_str()), 100003);
  EXPECT_THAT(ErrorText(), HasSubstr("cannot be read"));
  std::ofstream(path) << "{ }\n";
  EXPECT_EQ(aclInit(path.c_str()), ACL_SUCCESS);
  EXPECT_EQ(aclFinalize(), ACL_SUCCESS);
  EXPECT_EQ(aclnnInit(nullptr), ACL_SUCCESS);
  EXPECT_EQ(aclnnFinalize(), ACL_SUCCESS);
}

TEST(Versions, AreThoseOfTheHeadersAndTheProject) {
  std::int32_t major = 0, minor = 0, patch = -1;
  EXPECT_EQ(aclrtGetVersion(&major, &minor, &patch), ACL_SUCCESS);
  EXPECT_EQ(major, 1);
  EXPECT_EQ(minor, 17);
  EXPECT_EQ(patch, 0);
  char package[] = "normgrad-bench", other[] = "runtime", text[ACL_PKG_VERSION_MAX_SIZE] = {};
  std::int32_t number = 0;
  EXPECT_EQ(aclsysGetVersionStr(package, text), ACL_SUCCESS);
  EXPECT_STREQ(text, "0.1.0");
  EXPECT_EQ(aclsysGetVersionNum(package, &number), ACL_SUCCESS);
  EXPECT_EQ(number, 100000);
  EXPECT_EQ(aclsysGetVersionStr(other, text), 100000);
  EXPECT_EQ(aclsysGetVersionStr(nullptr, text), 100000);
}

TEST(ErrorMessages, AreNewestFirstAndForgottenOnceRead) {
  ErrorText();
  EXPECT_EQ(aclrtSetDevice(7), 107001);
  EXPECT_EQ(aclrtMalloc(nullptr, 1, ACL_MEM_MALLOC_HUGE_FIRST), 100000);
  EXPECT_EQ(ErrorText(),
            "aclrtMalloc: devPtr is null\n"
            "aclrtSetDevice: device 7 does not exist: there is only device 0");
  EXPECT_EQ(aclGetRecentErrMsg(), nullptr);
}

TEST(ErrorMessages, BelongToTheThreadThatFailed) {
  ErrorText();
  EXPECT_EQ(aclrtSetDevice(7), 107001);
  std::thread([] {
    EXPECT_EQ(aclGetRecentErrMsg(), nullptr);
    EXPECT_EQ(aclrtSetDevice(8), 107001);
  }).join();
  EXPECT_THAT(ErrorText(), StartsWith("aclrtSetDevice: device 7"));
}

TEST(ErrorMessages, AreSharedByThreadsIfConfigured) {
  ErrorText();
  const std::string path = testing::TempDir() + "/acl_process.json";
  std::ofstream(path) << R"({"err_msg_mode": "1"})";
  ASSERT_EQ(aclInit(path.c_str()), ACL_SUCCESS);
  std::thread([] { EXPECT_EQ(aclrtSetDevice(8), 107001); }).join();
  EXPECT_THAT(ErrorText(), StartsWith("aclrtSetDevice: device 8"));
  ASSERT_EQ(aclFinalize(), ACL_SUCCESS);
  std::ofstream(path) << R"({"err_msg_mode": "0"})";
  ASSERT_EQ(aclInit(path.c_str()), ACL_SUCCESS);
  std::thread([] { EXPECT_EQ(aclrtSetDevice(8), 107001); }).join();
  EXPECT_EQ(aclGetRecentErrMsg(), nullptr);
  EXPECT_EQ(aclFinalize(), ACL_SUCCESS);
}

TEST(ErrorMessages, StayValidUntilTheThreadAsksAgain) {
  ErrorText();
  EXPECT_EQ(aclrtSetDevice(7), 107001);
  const char* const text = aclGetRecentErrMsg();
  EXPECT_EQ(aclrtSetDevice(8), 107001);
  EXPECT_THAT(std::string(text), HasSubstr("device 7"));
}

using DeviceTest = RuntimeTest;

TEST_F(DeviceTest, IsDeviceZeroAlone) {
  std::uint32_t count = 0;
  std::int32_t device = -1;
  aclrtDeviceStatus status = ACL_RT_DEVICE_STATUS_END;
  aclrtRunMode mode = ACL_DEVICE;
  EXPECT_EQ(aclrtGetDeviceCount(&count), ACL_SUCCESS);
  EXPECT_EQ(count, 1U);
  EXPECT_EQ(aclrtGetDevice(&device), ACL_SUCCESS);
  EXPECT_EQ(device, 0);
  EXPECT_EQ(aclrtQueryDeviceStatus(0, &status), ACL_SUCCESS);
  EXPECT_EQ(status, ACL_RT_DEVICE_STATUS_NORMAL);
  EXPECT_EQ(aclrtQueryDeviceStatus(1, &status), 107001);
  EXPECT_EQ(aclrtGetRunMode(&mode), ACL_SUCCESS);
  EXPECT_EQ(mode, ACL_HOST);
  EXPECT_EQ(aclrtResetDevice(-1), 107001);
  EXPECT_EQ(aclrtGetDeviceCount(nullptr), 100000);
}

TEST_F(DeviceTest, DescribesTheHost) {
  std::int64_t value = 0;
  EXPECT_EQ(aclrtGetDeviceInfo(0, ACL_DEV_ATTR_VECTOR_CORE_NUM, &value), ACL_SUCCESS);
  EXPECT_EQ(value, std::thread::hardware_concurrency());
  std::uint32_t cores = 0;
  EXPECT_EQ(aclrtGetDeviceResLimit(0, ACL_RT_DEV_RES_VECTOR_CORE, &cores), ACL_SUCCESS);
  EXPECT_EQ(cores, value);
  EXPECT_EQ(aclrtGetDeviceInfo(0, ACL_DEV_ATTR_TOTAL_GLOBAL_MEM_SIZE, &value), ACL_SUCCESS);
  EXPECT_GT(value, std::int64_t{64} << 20);
  EXPECT_EQ(aclrtGetDeviceInfo(0, ACL_DEV_ATTR_L2_CACHE_SIZE, &value), ACL_SUCCESS);
  EXPECT_GE(value, 0);  // 0 when unknown
  EXPECT_EQ(aclrtGetDeviceInfo(0, std::bit_cast<aclrtDevAttr>(999), &value), 100000);
  EXPECT_EQ(aclrtGetDeviceInfo(1, ACL_DEV_ATTR_NPU_ARCH, &value), 107001);
}

TEST_F(DeviceTest, PlaysTheProductItIsTold) {
  std::int64_t arch = 0;
  EXPECT_STREQ(aclrtGetSocName(), "Ascend910B1");
  EXPECT_EQ(normgradSetProduct("atlas-inference"), ACL_SUCCESS);
  EXPECT_STREQ(aclrtGetSocName(), "Ascend310P3");
  EXPECT_EQ(aclrtGetDeviceInfo(0, ACL_DEV_ATTR_NPU_ARCH, &arch), ACL_SUCCESS);
  EXPECT_EQ(arch, 2002);
  EXPECT_EQ(normgradSetProduct("atlas-a2x"), 100000);
  EXPECT_THAT(ErrorText(), HasSubstr("unknown product 'atlas-a2x': did you mean 'atlas-a2'?"));
  EXPECT_EQ(normgradSetProduct(nullptr), 100000);
  EXPECT_STREQ(aclrtGetSocName(), "Ascend310P3");  // a refusal changes nothing
}

TEST_F(DeviceTest, IsCountedPerSetAndEndsWithTheLastReset) {
  EXPECT_EQ(aclrtSetDevice(0), ACL_SUCCESS);
  EXPECT_EQ(aclrtResetDevice(0), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_EQ(aclrtResetDevice(0), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), 107002);
  EXPECT_THAT(ErrorText(), HasSubstr("call aclrtSetDevice first"));
  EXPECT_EQ(aclrtResetDevice(0), 107002);
  EXPECT_EQ(aclrtSetDevice(0), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), 107017);  // ended with the device
}

TEST_F(DeviceTest, ForcedResetIgnoresTheCount) {
  EXPECT_EQ(aclrtSetDevice(0), ACL_SUCCESS);
  EXPECT_EQ(aclrtResetDeviceForce(0), ACL_SUCCESS);
  EXPECT_EQ(aclrtResetDevice(0), 107002);
}

TEST_F(DeviceTest, ThreadsHaveNoContextUntilTheySetOne) {
  aclrtContext mine = nullptr;
  ASSERT_EQ(aclrtGetCurrentContext(&mine), ACL_SUCCESS);
  std::thread([&] {
    aclrtContext context = nullptr;
    void* memory = nullptr;
    std::int32_t device = 0;
    EXPECT_EQ(aclrtGetCurrentContext(&context), 107002);
    EXPECT_EQ(aclrtGetDevice(&device), 107002);
    EXPECT_EQ(aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_HUGE_FIRST), 107002);
    EXPECT_EQ(aclrtSynchronizeStream(nullptr), 107002);
    EXPECT_EQ(aclrtSetCurrentContext(mine), ACL_SUCCESS);
    EXPECT_EQ(aclrtSynchronizeStream(nullptr), ACL_SUCCESS);
    EXPECT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  }).join();
}

TEST_F(DeviceTest, ContextsOwnTheirStreams) {
  aclrtContext first = nullptr, second = nullptr, current = nullptr;
  ASSERT_EQ(aclrtGetCurrentContext(&first), ACL_SUCCESS);
  ASSERT_EQ(aclrtCreateContext(&second, 0), ACL_SUCCESS);
  EXPECT_EQ(aclrtGetCurrentContext(&current), ACL_SUCCESS);
  EXPECT_EQ(current, second);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), 107003);
  EXPECT_EQ(aclrtSetCurrentContext(first), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_EQ(aclrtDestroyContext(second), ACL_SUCCESS);
  EXPECT_EQ(aclrtDestroyContext(second), 107017);
  EXPECT_EQ(aclrtSetCurrentContext(second), 107017);
  EXPECT_EQ(aclrtDestroyContext(first), 100000);  // the default one ends with the device
  EXPECT_EQ(aclrtDestroyContext(nullptr), 100000);
  EXPECT_EQ(aclrtCreateContext(&second, 3), 107001);
}

TEST_F(DeviceTest, ContextsTakeTheirStreamsWithThem) {
  aclrtContext first = nullptr, second = nullptr;
  ASSERT_EQ(aclrtGetCurrentContext(&first), ACL_SUCCESS);
  ASSERT_EQ(aclrtCreateContext(&second, 0), ACL_SUCCESS);
  const aclrtStream stream = NewStream();
  ASSERT_EQ(aclrtStreamWaitEvent(stream, NewEvent()), ACL_SUCCESS);  // for ever
  EXPECT_EQ(aclrtDestroyContext(second), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeStream(stream), 107002);
  EXPECT_EQ(aclrtSetCurrentContext(first), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeStream(stream), 107017);
  EXPECT_EQ(aclrtDestroyStreamForce(stream), 107017);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeDeviceWithTimeout(60000), ACL_SUCCESS);
}

TEST_F(DeviceTest, IsThereForEveryThreadThatHasSetIt) {
  ASSERT_EQ(aclrtResetDevice(0), ACL_SUCCESS);
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  threads.reserve(2);
  for (int thread = 0; thread < 2; ++thread) {
    threads.emplace_back([&] {
      const auto check = [&](aclError status) { failures += status == ACL_SUCCESS ? 0 : 1; };
      for (int round = 0; round < 1000; ++round) {
        std::int32_t device = -1;
        check(aclrtSetDevice(0));
        check(aclrtGetDevice(&device));
        check(aclrtResetDevice(0));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
}

TEST_F(DeviceTest, ThreadsOfKernelsHaveALimit) {
  EXPECT_EQ(normgradSetThreads(1025), 100000);
  EXPECT_THAT(ErrorText(), HasSubstr("1025 threads: at most 1024 are possible"));
}

TEST_F(DeviceTest, InstructionsOfKernelsAreKnownByName) {
  EXPECT_EQ(normgradSetInstructionSet("avx9"), 100000);
  EXPECT_THAT(ErrorText(),
              HasSubstr("normgradSetInstructionSet: no instruction set 'avx9' here: "));
  EXPECT_EQ(normgradSetInstructionSet(nullptr), 100000);
  EXPECT_EQ(normgradSetInstructionSet(""), ACL_SUCCESS);
}

TEST_F(DeviceTest, OptionsAreOneSlotForContextAndProcess) {
  std::int64_t value = 7;
  EXPECT_EQ(aclrtCtxGetSysParamOpt(ACL_OPT_DETERMINISTIC, &value), 107021);
  EXPECT_EQ(aclrtGetSysParamOpt(ACL_OPT_DETERMINISTIC, &value), ACL_SUCCESS);
  EXPECT_EQ(value, 0);
  EXPECT_EQ(aclrtCtxSetSysParamOpt(ACL_OPT_DETERMINISTIC, 1), ACL_SUCCESS);
  EXPECT_EQ(aclrtGetSysParamOpt(ACL_OPT_DETERMINISTIC, &value), ACL_SUCCESS);
  EXPECT_EQ(value, 1);
  EXPECT_EQ(aclrtSetSysParamOpt(ACL_OPT_DETERMINISTIC, 3), ACL_SUCCESS);
  EXPECT_EQ(aclrtCtxGetSysParamOpt(ACL_OPT_DETERMINISTIC, &value), ACL_SUCCESS);
  EXPECT_EQ(value, 3);
  EXPECT_EQ(aclrtSetSysParamOpt(ACL_OPT_DETERMINISTIC, 4), 107000);
  EXPECT_EQ(aclrtSetSysParamOpt(ACL_OPT_STRONG_CONSISTENCY, 2), 107000);
  EXPECT_EQ(aclrtSetSysParamOpt(ACL_OPT_DETERMINISTIC, -1), 107000);
  EXPECT_EQ(aclrtGetSysParamOpt(std::bit_cast<aclSysParamOpt>(9), &value), 107000);
  EXPECT_EQ(aclrtGetSysParamOpt(ACL_OPT_DETERMINISTIC, nullptr), 100000);
}

TEST_F(DeviceTest, SaysThatItCannotInterruptOperators) {
  EXPECT_EQ(aclrtSetOpExecuteTimeOut(1), 207000);
  EXPECT_EQ(aclrtSetOpExecuteTimeOutWithMs(1), 207000);
}

TEST(StatusNames, CoverBothInterfaces) {
  EXPECT_EQ(StatusName(0), "ACL_SUCCESS");
  EXPECT_EQ(StatusName(161001), "ACLNN_ERR_PARAM_NULLPTR");
  EXPECT_EQ(StatusName(561119), "ACLNN_ERR_INNER_STATIC_BLOCK_DIM_INVALID");
  EXPECT_EQ(StatusName(100000), "ACL_ERROR_INVALID_PARAM");
  EXPECT_EQ(StatusName(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT), "ACL_ERROR_RT_STREAM_SYNC_TIMEOUT");
  EXPECT_EQ(StatusName(-1), "unknown status");
  EXPECT_EQ(StatusName(161000), "unknown status");
  EXPECT_EQ(StatusName(999999), "unknown status");
}

}  // namespace
}  // namespace normgrad
