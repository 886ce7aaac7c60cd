// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <utility>

namespace normgrad {

/// A container that copies share until one of them is changed. A plain value: it reads as the
/// container does, and an empty one takes no memory.
///
/// Whoever changes it gets contents of its own first. As with any container, two threads may read
/// the same object, but not one read and the other change it.
template <typename T>
class Shared {
 public:
  using value_type = typename T::value_type;
  using const_iterator = typename T::const_iterator;
  using iterator = const_iterator;

  Shared() = default;
  // Implicit, as it stands for the container.
  // NOLINTNEXTLINE(google-explicit-constructor)
  Shared(T value) : value_(Hold(std::move(value))) {}
  Shared(std::initializer_list<value_type> values) : Shared(T(values)) {}

  const T& operator*() const { return value_ != nullptr ? *value_ : Empty(); }
  const T* operator->() const { return &**this; }
  // NOLINTNEXTLINE(google-explicit-constructor)
  operator const T&() const { return **this; }

  const_iterator begin() const { return (*this)->begin(); }
  const_iterator end() const { return (*this)->end(); }
  bool empty() const { return (*this)->empty(); }
  std::size_t size() const { return (*this)->size(); }
  const value_type& back() const { return (*this)->back(); }
  const_iterator find(const auto& key) const { return (*this)->find(key); }
  bool contains(const auto& key) const { return (*this)->contains(key); }
  const auto& at(const auto& key) const { return (*this)->at(key); }

  auto& operator[](const auto& key) { return Own()[key]; }
  void emplace(auto&&... arguments) {
    Own().emplace(std::forward<decltype(arguments)>(arguments)...);
  }
  void clear() { value_.reset(); }

  friend bool operator==(const Shared& a, const Shared& b) {
    return a.value_ == b.value_ || *a == *b;
  }

 private:
  static std::shared_ptr<T> Hold(T value) {
    return value.empty() ? nullptr : std::make_shared<T>(std::move(value));
  }

  static const T& Empty() {
    static const T kEmpty;
    return kEmpty;
  }

  T& Own() {
    if (value_ == nullptr || value_.use_count() > 1) value_ = std::make_shared<T>(**this);
    return *value_;
  }

  std::shared_ptr<T> value_;  // null: an empty container
};

}  // namespace normgrad
