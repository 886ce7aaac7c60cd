// SPDX-License-Identifier: Apache-2.0
// Elements of tensors as float32 vectors, and back. Included once per target (foreach_target).

#if defined(NORMGRAD_KERNELS_CPU_CONVERT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NORMGRAD_KERNELS_CPU_CONVERT_INL_H_
#undef NORMGRAD_KERNELS_CPU_CONVERT_INL_H_
#else
#define NORMGRAD_KERNELS_CPU_CONVERT_INL_H_
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <hwy/highway.h>

#include "base/dtype.h"
#include "kernels/cpu/instruction_set.h"
#include "kernels/cpu/split.h"

HWY_BEFORE_NAMESPACE();
namespace normgrad::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using VF = hn::Vec<DF>;
using DU = hn::RebindToUnsigned<DF>;
using VU = hn::Vec<DU>;
using D16 = hn::Rebind<std::uint16_t, DF>;  // half a vector: as many lanes as DF

/// Elements are handled a block at a time: two vectors of float32.
inline constexpr std::size_t kLanes = HWY_LANES(float);
inline constexpr std::size_t kBlock = 2 * kLanes;
static_assert(kMaxBlock % kBlock == 0);

/// The float32 values of a block, in *processing order*: an order of the format's own choosing, in
/// which it is cheapest to convert. Sums over columns are kept in it.
struct Block {
  VF a;
  VF b;
};

/// How a store treats the caches.
enum class StoreKind { kCached, kStreamed };

template <StoreKind kKind, class D, class V>
HWY_INLINE void StoreVector(V v, D d, hn::TFromD<D>* to) {
  if constexpr (kKind == StoreKind::kStreamed) {
    hn::Stream(v, d, to);
  } else {
    hn::StoreU(v, d, to);
  }
}

/// binary32: processing order is memory order.
struct Float32Format {
  using Element = float;
  static constexpr bool kInterleaved = false;

  static HWY_INLINE Block Load(const Element* from) {
    const DF d;
    return {hn::LoadU(d, from), hn::LoadU(d, from + kLanes)};
  }

  template <StoreKind kKind>
  static HWY_INLINE void Store(Block v, Element* to) {
    const DF d;
    StoreVector<kKind>(v.a, d, to);
    StoreVector<kKind>(v.b, d, to + kLanes);
  }
};

/// binary16: processing order is memory order.
struct Float16Format {
  using Element = std::uint16_t;
  static constexpr bool kInterleaved = false;

  static HWY_INLINE Block Load(const Element* from) {
    const D16 d;
    return {Widen(hn::LoadU(d, from)), Widen(hn::LoadU(d, from + kLanes))};
  }

  template <StoreKind kKind>
  static HWY_INLINE void Store(Block v, Element* to) {
#if HWY_TARGET == HWY_SCALAR
    hn::StoreU(Narrow(v.a), D16(), to);
    hn::StoreU(Narrow(v.b), D16(), to + kLanes);
#else
    // As one vector: Highway 1.0.3 writes 16 bytes even when it streams a vector of 8.
    const hn::Repartition<Element, DF> d;
    StoreVector<kKind>(hn::Combine(d, Narrow(v.b), Narrow(v.a)), d, to);
#endif
  }

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  static HWY_INLINE VF Widen(hn::Vec<D16> v) {
    return hn::PromoteTo(DF(), hn::BitCast(hn::Rebind<hwy::float16_t, DF>(), v));
  }
  static HWY_INLINE hn::Vec<D16> Narrow(VF v) {
    return hn::BitCast(D16(), hn::DemoteTo(hn::Rebind<hwy::float16_t, DF>(), v));
  }
#else
  // Where the target has no instruction, Highway 1.0.3 truncates, flushes and knows no NaN.
  static HWY_INLINE VF Widen(hn::Vec<D16> v) {
    const DF df;
    const DU du;
    const VU bits = hn::PromoteTo(du, v);
    const VU magnitude = hn::And(bits, hn::Set(du, 0x7FFFU));
    const VU sign = hn::ShiftLeft<16>(hn::Xor(bits, magnitude));
    // The exponent is rebiased by a multiplication, which normalises subnormal numbers, too.
    const VF scaled = hn::Mul(hn::BitCast(df, hn::ShiftLeft<13>(magnitude)), hn::Set(df, 0x1p112F));
    const auto special = hn::Gt(magnitude, hn::Set(du, 0x7BFFU));  // infinity or NaN
    const VU exponent = hn::IfThenElseZero(special, hn::Set(du, 0x7F800000U));
    return hn::BitCast(df, hn::Or(hn::Or(hn::BitCast(du, scaled), exponent), sign));
  }
  static HWY_INLINE hn::Vec<D16> Narrow(VF v) {
    const DF df;
    const DU du;
    const VU bits = hn::BitCast(du, v);
    const VU magnitude = hn::And(bits, hn::Set(du, 0x7FFFFFFFU));
    const VU sign = hn::ShiftRight<16>(hn::Xor(bits, magnitude));
    // Normal numbers: rebias the exponent and round by adding; what rounds past the largest finite
    // number carries into the exponent of infinity.
    const VU odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, 1U));
    const VU rebias = hn::Set(du, 0xFFFU - (112U << 23));
    const VU normal = hn::ShiftRight<13>(hn::Add(hn::Add(magnitude, rebias), odd));
    // Subnormal ones: 0.5 has the ulp of a subnormal binary16, so that adding it rounds to that.
    const VF half = hn::Set(df, 0.5F);
    const VU subnormal =
        hn::Sub(hn::BitCast(du, hn::Add(hn::BitCast(df, magnitude), half)), hn::BitCast(du, half));
    VU result = hn::IfThenElse(hn::Lt(magnitude, hn::Set(du, 0x38800000U)), subnormal, normal);
    result = hn::Min(result, hn::Set(du, 0x7C00U));
    const auto nan = hn::Gt(magnitude, hn::Set(du, 0x7F800000U));
    result = hn::IfThenElse(nan, hn::Set(du, 0x7E00U), result);
    const hn::RebindToSigned<DU> di;
    return hn::DemoteTo(D16(), hn::BitCast(di, hn::Or(result, sign)));
  }
#endif
};

/// bfloat16: `a` holds the elements at even positions of the block, `b` those at odd ones, because
/// both are then one instruction away from a vector of pairs.
struct BFloat16Format {
  using Element = std::uint16_t;
#if HWY_TARGET == HWY_SCALAR
  static constexpr bool kInterleaved = false;  // with one lane, the two orders are one

  static HWY_INLINE Block Load(const Element* from) {
    const DF df;
    const DU du;
    return {hn::BitCast(df, hn::Set(du, std::uint32_t{from[0]} << 16)),
            hn::BitCast(df, hn::Set(du, std::uint32_t{from[1]} << 16))};
  }

  template <StoreKind kKind>
  static HWY_INLINE void Store(Block v, Element* to) {
    const Rounded rounded(v);
    to[0] = static_cast<Element>(hn::GetLane(rounded.a) >> 16);
    to[1] = static_cast<Element>(hn::GetLane(rounded.b) >> 16);
  }
#else
  static constexpr bool kInterleaved = true;
  using D = hn::Repartition<Element, DF>;

  static HWY_INLINE Block Load(const Element* from) {
    const DF df;
    const DU du;
    const VU pairs = hn::BitCast(du, hn::LoadU(D(), from));
    return {hn::BitCast(df, hn::ShiftLeft<16>(pairs)),
            hn::BitCast(df, hn::And(pairs, hn::Set(du, 0xFFFF0000U)))};
  }

  template <StoreKind kKind>
  static HWY_INLINE void Store(Block v, Element* to) {
    const D d;
    const Rounded rounded(v);
    const auto even = hn::BitCast(d, hn::ShiftRight<16>(rounded.a));
    StoreVector<kKind>(hn::OddEven(hn::BitCast(d, rounded.b), even), d, to);
  }
#endif

 private:
  /// The bfloat16 nearest to each lane, ties to even, in the upper halves. Integer arithmetic,
  /// because Highway 1.0.3 truncates.
  struct Rounded {
    VU a;
    VU b;

    HWY_INLINE explicit Rounded(const Block& v) : a(Nearest(v.a)), b(Nearest(v.b)) {
      // Rounding can carry a NaN into infinity. NaN is rare, so that one look at both vectors
      // (their sum is NaN if either is) is cheaper than a blend for each.
      if (HWY_UNLIKELY(!hn::AllFalse(DF(), hn::IsNaN(hn::Add(v.a, v.b))))) {
        a = Quiet(v.a, a);
        b = Quiet(v.b, b);
      }
    }

    static HWY_INLINE VU Nearest(VF v) {
      const DU du;
      const VU bits = hn::BitCast(du, v);
      const VU odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1U));
      return hn::Add(hn::Add(bits, hn::Set(du, 0x7FFFU)), odd);
    }

    static HWY_INLINE VU Quiet(VF v, VU rounded) {
      const DU du;
      const VU quiet = hn::Or(hn::BitCast(du, v), hn::Set(du, 0x00400000U));
      return hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(v)), quiet, rounded);
    }
  };
};

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
/// The same, rounded by the instruction of AVX512-BF16: 6 instructions to a block instead of 14. It
/// rounds as we do but takes subnormal numbers for zeros, so that a block with one is left to
/// arithmetic.
struct BFloat16InstructionFormat : BFloat16Format {
  template <StoreKind kKind>
  static HWY_INLINE void Store(Block v, Element* to) {
    constexpr int kSubnormal = 0x20;
    const __mmask16 a = _mm512_fpclass_ps_mask(v.a.raw, kSubnormal);
    const __mmask16 b = _mm512_fpclass_ps_mask(v.b.raw, kSubnormal);
    if (HWY_UNLIKELY(!_kortestz_mask16_u8(a, b))) return BFloat16Format::Store<kKind>(v, to);
    // The intrinsic is for functions whose target has the instruction, and Highway's has not.
    __m512i halves;
    asm("vcvtne2ps2bf16 %2, %1, %0" : "=v"(halves) : "v"(v.b.raw), "v"(v.a.raw));
    const auto pairs = _mm512_permutexvar_epi16(_mm512_load_si512(kPairs.data()), halves);
    StoreVector<kKind>(hn::Vec<D>{pairs}, D(), to);
  }

 private:
  /// Element i of each half, one after the other.
  alignas(64) static constexpr std::array<Element, 32> kPairs = {
      0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
      8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
};
#endif

/// How many lanes of each vector of a block hold its first elements.
struct LaneCounts {
  std::size_t a;
  std::size_t b;
};

/// Where the first `count` elements of a block lie, in processing order of `Format`; count <=
/// kBlock.
template <class Format>
HWY_INLINE LaneCounts LanesOf(std::size_t count) {
  if constexpr (Format::kInterleaved) return {(count + 1) / 2, count / 2};
  return {count < kLanes ? count : kLanes, count < kLanes ? 0 : count - kLanes};
}

/// A block in memory order, from processing order of `Format`.
template <class Format>
HWY_INLINE void StoreInMemoryOrder(Block v, float* to) {
  const DF d;
  if constexpr (Format::kInterleaved) {
    hn::StoreInterleaved2(v.a, v.b, d, to);
  } else {
    Float32Format::Store<StoreKind::kCached>({v.a, v.b}, to);
  }
}

/// A block in processing order of `Format`, from memory order.
template <class Format>
HWY_INLINE Block LoadFromMemoryOrder(const float* from) {
  if constexpr (Format::kInterleaved) {
    VF a;
    VF b;
    hn::LoadInterleaved2(DF(), from, a, b);
    return {a, b};
  } else {
    return Float32Format::Load(from);
  }
}

/// Bytes of a tensor as elements of `Format`.
template <class Format>
HWY_INLINE const typename Format::Element* Elements(const std::byte* bytes) {
  return reinterpret_cast<const typename Format::Element*>(bytes);
}

template <class Format>
HWY_INLINE typename Format::Element* Elements(std::byte* bytes) {
  return reinterpret_cast<typename Format::Element*>(bytes);
}

/// Locality, as __builtin_prefetch counts.
enum class CacheLevel { kFirst = 3, kSecond = 2 };

/// Asks for one block of elements to be brought into a cache: the second level, as a rule. In the
/// first it would take room from what is at work, and wait for one of few buffers: measured.
template <class Format, CacheLevel kLevel = CacheLevel::kSecond>
HWY_INLINE void Prefetch(const typename Format::Element* block) {
  constexpr std::size_t kLine = 64 / sizeof *block;
  for (std::size_t i = 0; i < kBlock; i += kLine) {
    __builtin_prefetch(block + i, 0, static_cast<int>(kLevel));
  }
}

/// Part of a block, for where nothing behind its last element may be touched. The rest is zeros.
template <class Format>
struct Tail {
  HWY_ALIGN typename Format::Element elements[kBlock] = {};

  HWY_INLINE const typename Format::Element* Read(const typename Format::Element* from,
                                                  std::size_t count) {
    std::memcpy(elements, from, count * sizeof *elements);
    return elements;
  }
};

/// body(format) with the format of a float dtype.
template <class Body>
HWY_INLINE auto WithFormat(DType dtype, Body body) {
  switch (dtype) {
    case DType::kFloat16: return body(Float16Format());
    case DType::kBFloat16:
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
      if (UsesBFloat16Instruction()) return body(BFloat16InstructionFormat());
#endif
      return body(BFloat16Format());
    default: return body(Float32Format());
  }
}

/// `count` elements of a float dtype as float32, in memory order.
HWY_INLINE void ToFloats(DType dtype, const std::byte* from, std::size_t count, float* to) {
  WithFormat(dtype, [=](auto format) {
    using Format = decltype(format);
    const auto* const elements = Elements<Format>(from);
    std::size_t i = 0;
    for (; i + kBlock <= count; i += kBlock) {
      StoreInMemoryOrder<Format>(Format::Load(elements + i), to + i);
    }
    if (i == count) return;
    Tail<Format> tail;
    HWY_ALIGN float block[kBlock];
    StoreInMemoryOrder<Format>(Format::Load(tail.Read(elements + i, count - i)), block);
    std::memcpy(to + i, block, (count - i) * sizeof *to);
  });
}

/// The reverse of ToFloats(), rounding to nearest.
HWY_INLINE void FromFloats(const float* from, std::size_t count, DType dtype, std::byte* to) {
  WithFormat(dtype, [=](auto format) {
    using Format = decltype(format);
    auto* const elements = Elements<Format>(to);
    std::size_t i = 0;
    for (; i + kBlock <= count; i += kBlock) {
      Format::template Store<StoreKind::kCached>(LoadFromMemoryOrder<Format>(from + i),
                                                 elements + i);
    }
    if (i == count) return;
    Tail<Float32Format> tail;
    Tail<Format> rounded;
    Format::template Store<StoreKind::kCached>(
        LoadFromMemoryOrder<Format>(tail.Read(from + i, count - i)), rounded.elements);
    std::memcpy(elements + i, rounded.elements, (count - i) * sizeof *elements);
  });
}

}  // namespace normgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
