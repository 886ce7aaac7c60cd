// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "base/error.h"
#include "check_options.h"
#include "commands.h"
#include "open_device.h"
#include "run/pulse.h"
#include "run/worker.h"
#include "run/worker_process.h"

namespace normgrad {
namespace {

/// Where memory runs out, the system ends a worker and not the tool.
void BeTheFirstToGo() { std::ofstream("/proc/self/oom_score_adj") << 1000; }

}  // namespace

int ServeAsWorker(const Options& options) {
  EndWithParent();
  BeTheFirstToGo();
  WorkerChannel channel(kWorkerChannel);
  Pulse pulse(kWorkerPulse);
  bool ready = false;
  const auto refuse = [&](Message message, std::string_view text, int exit_code) {
    if (!ready) channel.Send({message, 0, std::string(text)});
    return exit_code;
  };
  try {
    pulse.OnPhase(Phase::kOpen);
    const DeviceLibrary library(DevicePaths(options), options.instruction_set);
    const Device device = OpenDevice(library, options, &pulse);
    const Hello hello = Starting(library, [&] {
      device.SetThreads(options.threads);
      return HelloOf(device);
    });
    const CheckOptions checks =
        CheckOptionsFrom(options, [&] { pulse.OnPhase(Phase::kOtherProcess); });
    InProcessExecutor executor(
        device, checks, [&](const Case&, std::string_view step) { pulse.OnStep(step); },
        [&](const CheckResult& answer) { pulse.OnAnswer(answer); });
    channel.Send({Message::kReady, 0, Encode(hello)});
    ready = true;
    ServeRequests(channel, device, executor, checks.threads);
    // A launch that never ends would use what is torn down.
    if (device.lost()) std::_Exit(0);
    return 0;
  } catch (const Error& error) {
    return refuse(Message::kUserError, error.what(), 2);
  } catch (const StartError& error) {
    return refuse(Message::kStartError, error.what(), 5);
  }
}

}  // namespace normgrad
