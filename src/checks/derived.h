// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "checks/case_run.h"

namespace normgrad {

/// What a param stands for in the formulas that all operators share. Told from role and order, as
/// every contract lists them.
enum class Part {
  kDy,         // the first data input
  kX,          // the second
  kMean,       // statistics before the last
  kDeviation,  // the last: 1 / deviation
  kGamma,      // the first scale
  kSumDy,      // the first channel sum
  kSumDyXmu,   // the last: of dy * (x - mean)
  kDx,         // the data output
  kDgamma,     // the first gradient of a scale
  kDbeta,      // the second
  kNone,       // takes no part, or is no tensor
};

/// One entry per param of `op`.
std::vector<Part> PartsOf(const Operator& op);

/// The param that is `part`, where the case uses it.
std::optional<std::size_t> FindPart(const Case& the_case, Part part);

/// A case made from another one, and its inputs.
struct DerivedCase {
  Case the_case;
  std::shared_ptr<const CaseInputs> inputs;
};

/// How many rows, or samples, of the batch are independent of each other: the extents of what the
/// data's shape begins with.
std::size_t BatchRows(const Case& the_case);

/// The case with `rows` of its batch, in that order.
DerivedCase SelectRows(const Case& the_case, const CaseInputs& inputs,
                       std::span<const std::size_t> rows);

/// `rows` of a tensor that holds `count` of them, in that order.
Bytes RowsOf(const Bytes& elements, std::size_t count, std::span<const std::size_t> rows);

/// Gives a run its own inputs back.
class InputsRestorer {
 public:
  explicit InputsRestorer(CaseRun& run) : run_(run), inputs_(run.inputs()) {}
  InputsRestorer(const InputsRestorer&) = delete;
  InputsRestorer& operator=(const InputsRestorer&) = delete;
  ~InputsRestorer() { run_.UseInputs(std::move(inputs_)); }

 private:
  CaseRun& run_;
  std::shared_ptr<const CaseInputs> inputs_;
};

/// Whether the device has room for the buffers of another case as large as `run`.
bool HasRoomForAnother(const CaseRun& run);

}  // namespace normgrad
