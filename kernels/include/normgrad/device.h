// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "acl/acl_base.h"

// What our own device libraries offer beyond CANN's interface. Vendor libraries do not have these
// functions: look them up by name and do without when they are absent.

#ifdef __cplusplus
extern "C" {
#endif

/// Makes the device behave as `product`, a key of cases/products.csv: SoC name, architecture, legal
/// dtypes and limits. Holds for the whole process, for calls whose phase 1 comes later.
/// The default is the environment variable NORMGRAD_PRODUCT, else "atlas-a2".
/// ACL_ERROR_INVALID_PARAM for an unknown key.
ACL_FUNC_VISIBILITY aclError normgradSetProduct(const char* product);

/// How many threads kernels use from now on; 0 (the default): as many as there are cores.
/// ACL_ERROR_INVALID_PARAM for more than 1024.
ACL_FUNC_VISIBILITY aclError normgradSetThreads(uint32_t threads);

/// Which vector instructions kernels use from now on, by name: "scalar", "ssse3", "sse4", "avx2",
/// "avx512", "avx512_bf16", …; "" (the default): the widest the processor has. Not while kernels
/// run.
/// ACL_ERROR_INVALID_PARAM for a name that this library or this processor does not have.
ACL_FUNC_VISIBILITY aclError normgradSetInstructionSet(const char* name);

/// Where the host finds the byte that the device has at `device`, and those behind it up to the end
/// of the allocation, to read them in place once the work that writes them has been waited for;
/// null where it cannot. ACL_ERROR_INVALID_PARAM for a null pointer and for memory that aclrtMalloc
/// has not given.
ACL_FUNC_VISIBILITY aclError normgradHostView(const void* device, const void** host);

/// A way to move memory: the limits that kernels can be held against.
typedef enum normgradMotion {
  NORMGRAD_READ = 0,            // adds a's 64-bit words up, and writes the sum, 8 bytes, to `to`
  NORMGRAD_COPY = 1,            // a to `to`, with ordinary stores
  NORMGRAD_STREAMING_COPY = 2,  // a to `to`, with stores past the caches
  NORMGRAD_STREAMING_TRIAD = 3  // a + b to `to`, byte by byte, with stores past the caches
} normgradMotion;

/// Moves `bytes` bytes `times` times: each of the threads that kernels use works through a share of
/// its own, as often, and the call returns when all have finished. A READ adds up all it reads,
/// modulo 2^64, the last word filled up with zeros. Only STREAMING_TRIAD looks at `b`. No alignment
/// needed; what is written must not overlap what is read. While kernels run there may be one
/// thread. ACL_ERROR_INVALID_PARAM for a null pointer and an unknown motion.
ACL_FUNC_VISIBILITY aclError normgradMove(normgradMotion motion, void* to, const void* a,
                                          const void* b, uint64_t bytes, uint32_t times);

#ifdef __cplusplus
}
#endif
