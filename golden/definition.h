// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

#include "golden/oracle.h"

namespace normgrad {

/// What Oracle::element computes with: at least the 64 bits of significand of x87, so that a plain
/// sum of 2^20 terms still beats float64. Where it is no wider than float64 the second opinion is
/// only as good as the first.
using Extended = long double;

/// The tensors of a call, element by element.
class Elements {
 public:
  explicit Elements(std::span<const HostTensor> tensors) : tensors_(tensors) {}

  /// Element `index` of a param; one where the tensor is null, as a scale is then.
  Extended operator()(std::size_t param, std::size_t index) const {
    const HostTensor& tensor = tensors_[param];
    if (!tensor.present()) return 1;
    if (tensor.dtype == DType::kFloat32) {
      // Not worth a call. Elements lie far apart, and a processor waits for more of them at once
      // the less there is to do for each.
      float value = 0;
      std::memcpy(&value, tensor.data + index * sizeof value, sizeof value);
      return value;
    }
    return static_cast<Extended>(Load(tensor.dtype, tensor.data + index * SizeOf(tensor.dtype)));
  }

 private:
  std::span<const HostTensor> tensors_;
};

}  // namespace normgrad
