// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace normgrad {

/// Something to do, which a queue does once. What it captures lies in the object itself: unlike
/// std::function it never takes memory, and need not be copyable.
class Work {
 public:
  Work() = default;

  template <typename Function>
  requires(!std::same_as<Function, Work>)
      Work(Function function) {  // NOLINT(google-explicit-constructor): as std::function's
    static_assert(sizeof(Function) <= kBytes && alignof(Function) <= alignof(std::max_align_t));
    static_assert(std::is_nothrow_move_constructible_v<Function>);
    new (room_) Function(std::move(function));
    type_ = &kTypeOf<Function>;
  }

  Work(Work&& other) noexcept { Take(other); }
  Work& operator=(Work&& other) noexcept {
    if (this != &other) {
      Clear();
      Take(other);
    }
    return *this;
  }
  ~Work() { Clear(); }

  void operator()() { type_->call(room_); }

 private:
  static constexpr std::size_t kBytes = 48;

  struct Type {
    void (*call)(void* function);
    void (*move)(void* from, void* to);  // and destroy `from`
    void (*destroy)(void* function);
  };

  template <typename Function>
  static constexpr Type kTypeOf = {
      [](void* function) { (*static_cast<Function*>(function))(); },
      [](void* from, void* to) {
        new (to) Function(std::move(*static_cast<Function*>(from)));
        static_cast<Function*>(from)->~Function();
      },
      [](void* function) { static_cast<Function*>(function)->~Function(); },
  };

  void Take(Work& other) {
    type_ = std::exchange(other.type_, nullptr);
    if (type_ != nullptr) type_->move(other.room_, room_);
  }

  void Clear() {
    if (type_ != nullptr) std::exchange(type_, nullptr)->destroy(room_);
  }

  const Type* type_ = nullptr;
  alignas(std::max_align_t) std::byte room_[kBytes];  // NOLINT: filled as far as it is read
};

}  // namespace normgrad
