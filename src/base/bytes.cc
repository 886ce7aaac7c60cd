// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <cstdint>

#include <sys/mman.h>

namespace normgrad {

std::vector<std::byte> MakeBytes(std::size_t count) {
  constexpr std::uintptr_t kLargePage = std::uintptr_t{1} << 21;
  std::vector<std::byte> bytes;
  bytes.reserve(count);
  // Between being reserved and being written no page is there yet. It is a hint: where the system
  // does not take it, all is as before.
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::uintptr_t skipped = (kLargePage - begin % kLargePage) % kLargePage;
  if (count >= skipped + kLargePage) {
    ::madvise(bytes.data() + skipped, (count - skipped) / kLargePage * kLargePage, MADV_HUGEPAGE);
  }
  bytes.resize(count);
  return bytes;
}

}  // namespace normgrad
