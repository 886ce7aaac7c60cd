// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "base/dtype.h"
#include "kernels/api/kernel.h"
#include "kernels/cpu/row_view.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/split.h"

/// What group norm and batch norm share: planes, which are the adjacent elements of one channel of
/// one sample. Their statistics, scale and sums are numbers where those of a row norm are vectors.
namespace normgrad::cpu {

/// Sums over part of a plane, xhat = (x - mean) * rstd.
struct PlaneSums {
  float dy = 0;
  float dy_xhat = 0;
};

/// dx = factor * (dy * scale - offset - xhat * slope), xhat = (x - mean) * rstd.
struct PlaneCoefficients {
  float mean;
  float rstd;
  float scale;
  float offset;
  float slope;
  float factor;
};

/// Elements that are adjacent in every tensor, as dense memory.
struct PlaneRun {
  const std::byte* dy = nullptr;
  const std::byte* x = nullptr;
  std::byte* dx = nullptr;
  std::size_t count = 0;
  std::size_t spare = 0;  // elements that may be read behind the last one of dy and x
  bool stream = false;    // write dx past the caches
};

/// The vector code of planes for one data type. A run is of whole planes, each of `plane` elements:
/// many to a call, because short ones take less time than one. A piece of a plane is a plane here.
struct PlaneKernels {
  /// Sets the sums of every plane, whose coefficients need no more than mean and rstd.
  void (*sums)(const PlaneRun& run, std::size_t plane, const PlaneCoefficients* coefficients,
               PlaneSums* sums);
  /// Writes dx, with coefficients for every plane.
  void (*gradient)(const PlaneRun& run, std::size_t plane, const PlaneCoefficients* coefficients);
  /// The sums of `next` and the dx of `run`, of equal counts, at once: memory is read for the one
  /// while the other, which is in a cache, is written. The same bits as by one after the other.
  void (*sums_beside)(const PlaneRun& next, std::size_t plane, const PlaneCoefficients* of_next,
                      PlaneSums* sums, const PlaneRun& run, const PlaneCoefficients* coefficients);
};
PlaneKernels PlaneKernelsFor(DType data);

/// How many elements may have coefficients of their own: the vectors of those fill half of a
/// first-level cache.
inline constexpr std::size_t kVectorElements = 1024;
static_assert(kVectorElements % kMaxBlock == 0);

/// The coefficients of elements [first, first + count) of adjacent planes of `plane` elements, to
/// which `planes` belong again and again: one vector for each field. Cheaper than PlaneKernels
/// where planes are shorter than vectors.
class CoefficientVectors {
 public:
  /// count <= kVectorElements.
  CoefficientVectors(DType data, std::size_t plane, std::span<const PlaneCoefficients> planes,
                     std::size_t first, std::size_t count);

  /// dx of a run of `data`, of the first of these elements. The run that comes next, whose memory
  /// is asked for, lies `next` elements behind it.
  void Gradient(const PlaneRun& run, std::size_t next) const;

 private:
  DType data_;
  std::size_t stride_;  // of one field
  Scratch fields_;      // floats; vectors that cross lines take twice as long
};

/// How many elements of a plane are handled at a time: as many sums are taken of it, and so much is
/// copied where the elements do not lie as the vector code needs them.
inline constexpr std::size_t kPieceElements = 2048;
static_assert(kPieceElements % kMaxBlock == 0);

/// dy, x and dx of a call, whose elements are found by their row-major index, whatever their shapes
/// and layouts. Runs are in one dtype: the tensors' own, or float32 where those differ.
class PlaneTensors {
 public:
  PlaneTensors(const KernelTensor& dy, const KernelTensor& x, const KernelTensor& dx, DType common);

  /// The dtype of the three, or kFloat32. dx counts where it is present.
  static DType CommonDType(const KernelTensor& dy, const KernelTensor& x, const KernelTensor& dx);

  DType Common() const { return common_; }
  /// Whether no element has to be copied: runs lie in the tensors themselves.
  bool InPlace() const { return in_place_; }
  bool HasDx() const { return dx_.Present(); }
  /// Whether the tensors are not in the caches, and dx is written past them.
  bool Streams() const { return stream_; }

  /// The longest run there may be of `count` elements: all, where none has to be copied.
  std::size_t RunLimit(std::size_t count) const;

  /// Copies of one run, for one thread.
  class Buffers {
   public:
    explicit Buffers(const PlaneTensors& tensors);

   private:
    friend class PlaneTensors;
    static constexpr std::size_t kBytes = kPieceElements * sizeof(float);

    // Room for the run of dy, x or dx as it lies in memory, and in the common dtype; null where
    // none is needed.
    std::byte* Gathered(std::size_t tensor);
    std::byte* Converted(std::size_t tensor);

    Scratch scratch_;
  };

  /// Elements [first, first + count) of dy and x, and room for those of dx. `count` is at most
  /// RunLimit().
  PlaneRun Read(std::size_t first, std::size_t count, Buffers* buffers) const;

  /// Puts the dx of the run from element `first` on where it belongs.
  void Write(const PlaneRun& run, std::size_t first, Buffers* buffers) const;

 private:
  bool InPlace(const RowView& view) const;
  const std::byte* Read(const RowView& view, std::size_t first, std::size_t count,
                        std::byte* gathered, std::byte* converted) const;

  RowView dy_;
  RowView x_;
  RowView dx_;
  DType common_;
  std::size_t elements_;
  bool in_place_;
  bool stream_;
};

}  // namespace normgrad::cpu
