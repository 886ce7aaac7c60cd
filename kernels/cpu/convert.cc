// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/convert.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/convert.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/convert-inl.h"

HWY_BEFORE_NAMESPACE();
namespace normgrad::cpu::HWY_NAMESPACE {

void WidenElements(DType dtype, const std::byte* from, std::size_t count, float* to) {
  ToFloats(dtype, from, count, to);
}
void NarrowElements(const float* from, std::size_t count, DType dtype, std::byte* to) {
  FromFloats(from, count, dtype, to);
}

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace normgrad::cpu {

HWY_EXPORT(WidenElements);
HWY_EXPORT(NarrowElements);

void Widen(DType dtype, const std::byte* from, std::size_t count, float* to) {
  HWY_DYNAMIC_DISPATCH(WidenElements)(dtype, from, count, to);
}

void Narrow(const float* from, std::size_t count, DType dtype, std::byte* to) {
  HWY_DYNAMIC_DISPATCH(NarrowElements)(from, count, dtype, to);
}

}  // namespace normgrad::cpu
#endif  // HWY_ONCE
