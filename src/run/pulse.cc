// SPDX-License-Identifier: Apache-2.0
#include "run/pulse.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <new>
#include <span>

#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

namespace normgrad {
namespace {

/// A line that another process may read at any time, and anybody may have written.
using Line = std::array<char, 320>;

void Write(std::string_view text, Line* line) {
  const std::size_t length = std::min(text.size(), line->size() - 1);
  std::copy_n(text.data(), length, line->data());
  std::fill(line->begin() + static_cast<std::ptrdiff_t>(length), line->end(), '\0');
}

std::string Read(const Line& line) { return {line.data(), ::strnlen(line.data(), line.size())}; }

[[noreturn]] void ThrowErrno(const char* what) {
  throw Error("{}: {}: memory to share with a worker is needed", what, std::strerror(errno));
}

int MakeMemory(std::size_t bytes) {
  const int descriptor = ::memfd_create("normgrad-pulse", MFD_CLOEXEC);
  if (descriptor < 0) ThrowErrno("memfd_create");
  if (::ftruncate(descriptor, static_cast<off_t>(bytes)) != 0) {
    ::close(descriptor);
    ThrowErrno("ftruncate");
  }
  return descriptor;
}

}  // namespace

struct Pulse::Shared {
  struct Slot {
    std::uint32_t outcome = 0;
    std::uint32_t skip = 0;
    double seconds = 0;
    std::array<char, 16> check{};
    Line reason{};
  };

  std::atomic<std::uint32_t> phase{0};
  std::atomic<double> since_seconds{0};
  Line step{};
  Line message{};
  std::atomic<std::uint32_t> answered{0};
  std::array<Slot, 8> answers{};
};

double MonotonicSeconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

Pulse::Pulse() : descriptor_(MakeMemory(sizeof(Shared))), shared_(Map()) {
  // A page: less than any limit on the size of files that leaves room for a report.
  static_assert(sizeof(Shared) <= 4096);
  new (shared_) Shared;
}

Pulse::Pulse(int descriptor) : descriptor_(descriptor), shared_(Map()) {
  ::close(descriptor_);
  descriptor_ = -1;
  // A copy of this process that the library forks must not speak for it.
  ::madvise(shared_, sizeof(Shared), MADV_DONTFORK);
}

Pulse::~Pulse() {
  ::munmap(shared_, sizeof(Shared));
  if (descriptor_ >= 0) ::close(descriptor_);
}

Pulse::Shared* Pulse::Map() const {
  void* const memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
  if (memory == MAP_FAILED) ThrowErrno("mmap");
  return static_cast<Shared*>(memory);
}

void Pulse::Begin() {
  shared_->answered = 0;
  Write("", &shared_->step);
  Write("", &shared_->message);
  OnPhase(Phase::kOwnWork);
}

void Pulse::OnStep(std::string_view step) {
  Write(step, &shared_->step);
  Touch();
}

void Pulse::OnAnswer(const CheckResult& answer) {
  const std::uint32_t index = shared_->answered;
  if (index >= shared_->answers.size()) return;
  Shared::Slot& slot = shared_->answers.at(index);
  slot.outcome = static_cast<std::uint32_t>(answer.outcome);
  slot.skip = static_cast<std::uint32_t>(answer.skip);
  slot.seconds = answer.seconds;
  slot.check = {};
  std::copy_n(answer.check.data(), std::min(answer.check.size(), slot.check.size() - 1),
              slot.check.data());
  Write(answer.reason, &slot.reason);
  shared_->answered = index + 1;
}

void Pulse::OnPhase(Phase phase) {
  // The time first: a phase must never look older than it is.
  shared_->since_seconds.store(MonotonicSeconds(), std::memory_order_relaxed);
  shared_->phase.store(static_cast<std::uint32_t>(phase), std::memory_order_release);
}

void Pulse::OnMessage(std::string_view message) { Write(message, &shared_->message); }

void Pulse::Touch() { shared_->since_seconds = MonotonicSeconds(); }

Phase Pulse::phase() const {
  const std::uint32_t phase = shared_->phase;
  return phase < Phases().size() ? static_cast<Phase>(phase) : Phase::kOwnWork;
}

double Pulse::since_seconds() const { return shared_->since_seconds; }

std::string Pulse::step() const { return Read(shared_->step); }

std::string Pulse::message() const { return Read(shared_->message); }

std::vector<CheckResult> Pulse::answers() const {
  std::vector<CheckResult> answers;
  const std::size_t count = std::min<std::size_t>(shared_->answered, shared_->answers.size());
  for (const Shared::Slot& slot : std::span(shared_->answers).first(count)) {
    // The reasons leave out that of what was not skipped.
    if (slot.outcome >= Outcomes().size() || slot.skip > SkipReasons().size()) break;
    answers.push_back({{slot.check.data(), ::strnlen(slot.check.data(), slot.check.size())},
                       static_cast<Outcome>(slot.outcome),
                       Read(slot.reason),
                       static_cast<SkipReason>(slot.skip),
                       slot.seconds});
  }
  return answers;
}

}  // namespace normgrad
