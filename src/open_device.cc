// SPDX-License-Identifier: Apache-2.0
#include "open_device.h"

#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace normgrad {

std::vector<std::string> DevicePaths(const Options& options) {
  if (!options.device.empty()) return options.device;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  return {(folder / "../lib/libnormgrad_cpu.so").lexically_normal().string()};
}

std::string PathsOf(const DeviceLibrary& library) {
  return fmt::format("{}", fmt::join(library.paths(), ","));
}

std::string PathsOf(const Options& options) {
  return fmt::format("{}", fmt::join(DevicePaths(options), ","));
}

Device OpenDevice(const DeviceLibrary& library, const Options& options, DeviceWatch* watch) {
  return Starting(
      library, [&] { return Device(library, options.device_id, options.timeout_seconds, watch); });
}

void RequireOperators(const Sweep& sweep, const DeviceLibrary& library) {
  std::set<const Operator*> operators;
  for (const Case& the_case : sweep.cases) operators.insert(the_case.op);
  for (const Operator* op : operators) library.Bind(*op);
}

}  // namespace normgrad
