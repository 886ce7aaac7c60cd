// SPDX-License-Identifier: Apache-2.0
// Shape patterns, and shapes bound to them. The first line is the pattern, the second a list of
// extents, one byte each.
#include "ops/shape_pattern.h"
#include "tests/fuzz/fuzz.h"

namespace normgrad::fuzz {
namespace {

void Run(std::string_view text) {
  const auto lines = Split(text, "\n");
  const std::string& pattern = lines[0];
  const auto axes = ParsePattern(pattern);
  Require(axes.size() <= pattern.size(), "an axis takes a letter", pattern);
  Shape shape;
  for (const char c : lines.size() > 1 ? lines[1] : "") shape.push_back(c - '0');
  Dims dims;
  Bind(pattern, shape, &dims);
  std::size_t rank = 0;
  bool bound = true;
  for (const PatternAxis& axis : axes) {
    const auto found = dims.find(axis.symbol);
    bound = bound && found != dims.end();
    if (bound) rank += found->second.size();
  }
  if (bound) Require(Expand(pattern, dims).size() == rank, "axes add up", pattern);
}

}  // namespace
}  // namespace normgrad::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  normgrad::fuzz::Run(normgrad::fuzz::TextOf(data, size));
  return 0;
}
