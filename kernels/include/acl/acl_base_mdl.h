// SPDX-License-Identifier: Apache-2.0
#pragma once

// Types of the model interface would be here; this subset has no models.
