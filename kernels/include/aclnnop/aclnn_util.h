// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Marks what an operator library exports.
#if defined(__GNUC__)
#define ACLNN_API __attribute__((visibility("default")))
#else
#define ACLNN_API
#endif
