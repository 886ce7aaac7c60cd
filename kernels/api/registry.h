// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
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
    const auto handle = std::bit_cast<Handle>(NextHandle());
    const std::lock_guard lock(mutex_);
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

  /// Puts another object behind a live handle; false when there is no such handle.
  bool Replace(Handle handle, std::shared_ptr<Object> object) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(handle);
    if (found == objects_.end()) return false;
    found->second.swap(object);
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

  void Clear() {
    std::unordered_map<Handle, std::shared_ptr<Object>> dying;  // destroyed outside the lock
    const std::lock_guard lock(mutex_);
    dying.swap(objects_);
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<Handle, std::shared_ptr<Object>> objects_;
};

}  // namespace normgrad
