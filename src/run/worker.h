// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

#include "run/executor.h"
#include "run/frame.h"
#include "run/messages.h"

namespace normgrad {

/// The exit code of a worker that cannot be heard any more: EX_PROTOCOL.
inline constexpr int kUnheardExitCode = 76;

/// A worker's end of the channel to the process that started it.
class WorkerChannel {
 public:
  explicit WorkerChannel(int descriptor);

  /// Sends a message. A copy of this process that the library has forked ends here, and so does a
  /// worker whose channel is gone: kUnheardExitCode.
  void Send(const Frame& frame) const;

  /// Waits for the next message; empty once there will be none.
  std::optional<Frame> Receive();

 private:
  int descriptor_;
  pid_t owner_;
  FrameReader reader_;
};

/// Ends this process as soon as the one that started it does: nobody wants its answers any more.
void EndWithParent();

/// What a worker says of its device once that is open. Throws DeviceError.
Hello HelloOf(const Device& device);

/// Answers requests until it is asked to end, or the device is lost.
void ServeRequests(WorkerChannel& channel, const Device& device, InProcessExecutor& executor,
                   unsigned threads);

}  // namespace normgrad
