// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <fmt/format.h>

#include "commands.h"
#include "device/device.h"
#include "options.h"
#include "sweep/sweep.h"

namespace normgrad {

/// The shared objects of the device that the command line names. By default the CPU device, which
/// lies beside the executable, in ../lib, in a build tree as once installed.
std::vector<std::string> DevicePaths(const Options& options);

/// "liba.so,libb.so"
std::string PathsOf(const DeviceLibrary& library);
std::string PathsOf(const Options& options);

/// Runs a step before the first case. A device that fails in it does not start: StartError.
template <typename Step>
auto Starting(const DeviceLibrary& library, Step step) {
  try {
    return step();
  } catch (const DeviceError& error) {
    throw StartError(
        fmt::format("{}: the device does not start: {}", PathsOf(library), error.what()));
  }
}

/// The device that the command line names; `watch` may be null. Throws Error when there is none of
/// that number, StartError when it does not start.
Device OpenDevice(const DeviceLibrary& library, const Options& options,
                  DeviceWatch* watch = nullptr);

/// Fails now, not in the middle of a run, when the library lacks an operator of the sweep.
void RequireOperators(const Sweep& sweep, const DeviceLibrary& library);

}  // namespace normgrad
