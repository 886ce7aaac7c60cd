// SPDX-License-Identifier: Apache-2.0
#include "run/frame.h"

#include <string>

#include <gtest/gtest.h>

#include "base/random.h"

namespace normgrad {
namespace {

const Frame kFrame = {Message::kResult, 7, "a record"};

TEST(FrameReader, ReadsWhatWasEncodedInWhateverPieces) {
  const std::string bytes = EncodeFrame(kFrame) + EncodeFrame({Message::kProbed, 8, ""});
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    FrameReader reader;
    std::vector<Frame> frames;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      reader.Feed(std::string_view(bytes).substr(at, piece));
      while (auto frame = reader.Next()) frames.push_back(*frame);
    }
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(frames[0].message, Message::kResult);
    EXPECT_EQ(frames[0].request, 7U);
    EXPECT_EQ(frames[0].payload, "a record");
    EXPECT_EQ(frames[1].message, Message::kProbed);
    EXPECT_EQ(frames[1].payload, "");
    EXPECT_FALSE(reader.HasRest());
    EXPECT_EQ(reader.nonsense(), "");
  }
}

TEST(FrameReader, WaitsForTheRestOfAFrame) {
  FrameReader reader;
  const std::string bytes = EncodeFrame(kFrame);
  reader.Feed(std::string_view(bytes).substr(0, bytes.size() - 1));
  EXPECT_EQ(reader.Next(), std::nullopt);
  EXPECT_TRUE(reader.HasRest());
  EXPECT_EQ(reader.nonsense(), "");
}

TEST(FrameReader, KnowsNoiseByItsFirstByte) {
  FrameReader reader;
  reader.Feed("I");
  EXPECT_EQ(reader.Next(), std::nullopt);
  EXPECT_EQ(reader.nonsense(), "bytes that are no message");
}

TEST(FrameReader, ReadsNothingMoreAfterNonsense) {
  FrameReader reader;
  reader.Feed("noise");
  EXPECT_EQ(reader.Next(), std::nullopt);
  reader.Feed(EncodeFrame(kFrame));
  EXPECT_EQ(reader.Next(), std::nullopt);
  EXPECT_NE(reader.nonsense(), "");
}

TEST(FrameReader, SeesEveryChangedBit) {
  const std::string bytes = EncodeFrame(kFrame);
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string changed = bytes;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    FrameReader reader;
    reader.Feed(changed);
    EXPECT_EQ(reader.Next(), std::nullopt) << bit;
  }
}

TEST(FrameReader, DoesNotWaitForAnAbsurdLength) {
  Frame frame = kFrame;
  std::string bytes = EncodeFrame(frame);
  bytes[23] = 0x7f;  // the highest byte of the length
  FrameReader reader;
  reader.Feed(bytes);
  EXPECT_EQ(reader.Next(), std::nullopt);
  EXPECT_EQ(reader.nonsense().substr(0, 13), "a message of ");
}

TEST(FrameReader, NeverTakesRandomBytesForAFrame) {
  const RandomStream random(HashText("frames"));
  for (std::uint64_t trial = 0; trial < 2000; ++trial) {
    std::string bytes = trial % 2 == 0 ? "" : EncodeFrame(kFrame).substr(0, trial % 40);
    for (std::uint64_t i = 0; i < 64; ++i) {
      bytes += static_cast<char>(random.Bits(64 * trial + i));
    }
    FrameReader reader;
    reader.Feed(bytes);
    EXPECT_EQ(reader.Next(), std::nullopt);
  }
}

}  // namespace
}  // namespace normgrad
