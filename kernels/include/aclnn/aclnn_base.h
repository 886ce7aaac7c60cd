// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "aclnn/acl_meta.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Initialises operators only, as aclInit() does for everything.
ACL_FUNC_VISIBILITY aclnnStatus aclnnInit(const char* configPath);

/// Takes back aclnnInit().
ACL_FUNC_VISIBILITY aclnnStatus aclnnFinalize();

#ifdef __cplusplus
}
#endif
