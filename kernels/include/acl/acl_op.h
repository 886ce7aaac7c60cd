// SPDX-License-Identifier: Apache-2.0
#pragma once

// Functions of the single-operator interface that aclnn replaced would be here; there are none.
#include "acl/acl_base.h"
