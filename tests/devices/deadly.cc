// SPDX-License-Identifier: Apache-2.0
// What stands before the CPU device and does to its process whatever a device library can, in the
// calls of aclnnRmsNormGrad whose dx has 101, 102, … as its first extent: one of the deeds below
// each. Everything else is the CPU device's.
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/acl_abi.h"

namespace {

// In the order that tests/e2e/isolation_test.py knows.
enum class Deed {
  kNone = 100,
  kSegfaultInPhaseOne,
  kSegfaultInPhaseTwo,
  kSegfaultOnItsOwnThread,
  kAbort,
  kExit,
  kHangInPhaseOne,
  kHangInPhaseTwo,
  kHangInSynchronize,
  kHangInDestroy,
  kSleepPastTheLimit,
  kLeak,
  kUnknownStatus,
  kCorruptTheNext,
  kCloseThePipe,
  kWriteGarbage,
  kFork,
  kForkBack,
  kMaskSignals,
  kKillItself,
  kPrintALot,
  kForkAway,
};

Deed deed = Deed::kNone;        // of the case whose phase 1 was called last
std::byte* last_dx = nullptr;   // its storage
bool has_corrupted = false;     // some case's memory, to be seen by the next
bool thread_may_crash = false;  // the stream has been waited for

bool Doing(Deed wanted) { return deed == wanted; }

/// The CPU device's function of the same name.
template <typename Function>
Function* Polite(const char* name) {
  static void* const kDevice = ::dlopen(NORMGRAD_CPU_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  return reinterpret_cast<Function*>(::dlsym(kDevice, name));
}

/// A file that is there once some process of this library has crashed; empty: nobody cares.
std::string_view Mark() {
  const char* const path = std::getenv("NORMGRAD_DEADLY_MARK");
  return path != nullptr ? path : "";
}

void Segfault() {
  if (!Mark().empty()) static_cast<void>(::creat(Mark().data(), 0600));
  volatile std::uintptr_t nowhere = 8;
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  *reinterpret_cast<volatile std::uint64_t*>(nowhere) = 1;
}

void Hang() {
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

void Leak() {
  constexpr std::size_t kChunk = std::size_t{8} << 20;
  for (;;) {
    if (void* const memory = std::malloc(kChunk)) std::memset(memory, 1, kChunk);
  }
}

/// Calls `act` with every descriptor that may lead to whoever started this process.
template <typename Act>
void ForEachSocket(Act act) {
  for (int descriptor = 3; descriptor < 256; ++descriptor) {
    struct stat facts {};
    if (::fstat(descriptor, &facts) == 0 && S_ISSOCK(facts.st_mode)) act(descriptor);
  }
}

void DoInPhaseTwo() {
  switch (deed) {
    case Deed::kSegfaultInPhaseTwo: Segfault(); break;
    case Deed::kSegfaultOnItsOwnThread:
      std::thread([] {
        while (!__atomic_load_n(&thread_may_crash, __ATOMIC_SEQ_CST)) std::this_thread::yield();
        Segfault();
      }).detach();
      break;
    case Deed::kAbort: std::abort();
    case Deed::kExit: std::exit(0);
    case Deed::kHangInPhaseTwo: Hang(); break;
    case Deed::kLeak: Leak(); break;
    case Deed::kCorruptTheNext: has_corrupted = true; break;
    case Deed::kCloseThePipe: ForEachSocket([](int descriptor) { ::close(descriptor); }); break;
    case Deed::kWriteGarbage:
      ForEachSocket([](int descriptor) {
        static constexpr std::string_view kText = "INFO device is fine\n";
        static_cast<void>(::write(descriptor, kText.data(), kText.size()) == 0);
      });
      break;
    case Deed::kFork:
      if (::fork() == 0) Hang();
      break;
    case Deed::kForkAway:
      if (::fork() == 0) {
        ::setsid();
        if (::fork() == 0) ::setsid();
        Hang();
      }
      break;
    case Deed::kForkBack: static_cast<void>(::fork()); break;
    case Deed::kMaskSignals: {
      sigset_t all;
      ::sigfillset(&all);
      ::sigprocmask(SIG_BLOCK, &all, nullptr);
      Hang();
      break;
    }
    case Deed::kKillItself: ::raise(SIGKILL); break;
    case Deed::kPrintALot: {
      std::array<char, 1024> line{};
      line.fill('x');
      line.back() = '\n';
      for (int i = 0; i < 1024; ++i) {
        std::fwrite(line.data(), 1, line.size(), stdout);
        std::fwrite(line.data(), 1, line.size(), stderr);
      }
      std::fflush(stdout);
      break;
    }
    default: break;
  }
}

}  // namespace

extern "C" {

aclError aclInit(const char* config) {
  if (!Mark().empty() && ::access(Mark().data(), F_OK) == 0) std::_Exit(3);
  return Polite<decltype(aclInit)>("aclInit")(config);
}

aclnnStatus aclnnRmsNormGradGetWorkspaceSize(const aclTensor* dy, const aclTensor* x,
                                             const aclTensor* rstd, const aclTensor* gamma,
                                             const aclTensor* dx, const aclTensor* dgamma,
                                             std::uint64_t* bytes, aclOpExecutor** executor) {
  std::int64_t* extents = nullptr;
  std::uint64_t axes = 0;
  deed = Deed::kNone;
  if (Polite<decltype(aclGetViewShape)>("aclGetViewShape")(dx, &extents, &axes) == 0) {
    if (axes > 0 && extents[0] > static_cast<std::int64_t>(Deed::kNone)) {
      deed = static_cast<Deed>(extents[0]);
    }
    delete[] extents;
  }
  void* address = nullptr;
  if (Polite<decltype(aclGetRawTensorAddr)>("aclGetRawTensorAddr")(dx, &address) == 0) {
    last_dx = static_cast<std::byte*>(address);
  }
  if (Doing(Deed::kSegfaultInPhaseOne)) Segfault();
  if (Doing(Deed::kHangInPhaseOne)) Hang();
  if (Doing(Deed::kSleepPastTheLimit)) std::this_thread::sleep_for(std::chrono::seconds(2));
  return Polite<decltype(aclnnRmsNormGradGetWorkspaceSize)>("aclnnRmsNormGradGetWorkspaceSize")(
      dy, x, rstd, gamma, dx, dgamma, bytes, executor);
}

aclnnStatus aclnnRmsNormGrad(void* workspace, std::uint64_t bytes, aclOpExecutor* executor,
                             aclrtStream stream) {
  DoInPhaseTwo();
  const aclnnStatus status =
      Polite<decltype(aclnnRmsNormGrad)>("aclnnRmsNormGrad")(workspace, bytes, executor, stream);
  return Doing(Deed::kUnknownStatus) ? 987654 : status;
}

aclError aclrtSynchronizeStreamWithTimeout(aclrtStream stream, std::int32_t timeout) {
  if (Doing(Deed::kHangInSynchronize)) Hang();
  const aclError status = Polite<decltype(aclrtSynchronizeStreamWithTimeout)>(
      "aclrtSynchronizeStreamWithTimeout")(stream, timeout);
  if (Doing(Deed::kSegfaultOnItsOwnThread)) {
    __atomic_store_n(&thread_may_crash, true, __ATOMIC_SEQ_CST);
    Hang();  // the case is over sooner than the thread has its turn
  }
  if (has_corrupted && Doing(Deed::kNone)) *last_dx = ~*last_dx;
  return status;
}

aclnnStatus aclDestroyTensor(const aclTensor* tensor) {
  if (Doing(Deed::kHangInDestroy)) Hang();
  return Polite<decltype(aclDestroyTensor)>("aclDestroyTensor")(tensor);
}

}  // extern "C"
