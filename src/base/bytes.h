// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

namespace normgrad {

/// `count` zero bytes, in large pages where there are enough of them and the system has such pages:
/// to be given small ones takes longer than to write them.
std::vector<std::byte> MakeBytes(std::size_t count);

}  // namespace normgrad
