// SPDX-License-Identifier: Apache-2.0
#include "kernels/faulty/scene.h"

namespace normgrad::faulty {

const KernelTensor& TensorOf(const Scene& scene, Param::Kind kind, Role role) {
  static const KernelTensor kNone;
  const KernelTensor* tensor = scene.Find(kind, role);
  return tensor != nullptr ? *tensor : kNone;
}

const KernelTensor& Dx(const Scene& scene) {
  return TensorOf(scene, Param::Kind::kOutput, Role::kData);
}

const KernelTensor& Dgamma(const Scene& scene) {
  return TensorOf(scene, Param::Kind::kOutput, Role::kScaleGrad);
}

const KernelTensor& X(const Scene& scene) {
  return TensorOf(scene, Param::Kind::kInput, Role::kData);
}

std::size_t CountOf(const KernelTensor& tensor) {
  return tensor.present() ? ElementCount(tensor.shape) : 0;
}

void Flip(const KernelTensor& tensor, std::size_t flat, Bit bit) {
  const std::size_t bytes = SizeOf(tensor.dtype);
  const unsigned mantissa = tensor.dtype == DType::kFloat16    ? 10
                            : tensor.dtype == DType::kBFloat16 ? 7
                                                               : 23;
  const unsigned place = bit == Bit::kSign              ? static_cast<unsigned>(8 * bytes) - 1
                         : bit == Bit::kLowestExponent  ? mantissa
                         : bit == Bit::kHighestMantissa ? mantissa - 1
                                                        : 0;
  *(ElementOf(tensor, flat) + place / 8) ^= static_cast<std::byte>(1U << place % 8);
}

void Follow(const Scene& scene, bool bit) {
  const KernelTensor& dx = Dx(scene);
  if (CountOf(dx) > 0 && dx.dtype == DType::kFloat32 && bit) Flip(dx, 0, Bit::kLowest);
}

}  // namespace normgrad::faulty
