// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/api/work.h"
#include "normgrad/device.h"

namespace normgrad {

/// A wait's limit; empty waits for ever.
using Timeout = std::optional<std::chrono::milliseconds>;

/// A point in a queue's work that threads and other queues can wait for. Reached at most once.
class Mark {
 public:
  Mark() = default;
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;
  virtual ~Mark() = default;

  virtual bool Reached() const = 0;

  /// Whether the mark was reached before `timeout` was over.
  virtual bool Wait(Timeout timeout) = 0;

  /// When the mark was reached, on the device's clock. Only for a mark that was.
  virtual std::chrono::nanoseconds Time() const = 0;

  /// Lets everybody go who waits for a mark that no queue is going to reach.
  virtual void Release() = 0;
};

/// Work in order, on its own. The destructor waits for the work, or what Abandon() left of it.
/// Any thread may call any function.
class Queue {
 public:
  Queue() = default;
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  virtual ~Queue() = default;

  /// Runs `work` after what was submitted before. If it throws, the queue goes on with the next
  /// work and keeps the message for TakeFailure().
  virtual void Submit(Work work) = 0;

  /// As Submit(), for work that takes no longer than waking up another thread: may be over when
  /// this returns. Runs in the default floating-point environment, whatever the caller's is.
  virtual void SubmitShort(Work work) = 0;

  /// `mark` is reached when the work submitted so far is done.
  virtual void Record(std::shared_ptr<Mark> mark) = 0;

  /// Work submitted from now on starts after `mark` was reached, also if no queue has recorded it
  /// yet.
  virtual void WaitFor(std::shared_ptr<Mark> mark) = 0;

  virtual bool Idle() const = 0;

  /// Whether what was submitted so far was done before `timeout` was over.
  virtual bool Wait(Timeout timeout) = 0;

  /// Why the first work failed since the last call; empty when none did.
  virtual std::optional<std::string> TakeFailure() = 0;

  /// Drops the work and waits that have not begun or come later, ends the wait that has, and
  /// reaches the marks.
  virtual void Abandon() = 0;
};

/// What a device library supplies besides its kernels (kernel.h); defined once per library, in
/// kernels/<device>/backend.cc. Kernel::launch runs inside a Queue's work: on a CPU it does the
/// work there, on an accelerator it enqueues to the native stream of that queue.
namespace backend {

/// What the machine is, for aclrtGetDeviceInfo().
struct Facts {
  std::uint32_t cores = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t cache_bytes = 0;  // of the last cache in front of memory; 0 when unknown
};
const Facts& DeviceFacts();

/// Bytes the machine could still give.
std::uint64_t FreeBytes();

/// Bytes Allocate() takes from the device for `bytes`: never less, and whole pages where it uses
/// huge ones. CANN documents steps of 32 (runtime docs/zh/api_ref/11-01, aclrtMalloc).
std::size_t TakenBytes(std::size_t bytes, bool huge_pages);

/// At least 64-byte aligned device memory; nullptr when there is none left.
void* Allocate(std::size_t bytes, bool huge_pages);
/// Gives back what Allocate() returned for the same `bytes` and `huge_pages`.
void Free(void* address, std::size_t bytes, bool huge_pages);

/// Where the host reads device memory in place; nullptr where it cannot.
const void* HostView(const void* device);

/// Copies host and device memory in any combination, and returns when done.
void Copy(void* to, const void* from, std::size_t bytes);
/// Sets device memory, and returns when done.
void Fill(void* to, std::uint8_t value, std::size_t bytes);

std::unique_ptr<Queue> MakeQueue();
std::shared_ptr<Mark> MakeMark();

/// How many threads kernels use; 0 for all cores.
void SetThreads(std::uint32_t threads);

/// The sets of vector instructions that the library and this processor have, the widest first.
std::vector<std::string> InstructionSets();
/// Uses one of them from now on, or, given "", the widest; false if there is no such set. Not while
/// kernels run.
bool SetInstructionSet(std::string_view name);

/// Does what normgradMove() promises, for a motion and pointers that it has looked at.
void Move(normgradMotion motion, void* to, const void* a, const void* b, std::size_t bytes,
          std::uint32_t times);

}  // namespace backend
}  // namespace normgrad
