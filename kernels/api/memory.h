// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace normgrad {

/// Whether all of [address, address + bytes) is one live aclrtMalloc() allocation's.
bool IsDeviceMemory(const void* address, std::size_t bytes);

}  // namespace normgrad
