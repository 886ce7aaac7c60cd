// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <system_error>

#include <pthread.h>

namespace normgrad {

/// One `Object` per thread that asks for it, which ends with its thread. Not thread_local: gcc 12's
/// LeakSanitizer crashes on thread-local objects of a dlopened library. Must outlive every thread.
template <typename Object>
class PerThread {
 public:
  PerThread() {
    const auto end = [](void* object) { delete static_cast<Object*>(object); };
    if (const int error = pthread_key_create(&key_, end)) {
      throw std::system_error(error, std::generic_category(), "pthread_key_create");
    }
  }
  PerThread(const PerThread&) = delete;
  PerThread& operator=(const PerThread&) = delete;

  /// The calling thread's object, made by the first call.
  Object& Get() {
    if (void* const mine = pthread_getspecific(key_)) return *static_cast<Object*>(mine);
    auto made = std::make_unique<Object>();
    if (const int error = pthread_setspecific(key_, made.get())) {
      throw std::system_error(error, std::generic_category(), "pthread_setspecific");
    }
    return *made.release();
  }

 private:
  pthread_key_t key_{};
};

}  // namespace normgrad
