// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace normgrad {

/// "AMD EPYC, 2 cores, 23.5 GiB, Linux 6.1.0 x86_64": what a reader needs to place a timing.
std::string HostDescription();

/// Names this build of the program: the hex digits of the GNU build id that the linker gave the
/// executable; empty if it gave none.
std::string BuildId();

/// Bytes of memory the host could still give to this process.
std::uint64_t AvailableHostBytes();

/// Cores this process may use; at least 1.
unsigned UsableCores();

/// "0x" and 16 hex digits over the bytes of files, in order. Throws Error if one cannot be read.
std::string HashOfFiles(std::span<const std::string> paths);

}  // namespace normgrad
