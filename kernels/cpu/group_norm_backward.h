// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/api/kernel.h"
#include "kernels/cpu/plane_pass.h"
#include "kernels/cpu/split.h"

/// The two ways in which group norm goes through its groups.
namespace normgrad::cpu {

/// Extents of a call. Everything in the workspace is a function of them.
struct GroupNormExtents {
  // Shorter planes are columns of rows: measured.
  static constexpr std::size_t kMinPlaneElements = 24;

  explicit GroupNormExtents(const Launch& launch)
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
  bool uses_rows;      // see short_planes
  std::size_t group_channels;
  std::size_t group_elements;
  std::size_t pieces;  // of a plane

  std::size_t Elements() const { return samples * channels * plane; }
};

/// The tensors of a call.
struct GroupNormTensors {
  explicit GroupNormTensors(const Launch& launch)
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

/// The workspace of a call that has elements, and the call. All sums come from those over planes.
namespace long_planes {
std::uint64_t WorkspaceBytes(const GroupNormExtents& extents);
void Run(const Launch& launch, const GroupNormExtents& extents);
}  // namespace long_planes

/// The same where a group is a row of layer norm's, with every gamma as often as its plane has
/// elements.
namespace short_planes {
std::uint64_t WorkspaceBytes(const GroupNormExtents& extents);
void Run(const Launch& launch, const GroupNormExtents& extents);
}  // namespace short_planes

}  // namespace normgrad::cpu
