// SPDX-License-Identifier: Apache-2.0
// Results as lines of JSON: what a report and another process hand on.
#include "report/json.h"
#include "tests/fuzz/fuzz.h"

namespace normgrad::fuzz {
namespace {

void Run(std::string_view text) {
  Accepts([&] {
    const std::string written = ToJson(ResultFromJson(text));
    Require(written.find('\n') == std::string::npos, "a result is one line", written);
    Require(ToJson(ResultFromJson(written)) == written, "what is written reads back", written);
  });
}

}  // namespace
}  // namespace normgrad::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  normgrad::fuzz::Run(normgrad::fuzz::TextOf(data, size));
  return 0;
}
