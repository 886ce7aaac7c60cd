// SPDX-License-Identifier: Apache-2.0
#include "run/host.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <limits>
#include <thread>
#include <vector>

#include <elf.h>
#include <fmt/format.h>
#include <link.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/error.h"
#include "base/random.h"
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

/// The hex digits of the build id among the notes of `size` bytes; empty if it is not there.
std::string BuildIdIn(const std::byte* notes, std::size_t size) {
  constexpr std::size_t kAlignment = 4;
  const auto padded = [](std::size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  };
  ElfW(Nhdr) note{};
  for (std::size_t at = 0; at + sizeof note <= size;) {
    std::memcpy(&note, notes + at, sizeof note);
    const std::byte* const name = notes + at + sizeof note;
    const std::byte* const description = name + padded(note.n_namesz);
    at += sizeof note + padded(note.n_namesz) + padded(note.n_descsz);
    if (at > size) break;
    constexpr char kOwner[] = "GNU";
    const bool found = note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof kOwner &&
                       std::memcmp(name, kOwner, sizeof kOwner) == 0;
    if (!found) continue;
    std::string digits;
    for (std::size_t i = 0; i < note.n_descsz; ++i) {
      digits += fmt::format("{:02x}", std::to_integer<unsigned>(description[i]));
    }
    return digits;
  }
  return "";
}

}  // namespace

std::string BuildId() {
  std::string id;
  const auto look = [](dl_phdr_info* object, std::size_t, void* into) {
    for (int i = 0; i < object->dlpi_phnum; ++i) {
      const auto& segment = object->dlpi_phdr[i];
      if (segment.p_type != PT_NOTE) continue;
      // The loader tells addresses as numbers.
      // NOLINTNEXTLINE(performance-no-int-to-ptr)
      const auto* notes = reinterpret_cast<const std::byte*>(object->dlpi_addr + segment.p_vaddr);
      auto& found = *static_cast<std::string*>(into);
      if (found.empty()) found = BuildIdIn(notes, segment.p_memsz);
    }
    return 1;  // the first object is the executable: look no further
  };
  ::dl_iterate_phdr(look, &id);
  return id;
}

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

std::string HashOfFiles(std::span<const std::string> paths) {
  std::uint64_t hash = HashText("");
  std::vector<char> chunk(std::size_t{1} << 16);
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw Error("{}: cannot be read, to tell it from other versions of it", path);
    while (file.read(chunk.data(), static_cast<std::streamsize>(chunk.size())), file.gcount() > 0) {
      hash = HashText({chunk.data(), static_cast<std::size_t>(file.gcount())}, hash);
    }
  }
  return fmt::format("0x{:016x}", hash);
}

}  // namespace normgrad
