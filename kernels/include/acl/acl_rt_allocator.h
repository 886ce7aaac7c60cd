// SPDX-License-Identifier: Apache-2.0
#pragma once

// Functions that register an allocator of the program's own would be here; there are none.
#include "acl/acl_base.h"
