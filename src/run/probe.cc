// SPDX-License-Identifier: Apache-2.0
#include "run/probe.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/random.h"
#include "run/fill.h"

namespace normgrad {

std::string CopyComplaint(const Device& device) {
  constexpr std::size_t kBytes = 4096;
  std::vector<std::byte> sent(kBytes), received(kBytes);
  const RandomStream random(HashText("probe"));
  for (std::size_t i = 0; i < kBytes; ++i) sent[i] = static_cast<std::byte>(random.Bits(i));
  const DeviceMemory first = device.Allocate(kBytes), second = device.Allocate(kBytes);
  device.Upload(first.address(), sent);
  device.CopyOnDevice(second.address(), first.address(), kBytes);
  device.Synchronize();
  device.Download(received, second.address());
  if (received == sent) return "";
  const auto [wrong, right] = std::ranges::mismatch(received, sent);
  return fmt::format("byte {} of a copy is 0x{:02x}, was 0x{:02x}", wrong - received.begin(),
                     std::to_integer<unsigned>(*wrong), std::to_integer<unsigned>(*right));
}

std::optional<Case> ProbeCaseOf(const Case& the_case) {
  const Case& legal = the_case.legal != nullptr ? *the_case.legal : the_case;
  Case probe;
  probe.op = legal.op;
  probe.product = legal.product;
  probe.dtypes = legal.dtypes;
  probe.fill = "exact";
  probe.checks = {std::string("accuracy")};
  probe.source = "probe";
  // Powers of two, as the fill needs them, and groups of more than one channel.
  Dims dims;
  if (legal.dims.contains("G")) dims.emplace("G", {2});
  for (const Param& param : legal.op->params) {
    for (const PatternAxis& axis : ParsePattern(param.pattern)) {
      dims.emplace(axis.symbol, axis.kind == PatternAxis::Kind::kSingle ? Shape{4} : Shape{2, 4});
    }
  }
  probe.dims = std::move(dims);
  if (ViolationOf(probe) || WhyFillDoesNotApply(probe)) return std::nullopt;
  return probe;
}

}  // namespace normgrad
