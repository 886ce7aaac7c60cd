// SPDX-License-Identifier: Apache-2.0
// float64 reference of aclnnRmsNormGrad; symbols as in src/ops/rms_norm_grad.cc.
//
//   forward   rstd   = 1 / sqrt(mean_R(x^2) + eps),   y = x * rstd * gamma
//   backward  p      = dy * gamma                     (exact in float64)
//             m      = mean_R(p * xhat) = rstd * mean_R(p * x),   xhat = x * rstd
//             dx     = rstd * (p - xhat * m)
//             dgamma = sum_A(dy * xhat)
//
// Roundings of a float32 evaluation, u = 2^-24 each (numbers for the centred / expanded profile):
//   dx      p, xhat, m and their combination: 9 / 11 of them, plus 1 in reserve, act on
//           |rstd| * (|p| + |xhat * m|)
//   m       its terms carry 4 / 6, and its sum errs by E: dx errs by |rstd * xhat| / R * E. The
//           expanded profile adds 4u|xhat| to that |xhat|, the error of xhat itself
//   dgamma  its terms carry 3 / 5, and 2 act on the sum (partial sums stored, result stored)
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "golden/compensated.h"
#include "golden/oracle.h"
#include "golden/partition.h"
#include "ops/operators.h"

namespace normgrad {
namespace {

enum : std::size_t { kDy, kX, kRstd, kGamma, kDx, kDgamma };  // indices into Operator::params

constexpr double kRoundoff = 0x1p-24;             // u
constexpr double kLargestIntermediate = 0x1p126;  // float32 overflows at 2^128

// What a float32 evaluation rounds, and how often.
struct Roundings {
  double local;        // an element of dx outside its sum
  double row_term;     // a term of m
  double column_term;  // a term of dgamma
  double xhat;         // xhat as a factor of the error of m
};

Roundings RoundingsOf(Profile profile) {
  return profile == Profile::kExpanded ? Roundings{12, 6, 5, 4} : Roundings{10, 4, 3, 0};
}

// One call: rows x columns elements and the tensors of its inputs.
struct Call {
  Call(const Dims& dims, std::span<const HostTensor> all)
      : tensors(all), rows(Count("*A", dims)), columns(Count("*R", dims)) {}

  void Get(std::size_t param, std::size_t first, std::size_t count, double* out) const {
    const HostTensor& tensor = tensors[param];
    LoadAll(tensor.dtype, tensor.data + first * SizeOf(tensor.dtype), count, out);
  }
  double Rstd(std::size_t row) const {
    double rstd = 0;
    Get(kRstd, row, 1, &rstd);
    return rstd;
  }

  std::span<const HostTensor> tensors;
  std::size_t rows;
  std::size_t columns;
};

// With one element per row xhat is 1 or -1 but for the rounding of rstd.
bool OnLattice(const Call& call) { return call.columns == 1; }

constexpr std::size_t kTile = 1024;  // columns of a row at a time: six arrays of 8 KiB

// 1 / sqrt(mean(x^2) + eps) of one row. No elements have the mean 0.
double RstdOfRow(const Call& call, std::size_t row, double eps, std::vector<double>* scratch) {
  DotSum squares;
  for (std::size_t first = 0; first < call.columns; first += kTile) {
    const std::size_t count = std::min(kTile, call.columns - first);
    call.Get(kX, row * call.columns + first, count, scratch->data());
    squares.AddProducts(scratch->data(), scratch->data(), count);
  }
  const auto count = static_cast<double>(std::max<std::size_t>(call.columns, 1));
  return 1 / std::sqrt(squares.Value().high / count + eps);
}

std::vector<std::vector<double>> Statistics(const Dims& dims, double eps,
                                            std::span<const HostTensor> tensors) {
  const Call call(dims, tensors);
  std::vector<double> rstd(call.rows), scratch(kTile);
  for (std::size_t row = 0; row < call.rows; ++row) {
    rstd[row] = RstdOfRow(call, row, eps, &scratch);
  }
  return {std::move(rstd)};
}

std::vector<double> Forward(const Dims& dims, double eps, std::span<const HostTensor> tensors) {
  const Call call(dims, tensors);
  std::vector<double> y(call.rows * call.columns), gamma(call.columns), scratch(kTile);
  call.Get(kX, 0, y.size(), y.data());
  call.Get(kGamma, 0, gamma.size(), gamma.data());
  for (std::size_t row = 0; row < call.rows; ++row) {
    const double rstd = RstdOfRow(call, row, eps, &scratch);
    for (std::size_t i = 0; i < call.columns; ++i) y[row * call.columns + i] *= rstd * gamma[i];
  }
  return y;
}

// One tile of one row and what is made of it.
struct RowTile {
  RowTile() : gamma(kTile), p(kTile), x(kTile), value(kTile), local(kTile), weight(kTile) {}

  std::vector<double> gamma, p, x, value, local, weight;
};

// Largest magnitudes of one row's inputs.
struct RowRange {
  double dy = 0, x = 0, p = 0;
};

class RowPass {
 public:
  RowPass(const Call& call, Profile profile,
          const std::function<void(const ReferenceBlock&)>& consume)
      : call_(call), roundings_(RoundingsOf(profile)), consume_(consume) {
    std::vector<double> gamma(kTile);
    for (std::size_t first = 0; first < call.columns; first += kTile) {
      const std::size_t count = std::min(kTile, call.columns - first);
      call.Get(kGamma, first, count, gamma.data());
      max_gamma_ = std::max(max_gamma_, MaxMagnitude({gamma.data(), count}));
    }
  }

  void Stream(std::size_t row, RowTile* tile) const {
    DotSum dot;
    RowRange range;
    for (std::size_t first = 0; first < call_.columns; first += kTile) {
      const std::size_t count = LoadTile(row, first, tile, &range);
      dot.AddProducts(tile->p.data(), tile->x.data(), count);
    }
    const double rstd = call_.Rstd(row), scale = std::fabs(rstd);
    const auto columns = static_cast<double>(call_.columns);
    // dx = rstd * (p - x * slope), slope = rstd * m
    const DoubleDouble slope = Divide(Multiply(Multiply(dot.Value(), rstd), rstd), columns);
    const double m = scale * std::fabs(dot.Value().high) / columns;
    // A non-finite input makes m, and with it every element of the row, non-finite.
    const bool finite = std::isfinite(dot.Magnitude()) && std::isfinite(rstd);

    SharedSum shared{Sum{columns, roundings_.row_term, rstd * dot.Value().high,
                         scale * dot.Magnitude(), scale * scale * dot.Energy()},
                     {}};
    shared.sum.lattice = OnLattice(call_);
    ReferenceBlock block;
    block.param = kDx;
    block.roundings = roundings_.local;
    block.shared = {&shared, 1};
    block.flush = Flush(scale, m, range);
    block.may_overflow =
        !(LargestIntermediate(scale, dot.Magnitude(), range) < kLargestIntermediate);
    const double weight = scale * scale / columns * (1 + roundings_.xhat * kRoundoff);
    for (std::size_t first = 0; first < call_.columns; first += kTile) {
      RowRange ignored;
      const std::size_t count =
          call_.columns <= kTile ? call_.columns : LoadTile(row, first, tile, &ignored);
      Evaluate(slope, finite ? rstd : std::numeric_limits<double>::quiet_NaN(), weight, count,
               tile);
      block.first = row * call_.columns + first;
      block.value = {tile->value.data(), count};
      block.local = {tile->local.data(), count};
      shared.weight = {tile->weight.data(), count};
      consume_(block);
    }
  }

 private:
  // Fills p and x with columns first … of the row; returns how many.
  std::size_t LoadTile(std::size_t row, std::size_t first, RowTile* tile, RowRange* range) const {
    const std::size_t count = std::min(kTile, call_.columns - first);
    const std::size_t index = row * call_.columns + first;
    call_.Get(kDy, index, count, tile->p.data());
    call_.Get(kX, index, count, tile->x.data());
    call_.Get(kGamma, first, count, tile->gamma.data());
    range->dy = std::max(range->dy, MaxMagnitude({tile->p.data(), count}));
    for (std::size_t i = 0; i < count; ++i) tile->p[i] *= tile->gamma[i];
    range->p = std::max(range->p, MaxMagnitude({tile->p.data(), count}));
    range->x = std::max(range->x, MaxMagnitude({tile->x.data(), count}));
    return count;
  }

  // value, local and weight from p and x. The difference p - x * slope is taken in twice the
  // precision of float64, so that it stays right where it cancels.
  static void Evaluate(DoubleDouble slope, double rstd, double weight, std::size_t count,
                       RowTile* tile) {
    const double scale = std::fabs(rstd);
    for (std::size_t i = 0; i < count; ++i) {
      const double p = tile->p[i], x = tile->x[i];
      const DoubleDouble product = TwoProduct(slope.high, x);
      const DoubleDouble difference = TwoSum(p, -product.high);
      tile->value[i] = rstd * (difference.high + (difference.low - (product.low + slope.low * x)));
      tile->local[i] = scale * (std::fabs(p) + std::fabs(product.high));
      tile->weight[i] = weight * std::fabs(x);
    }
  }

  // Every place where a device may drop a subnormal input or result, carried to dx, in units of its
  // smallest normal number.
  double Flush(double scale, double m, const RowRange& range) const {
    const double g = 1 + max_gamma_ + range.dy, xhat = range.x * scale, p = range.p;
    const double rstd_use = 2 * scale + 1;
    return 2 + p + xhat * m +
           scale * (2 * g + 5 + (xhat + 1) * (g * (xhat + 1) + p * rstd_use + 3) + m * rstd_use);
  }

  // No intermediate of the arrangements in use exceeds this: sums before they are divided by R,
  // rstd^3 formed first, dy * x formed first.
  double LargestIntermediate(double scale, double magnitude, const RowRange& range) const {
    const double r = std::max(scale, 1.0), x = std::max(range.x, 1.0);
    const double dy = std::max(range.dy, 1.0);
    return std::max({static_cast<double>(call_.columns) * range.p * r, dy * x * r, r * r * r,
                     magnitude * x * r * r * r});
  }

  const Call& call_;
  Roundings roundings_;
  const std::function<void(const ReferenceBlock&)>& consume_;
  double max_gamma_ = 0;
};

// dgamma of one tile of columns.
struct DgammaPartial {
  explicit DgammaPartial(std::size_t columns = 0) : sums(columns) {}

  void Merge(const DgammaPartial& later) {
    sums.Merge(later.sums);
    max_dy = std::max(max_dy, later.max_dy);
    max_xhat = std::max(max_xhat, later.max_xhat);
    max_rstd = std::max(max_rstd, later.max_rstd);
    max_product = std::max(max_product, later.max_product);
  }

  ColumnSums sums;
  double max_dy = 0, max_xhat = 0, max_rstd = 0;
  double max_product = 0;  // of |dy * x|
};

void AccumulateDgamma(const Call& call, Range rows, Range columns, DgammaPartial* partial) {
  // Rows of a tile as wide as the matrix are adjacent: narrow ones are loaded many at a time.
  const std::size_t width = columns.count;
  const std::size_t batch = width == call.columns ? std::max<std::size_t>(kTile / width, 1) : 1;
  std::vector<double> product(batch * width), x(batch * width), rstd(batch);
  for (std::size_t done = 0; done < rows.count; done += batch) {
    const std::size_t row = rows.first + done, count = std::min(batch, rows.count - done);
    const std::size_t index = row * call.columns + columns.first;
    call.Get(kDy, index, count * width, product.data());
    call.Get(kX, index, count * width, x.data());
    call.Get(kRstd, row, count, rstd.data());
    partial->max_dy = std::max(partial->max_dy, MaxMagnitude({product.data(), count * width}));
    for (std::size_t i = 0; i < count * width; ++i) product[i] *= x[i];
    partial->max_product =
        std::max(partial->max_product, MaxMagnitude({product.data(), count * width}));
    for (std::size_t i = 0; i < count; ++i) {
      const double scale = std::fabs(rstd[i]);
      partial->max_rstd = std::max(partial->max_rstd, scale);
      partial->max_xhat =
          std::max(partial->max_xhat, scale * MaxMagnitude({x.data() + i * width, width}));
      partial->sums.AddRow(product.data() + i * width, rstd[i]);
    }
  }
}

void EmitDgamma(const Call& call, Profile profile, Range columns, const DgammaPartial& partial,
                const std::function<void(const ReferenceBlock&)>& consume) {
  const auto rows = static_cast<double>(call.rows);
  std::vector<double> value(columns.count), magnitude(columns.count);
  std::vector<Sum> own(columns.count);
  double largest = 0;
  for (std::size_t i = 0; i < columns.count; ++i) {
    own[i] = partial.sums.At(i, rows, RoundingsOf(profile).column_term);
    own[i].lattice = OnLattice(call);
    value[i] = own[i].value;
    magnitude[i] = std::fabs(own[i].value);
    if (std::isfinite(own[i].magnitude)) largest = std::max(largest, own[i].magnitude);
  }
  ReferenceBlock block;
  block.param = kDgamma;
  block.first = columns.first;
  block.value = value;
  block.roundings = 2;
  block.local = magnitude;
  block.own = own;
  if (call.rows > 0) {  // nothing can be lost from a sum over nothing
    block.flush = 1 + rows * (3 + partial.max_xhat + partial.max_dy * (2 * partial.max_rstd + 1));
  }
  block.may_overflow = !(std::max(largest, partial.max_product * std::max(partial.max_rstd, 1.0)) <
                         kLargestIntermediate);
  consume(block);
}

void Reference(const Dims& dims, std::span<const HostTensor> tensors, Profile profile,
               unsigned threads, const std::function<void(const ReferenceBlock&)>& consume) {
  const Call call(dims, tensors);
  const RowPass pass(call, profile, consume);
  if (call.columns > 0) {
    ForEachRowGroup(call.rows, call.columns, threads, [&](Range rows) {
      RowTile tile;
      for (std::size_t i = 0; i < rows.count; ++i) pass.Stream(rows.first + i, &tile);
    });
  }
  ReduceColumns<DgammaPartial>(
      call.rows, call.columns, threads,
      [&](Range rows, Range columns, DgammaPartial* partial) {
        AccumulateDgamma(call, rows, columns, partial);
      },
      [&](Range columns, const DgammaPartial& partial) {
        EmitDgamma(call, profile, columns, partial, consume);
      });
}

constexpr std::pair<std::string_view, std::string_view> kGradients[] = {{"dxOut", "x"},
                                                                        {"dgammaOut", "gamma"}};

}  // namespace

constinit const Oracle kRmsNormGradOracle = {
    .name = "rms_norm_grad",
    .statistics = Statistics,
    .reference = Reference,
    .forward = Forward,
    .gradients = kGradients,
};

}  // namespace normgrad
