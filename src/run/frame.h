// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace normgrad {

/// What a message between the tool and one of its worker processes is.
enum class Message : std::uint32_t {
  kReady,          // worker: the device is open; a Hello
  kUserError,      // worker: what the user must fix, in words
  kStartError,     // worker: the device does not start, in words
  kExecute,        // tool: answer this case
  kResult,         // worker: its record, as JSON; "lost" first where the device is
  kAskWorkspace,   // tool: how much workspace does this case need?
  kAskHashes,      // tool: what are the hashes of its outputs?
  kNumbers,        // worker: CaseNumbers
  kProbeCopy,      // tool: does the device still copy?
  kProbeOperator,  // tool: does it still compute this case to the bit?
  kProbed,         // worker: what is wrong; nothing if all is well
  kEnd,            // tool: close the device and end
};

/// One message: what it is, which request it is or answers, and its text.
struct Frame {
  Message message = Message::kReady;
  std::uint64_t request = 0;
  std::string payload{};
};

/// The frame as bytes: a mark, message, request, length, a checksum over all of them and the
/// payload.
std::string EncodeFrame(const Frame& frame);

/// Frames out of a stream of bytes that anybody may have written into.
class FrameReader {
 public:
  static constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 20;  // of one payload

  void Feed(std::string_view bytes);

  /// The next whole frame; empty while bytes are missing, and for good after nonsense().
  std::optional<Frame> Next();

  /// What in the stream is not a frame; empty while all of it is.
  const std::string& nonsense() const { return nonsense_; }

  /// Whether bytes wait that are no whole frame.
  bool HasRest() const { return !bytes_.empty(); }

 private:
  std::string bytes_;
  std::string nonsense_;
};

}  // namespace normgrad
