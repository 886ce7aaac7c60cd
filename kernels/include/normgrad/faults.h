// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "acl/acl_base.h"

// What the faulty device library alone offers: a catalogue of ways to be wrong, and of ways to be
// right, of which one is in force. Look these functions up by name; no other library has them.

#ifdef __cplusplus
extern "C" {
#endif

/// One way to compute. Texts are never null and live as long as the library.
typedef struct normgradFault {
  const char* name;       // as normgradSetFault() and NORMGRAD_FAULT spell it
  const char* kind;       // "formula", "memory", …; "healthy" of one that is right
  const char* museum;     // its number in docs/museum.md; empty for none
  const char* operators;  // those that can have it, e.g. "rms_norm_grad layer_norm_backward"
  const char* shows;      // in which calls it can show; empty: in all
  const char* check;      // the check that exposes it; empty of one that is right
  const char* twin;       // the name of what it is right without
  const char* what;       // one line
  const char* promises;  // beyond the documents, when right: "batch": dx of a row is its own; or ""
} normgradFault;

/// Every way, in the order of kinds; `count` of them.
const normgradFault* normgradFaults(size_t* count);

/// Makes the device compute so, in launches and phase-1 calls that come later, whatever the
/// environment variable NORMGRAD_FAULT says; null: as that says; "": as the CPU device does.
/// ACL_ERROR_INVALID_PARAM for an unknown name.
aclError normgradSetFault(const char* name);

#ifdef __cplusplus
}
#endif
