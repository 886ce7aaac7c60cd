// SPDX-License-Identifier: Apache-2.0
// Kernel of aclnnGroupNormBackward. Per group of adjacent channels of one sample:
//
//   xhat    = (x - mean) * rstd
//   dx      = rstd * (dy * gamma - mean(dy * gamma) - xhat * mean(dy * gamma * xhat))
//   dgamma += sum over a channel of dy * xhat
//   dbeta  += sum over a channel of dy
//
// All sums come from those over one channel of one sample, a plane. Where planes are shorter than a
// few vectors, a group is a row of layer norm's instead, with every gamma as often as its plane has
// elements.
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include <hwy/cache_control.h>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/plane_pass.h"
#include "kernels/cpu/row_pass.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/thread_pool.h"

namespace normgrad::cpu {
namespace {

// Shorter planes are columns of rows: measured.
constexpr std::size_t kMinPlaneElements = 24;

// The most planes of a run: their coefficients lie on the stack.
constexpr std::size_t kRunPlanes = 64;

/// Extents of a call. Everything in the workspace is a function of them.
struct Extents {
  explicit Extents(const Launch& launch)
      : samples(Count("N", launch.dims)),
        channels(Count("C", launch.dims)),
        groups(Count("G", launch.dims)),
        plane(Count("*S", launch.dims)),
        uses_rows(plane < kMinPlaneElements),
        group_channels(channels / groups),
        group_elements(group_channels * plane),
        pieces(DivideUp(plane, kPieceElements)) {}

  std::size_t samples;
  std::size_t channels;
  std::size_t groups;  // of one sample
  std::size_t plane;   // elements of one channel of one sample
  bool uses_rows;      // see ShortPlanes
  std::size_t group_channels;
  std::size_t group_elements;
  std::size_t pieces;  // of a plane

  std::size_t Elements() const { return samples * channels * plane; }
};

/// What both ways to walk the groups need.
struct Tensors {
  explicit Tensors(const Launch& launch)
      : data(launch.tensors[0], launch.tensors[1], launch.tensors[10], launch.tensors[0].dtype),
        mean(launch.tensors[2]),
        rstd(launch.tensors[3]),
        gamma(launch.tensors[4]),
        dgamma(launch.tensors[11]),
        dbeta(launch.tensors[12]) {}

  bool WantsSums() const { return dgamma.Present() || dbeta.Present(); }

  PlaneTensors data;
  Scalars mean;
  Scalars rstd;
  Scalars gamma;
  Scalars dgamma;
  Scalars dbeta;
};

class LongPlanes {
 public:
  /// The workspace: the sums of every piece of every plane, the means of every group, and gamma.
  static std::uint64_t WorkspaceBytes(const Extents& e) {
    return (e.samples * e.channels * e.pieces + e.samples * e.groups) * sizeof(PlaneSums) +
           e.channels * sizeof(float);
  }

  explicit LongPlanes(const Launch& launch)
      : e_(launch),
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
    if (sets >= 2 * pool->Size()) {
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
    Statistics(const Tensors& tensors, std::size_t sets) : tensors_(tensors), sets_(sets) {}

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
    const Tensors& tensors_;
    std::size_t sets_;  // of the call
    std::size_t first_ = 0;
    std::size_t count_ = 0;
    std::array<float, kRunPlanes> mean_;
    std::array<float, kRunPlanes> rstd_;
  };

  /// What one thread needs beside the tensors.
  struct Scratch {
    Scratch(const Tensors& tensors, std::size_t sets)
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
  /// they are small. Measured: in float32 few elements, for then a processor begins to read a batch
  /// while it still writes another; in 16 bits, where that is done by TakeSumsBeside(), more.
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
        TakeSumsBeside(batch, before, &scratch);
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

  /// Whether one group's dx is best written while the next one is read. Measured: of 16-bit data,
  /// of which a load brings twice the elements, as long as both groups fit into three quarters of a
  /// common second-level cache and planes are whole blocks.
  bool Overlaps() const {
    constexpr std::size_t kMostBytes = std::size_t{768} << 10;
    const std::size_t element_bytes = SizeOf(tensors_.data.Common());
    return element_bytes == 2 && 4 * e_.group_elements * element_bytes <= kMostBytes &&
           e_.plane % kMaxBlock == 0 && tensors_.data.InPlace() && tensors_.data.HasDx();
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

  /// The sums of `batch`, and dx of the one before it, of as many groups.
  void TakeSumsBeside(const Batch& batch, const Batch& before, Scratch* scratch) const {
    const std::size_t planes = before.count * e_.group_channels;
    ForEachRun(batch.first * GroupPieces(), (batch.first + batch.count) * GroupPieces(), scratch,
               [&](std::size_t piece, std::size_t plane, const PlaneRun& next, std::size_t at) {
                 const PlaneRun run = tensors_.data.Read(at - before.count * e_.group_elements,
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

  Extents e_;
  Tensors tensors_;
  PlaneKernels kernels_;
  PlaneSums* sums_;   // [N, C, pieces]
  PlaneSums* means_;  // [N, G], of dy * gamma and of dy * gamma * xhat
  float* gamma_;      // [C]
};

class ShortPlanes {
 public:
  /// The workspace: gamma, and the sums of every range of samples over every column of a group.
  static std::uint64_t WorkspaceBytes(const Extents& e) {
    const Plan plan(e);
    return (1 + kMaxSums * plan.sample_parts) * plan.VectorLength(e) * sizeof(float);
  }

  explicit ShortPlanes(const Launch& launch)
      : e_(launch),
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

    explicit Plan(const Extents& e) : padded(RoundUp(e.group_elements, kColumnPadding)) {
      const std::size_t parts = std::min(kMaxParts, DivideUp(e.Elements(), kMinPartElements));
      part_samples = std::min(e.samples, std::max(kMinPartSamples, DivideUp(e.samples, parts)));
      sample_parts = DivideUp(e.samples, part_samples);
      part_groups = DivideUp(e.groups, DivideUp(parts, sample_parts));
      group_parts = DivideUp(e.groups, part_groups);
    }

    /// One float for every element of a sample.
    std::size_t VectorLength(const Extents& e) const { return e.groups * padded; }

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
    std::vector<float> repeated;
    repeated.reserve(e_.group_elements);
    for (std::size_t d = 0; d < e_.group_channels; ++d) {
      repeated.insert(repeated.end(), e_.plane, tensors_.gamma[g * e_.group_channels + d]);
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
        tile.next = run.stream && run.spare >= e_.group_elements ? e_.group_elements : 0;
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
    std::array<std::vector<float>, kMaxSums> totals;
    for (std::size_t i = 0; i < kMaxSums; ++i) {
      totals[i].resize(e_.group_elements);
      kernels_.store_sums(Sums(0, i, g), plan_.sample_parts, kMaxSums * plan_.VectorLength(e_),
                          e_.group_elements, DType::kFloat32,
                          reinterpret_cast<std::byte*>(totals[i].data()));
    }
    for (std::size_t d = 0; d < e_.group_channels; ++d) {
      const auto total = [&](const std::vector<float>& elements) {
        const auto first = elements.begin() + static_cast<std::ptrdiff_t>(d * e_.plane);
        return std::accumulate(first, first + static_cast<std::ptrdiff_t>(e_.plane), 0.0);
      };
      tensors_.dgamma.Set(g * e_.group_channels + d, total(totals[0]));
      tensors_.dbeta.Set(g * e_.group_channels + d, total(totals[1]));
    }
  }

  Extents e_;
  Plan plan_;
  Tensors tensors_;
  RowKernels kernels_;
  float* gamma_;  // [G, padded], in processing order
  float* sums_;   // [sample parts, dgamma and dbeta, G, padded], in processing order
};

std::uint64_t WorkspaceBytes(const Launch& launch) {
  const Extents e(launch);
  if (e.Elements() == 0) return 0;
  return e.uses_rows ? ShortPlanes::WorkspaceBytes(e) : LongPlanes::WorkspaceBytes(e);
}

void Run(const Launch& launch) {
  const Extents e(launch);
  if (e.Elements() == 0) {
    const Tensors tensors(launch);
    if (!tensors.WantsSums()) return;  // no tensor bounds the number of channels then
    for (std::size_t c = 0; c < e.channels; ++c) {
      tensors.dgamma.Set(c, 0);
      tensors.dbeta.Set(c, 0);
    }
  } else if (e.uses_rows) {
    ShortPlanes(launch).Run();
  } else {
    LongPlanes(launch).Run();
  }
}

}  // namespace

constinit const Kernel kGroupNormBackward = {
    .name = "group_norm_backward",
    .workspace_bytes = WorkspaceBytes,
    .launch = Run,
    .prompt = true,
};

}  // namespace normgrad::cpu
