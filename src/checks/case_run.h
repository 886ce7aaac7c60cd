// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device/buffer.h"
#include "golden/oracle.h"
#include "sweep/case.h"

namespace normgrad {

/// The dense, row-major elements of a case's tensors, one entry per param of its operator.
using DenseTensors = std::vector<std::vector<std::byte>>;

/// The inputs of a case (entries of outputs are empty) and what is known of how they were made.
struct CaseInputs {
  DenseTensors tensors;
  bool exchangeable = false;  // terms of every sum are identically distributed and in random order
};

/// One case prepared on a device: filled, laid out, guarded, ready to launch again and again.
/// Every check works on one. Functions that reach the device throw DeviceError.
class CaseRun {
 public:
  CaseRun(const Case& the_case, const Device& device, std::shared_ptr<const CaseInputs> inputs);
  CaseRun(const CaseRun&) = delete;
  CaseRun& operator=(const CaseRun&) = delete;

  const Case& the_case() const { return case_; }
  const Operator& op() const { return *case_.op; }
  const Device& device() const { return device_; }
  const std::shared_ptr<const CaseInputs>& inputs() const { return inputs_; }

  /// Poisons outputs, gaps, guards and workspace, writes the inputs afresh, runs both phases and
  /// waits for them.
  void Launch(Poison poison, bool deterministic);

  /// Runs both phases once more on the buffers as they are; for timing.
  struct Times {
    double phase_one_seconds = 0;  // host
    double kernel_seconds = 0;     // device, phase 2 alone
  };
  Times LaunchTimed();

  /// What the last Launch() left in the outputs; entries of inputs are empty.
  DenseTensors Outputs() const;

  /// What the last Launch() changed though it must not: guards, inputs, gaps between elements,
  /// bytes around the workspace. One line each.
  std::vector<std::string> Damage() const;

  std::uint64_t workspace_bytes() const { return prepared_.workspace_bytes; }
  std::uint64_t tensor_bytes() const;      // device bytes of all tensors' storage
  std::uint64_t compulsory_bytes() const;  // each input read once, each output written once

 private:
  struct Slot {
    const Param* param;
    DType dtype;
    Layout layout;
    GuardedBuffer buffer;
    DeviceTensor tensor;
    std::vector<std::byte> image;  // storage as last written
  };

  double PhaseOne();  // returns the host seconds of GetWorkspaceSize alone
  void WriteSlot(std::size_t index, Poison poison);
  std::optional<std::string> SlotDamage(const Slot& slot) const;

  Case case_;
  const Device& device_;
  BoundOperator bound_;
  std::shared_ptr<const CaseInputs> inputs_;
  std::vector<Slot> slots_;
  std::vector<Arg> args_;
  Prepared prepared_;
  std::unique_ptr<GuardedBuffer> workspace_;
};

/// Device bytes of all tensors' storage.
std::uint64_t StorageBytes(const Case& the_case);

/// `dense` elements of param `index` as the oracle reads them.
HostTensor AsHostTensor(const Case& the_case, std::size_t index,
                        const std::vector<std::byte>& dense);

}  // namespace normgrad
