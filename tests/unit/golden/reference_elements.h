// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <mutex>
#include <string_view>
#include <vector>

#include "tests/unit/golden/tensor_set.h"

namespace normgrad {

/// Everything the oracle says about one element.
struct ReferenceElement {
  struct WeightedSum {
    Sum sum;
    double weight = 0;
  };
  int visits = 0;
  double value = 0, roundings = 0, local = 0, flush = 0;
  bool may_overflow = false;
  std::vector<WeightedSum> sums;  // shared ones first
};
using ReferenceElements = std::vector<ReferenceElement>;

/// The elements of every tensor of `set`, by param; those of inputs have no visits.
inline std::vector<ReferenceElements> Collect(const TensorSet& set, unsigned threads = 1,
                                              Profile profile = Profile::kExpanded) {
  std::vector<ReferenceElements> all;
  all.reserve(set.All().size());
  for (const HostTensor& tensor : set.All()) {
    all.emplace_back(tensor.present() ? ElementCount(tensor.shape) : 0);
  }
  std::mutex mutex;
  OracleOf(set.Op()).reference(
      set.BoundDims(), set.All(), profile, threads, [&](const ReferenceBlock& block) {
        const std::lock_guard lock(mutex);
        for (std::size_t i = 0; i < block.value.size(); ++i) {
          ReferenceElement& element = all.at(block.param).at(block.first + i);
          ++element.visits;
          element.value = block.value[i];
          element.roundings = block.roundings;
          element.local = block.local[i];
          element.flush = block.flush;
          element.may_overflow = block.may_overflow;
          for (const SharedSum& shared : block.shared) {
            element.sums.push_back({shared.sum, shared.weight[i]});
          }
          if (!block.own.empty()) element.sums.push_back({block.own[i], 1});
        }
      });
  return all;
}

/// The elements of one output of `set`.
inline ReferenceElements Collect(const TensorSet& set, std::string_view output) {
  return Collect(set)[set.IndexOf(output)];
}

/// One member of every element: Members(elements, &ReferenceElement::value).
template <typename T>
std::vector<T> Members(const ReferenceElements& elements, T ReferenceElement::*member) {
  std::vector<T> members;
  members.reserve(elements.size());
  for (const ReferenceElement& element : elements) members.push_back(element.*member);
  return members;
}

inline std::vector<double> Values(const ReferenceElements& elements) {
  return Members(elements, &ReferenceElement::value);
}

/// Indices of the elements that are not finite.
inline std::vector<std::size_t> NonFinite(const ReferenceElements& elements) {
  std::vector<std::size_t> indices;
  indices.reserve(elements.size());
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (!std::isfinite(elements[i].value)) indices.push_back(i);
  }
  return indices;
}

}  // namespace normgrad
