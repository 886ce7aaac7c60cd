// SPDX-License-Identifier: Apache-2.0
#include "run/worker.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "ops/operators.h"
#include "report/json.h"
#include "run/fill.h"
#include "run/host.h"
#include "run/probe.h"

namespace normgrad {
namespace {

CaseNumbers WorkspaceOf(const Case& the_case, const Device& device) {
  if (!device.Become(the_case.product)) return {{}, "it is another product there"};
  return {{WorkspaceBytesOf(the_case, device)}, ""};
}

CaseNumbers HashesOf(const Case& the_case, const Device& device, unsigned threads) {
  const std::uint64_t bytes = StorageBytes(the_case);
  // Another process has the same case in memory.
  if (bytes > device.FreeBytes() / 4 || bytes > AvailableHostBytes() / 8) {
    return {{}, "there is no room for the case a second time"};
  }
  if (!device.Become(the_case.product)) return {{}, "it is another product there"};
  CaseRun run(the_case, device, FillInputs(the_case, threads));
  CaseNumbers numbers;
  for (const bool deterministic : {false, true}) {
    run.Launch(Poison::kFirst, deterministic);
    numbers.values.push_back(HashOf(run.Outputs()));
  }
  return numbers;
}

/// `ask()`, or why there is no answer.
template <typename Ask>
CaseNumbers NumbersOf(Ask ask) {
  try {
    return ask();
  } catch (const DeviceError& error) {
    return {{}, error.what()};
  } catch (const std::bad_alloc&) {
    return {{}, "the host ran out of memory"};
  }
}

std::string ProbeCopy(const Device& device) {
  try {
    return CopyComplaint(device);
  } catch (const DeviceError& error) {
    return error.what();
  }
}

std::string ProbeOperator(const Case& probe, InProcessExecutor& executor) {
  const Result result = executor.Execute(probe);
  return IsFailure(result.outcome) ? result.reason : "";
}

}  // namespace

WorkerChannel::WorkerChannel(int descriptor) : descriptor_(descriptor), owner_(::getpid()) {
  // Programs that the library starts have no business with it.
  ::fcntl(descriptor_, F_SETFD, FD_CLOEXEC);
}

void WorkerChannel::Send(const Frame& frame) const {
  if (::getpid() != owner_) std::_Exit(kUnheardExitCode);
  const std::string bytes = EncodeFrame(frame);
  for (std::string_view rest = bytes; !rest.empty();) {
    const ssize_t sent = ::send(descriptor_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) std::_Exit(kUnheardExitCode);
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::optional<Frame> WorkerChannel::Receive() {
  std::array<char, 1 << 14> chunk;  // NOLINT(cppcoreguidelines-pro-type-member-init): recv() fills
  for (;;) {
    if (auto frame = reader_.Next()) return frame;
    if (!reader_.nonsense().empty()) return std::nullopt;
    const ssize_t count = ::recv(descriptor_, chunk.data(), chunk.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return std::nullopt;
    reader_.Feed({chunk.data(), static_cast<std::size_t>(count)});
  }
}

void EndWithParent() { ::prctl(PR_SET_PDEATHSIG, SIGKILL); }

Hello HelloOf(const Device& device) {
  Hello hello{device.Description(),
              HashOfFiles(device.library().Files()),
              device.IsOurs(),
              device.Count(),
              {}};
  for (const Operator* op : AllOperators()) {
    try {
      device.library().Bind(*op);
    } catch (const Error& error) {
      hello.missing.emplace(op->name, error.what());
    }
  }
  return hello;
}

void ServeRequests(WorkerChannel& channel, const Device& device, InProcessExecutor& executor,
                   unsigned threads) {
  while (const auto request = channel.Receive()) {
    const auto answer = [&](Message message, std::string payload) {
      channel.Send({message, request->request, std::move(payload)});
    };
    const std::string& payload = request->payload;
    switch (request->message) {
      case Message::kExecute: {
        const Result result = executor.Execute(DecodeCase(payload));
        answer(Message::kResult, (device.lost() ? "lost" : "") + ToJson(result));
        break;
      }
      case Message::kAskWorkspace:
        answer(Message::kNumbers,
               Encode(NumbersOf([&] { return WorkspaceOf(DecodeCase(payload), device); })));
        break;
      case Message::kAskHashes:
        answer(Message::kNumbers,
               Encode(NumbersOf([&] { return HashesOf(DecodeCase(payload), device, threads); })));
        break;
      case Message::kProbeCopy: answer(Message::kProbed, ProbeCopy(device)); break;
      case Message::kProbeOperator:
        answer(Message::kProbed, ProbeOperator(DecodeCase(payload), executor));
        break;
      default: return;
    }
    if (device.lost()) return;
  }
}

}  // namespace normgrad
