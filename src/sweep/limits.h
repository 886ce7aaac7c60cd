// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace normgrad {

// What the files of one run may ask for before it is more likely a slip, or an attack, than a wish.
// cases/README.md lists these limits; nothing else in the tool bounds what it reads.

/// Bytes of one file, YAML or CSV.
inline constexpr std::size_t kMaxFileBytes = std::size_t{1} << 20;

/// Files of a run, dtype tables included, and how deep they include one another.
inline constexpr std::size_t kMaxFiles = 1000;
inline constexpr std::size_t kMaxIncludeDepth = 16;

/// Levels of lists and maps in a YAML file.
inline constexpr std::size_t kMaxNesting = 16;

/// Entries of all `sweep` and `reject` lists.
inline constexpr std::size_t kMaxEntries = 50'000;

/// Rows of one dtype table.
inline constexpr std::size_t kMaxDTypeRows = 2000;

/// Combinations of all entries: cases and dropped ones. The same number of products with dtypes may
/// be listed before a selection narrows them.
inline constexpr std::uint64_t kMaxCombinations = 1'000'000;

/// Numbers in one list of extents, and bits in one mask. No tensor may have more than kMaxRank
/// axes; calls made to be refused need a few more.
inline constexpr std::size_t kMaxAxes = 64;

/// One extent, and elements of one tensor: more could be neither addressed nor held.
inline constexpr std::int64_t kMaxExtent = std::numeric_limits<std::int32_t>::max();
inline constexpr std::int64_t kMaxElements = std::int64_t{1} << 40;

}  // namespace normgrad
