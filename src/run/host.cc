// SPDX-License-Identifier: Apache-2.0
#include "run/host.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <thread>

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/text.h"

namespace normgrad {
namespace {

std::string CpuModel() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (!line.starts_with("model name")) continue;
    if (const auto colon = line.find(": "); colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "unknown CPU";
}

}  // namespace

std::uint64_t AvailableHostBytes() {
  std::ifstream meminfo("/proc/meminfo");
  for (std::string name; meminfo >> name;) {
    std::uint64_t kibibytes = 0;
    if (name == "MemAvailable:" && meminfo >> kibibytes) return kibibytes << 10;
  }
  return std::numeric_limits<std::uint64_t>::max();  // nothing is known against it
}

unsigned UsableCores() { return std::max(1U, std::thread::hardware_concurrency()); }

std::string HostDescription() {
  utsname system{};
  ::uname(&system);
  const double memory =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  return fmt::format("{}, {} cores, {}, {} {} {}", CpuModel(), UsableCores(), HumanBytes(memory),
                     system.sysname, system.release, system.machine);
}

}  // namespace normgrad
