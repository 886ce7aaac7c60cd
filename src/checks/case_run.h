// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/buffer.h"
#include "golden/oracle.h"
#include "sweep/case.h"

namespace normgrad {

/// The dense, row-major elements of a case's tensors, one entry per param of its operator.
using DenseTensors = std::vector<std::vector<std::byte>>;

/// The inputs of a case (entries of other params are empty) and what is known of how they were
/// made.
struct CaseInputs {
  DenseTensors tensors;
  bool exchangeable = false;  // terms of every sum are identically distributed and in random order
  double quantum = 0;  // a power of two that every term of every sum is a multiple of; 0: unknown
  bool exact_elements = false;  // with exact sums, every other float32 operation is exact too
  bool exposing = false;        // promises: no scale of ones, no two tensors alike
};

/// What the parts of memory that hold no input hold before a launch.
struct Poisons {
  Poison outputs = Poison::kFirst;
  Poison gaps = Poison::kFirst;    // between the elements of strided tensors
  Poison guards = Poison::kFirst;  // around every tensor
  Poison workspace = Poison::kFirst;

  static Poisons All(Poison poison) { return {poison, poison, poison, poison}; }
};

/// Where the tensors of a case lie. All are legal: a view may begin at any element.
enum class Placement {
  kAligned,    // at multiples of 64 bytes, as aclrtMalloc gives them
  kMoved,      // at other multiples of 64 bytes, the workspace too
  kUnaligned,  // each an odd number of elements behind one, aligned to its element and no more
};

/// How a launch is made.
struct Setup {
  bool deterministic = false;  // ACL_OPT_DETERMINISTIC
  Poisons poisons{};
  Placement placement = Placement::kAligned;
};

/// The arguments of a call in the library's own types.
class DeviceArgs {
 public:
  explicit DeviceArgs(const Device& device) : device_(device) {}

  /// Appends `arg`, the next param's. A tensor is a view of `storage` laid out as `layout`.
  void Add(const Param& param, const CallArg& arg, const Layout& layout, std::byte* storage);

  std::span<const Arg> All() const { return args_; }

 private:
  const Device& device_;
  std::vector<DeviceTensor> tensors_;
  std::vector<DeviceIntArray> int_arrays_;
  std::vector<DeviceBoolArray> bool_arrays_;
  std::vector<Arg> args_;
};

/// The bytes of workspace that phase 1 asks for, without memory for the tensors. Throws
/// DeviceError.
std::uint64_t WorkspaceBytesOf(const Case& the_case, const Device& device);

/// One case prepared on a device: filled, laid out, guarded, ready to launch again and again.
/// Every check works on one. Functions that reach the device throw DeviceError.
class CaseRun {
 public:
  /// `inputs` may be null for a case that is never launched.
  CaseRun(const Case& the_case, const Device& device, std::shared_ptr<const CaseInputs> inputs);
  CaseRun(const CaseRun&) = delete;
  CaseRun& operator=(const CaseRun&) = delete;

  const Case& the_case() const { return case_; }
  const Operator& op() const { return *case_.op; }
  const Device& device() const { return device_; }
  const std::shared_ptr<const CaseInputs>& inputs() const { return inputs_; }

  /// The inputs from the next launch on: of the same case, with other values.
  void UseInputs(std::shared_ptr<const CaseInputs> inputs) { inputs_ = std::move(inputs); }

  /// Poisons outputs, gaps, guards and workspace, writes the inputs afresh, runs both phases and
  /// waits for them.
  void Launch(const Setup& setup);
  void Launch(Poison poison, bool deterministic) {
    Launch({.deterministic = deterministic, .poisons = Poisons::All(poison)});
  }

  /// Launches while `neighbour`, which shares nothing with this case but the device, runs on a
  /// stream of its own.
  void LaunchBeside(CaseRun* neighbour, const Setup& setup);

  /// Launches twice with one executor; calls `after` once each has been waited for. What the
  /// library answers where it does not offer that.
  Reply LaunchTwice(const Setup& setup, const std::function<void()>& after);

  /// Runs both phases once more on the buffers as they are; for timing.
  /// Tensors lie where they lay at the start.
  struct Times {
    double phase_one_seconds = 0;  // host
    double kernel_seconds = 0;     // device, phase 2 alone
  };
  Times LaunchTimed();

  /// Poisons outputs, gaps, guards and workspace and writes the inputs afresh.
  void Reset(Poison poison);

  /// Phase 1 with the arguments of the case; either pointer may be null.
  Reply TryPhaseOne(std::uint64_t* workspace_bytes, aclOpExecutor** executor) const;

  /// Phase 2, and nothing but what it answers; the stream is not waited for.
  Reply TryPhaseTwo(std::byte* workspace, std::uint64_t workspace_bytes,
                    aclOpExecutor* executor) const;

  /// What the last Launch() left in the outputs wanted; other entries are empty.
  DenseTensors Outputs() const;

  /// The storage of the tensor of param `index` as it is now, gaps included; empty where none is
  /// passed.
  std::vector<std::byte> Storage(std::size_t index) const;

  /// The first byte of any tensor or guard that has changed since the last Reset() or Launch(): one
  /// line; empty when there is none.
  std::optional<std::string> AnyChange() const;

  /// What the last Launch() changed though it must not: guards, inputs, gaps between elements,
  /// bytes around the workspace. One line each.
  std::vector<std::string> Damage() const;

  std::uint64_t workspace_bytes() const { return prepared_.workspace_bytes; }
  std::uint64_t tensor_bytes() const;      // device bytes of all tensors' storage
  std::uint64_t compulsory_bytes() const;  // each input read once, each output written once

 private:
  struct Slot {
    const Param* param;
    bool writable;  // an output that is wanted
    std::size_t element_bytes;
    Layout layout;
    GuardedBuffer buffer;
    std::vector<std::byte> image;  // storage as last written
  };

  std::unique_ptr<Slot> MakeSlot(const Param& param, const CallArg& arg) const;
  void Place(Placement placement);
  void MakeArgs();
  void Reset(const Poisons& poisons);
  void Prepare(const Setup& setup);  // everything before phase 2
  void PhaseTwo(const SideStream* side = nullptr);
  double PhaseOne();  // returns the host seconds of GetWorkspaceSize alone
  void WriteSlot(std::size_t index, const Poisons& poisons);
  std::optional<std::string> SlotDamage(const Slot& slot) const;

  Case case_;
  const Device& device_;
  BoundOperator bound_;
  std::shared_ptr<const CaseInputs> inputs_;
  std::vector<std::unique_ptr<Slot>> slots_;  // per param; null where no tensor is passed
  Placement placement_ = Placement::kAligned;
  std::optional<DeviceArgs> args_;
  Prepared prepared_;
  std::unique_ptr<GuardedBuffer> workspace_;
};

/// Device bytes of all tensors' storage.
std::uint64_t StorageBytes(const Case& the_case);

/// A hash of every byte of the outputs of one launch; stable across processes.
std::uint64_t HashOf(const DenseTensors& outputs);

/// `dense` elements of param `index` as the oracle reads them; not present where the case does not
/// use it.
HostTensor AsHostTensor(const Case& the_case, std::size_t index,
                        const std::vector<std::byte>& dense);

}  // namespace normgrad
