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
  requires(!std::same_as<std::remove_cvref_t<Function>, Work>)
      Work(Function&& function) {  // NOLINT(google-explicit-constructor): as std::function's
    using Stored = std::remove_cvref_t<Function>;
    static_assert(sizeof(Stored) <= kBytes && alignof(Stored) <= alignof(std::max_align_t));
    static_assert(std::is_nothrow_move_constructible_v<Stored>);
    new (room_) Stored(std::forward<Function>(function));
    type_ = &kTypeOf<Stored>;
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

  template <typename Stored>
  static constexpr Type kTypeOf = {
      [](void* function) { (*static_cast<Stored*>(function))(); },
      [](void* from, void* to) {
        new (to) Stored(std::move(*static_cast<Stored*>(from)));
        static_cast<Stored*>(from)->~Stored();
      },
      [](void* function) { static_cast<Stored*>(function)->~Stored(); },
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
