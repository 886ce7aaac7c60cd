// SPDX-License-Identifier: Apache-2.0
#pragma once

// Functions of the model interface would be here; this subset has no models.
#include "acl/acl_base.h"
