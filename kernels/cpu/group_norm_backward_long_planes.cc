// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include <hwy/cache_control.h>

#include "kernels/cpu/group_norm_backward.h"
#include "kernels/cpu/thread_pool.h"

namespace normgrad::cpu {
namespace {

// The most planes of a run: their coefficients lie on the stack.
constexpr std::size_t kRunPlanes = 64;

class LongPlanes {
 public:
  /// The workspace: the sums of every piece of every plane, the means of every group, and gamma.
  static std::uint64_t WorkspaceBytes(const GroupNormExtents& e) {
    return (e.samples * e.channels * e.pieces + e.samples * e.groups) * sizeof(PlaneSums) +
           e.channels * sizeof(float);
  }

  LongPlanes(const Launch& launch, const GroupNormExtents& extents)
      : e_(extents),
        tensors_(launch),
        kernels_(PlaneKernelsFor(tensors_.data.Common())),
        sums_(reinterpret_cast<PlaneSums*>(launch.workspace)),
        means_(sums_ + e_.samples * e_.channels * e_.pieces),
        gamma_(reinterpret_cast<float*>(means_ + e_.samples * e_.groups)) {}

  void Run() {
    const auto pool = Threads();
    tensors_.gamma.Read(0, e_.channels, gamma_);
    const std::size_t sets = e_.samples * e_.groups;
    const std::size_t set_pieces = e_.group_channels * e_.pieces;
    // Every piece has its own sums, so that it does not matter to a result which way they go.
    if (SharesGroups(pool->Size())) {
      for (std::size_t set = 0; set <= sets; ++set) {
        pool->Run(pool->Size(), [&](std::size_t range) {
          Scratch scratch(tensors_, sets);
          const std::size_t first = set_pieces * range / pool->Size();
          TakeShare(set, first, set_pieces * (range + 1) / pool->Size(), &scratch);
          hwy::FlushStream();
        });
        if (set < sets) TakeMeans(set);
      }
    } else if (sets >= 2 * pool->Size()) {
      // Whole groups, which are still in a cache when dx is computed.
      const std::size_t part_sets =
          std::max(DivideUp(kMinPartElements, e_.group_elements), DivideUp(sets, kMaxParts));
      pool->Run(DivideUp(sets, part_sets), [&](std::size_t part) {
        Groups(part * part_sets, std::min(sets, (part + 1) * part_sets));
        hwy::FlushStream();  // not after every group: it waits for memory
      });
    } else {
      const std::size_t part_pieces =
          DivideUp(kMinPartElements, std::min(e_.plane, kPieceElements));
      const auto for_each_part = [&](auto body) {
        pool->Run(DivideUp(sets * set_pieces, part_pieces), [&](std::size_t part) {
          Scratch scratch(tensors_, sets);
          const std::size_t first = part * part_pieces;
          body(first, std::min(sets * set_pieces, first + part_pieces), &scratch);
          hwy::FlushStream();
        });
      };
      for_each_part([&](auto... range) { TakeSums(range...); });
      pool->Run(sets, [&](std::size_t set) { TakeMeans(set); });
      for_each_part([&](auto... range) { Differentiate(range...); });
    }
    if (!tensors_.WantsSums()) return;
    const std::size_t part_channels = DivideUp(kMinPartElements, e_.samples * e_.pieces);
    pool->Run(DivideUp(e_.channels, part_channels), [&](std::size_t part) {
      const std::size_t end = std::min(e_.channels, (part + 1) * part_channels);
      for (std::size_t c = part * part_channels; c < end; ++c) StoreSums(c);
    });
  }

 private:
  /// Coefficients of the planes of a run.
  using RunCoefficients = std::array<PlaneCoefficients, kRunPlanes>;

  /// The statistics of groups, read many at a time: of a short group, reading one takes as long as
  /// all the rest.
  class Statistics {
   public:
    Statistics(const GroupNormTensors& tensors, std::size_t sets)
        : tensors_(tensors), sets_(sets) {}

    /// mean and rstd of a group.
    std::pair<float, float> Of(std::size_t set) {
      if (set < first_ || set >= first_ + count_) {
        first_ = set;
        count_ = std::min(mean_.size(), sets_ - set);
        tensors_.mean.Read(first_, count_, mean_.data());
        tensors_.rstd.Read(first_, count_, rstd_.data());
      }
      return {mean_[set - first_], rstd_[set - first_]};
    }

   private:
    const GroupNormTensors& tensors_;
    std::size_t sets_;  // of the call
    std::size_t first_ = 0;
    std::size_t count_ = 0;
    std::array<float, kRunPlanes> mean_;
    std::array<float, kRunPlanes> rstd_;
  };

  /// What one thread needs beside the tensors.
  struct Scratch {
    Scratch(const GroupNormTensors& tensors, std::size_t sets)
        : buffers(tensors.data), statistics(tensors, sets) {}

    PlaneTensors::Buffers buffers;
    Statistics statistics;
    RunCoefficients coefficients;  // of the run at hand
    RunCoefficients of_next;       // of the one whose sums are taken beside it
  };

  /// Adjacent groups.
  struct Batch {
    std::size_t first = 0;
    std::size_t count = 0;
  };

  /// Calls visit(first piece, first plane, run, first element) with pieces [first, end): a run is
  /// of one piece, or of planes.
  template <typename Visit>
  void ForEachRun(std::size_t first, std::size_t end, Scratch* scratch, Visit visit) const {
    const std::size_t most = std::clamp<std::size_t>(
        tensors_.data.RunLimit(kRunPlanes * e_.plane) / e_.plane, 1, kRunPlanes);
    std::size_t planes = 1;
    for (std::size_t i = first; i < end; i += planes) {
      const std::size_t plane = i / e_.pieces;
      const std::size_t begin = i % e_.pieces * kPieceElements;
      const std::size_t at = plane * e_.plane + begin;
      std::size_t count = std::min(kPieceElements, e_.plane - begin);
      if (e_.pieces == 1) {
        planes = std::min(most, end - i);
        count *= planes;
      }
      visit(i, plane, tensors_.data.Read(at, count, &scratch->buffers), at);
    }
  }

  /// How many groups are taken at a time, so that a call of the vector code is worth while where
  /// they are small. Measured from memory: in float32 few elements, for then a processor begins to
  /// read a batch while it still writes another; in 16 bits, where TakeSumsBeside() does that,
  /// more.
  std::size_t BatchGroups() const {
    const std::size_t elements = SizeOf(tensors_.data.Common()) == 2 ? 2048 : 256;
    return std::max<std::size_t>(
        std::min(elements / e_.group_elements, kRunPlanes / e_.group_channels), 1);
  }

  /// Groups [first, end), start to finish.
  void Groups(std::size_t first, std::size_t end) const {
    Scratch scratch(tensors_, e_.samples * e_.groups);
    const std::size_t most = BatchGroups();
    Batch before;  // whose dx is not written yet
    for (Batch batch{first, most}; batch.first < end; batch.first += batch.count) {
      batch.count = std::min(most, end - batch.first);
      if (before.count == batch.count) {
        TakeSumsBeside(batch.first * GroupPieces(), (batch.first + batch.count) * GroupPieces(),
                       batch.count, &scratch);
      } else {
        Differentiate(before, &scratch);
        TakeSums(batch, &scratch);
      }
      for (std::size_t i = 0; i < batch.count; ++i) TakeMeans(batch.first + i);
      if (Overlaps()) {
        before = batch;
      } else {
        Differentiate(batch, &scratch);
      }
    }
    Differentiate(before, &scratch);
  }

  /// Whether one group's dx can be written while the next one is read.
  bool CanOverlap() const {
    return tensors_.data.Streams() && tensors_.data.InPlace() && tensors_.data.HasDx() &&
           e_.plane % kMaxBlock == 0;
  }

  /// Whether two groups find room in a common second-level cache, and leave some.
  bool AreCached() const {
    constexpr std::size_t kMostBytes = std::size_t{768} << 10;
    return 4 * e_.group_elements * SizeOf(tensors_.data.Common()) <= kMostBytes;
  }

  /// Whether that is best done, by a thread alone. Measured: not where it would read from farther
  /// away, and of float32 data not where groups are so small that a processor reads ahead of
  /// itself.
  bool Overlaps() const {
    constexpr std::size_t kLeastElements = 2048;
    const bool large = SizeOf(tensors_.data.Common()) == 2 || e_.group_elements >= kLeastElements;
    return CanOverlap() && AreCached() && large;
  }

  /// Whether all threads are best at the same group, so that each one's share is in its cache, or
  /// nearer to it at least. Measured; a share must be worth waiting for each other.
  bool SharesGroups(std::size_t threads) const {
    constexpr std::size_t kLeastShare = std::size_t{1} << 16;
    return CanOverlap() && !AreCached() && threads > 1 &&
           e_.group_elements >= threads * kLeastShare;
  }

  /// The sums of pieces [first, end) of a group, and dx of those of the group before it. There is
  /// no group before the first one, nor one behind the last.
  void TakeShare(std::size_t set, std::size_t first, std::size_t end, Scratch* scratch) const {
    const std::size_t begin = set * GroupPieces();
    if (set == 0) {
      TakeSums(first, end, scratch);
    } else if (set == e_.samples * e_.groups) {
      Differentiate(begin - GroupPieces() + first, begin - GroupPieces() + end, scratch);
    } else {
      TakeSumsBeside(begin + first, begin + end, 1, scratch);
    }
  }

  /// Pieces of a group.
  std::size_t GroupPieces() const { return e_.group_channels * e_.pieces; }

  void TakeSums(const Batch& batch, Scratch* scratch) const {
    TakeSums(batch.first * GroupPieces(), (batch.first + batch.count) * GroupPieces(), scratch);
  }

  void Differentiate(const Batch& batch, Scratch* scratch) const {
    Differentiate(batch.first * GroupPieces(), (batch.first + batch.count) * GroupPieces(),
                  scratch);
  }

  /// The sums of pieces [first, end), and dx of those `groups` groups before them.
  void TakeSumsBeside(std::size_t first, std::size_t end, std::size_t groups,
                      Scratch* scratch) const {
    const std::size_t planes = groups * e_.group_channels;
    ForEachRun(first, end, scratch,
               [&](std::size_t piece, std::size_t plane, const PlaneRun& next, std::size_t at) {
                 const PlaneRun run = tensors_.data.Read(at - groups * e_.group_elements,
                                                         next.count, &scratch->buffers);
                 SetStatistics(plane, next, &scratch->statistics, &scratch->of_next);
                 SetCoefficients(plane - planes, run, scratch);
                 kernels_.sums_beside(next, PlaneOf(run), scratch->of_next.data(), sums_ + piece,
                                      run, scratch->coefficients.data());
               });
  }

  void TakeSums(std::size_t first, std::size_t end, Scratch* scratch) const {
    ForEachRun(first, end, scratch,
               [&](std::size_t piece, std::size_t plane, const PlaneRun& run, std::size_t) {
                 SetStatistics(plane, run, &scratch->statistics, &scratch->coefficients);
                 kernels_.sums(run, PlaneOf(run), scratch->coefficients.data(), sums_ + piece);
               });
  }

  /// Elements of a plane to the vector code.
  std::size_t PlaneOf(const PlaneRun& run) const { return std::min(e_.plane, run.count); }

  /// Calls visit(set, first, end) for every group of a run whose first plane is plane `plane` of
  /// the call: planes [first, end) of the run are of group `set`.
  template <typename Visit>
  void ForEachGroup(std::size_t plane, const PlaneRun& run, Visit visit) const {
    const std::size_t planes = run.count / PlaneOf(run);
    std::size_t set = plane / e_.group_channels;
    std::size_t end = (set + 1) * e_.group_channels - plane;
    for (std::size_t first = 0; first < planes; first = end, end += e_.group_channels) {
      visit(set++, first, std::min(end, planes));
    }
  }

  /// mean and rstd of the planes of a run, from plane `plane` on.
  void SetStatistics(std::size_t plane, const PlaneRun& run, Statistics* statistics,
                     RunCoefficients* coefficients) const {
    ForEachGroup(plane, run, [&](std::size_t set, std::size_t first, std::size_t end) {
      const auto [mean, rstd] = statistics->Of(set);
      for (std::size_t i = first; i < end; ++i) {
        (*coefficients)[i].mean = mean;
        (*coefficients)[i].rstd = rstd;
      }
    });
  }

  /// All coefficients of them.
  void SetCoefficients(std::size_t plane, const PlaneRun& run, Scratch* scratch) const {
    std::size_t channel = plane % e_.channels;
    ForEachGroup(plane, run, [&](std::size_t set, std::size_t first, std::size_t end) {
      const auto [mean, rstd] = scratch->statistics.Of(set);
      for (std::size_t i = first; i < end; ++i) {
        scratch->coefficients[i] = {
            .mean = mean,
            .rstd = rstd,
            .scale = gamma_[channel++],
            .offset = means_[set].dy,
            .slope = means_[set].dy_xhat,
            .factor = rstd,
        };
      }
      if (channel == e_.channels) channel = 0;
    });
  }

  void TakeMeans(std::size_t set) const {
    double dy = 0;
    double dy_xhat = 0;
    const PlaneSums* sums = sums_ + set * e_.group_channels * e_.pieces;
    const float* const gammas = gamma_ + set % e_.groups * e_.group_channels;
    for (std::size_t d = 0; d < e_.group_channels; ++d) {
      const auto gamma = static_cast<double>(gammas[d]);
      for (std::size_t piece = 0; piece < e_.pieces; ++piece, ++sums) {
        dy += gamma * static_cast<double>(sums->dy);
        dy_xhat += gamma * static_cast<double>(sums->dy_xhat);
      }
    }
    const auto count = static_cast<double>(e_.group_elements);
    means_[set] = {static_cast<float>(dy / count), static_cast<float>(dy_xhat / count)};
  }

  void Differentiate(std::size_t first, std::size_t end, Scratch* scratch) const {
    if (!tensors_.data.HasDx()) return;
    ForEachRun(first, end, scratch,
               [&](std::size_t, std::size_t plane, const PlaneRun& run, std::size_t at) {
                 SetCoefficients(plane, run, scratch);
                 kernels_.gradient(run, PlaneOf(run), scratch->coefficients.data());
                 tensors_.data.Write(run, at, &scratch->buffers);
               });
  }

  void StoreSums(std::size_t c) const {
    double dgamma = 0;
    double dbeta = 0;
    for (std::size_t n = 0; n < e_.samples; ++n) {
      const PlaneSums* const pieces = sums_ + (n * e_.channels + c) * e_.pieces;
      for (std::size_t i = 0; i < e_.pieces; ++i) {
        dgamma += static_cast<double>(pieces[i].dy_xhat);
        dbeta += static_cast<double>(pieces[i].dy);
      }
    }
    tensors_.dgamma.Set(c, dgamma);
    tensors_.dbeta.Set(c, dbeta);
  }

  GroupNormExtents e_;
  GroupNormTensors tensors_;
  PlaneKernels kernels_;
  PlaneSums* sums_;   // [N, C, pieces]
  PlaneSums* means_;  // [N, G], of dy * gamma and of dy * gamma * xhat
  float* gamma_;      // [C]
};

}  // namespace

std::uint64_t long_planes::WorkspaceBytes(const GroupNormExtents& extents) {
  return LongPlanes::WorkspaceBytes(extents);
}

void long_planes::Run(const Launch& launch, const GroupNormExtents& extents) {
  LongPlanes(launch, extents).Run();
}

}  // namespace normgrad::cpu
