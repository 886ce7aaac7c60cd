// SPDX-License-Identifier: Apache-2.0
// Kernels whose result depends on more than the call: on addresses, threads, streams, executors,
// earlier launches, the rest of the batch. Most are right every time by themselves.
#include <cstring>
#include <mutex>

#include "kernels/cpu/thread_pool.h"
#include "kernels/faulty/catalogue.h"
#include "kernels/faulty/scene.h"

namespace normgrad::faulty {
namespace {

constexpr Entry OutOfOrder(const char* name, const char* museum, const char* operators,
                           const char* what, Recipe recipe) {
  return {.text = {name, "determinism", museum, operators, "more than two blocks of terms",
                   "determinism", kModelTwin, what, kModelPromises},
          .modelled = true,
          .recipe = recipe};
}

constexpr Entry OfBatch(const char* name, const char* what, Twist twist, const char* shows) {
  return {.text = {name, "batch", "", kEveryNorm, shows, "batch", kModelTwin, what, kModelPromises},
          .modelled = true,
          .recipe = {.twist = twist}};
}

/// The first row's xhat is read after its place has another use, in every other launch.
void ReuseScratch(const Inputs& in, Addends& sum) {
  if (sum.what != SumOf::kScaleGrad || in.launches % 2 == 0) return;
  const std::size_t count = std::min(in.run, sum.terms.size());
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t element = sum.elements[i];
    sum.terms[i] = in.dy[element] * in.dy[element] * in.scale[sum.index];
  }
}

/// Rows, or samples, of the batch, and that of an element.
std::size_t RowSize(const Inputs& in) { return in.run * in.scales; }

Order OrderByBatch(const Inputs& in, const Addends& sum) {
  const bool small = in.dy.size() / RowSize(in) <= 2;
  return sum.IsOfSet() && !small ? Order::kReverse : Order::kForward;
}

Order OrderByPlace(const Inputs& in, const Addends& sum) {
  if (!sum.IsOfSet()) return Order::kForward;
  const std::size_t rows = in.dy.size() / RowSize(in), row = sum.index * in.set_run / RowSize(in);
  return 2 * row < rows ? Order::kReverse : Order::kForward;
}

void FollowAddress(const Scene& scene) {
  scene.compute(scene.launch);
  constexpr std::uintptr_t kLine = 128;
  Follow(scene, reinterpret_cast<std::uintptr_t>(Dx(scene).data) % kLine != 0);
}

void FollowAlignment(const Scene& scene) {
  scene.compute(scene.launch);
  constexpr std::uintptr_t kBlock = 32;
  Follow(scene, reinterpret_cast<std::uintptr_t>(Dx(scene).data) % kBlock != 0);
}

void FollowThreads(const Scene& scene) {
  scene.compute(scene.launch);
  Follow(scene, cpu::Threads()->Size() == 1);
}

void FollowExecutor(const Scene& scene) {
  scene.compute(scene.launch);
  Follow(scene, scene.used_executor);
}

void SpendExecutor(const Scene& scene) {
  if (!scene.used_executor) scene.compute(scene.launch);
}

void FollowStream(const Scene& scene) {
  scene.compute(scene.launch);
  Follow(scene, scene.other_stream);
}

void NowAndThen(const Scene& scene) {
  scene.compute(scene.launch);
  Follow(scene, scene.launches % 3 == 0);
}

/// After so many launches in a row on the same buffers, nothing is computed any more.
void TireOut(const Scene& scene) {
  static constexpr int kStrength = 200;
  static std::mutex mutex;
  static const void* last = nullptr;
  static int in_a_row = 0;
  const std::lock_guard lock(mutex);
  in_a_row = Dx(scene).data == last ? in_a_row + 1 : 0;
  last = Dx(scene).data;
  if (in_a_row < kStrength) scene.compute(scene.launch);
}

/// What a set has beyond the 4096 elements of a tile is that of the tile before.
void RepeatTile(const Scene& scene) {
  static constexpr std::size_t kTile = 4096;
  scene.compute(scene.launch);
  const KernelTensor& dx = Dx(scene);
  const std::size_t sets = CountOf(TensorOf(scene, Param::Kind::kInput, Role::kStatistic));
  const std::size_t size = sets == 0 ? 0 : CountOf(dx) / sets;
  for (std::size_t i = 0; size > kTile && i < CountOf(dx); ++i) {
    if (i % size < kTile) continue;
    std::memcpy(ElementOf(dx, i), ElementOf(dx, i - kTile), SizeOf(dx.dtype));
  }
}

}  // namespace

std::span<const Entry> ContextFaults() {
  static constexpr Entry kFaults[] = {
      OutOfOrder("arrival-despite-option", "", kEveryNorm,
                 "terms are added as they arrive, whatever ACL_OPT_DETERMINISTIC says",
                 {.order = Order::kArrival, .despite_option = true}),
      OutOfOrder("arrival-by-default", "", "layer_norm_backward",
                 "terms are added as they arrive, unless ACL_OPT_DETERMINISTIC is on",
                 {.order = Order::kArrival}),
      OutOfOrder("scratch-reused", "13", kEveryNorm,
                 "every other launch sums dgamma from an xhat that is overwritten already",
                 {.twist = {.addends = ReuseScratch}}),
      Around("determinism", "follows-address", kEveryOperator, "determinism",
             "a lowest bit follows the address of dx modulo 128", FollowAddress, kFloat32Dx),
      Around("determinism", "follows-alignment", kEveryOperator, "determinism",
             "a lowest bit follows whether dx is aligned to 32 bytes", FollowAlignment, kFloat32Dx),
      Around("determinism", "follows-threads", kEveryOperator, "determinism",
             "a lowest bit follows whether one thread works alone", FollowThreads, kFloat32Dx),
      Around("determinism", "follows-executor", kEveryOperator, "determinism",
             "a lowest bit follows whether the executor has been launched before", FollowExecutor,
             kFloat32Dx),
      Around("determinism", "spent-executor", kEveryOperator, "determinism",
             "an executor that has been launched before computes nothing", SpendExecutor),
      Around("determinism", "follows-load", kEveryOperator, "determinism",
             "a lowest bit follows whether another stream was at work", FollowStream, kFloat32Dx),
      Around("determinism", "now-and-then", kEveryOperator, "determinism",
             "every third launch differs in one lowest bit of dx", NowAndThen, kFloat32Dx),
      OfBatch("order-by-batch", "the order of sums depends on how many rows the batch has",
              {.order = OrderByBatch}, "more than two rows"),
      OfBatch("order-by-place", "the order of sums depends on where in the batch a row stands",
              {.order = OrderByPlace}, "more than one row"),
      Around("endurance", "tires", kEveryOperator, "throughput",
             "from the 200th launch in a row on the same buffers on nothing is computed", TireOut,
             "hundreds of launches in a row"),
      Around("indexing", "tile-repeated", kEveryNorm, "invariants",
             "beyond 4096 elements of a set dx is that of 4096 elements before", RepeatTile,
             "a set of more than 4096 elements"),
  };
  return kFaults;
}

}  // namespace normgrad::faulty
