// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "base/error.h"
#include "commands.h"
#include "console.h"
#include "open_device.h"
#include "report/json.h"
#include "report/roofline.h"
#include "run/roofline.h"
#include "utc.h"

namespace normgrad {
namespace {

/// The one that is kept, unless it is to be measured anew.
std::optional<Roofline> Kept(const std::filesystem::path& file, const std::string& identity,
                             const Options& options) try {
  if (options.fresh) return std::nullopt;
  std::optional<Roofline> kept = LoadRoofline(file, identity);
  if (kept && kept->quick && !options.quick_roofline) return std::nullopt;
  return kept;
} catch (const Error& error) {
  PrintError(fmt::format("{}: measuring anew", error.what()));
  return std::nullopt;
}

/// A machine without a place for it is measured every time, and so is one that was busy.
void Keep(const std::optional<std::filesystem::path>& file, const Roofline& roofline) try {
  const std::string busy = roofline.quick ? "" : WhyCoresWereBusy(roofline);
  if (!busy.empty()) throw Error("{}", busy);
  if (!file) throw Error("neither XDG_CACHE_HOME nor HOME names a folder");
  SaveRoofline(*file, roofline);
} catch (const Error& error) {
  PrintError(fmt::format("{}: the roofline is not kept", error.what()));
}

int Show(const Roofline& roofline, const Options& options) {
  WriteOutput(options.roofline_format == "json" ? RooflineToJson(roofline)
                                                : RooflineText(roofline));
  return 0;
}

}  // namespace

int ShowRoofline(const Options& options) {
  const DeviceLibrary library(DevicePaths(options), options.instruction_set);
  const Device device = OpenDevice(library, options);
  const std::string description = Starting(library, [&] { return device.Description(); });
  const std::string identity = RooflineIdentity(library.paths(), description);
  const auto file = RooflineFile(identity, [](const char* name) { return std::getenv(name); });
  if (const auto kept = file ? Kept(*file, identity, options) : std::nullopt) {
    return Show(*kept, options);
  }
  Roofline roofline = Starting(library, [&] {
    return MeasureRoofline(device, options.quick_roofline ? QuickRoofline() : RooflineOptions());
  });
  roofline.identity = identity;
  roofline.measured_utc = UtcNow();
  roofline.quick = options.quick_roofline;
  Keep(file, roofline);
  return Show(roofline, options);
}

}  // namespace normgrad
