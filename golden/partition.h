// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "base/parallel.h"

namespace normgrad {

/// How oracles cut a matrix into independent pieces. Every cut depends on the shape only, never on
/// the number of threads, so neither do the bits of any sum.

/// Indices first … first + count - 1.
struct Range {
  std::size_t first = 0;
  std::size_t count = 0;
};

inline std::size_t DivideUp(std::size_t value, std::size_t by) { return (value + by - 1) / by; }

/// The piece with number `index` when `total` is cut into pieces of `size`; the last is shorter.
inline Range Piece(std::size_t total, std::size_t size, std::size_t index) {
  return {index * size, std::min(size, total - index * size)};
}

/// Calls body(Range of rows) for pieces of a rows x columns matrix of some 16 Ki elements each:
/// enough work to hide the cost of handing it to a thread and of the body's scratch memory.
template <typename Body>
void ForEachRowGroup(std::size_t rows, std::size_t columns, unsigned threads, Body body) {
  constexpr std::size_t kElements = std::size_t{1} << 14;
  const std::size_t size = std::max<std::size_t>(kElements / std::max<std::size_t>(columns, 1), 1);
  ParallelFor(DivideUp(rows, size), threads,
              [&](std::size_t index) { body(Piece(rows, size, index)); });
}

/// Reduces a rows x columns matrix over its rows: accumulate(rows, columns, &partial) adds a piece
/// to a `Partial(number of columns)`, pieces of the same columns are merged in row order with
/// Partial::Merge(const Partial&), and emit(columns, const Partial&) gets each result once.
///
/// Columns are cut into tiles narrow enough for a partial to stay in the nearest cache; few columns
/// are cut into chunks of rows too, to keep threads busy. At most 64 partials wait to be merged:
/// a few MB.
template <typename Partial, typename Accumulate, typename Emit>
void ReduceColumns(std::size_t rows, std::size_t columns, unsigned threads, Accumulate accumulate,
                   Emit emit) {
  constexpr std::size_t kTileColumns = 512, kPieces = 64, kLeastRows = 1024;
  if (columns == 0) return;
  const std::size_t tiles = DivideUp(columns, kTileColumns);
  const std::size_t wanted = std::max<std::size_t>(kPieces / tiles, 1);
  const std::size_t chunk_rows = std::max(kLeastRows, DivideUp(rows, wanted));
  const std::size_t chunks = std::max<std::size_t>(DivideUp(rows, chunk_rows), 1);
  if (chunks == 1) {  // nothing to merge, and then nothing to keep
    ParallelFor(tiles, threads, [&](std::size_t index) {
      const Range tile = Piece(columns, kTileColumns, index);
      Partial partial(tile.count);
      accumulate(Range{0, rows}, tile, &partial);
      emit(tile, std::as_const(partial));
    });
    return;
  }
  std::vector<Partial> partials(tiles * chunks);
  ParallelFor(partials.size(), threads, [&](std::size_t index) {
    const Range tile = Piece(columns, kTileColumns, index / chunks);
    Partial partial(tile.count);
    accumulate(Piece(rows, chunk_rows, index % chunks), tile, &partial);
    partials[index] = std::move(partial);
  });
  ParallelFor(tiles, threads, [&](std::size_t index) {
    Partial& total = partials[index * chunks];
    for (std::size_t chunk = 1; chunk < chunks; ++chunk) {
      total.Merge(partials[index * chunks + chunk]);
    }
    emit(Piece(columns, kTileColumns, index), std::as_const(total));
  });
}

}  // namespace normgrad
