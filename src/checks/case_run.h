// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/fingerprint.h"
#include "device/buffer.h"
#include "golden/oracle.h"
#include "sweep/case.h"

namespace normgrad {

/// The dense, row-major elements of a case's tensors, one entry per param of its operator.
using DenseTensors = std::vector<Bytes>;

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

/// The outputs of a launch that others are held against.
class KeptOutputs {
 public:
  explicit KeptOutputs(DenseTensors tensors)
      : tensors_(std::move(tensors)), fingerprints_(tensors_.size()) {}

  const DenseTensors& tensors() const { return tensors_; }

 private:
  friend class CaseRun;
  DenseTensors tensors_;
  mutable std::vector<Fingerprint> fingerprints_;  // of those that others have been held against
};

/// What a launch left behind.
struct Aftermath {
  std::shared_ptr<const KeptOutputs> outputs;      // CaseRun::Outputs()
  std::optional<std::vector<std::string>> damage;  // CaseRun::Damage(), if that was looked for
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
  void UseInputs(std::shared_ptr<const CaseInputs> inputs) {
    inputs_ = std::move(inputs);
    ForgetFirstLaunches();
  }

  /// Poisons outputs, gaps, guards and workspace, makes sure of the inputs, runs both phases and
  /// waits for them. What has been verified since the last launch is not written again.
  void Launch(const Setup& setup);
  void Launch(Poison poison, bool deterministic) {
    Launch({.deterministic = deterministic, .poisons = Poisons::All(poison)});
  }

  /// Launch(Poison::kFirst, deterministic), with which several checks begin: of each mode it is
  /// made once, and what it left is kept for the next who asks. Outputs that both modes left alike
  /// are kept once, of others the last.
  Aftermath FirstLaunch(bool deterministic, bool look_for_damage);
  void ForgetFirstLaunches() { first_launches_ = {}; }

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

  /// What the last Launch() left in the output `index`, a param's; empty where that is not wanted.
  Bytes Output(std::size_t index) const;

  /// Output() of every param.
  DenseTensors Outputs() const;

  /// Whether Outputs() would be equal to `outputs`; without a copy of those that are gapless.
  bool LeftAgain(const KeptOutputs& outputs) const;

  /// The storage of the tensor of param `index` as it is now, gaps included; empty where none is
  /// passed.
  Bytes Storage(std::size_t index) const;

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
  // Memory for one tensor, and what it was last written with: the elements of `data`, or copies of
  // `elements`, and copies of `gaps` between them.
  struct Slot {
    const Param* param;
    std::size_t index;  // of the param
    bool writable;      // an output that is wanted
    bool gapless;       // storage is the dense elements and nothing else
    std::size_t element_bytes;
    Layout layout;
    GuardedBuffer buffer;
    std::shared_ptr<const CaseInputs> data{};
    Poison elements = Poison::kFirst, gaps = Poison::kFirst;
    bool known = false;  // every byte is as written: written or verified since the last call
    mutable Fingerprint fingerprint{};  // of the elements in `data`

    /// Whether all of storage is copies of `elements`.
    bool IsUniform() const { return data == nullptr && (gapless || elements == gaps); }

    /// The elements in `data`.
    std::span<const std::byte> Data() const { return data->tensors[index]; }

    /// The storage as last written.
    Bytes Image() const;

    /// The first byte of storage that is not as last written.
    std::optional<std::size_t> FirstChange() const;

    std::byte ByteNow(std::size_t at) const;
  };

  std::unique_ptr<Slot> MakeSlot(std::size_t index, const CallArg& arg) const;
  void Place(Placement placement);
  void MakeArgs();
  void WriteSlots(const Poisons& poisons);
  void WriteSlot(Slot& slot, const Poisons& poisons) const;
  void WriteWorkspace(Poison poison);
  void ForgetContents() const;       // the library is about to be called
  void Prepare(const Setup& setup);  // everything before phase 2
  void PhaseTwo(const SideStream* side = nullptr);
  double PhaseOne();  // returns the host seconds of GetWorkspaceSize alone
  static std::optional<std::string> SlotDamage(Slot& slot);

  Case case_;
  const Device& device_;
  BoundOperator bound_;
  std::shared_ptr<const CaseInputs> inputs_;
  std::vector<std::unique_ptr<Slot>> slots_;  // per param; null where no tensor is passed
  Placement placement_ = Placement::kAligned;
  std::optional<DeviceArgs> args_;
  Prepared prepared_;
  std::unique_ptr<GuardedBuffer> workspace_;
  std::array<std::optional<Aftermath>, 2> first_launches_;  // by default, deterministic
};

/// Device bytes of all tensors' storage.
std::uint64_t StorageBytes(const Case& the_case);

/// The most bytes of host memory that filling, accuracy and memory need at a time, beside what
/// does not grow with the tensors: the inputs, the outputs of one launch and, of the largest
/// storage with gaps, what was written, what is there and its elements.
std::uint64_t HostBytes(const Case& the_case);

/// A hash of every byte of the outputs of one launch; stable across processes.
std::uint64_t HashOf(const DenseTensors& outputs);

/// `dense` elements of param `index` as the oracle reads them; not present where the case does not
/// use it.
HostTensor AsHostTensor(const Case& the_case, std::size_t index, const Bytes& dense);

/// The tensors of a launch as the oracle reads them, one per param: the inputs of `run`, and
/// `outputs`.
std::vector<HostTensor> HostTensors(const CaseRun& run, const DenseTensors& outputs);

}  // namespace normgrad
