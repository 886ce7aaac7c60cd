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

#ifdef __cplusplus
}
#endif
