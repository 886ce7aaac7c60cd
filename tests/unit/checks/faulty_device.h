// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include <gtest/gtest.h>

#include "checks/check.h"
#include "run/fill.h"

namespace normgrad {

inline const Device& FaultyDevice() {
  static const DeviceLibrary kLibrary({NORMGRAD_FAULTY_LIBRARY});
  static const Device kDevice(kLibrary, 0, /*timeout_seconds=*/60);
  return kDevice;
}

/// The device has a fault while the object lives.
class WithFault {
 public:
  explicit WithFault(const char* name) { ::setenv("NORMGRAD_FAULT", name, /*overwrite=*/1); }
  WithFault(const WithFault&) = delete;
  WithFault& operator=(const WithFault&) = delete;
  ~WithFault() { ::unsetenv("NORMGRAD_FAULT"); }
};

/// The answer of `check` about a case with random data.
inline Answer Ask(Answer (*check)(CaseRun&, const CheckOptions&, Result*), const Case& the_case,
                  Result* result, const CheckOptions& options = {}) {
  CaseRun run(the_case, FaultyDevice(), FillInputs(the_case, 1));
  return check(run, options, result);
}

inline const PropertyResult& Find(const Result& result, std::string_view name) {
  const auto found = std::ranges::find(result.properties, name, &PropertyResult::name);
  EXPECT_NE(found, result.properties.end()) << name;
  return *found;
}

}  // namespace normgrad
