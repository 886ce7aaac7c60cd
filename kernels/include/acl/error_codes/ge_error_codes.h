// SPDX-License-Identifier: Apache-2.0
#pragma once

// Status values of the graph engine would be here; nothing in this subset returns one.
