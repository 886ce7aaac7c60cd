// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/dtype.h"
#include "base/layout.h"
#include "ops/contract.h"
#include "ops/shape_pattern.h"

namespace normgrad {

/// One tensor of a checked call, as a kernel sees it.
struct KernelTensor {
  void* data = nullptr;        // device address of element [0, …, 0]
  DType dtype = DType::kNone;  // kNone: the tensor is null, or an output nobody wants
  Shape shape;
  Shape strides;       // in elements, one per axis; may be any, extents of 1 included
  bool dense = false;  // row-major without gaps: strides need not be looked at

  bool present() const { return dtype != DType::kNone; }
};

/// One checked call. Shapes and dtypes satisfy the operator's contract.
struct Launch {
  const Dims& dims;                       // every symbol of the operator bound
  std::span<const KernelTensor> tensors;  // one per param of the operator, in that order
  std::byte* workspace = nullptr;         // workspace_bytes() of them, 32-byte aligned; null if 0
  bool deterministic = false;             // ACL_OPT_DETERMINISTIC as read in phase 1
};

/// An operator on one device. A device library is a table of these plus a backend (backend.h).
struct Kernel {
  std::string_view name;  // Operator::name
  /// Bytes launch() needs in Launch::workspace; 0 for a call without elements.
  std::uint64_t (*workspace_bytes)(const Launch& launch);
  /// Does the work, or enqueues it: backend.h says which. Called with every address valid.
  void (*launch)(const Launch& launch);
  /// Whether launch() does the work, and where there is little of it returns soon, so that the
  /// caller's thread can run it; and whether what phase 1 answers to a call, it answers always.
  bool prompt = false;
};

/// What phase 1 of this device library refuses: CheckContract() of ops/contract.h, unless the
/// library deviates on purpose. Defined once per library, beside Kernels().
std::optional<Violation> CheckCall(const Operator& op, std::string_view product,
                                   std::span<const CallArg> args, Dims* dims, DTypes* dtypes);

/// Every kernel of this device library; defined once per library, in kernels/<device>/kernels.cc.
std::span<const Kernel> Kernels();

}  // namespace normgrad
