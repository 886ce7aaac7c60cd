// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/scratch.h"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "base/sanitized.h"
#include "kernels/api/per_thread.h"

namespace normgrad::cpu {

/// What a thread has at hand: as many blocks as its work ever has at a time.
struct Scratch::Kept {
  std::array<Block, 4> blocks;
};

Scratch::Scratch(std::size_t bytes) {
  if (bytes == 0) return;
  static auto& threads = *new PerThread<Kept>;  // outlives every thread
  kept_ = &threads.Get();
  auto& blocks = kept_->blocks;
  const auto large = std::ranges::find_if(blocks, [&](const Block& b) { return b.bytes >= bytes; });
  if (large != blocks.end()) {
    block_ = std::exchange(*large, {});
    return;
  }
  *std::ranges::max_element(blocks, {}, &Block::bytes) = {};  // the larger one takes its place
  block_ = {hwy::AllocateAligned<std::byte>(bytes), bytes};
  if (data() == nullptr) throw std::bad_alloc();
}

Scratch::~Scratch() {
  if (kSanitized || kept_ == nullptr) return;
  const auto empty = std::ranges::find(kept_->blocks, std::size_t{0}, &Block::bytes);
  if (empty != kept_->blocks.end()) *empty = std::move(block_);
}

}  // namespace normgrad::cpu
