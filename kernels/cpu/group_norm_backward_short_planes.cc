// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <numeric>
#include <span>

#include <hwy/cache_control.h>

#include "kernels/cpu/group_norm_backward.h"
#include "kernels/cpu/row_pass.h"
#include "kernels/cpu/thread_pool.h"

namespace normgrad::cpu {
namespace {

class ShortPlanes {
 public:
  /// The workspace: gamma, and the sums of every range of samples over every column of a group.
  static std::uint64_t WorkspaceBytes(const GroupNormExtents& e) {
    const Plan plan(e);
    return (1 + kMaxSums * plan.sample_parts) * plan.VectorLength(e) * sizeof(float);
  }

  ShortPlanes(const Launch& launch, const GroupNormExtents& extents)
      : e_(extents),
        plan_(e_),
        tensors_(launch),
        kernels_(LayerNormRowKernels(tensors_.data.Common())),
        gamma_(reinterpret_cast<float*>(launch.workspace)),
        sums_(gamma_ + plan_.VectorLength(e_)) {}

  void Run() {
    const auto pool = Threads();
    pool->Run(plan_.group_parts,
              [&](std::size_t part) { ForEachGroup(part, [&](std::size_t g) { LoadGamma(g); }); });
    pool->Run(plan_.group_parts * plan_.sample_parts,
              [&](std::size_t part) { Rows(part / plan_.group_parts, part % plan_.group_parts); });
    if (!tensors_.WantsSums()) return;
    pool->Run(plan_.group_parts,
              [&](std::size_t part) { ForEachGroup(part, [&](std::size_t g) { StoreSums(g); }); });
  }

 private:
  /// How a call is split: into ranges of samples, whose elements are adjacent, and only where there
  /// are too few of those, each into ranges of groups. Every range of samples leaves sums behind,
  /// to be written and read once more.
  struct Plan {
    std::size_t padded;  // length of a vector with one float for every element of a group
    std::size_t part_samples;
    std::size_t sample_parts;
    std::size_t part_groups;
    std::size_t group_parts;

    explicit Plan(const GroupNormExtents& e) : padded(RoundUp(e.group_elements, kColumnPadding)) {
      const std::size_t parts = std::min(kMaxParts, DivideUp(e.Elements(), kMinPartElements));
      part_samples = std::min(e.samples, std::max(kMinPartSamples, DivideUp(e.samples, parts)));
      sample_parts = DivideUp(e.samples, part_samples);
      part_groups = DivideUp(e.groups, DivideUp(parts, sample_parts));
      group_parts = DivideUp(e.groups, part_groups);
    }

    /// One float for every element of a sample.
    std::size_t VectorLength(const GroupNormExtents& e) const { return e.groups * padded; }

    static constexpr std::size_t kMinPartSamples = 32;
  };

  template <typename Body>
  void ForEachGroup(std::size_t group_part, Body body) const {
    const std::size_t first = group_part * plan_.part_groups;
    const std::size_t end = std::min(e_.groups, first + plan_.part_groups);
    for (std::size_t g = first; g < end; ++g) body(g);
  }

  /// Sums number `i` over a range of samples, from the first element of group `g` on.
  float* Sums(std::size_t sample_part, std::size_t i, std::size_t g) const {
    return sums_ + (sample_part * kMaxSums + i) * plan_.VectorLength(e_) + g * plan_.padded;
  }

  void LoadGamma(std::size_t g) const {
    const std::span<float> repeated(Sums(0, 0, g), e_.group_elements);  // nothing yet
    for (std::size_t d = 0; d < e_.group_channels; ++d) {
      std::ranges::fill(PlaneIn(repeated, d), tensors_.gamma[g * e_.group_channels + d]);
    }
    kernels_.load_scale(DType::kFloat32, reinterpret_cast<const std::byte*>(repeated.data()),
                        e_.group_elements, gamma_ + g * plan_.padded);
  }

  void Rows(std::size_t sample_part, std::size_t group_part) const {
    ForEachGroup(group_part, [&](std::size_t g) {
      for (std::size_t i = 0; i < kMaxSums; ++i) {
        std::fill_n(Sums(sample_part, i, g), plan_.padded, 0.0F);
      }
    });
    PlaneTensors::Buffers buffers(tensors_.data);
    const std::size_t first = sample_part * plan_.part_samples;
    const std::size_t end = std::min(e_.samples, first + plan_.part_samples);
    const std::size_t first_group = group_part * plan_.part_groups;
    const std::size_t end_group = std::min(e_.groups, first_group + plan_.part_groups);
    const auto take = [&](std::size_t first_set, std::size_t end_set) {
      if (e_.group_elements <= kernels_.most_short_cols) {
        return TakeShortRows(sample_part, first_set, end_set, &buffers);
      }
      for (std::size_t set = first_set; set < end_set; ++set) Row(sample_part, set, &buffers);
    };
    if (plan_.group_parts == 1) {
      take(first * e_.groups, end * e_.groups);
    } else {
      for (std::size_t n = first; n < end; ++n) {
        take(n * e_.groups + first_group, n * e_.groups + end_group);
      }
    }
    hwy::FlushStream();
  }

  /// Groups [first, end) of all samples' groups, many at a time.
  void TakeShortRows(std::size_t sample_part, std::size_t first, std::size_t end,
                     PlaneTensors::Buffers* buffers) const {
    constexpr std::size_t kRows = 512;
    std::array<std::array<float, kRows>, kMaxSums> statistics;
    ShortRows rows;
    rows.cols = e_.group_elements;
    rows.gamma = gamma_;
    rows.slots = e_.groups;
    rows.slot_stride = plan_.padded;
    for (std::size_t i = 0; i < kMaxSums; ++i) {
      rows.statistics[i] = statistics[i].data();
      rows.column_sums[i] = Sums(sample_part, i, 0);
    }
    const std::size_t most = std::min(kRows, tensors_.data.RunLimit(kRows * rows.cols) / rows.cols);
    for (std::size_t set = first; set < end; set += rows.rows) {
      rows.rows = std::min(most, end - set);
      const std::size_t at = set * rows.cols;
      const PlaneRun run = tensors_.data.Read(at, rows.rows * rows.cols, buffers);
      rows.dy = run.dy;
      rows.x = run.x;
      rows.dx = tensors_.data.HasDx() ? run.dx : nullptr;
      rows.spare = tensors_.data.InPlace() ? e_.Elements() - at - run.count : 0;
      rows.stream = run.stream;
      rows.first_slot = set % e_.groups;
      tensors_.mean.Read(set, rows.rows, statistics[0].data());
      tensors_.rstd.Read(set, rows.rows, statistics[1].data());
      kernels_.short_rows(rows);
      if (tensors_.data.HasDx()) tensors_.data.Write(run, at, buffers);
    }
  }

  /// One group of one sample, piece by piece.
  void Row(std::size_t sample_part, std::size_t set, PlaneTensors::Buffers* buffers) const {
    const std::size_t g = set % e_.groups;
    RowTile tile;
    tile.rows = 1;
    tile.statistics[0] = {tensors_.mean[set], tensors_.rstd[set]};
    const auto for_each_piece = [&](auto body) {
      for (std::size_t c = 0; c < e_.group_elements; c += tile.cols) {
        const std::size_t at = set * e_.group_elements + c;
        const std::size_t count = std::min(kPieceElements, e_.group_elements - c);
        const PlaneRun run = tensors_.data.Read(at, count, buffers);
        tile.cols = count;
        tile.dy[0] = run.dy;
        tile.x[0] = run.x;
        tile.dx[0] = tensors_.data.HasDx() ? run.dx : nullptr;
        tile.readable = run.spare >= kMaxBlock;
        tile.stream = run.stream;
        // Of the next group, which is the next row, too.
        tile.ahead = run.stream && run.spare >= e_.group_elements ? e_.group_elements : 0;
        tile.gamma = gamma_ + g * plan_.padded + c;
        for (std::size_t i = 0; i < kMaxSums; ++i) {
          tile.column_sums[i] = Sums(sample_part, i, g) + c;
        }
        body(run, at);
      }
    };
    std::array<float, kMaxSums> means{};
    if (tensors_.data.HasDx()) {
      std::array<double, kMaxSums> sums{};
      for_each_piece([&](const PlaneRun&, std::size_t) {
        kernels_.sum(tile);
        for (std::size_t i = 0; i < kMaxSums; ++i) sums[i] += static_cast<double>(tile.sums[0][i]);
      });
      const auto count = static_cast<double>(e_.group_elements);
      means = {static_cast<float>(sums[0] / count), static_cast<float>(sums[1] / count)};
    }
    for_each_piece([&](const PlaneRun& run, std::size_t at) {
      tile.sums[0] = means;
      kernels_.finish(tile);
      if (tensors_.data.HasDx()) tensors_.data.Write(run, at, buffers);
    });
  }

  void StoreSums(std::size_t g) const {
    const std::span<float> totals(gamma_ + g * plan_.padded, e_.group_elements);  // used no more
    const Scalars* const outputs[kMaxSums] = {&tensors_.dgamma, &tensors_.dbeta};
    for (std::size_t i = 0; i < kMaxSums; ++i) {
      kernels_.store_sums(Sums(0, i, g), plan_.sample_parts, kMaxSums * plan_.VectorLength(e_),
                          e_.group_elements, DType::kFloat32,
                          reinterpret_cast<std::byte*>(totals.data()));
      for (std::size_t d = 0; d < e_.group_channels; ++d) {
        const auto plane = PlaneIn(totals, d);
        outputs[i]->Set(g * e_.group_channels + d,
                        std::accumulate(plane.begin(), plane.end(), 0.0));
      }
    }
  }

  /// Plane `d` of a group.
  std::span<float> PlaneIn(std::span<float> group, std::size_t d) const {
    return group.subspan(d * e_.plane, e_.plane);
  }

  GroupNormExtents e_;
  Plan plan_;
  GroupNormTensors tensors_;
  RowKernels kernels_;
  float* gamma_;  // [G, padded], in processing order
  float* sums_;   // [sample parts, dgamma and dbeta, G, padded], in processing order
};

}  // namespace

std::uint64_t short_planes::WorkspaceBytes(const GroupNormExtents& extents) {
  return ShortPlanes::WorkspaceBytes(extents);
}

void short_planes::Run(const Launch& launch, const GroupNormExtents& extents) {
  ShortPlanes(launch, extents).Run();
}

}  // namespace normgrad::cpu
