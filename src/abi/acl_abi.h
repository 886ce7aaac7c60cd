// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The subset of CANN's C ABI that the tool calls and our device libraries export.
#include "acl/acl.h"
#include "aclnn/acl_meta.h"
#include "aclnn/aclnn_base.h"
#include "aclnnop/aclnn_ops_nn.h"
#include "normgrad/device.h"
#include "normgrad/faults.h"
