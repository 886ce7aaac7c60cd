// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <numeric>

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
    return (1 + kMaxSums * plan.sample_parts) * plan.VectorLength() * sizeof(float);
  }

  ShortPlanes(const Launch& launch, const GroupNormExtents& extents)
      : e_(extents),
        plan_(e_),
        tensors_(launch),
        kernels_(LayerNormRowKernels(tensors_.data.Common())),
        gamma_(reinterpret_cast<float*>(launch.workspace)),
        sums_(gamma_ + plan_.VectorLength()) {}

  void Run() {
    const auto pool = Threads();
    pool->Run(plan_.group_parts, [&](std::size_t part) { LoadGamma(part); });
    pool->Run(plan_.group_parts * plan_.sample_parts,
              [&](std::size_t part) { Rows(part / plan_.group_parts, part % plan_.group_parts); });
    if (!tensors_.WantsSums()) return;
    pool->Run(plan_.group_parts, [&](std::size_t part) { StoreSums(part); });
  }

 private:
  /// How a call is split: into ranges of samples, whose elements are adjacent, and only where there
  /// are too few of those, each into ranges of groups. Every range of samples leaves sums behind,
  /// to be written and read once more.
  struct Plan {
    bool packed;         // several groups to a vector
    std::size_t stride;  // floats from each group to the next where there is one for every element
    std::size_t part_samples;
    std::size_t sample_parts;
    std::size_t part_groups;
    std::size_t group_parts;
    std::size_t repeats;      // how often the groups of a sample are in a vector
    std::size_t part_length;  // length of a vector of the groups of a part
    bool across_samples;      // whether a sample may go on where the one before ends

    explicit Plan(const GroupNormExtents& e)
        : packed(e.group_elements <= kMostPackedCols),
          stride(packed ? e.group_elements : RoundUp(e.group_elements, kColumnPadding)) {
      const std::size_t parts = std::min(kMaxParts, DivideUp(e.Elements(), kMinPartElements));
      part_samples = std::min(e.samples, std::max(kMinPartSamples, DivideUp(e.samples, parts)));
      sample_parts = DivideUp(e.samples, part_samples);
      part_groups = DivideUp(e.groups, DivideUp(parts, sample_parts));
      group_parts = DivideUp(e.groups, part_groups);
      const std::size_t sample_length = part_groups * stride;
      repeats = 1;
      across_samples = group_parts == 1 && sample_length % kColumnPadding == 0;
      if (group_parts == 1 && !across_samples) RepeatSamples(e, sample_length);
      part_length = RoundUp(repeats * sample_length, kColumnPadding);
    }

    /// One float for every element of a sample.
    std::size_t VectorLength() const { return group_parts * part_length; }

   private:
    static constexpr std::size_t kMinPartSamples = 32;

    /// Vectors for as many samples as it takes until one begins with a block again, unless that is
    /// a lot beside a part or a sample, which then is taken alone, and ends with part of a block.
    void RepeatSamples(const GroupNormExtents& e, std::size_t sample_length) {
      constexpr std::size_t kShort = 256, kLong = 1024, kMuch = 8, kFewParts = 8;
      const std::size_t whole = PackedPeriod(sample_length) / sample_length;
      const std::size_t longer =
          std::max(part_samples, std::min(kMuch * whole, DivideUp(e.samples, kFewParts)));
      if (sample_length >= kLong || (sample_length >= kShort && longer < kMuch * whole)) return;
      // A part begins where dx does, as far as whole lines go, or does not go on to a period's end.
      part_samples = longer < whole ? longer : RoundUp(longer, whole);
      sample_parts = DivideUp(e.samples, part_samples);
      repeats = std::min(whole, part_samples);
      across_samples = true;
    }
  };

  /// Calls body(channel, where it first begins in a vector of the part).
  template <typename Body>
  void ForEachChannel(std::size_t group_part, Body body) const {
    const std::size_t first = group_part * plan_.part_groups;
    const std::size_t end = std::min(e_.groups, first + plan_.part_groups);
    for (std::size_t g = first; g < end; ++g) {
      for (std::size_t d = 0; d < e_.group_channels; ++d) {
        body(g * e_.group_channels + d, (g - first) * plan_.stride + d * e_.plane);
      }
    }
  }

  /// Of the groups of a part.
  float* Gamma(std::size_t group_part) const { return gamma_ + group_part * plan_.part_length; }

  /// Sums number `i` over a range of samples, of the groups of a part.
  float* Sums(std::size_t sample_part, std::size_t i, std::size_t group_part) const {
    return sums_ + (sample_part * kMaxSums + i) * plan_.VectorLength() +
           group_part * plan_.part_length;
  }

  void LoadGamma(std::size_t group_part) const {
    float* const repeated = Sums(0, 0, group_part);  // nothing yet
    std::fill_n(repeated, plan_.part_length, 0.0F);
    ForEachChannel(group_part, [&](std::size_t c, std::size_t at) {
      for (std::size_t i = 0; i < plan_.repeats; ++i, at += plan_.part_groups * plan_.stride) {
        std::fill_n(repeated + at, e_.plane, tensors_.gamma[c]);
      }
    });
    kernels_.load_scale(DType::kFloat32, reinterpret_cast<const std::byte*>(repeated),
                        plan_.part_length, Gamma(group_part));
  }

  void Rows(std::size_t sample_part, std::size_t group_part) const {
    for (std::size_t i = 0; i < kMaxSums; ++i) {
      std::fill_n(Sums(sample_part, i, group_part), plan_.part_length, 0.0F);
    }
    PlaneTensors::Buffers buffers(tensors_.data);
    const std::size_t first = sample_part * plan_.part_samples;
    const std::size_t end = std::min(e_.samples, first + plan_.part_samples);
    const std::size_t first_group = group_part * plan_.part_groups;
    const std::size_t end_group = std::min(e_.groups, first_group + plan_.part_groups);
    const auto take = [&](std::size_t first_set, std::size_t end_set) {
      if (plan_.packed) {
        return TakePackedRows(sample_part, group_part, first_set, end_set, &buffers);
      }
      if (e_.group_elements <= kernels_.most_short_cols) {
        return TakeShortRows(sample_part, first_set, end_set, &buffers);
      }
      for (std::size_t set = first_set; set < end_set; ++set) Row(sample_part, set, &buffers);
    };
    if (plan_.across_samples) {
      take(first * e_.groups, end * e_.groups);
    } else {
      for (std::size_t n = first; n < end; ++n) {
        take(n * e_.groups + first_group, n * e_.groups + end_group);
      }
    }
    hwy::FlushStream();
  }

  /// Groups [first, end) of all samples' groups, of a few vectors each.
  void TakeShortRows(std::size_t sample_part, std::size_t first, std::size_t end,
                     PlaneTensors::Buffers* buffers) const {
    ShortRows rows;
    rows.gamma = gamma_;
    rows.slots = e_.groups;
    rows.slot_stride = plan_.stride;
    for (std::size_t i = 0; i < kMaxSums; ++i) rows.column_sums[i] = Sums(sample_part, i, 0);
    TakeAdjacent(first, end, buffers, &rows, [&](std::size_t set) {
      rows.spare = tensors_.data.InPlace() ? e_.Elements() - (set + rows.rows) * rows.cols : 0;
      rows.first_slot = set % e_.groups;
      kernels_.short_rows(rows);
    });
  }

  /// The same, packed into vectors.
  void TakePackedRows(std::size_t sample_part, std::size_t group_part, std::size_t first,
                      std::size_t end, PlaneTensors::Buffers* buffers) const {
    PackedRows rows;
    rows.gamma = Gamma(group_part);
    for (std::size_t i = 0; i < kMaxSums; ++i) {
      rows.column_sums[i] = Sums(sample_part, i, group_part);
    }
    rows.period = plan_.part_length;
    TakeAdjacent(first, end, buffers, &rows, [&](std::size_t set) {
      rows.first = (set - first) * rows.cols % rows.period;
      kernels_.packed_rows(rows);
    });
  }

  /// Groups [first, end), many at a time. Calls take(set) with `rows` those from `set` on.
  template <typename Take>
  void TakeAdjacent(std::size_t first, std::size_t end, PlaneTensors::Buffers* buffers,
                    AdjacentRows* rows, Take take) const {
    constexpr std::size_t kRows = StatisticOfRows::kMostRows;
    std::array<StatisticOfRows, kMaxSums> statistics;
    rows->cols = e_.group_elements;
    for (std::size_t i = 0; i < kMaxSums; ++i) rows->statistics[i] = statistics[i].data();
    static_assert(kRows % kMaxBlock == 0 && kPieceElements >= kMaxBlock * kMostPackedCols);
    std::size_t most = tensors_.data.RunLimit(kRows * rows->cols) / rows->cols;
    if (most > kMaxBlock) most -= most % kMaxBlock;
    for (std::size_t set = first; set < end; set += rows->rows) {
      rows->rows = std::min(most, end - set);
      const std::size_t at = set * rows->cols;
      const PlaneRun run = tensors_.data.Read(at, rows->rows * rows->cols, buffers);
      rows->dy = run.dy;
      rows->x = run.x;
      rows->dx = tensors_.data.HasDx() ? run.dx : nullptr;
      rows->stream = run.stream;
      statistics[0].Read(tensors_.mean, set, rows->rows);
      statistics[1].Read(tensors_.rstd, set, rows->rows);
      take(set);
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
        tile.gamma = gamma_ + g * plan_.stride + c;
        for (std::size_t i = 0; i < kMaxSums; ++i) {
          tile.column_sums[i] = Sums(sample_part, i, 0) + g * plan_.stride + c;
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

  void StoreSums(std::size_t group_part) const {
    float* const totals = Gamma(group_part);  // used no more
    const Scalars* const outputs[kMaxSums] = {&tensors_.dgamma, &tensors_.dbeta};
    for (std::size_t i = 0; i < kMaxSums; ++i) {
      kernels_.store_sums(Sums(0, i, group_part), plan_.sample_parts,
                          kMaxSums * plan_.VectorLength(), plan_.part_length, DType::kFloat32,
                          reinterpret_cast<std::byte*>(totals));
      ForEachChannel(group_part, [&](std::size_t c, std::size_t at) {
        double sum = 0;
        for (std::size_t k = 0; k < plan_.repeats; ++k, at += plan_.part_groups * plan_.stride) {
          sum = std::accumulate(totals + at, totals + at + e_.plane, sum);
        }
        outputs[i]->Set(c, sum);
      });
    }
  }

  GroupNormExtents e_;
  Plan plan_;
  GroupNormTensors tensors_;
  RowKernels kernels_;
  float* gamma_;  // [group parts, part length], in processing order
  float* sums_;   // [sample parts, dgamma and dbeta, group parts, part length], the same
};

}  // namespace

std::uint64_t short_planes::WorkspaceBytes(const GroupNormExtents& extents) {
  return ShortPlanes::WorkspaceBytes(extents);
}

void short_planes::Run(const Launch& launch, const GroupNormExtents& extents) {
  ShortPlanes(launch, extents).Run();
}

}  // namespace normgrad::cpu
