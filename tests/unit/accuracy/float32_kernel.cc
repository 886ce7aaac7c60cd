// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/accuracy/float32_kernel.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace normgrad {
namespace {

using Floats = std::vector<float>;

float Forward(std::span<const float> terms) {
  float sum = 0;
  for (const float term : terms) sum += term;
  return sum;
}

float Tree(std::span<const float> terms) {
  if (terms.empty()) return 0;
  if (terms.size() == 1) return terms[0];
  const std::size_t half = terms.size() / 2;
  return Tree(terms.first(half)) + Tree(terms.subspan(half));
}

Floats Lanes(std::span<const float> terms, std::size_t lanes) {
  Floats sums(lanes, 0);
  for (std::size_t i = 0; i < terms.size(); ++i) sums[i % lanes] += terms[i];
  return sums;
}

// Sum of a[i] * b[i].
float Dot(SumOrder order, const Floats& a, const Floats& b) {
  if (order == SumOrder::kFused) {
    float sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum = std::fma(a[i], b[i], sum);
    return sum;
  }
  Floats terms(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) terms[i] = a[i] * b[i];
  switch (order) {
    case SumOrder::kFused:
    case SumOrder::kForward: return Forward(terms);
    case SumOrder::kReverse: return Forward(Floats(terms.rbegin(), terms.rend()));
    case SumOrder::kLanes8: return Forward(Lanes(terms, 8));
    case SumOrder::kLanes64: return Tree(Lanes(terms, 64));
    case SumOrder::kPairwise: return Tree(terms);
    case SumOrder::kBlocks: break;
  }
  Floats blocks;
  for (std::size_t i = 0; i < terms.size(); i += 256) {
    blocks.push_back(
        Forward(std::span(terms).subspan(i, std::min<std::size_t>(256, terms.size() - i))));
  }
  return Forward(blocks);
}

Floats Read(const HostTensor& tensor) {
  std::vector<double> values(ElementCount(tensor.shape));
  LoadAll(tensor.dtype, tensor.data, values.size(), values.data());
  Floats floats(values.size());
  std::ranges::transform(values, floats.begin(), [](double v) { return static_cast<float>(v); });
  return floats;
}

// Changes the bits of an element by `by`: one unit in the last place if that is 1 or -1.
void StepBits(DType dtype, std::byte* element, int by) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, element, SizeOf(dtype));
  bits += static_cast<std::uint32_t>(by);
  std::memcpy(element, &bits, SizeOf(dtype));
}

float Element(Arrangement arrangement, float p, float x, float r, float sum, float sum_px,
              float count) {
  const float xhat = x * r;
  switch (arrangement) {
    case Arrangement::kPlain: return (p - xhat * (sum / count)) * r;
    case Arrangement::kFused: return std::fma(-xhat, sum / count, p) * r;
    case Arrangement::kScaled: return ((count * p - xhat * sum) * (1 / count)) * r;
    case Arrangement::kCubed: break;
  }
  return p * r - ((1 / count) * r * r * r * sum_px) * x;
}

}  // namespace

void Float32Kernel::Run(TensorSet* set) const {
  const std::size_t rows = set->CountOf("rstd"), columns = set->CountOf("gamma");
  const Floats dy = Read((*set)["dy"]), x = Read((*set)["x"]), rstd = Read((*set)["rstd"]);
  Floats gamma = Read((*set)["gamma"]);
  if (fault == Fault::kGammaForgotten) gamma.assign(columns, 1);
  const HostTensor& dx = (*set)["dxOut"];
  const auto divisor = static_cast<float>(columns - (fault == Fault::kDividedByOneLess ? 1 : 0));
  for (std::size_t row = 0; row < rows; ++row) {
    Floats p(columns), xhat(columns), x_row(columns);
    for (std::size_t i = 0; i < columns; ++i) {
      x_row[i] = x[row * columns + i];
      p[i] = dy[row * columns + i] * gamma[i];
      xhat[i] = x_row[i] * rstd[row];
    }
    Floats summed = p;
    if (fault == Fault::kLastElementDropped) summed.back() = 0;
    float sum = Dot(order, summed, xhat);
    if (fault == Fault::kSixteenBitMean) {
      sum = static_cast<float>(Round(dx.dtype, double{sum / divisor})) * divisor;
    }
    const float sum_px = arrangement == Arrangement::kCubed ? Dot(order, summed, x_row) : 0;
    for (std::size_t i = 0; i < columns; ++i) {
      const float value = Element(arrangement, p[i], x_row[i], rstd[row], sum, sum_px, divisor);
      std::byte* const element = set->Element("dxOut", row * columns + i);
      Store(dx.dtype, double{value}, element);
      const double stored = Load(dx.dtype, element);
      if (fault == Fault::kTruncatedOutput && std::fabs(stored) > std::fabs(double{value})) {
        StepBits(dx.dtype, element, -1);
      }
    }
  }
  if (fault == Fault::kOneUnitInTheLastPlace)
    StepBits(dx.dtype, set->Element("dxOut", rows * columns / 2), 1);
  const std::size_t used_rows = rows - (fault == Fault::kLastRowDropped ? 1 : 0);
  for (std::size_t column = 0; column < columns; ++column) {
    Floats a(used_rows), b(used_rows);
    for (std::size_t row = 0; row < used_rows; ++row) {
      a[row] = dy[row * columns + column];
      b[row] = x[row * columns + column] * rstd[row];
    }
    set->Set("dgammaOut", column, double{Dot(order, a, b)});
  }
}

std::span<const Float32Kernel> CorrectKernels() {
  static constexpr Float32Kernel kKernels[] = {
      {"forward", SumOrder::kForward, Arrangement::kPlain},
      {"reverse", SumOrder::kReverse, Arrangement::kPlain},
      {"fused", SumOrder::kFused, Arrangement::kFused},
      {"8 lanes", SumOrder::kLanes8, Arrangement::kPlain},
      {"64 lanes and a tree", SumOrder::kLanes64, Arrangement::kFused},
      {"pairwise", SumOrder::kPairwise, Arrangement::kPlain},
      {"blocks of 256", SumOrder::kBlocks, Arrangement::kPlain},
      {"scaled by R", SumOrder::kForward, Arrangement::kScaled},
      {"rstd cubed", SumOrder::kLanes8, Arrangement::kCubed},
      {"rstd cubed, forward", SumOrder::kForward, Arrangement::kCubed},
  };
  return kKernels;
}

}  // namespace normgrad
