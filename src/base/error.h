// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace normgrad {

/// A problem the user can fix: bad YAML, a missing library, an unknown operator.
///
/// Thrown anywhere below main(), caught once in main(), printed as "normgrad-bench: <message>"
/// without a stack or a source location, exit code 2. The message says where, what is wrong and
/// what would be right. What happens to one case is never an Error: see report/result.h.
class Error : public std::runtime_error {
 public:
  template <typename... Args>
  explicit Error(fmt::format_string<Args...> format, Args&&... args)
      : std::runtime_error(fmt::format(format, std::forward<Args>(args)...)) {}
};

}  // namespace normgrad
