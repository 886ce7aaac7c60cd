// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace normgrad {

/// "AMD EPYC, 2 cores, 23.5 GiB, Linux 6.1.0 x86_64": what a reader needs to place a timing.
std::string HostDescription();

/// Bytes of memory the host could still give to this process.
std::uint64_t AvailableHostBytes();

/// Cores this process may use; at least 1.
unsigned UsableCores();

}  // namespace normgrad
