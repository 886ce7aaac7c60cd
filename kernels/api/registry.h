// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace normgrad {

/// A number no handle of this library ever had. Handles are numbers dressed as pointers: one that
/// was destroyed never comes back as another object's, and a stream is never taken for an event.
inline std::uintptr_t NextHandle() {
  static std::atomic<std::uintptr_t> last{0x10000};
  return last += 16;
}

/// The live objects of one kind, by the handle `Handle` (a pointer type) the C caller holds.
template <typename Object, typename Handle>
class Registry {
 public:
  Handle Add(std::shared_ptr<Object> object) {
    return *AddUpTo(std::numeric_limits<std::size_t>::max(), std::move(object));
  }

  /// As Add(), but nothing happens when there are `most` objects already.
  std::optional<Handle> AddUpTo(std::size_t most, std::shared_ptr<Object> object) {
    const auto handle = std::bit_cast<Handle>(NextHandle());
    const std::lock_guard lock(mutex_);
    if (objects_.size() >= most) return std::nullopt;
    objects_.emplace(handle, std::move(object));
    return handle;
  }

  /// nullptr for a handle that was never given out, or was removed.
  std::shared_ptr<Object> Find(Handle handle) const {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(handle);
    return found == objects_.end() ? nullptr : found->second;
  }

  /// The object, now the caller's; nullptr as for Find().
  std::shared_ptr<Object> Remove(Handle handle) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(handle);
    if (found == objects_.end()) return nullptr;
    auto object = std::move(found->second);
    objects_.erase(found);
    return object;
  }

  /// Puts `change(object)` behind a live handle in the place of `object`; false when there is no
  /// such handle. No other change comes between.
  template <typename Change>
  bool Update(Handle handle, Change change) {
    std::shared_ptr<Object> old;  // destroyed outside the lock
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(handle);
    if (found == objects_.end()) return false;
    old = std::exchange(found->second, change(*found->second));
    return true;
  }

  std::size_t Size() const {
    const std::lock_guard lock(mutex_);
    return objects_.size();
  }

  std::vector<std::shared_ptr<Object>> All() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Object>> all;
    for (const auto& [handle, object] : objects_) all.push_back(object);
    return all;
  }

  /// Removes the objects of which `predicate` holds.
  template <typename Predicate>
  void RemoveIf(Predicate predicate) {
    std::vector<std::shared_ptr<Object>> dying;  // destroyed outside the lock
    const std::lock_guard lock(mutex_);
    std::erase_if(objects_, [&](auto& entry) {
      if (!predicate(*entry.second)) return false;
      dying.push_back(std::move(entry.second));
      return true;
    });
  }

  void Clear() {
    RemoveIf([](const Object&) { return true; });
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<Handle, std::shared_ptr<Object>> objects_;
};

}  // namespace normgrad
