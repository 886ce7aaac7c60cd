// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checks/check.h"
#include "sweep/case.h"

namespace normgrad {

/// What a worker says of its device once it is open.
struct Hello {
  std::string description{};                     // Device::Description()
  std::string build{};                           // HashOfFiles() of the library
  bool is_ours = false;                          // Device::IsOurs()
  std::uint64_t devices = 0;                     // of the library
  std::map<std::string, std::string> missing{};  // operators it lacks: name, what to tell the user
};

/// What another process knows of a case; which number is which depends on the question.
struct CaseNumbers {
  std::vector<std::uint64_t> values{};  // the bytes of workspace; hashes by default and on request
  std::string unknown{};                // why there are none
};

/// As bytes that Decode() of the same type reads. They hold for one release on one machine.
std::string Encode(const Case& the_case);
std::string Encode(const Hello& hello);
std::string Encode(const CaseNumbers& numbers);

/// Throws Error for bytes that Encode() never gives.
Case DecodeCase(std::string_view bytes);
Hello DecodeHello(std::string_view bytes);
CaseNumbers DecodeCaseNumbers(std::string_view bytes);

}  // namespace normgrad
