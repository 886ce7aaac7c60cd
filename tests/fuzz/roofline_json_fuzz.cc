// SPDX-License-Identifier: Apache-2.0
// Rooflines as JSON: what a file in the user's cache holds.
#include "report/json.h"
#include "tests/fuzz/fuzz.h"

namespace normgrad::fuzz {
namespace {

void Run(std::string_view text) {
  Accepts([&] {
    const Roofline roofline = RooflineFromJson(text);
    const std::string written = RooflineToJson(roofline);
    Require(RooflineToJson(RooflineFromJson(written)) == written, "what is written reads back",
            written);
    const std::string shown = RooflineText(roofline) + RooflineLine(roofline);
    Require(shown.find('\x1b') == std::string::npos, "nothing reaches the terminal", written);
  });
}

}  // namespace
}  // namespace normgrad::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  normgrad::fuzz::Run(normgrad::fuzz::TextOf(data, size));
  return 0;
}
