// SPDX-License-Identifier: Apache-2.0
// Memory moved for its own sake.
#include "kernels/api/backend.h"
#include "kernels/api/refusal.h"

namespace normgrad {
namespace {

void RequireMotion(normgradMotion motion) {
  switch (motion) {
    case NORMGRAD_READ:
    case NORMGRAD_COPY:
    case NORMGRAD_STREAMING_COPY:
    case NORMGRAD_STREAMING_TRIAD: return;
  }
  throw Refusal(ACL_ERROR_INVALID_PARAM, "unknown motion {}", static_cast<int>(motion));
}

}  // namespace
}  // namespace normgrad

using normgrad::RefuseAcl;
using normgrad::RequirePointer;

aclError normgradMove(normgradMotion motion, void* to, const void* a, const void* b,
                      std::uint64_t bytes, std::uint32_t times) try {
  normgrad::RequireMotion(motion);
  RequirePointer(to, "to");
  RequirePointer(a, "a");
  if (motion == NORMGRAD_STREAMING_TRIAD) RequirePointer(b, "b");
  normgrad::backend::Move(motion, to, a, b, bytes, times);
  return ACL_SUCCESS;
} catch (...) {
  return RefuseAcl(__func__);
}
