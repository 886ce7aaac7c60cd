// SPDX-License-Identifier: Apache-2.0
#include "device/buffer.h"

#include <gtest/gtest.h>

#include "cpu_device.h"

namespace normgrad {
namespace {

// The CPU device's memory is the host's, so a test can be the kernel that misbehaves.

TEST(GuardedBuffer, HoldsItsPayloadBetweenIntactGuards) {
  GuardedBuffer buffer(CpuDevice(), 3);
  const std::vector<std::byte> payload = {std::byte{1}, std::byte{2}, std::byte{3}};
  buffer.Write(payload, Poison::kFirst);
  std::vector<std::byte> read(3);
  buffer.Read(read);
  EXPECT_EQ(read, payload);
  EXPECT_FALSE(buffer.Damage().has_value());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0U);
}

TEST(GuardedBuffer, FindsTheFirstByteWrittenBehindItsEnd) {
  GuardedBuffer buffer(CpuDevice(), 5);
  buffer.WritePoison(Poison::kSecond);
  buffer.data()[5 + 2] = std::byte{7};
  ASSERT_TRUE(buffer.Damage().has_value());
  EXPECT_EQ(buffer.Damage()->text, "byte 2 behind its end is 0x07");
  EXPECT_TRUE(buffer.Damage()->behind);
}

TEST(GuardedBuffer, FindsTheNearestByteWrittenBeforeItsStart) {
  GuardedBuffer buffer(CpuDevice(), 5);
  buffer.WritePoison(Poison::kFirst);
  buffer.data()[-1] = std::byte{0xA5};
  buffer.data()[-4] = std::byte{0};
  ASSERT_TRUE(buffer.Damage().has_value());
  EXPECT_EQ(buffer.Damage()->text, "byte 1 before its start is 0xa5, 2 bytes in all");
  EXPECT_FALSE(buffer.Damage()->behind);
}

TEST(GuardedBuffer, ForgetsDamageOnceWrittenAgain) {
  GuardedBuffer buffer(CpuDevice(), 0);
  buffer.WritePoison(Poison::kFirst);
  buffer.data()[0] = std::byte{0};
  ASSERT_TRUE(buffer.Damage().has_value());
  buffer.WritePoison(Poison::kSecond);
  EXPECT_FALSE(buffer.Damage().has_value());
}

TEST(GuardedBuffer, GuardsAPayloadThatIsShifted) {
  GuardedBuffer buffer(CpuDevice(), 4);
  buffer.Shift(6);
  buffer.WritePoison(Poison::kFirst);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 6U);
  EXPECT_FALSE(buffer.Damage().has_value());
  buffer.data()[-6] = std::byte{0};
  ASSERT_TRUE(buffer.Damage().has_value());
  EXPECT_EQ(buffer.Damage()->text, "byte 6 before its start is 0x00");
}

/// A device whose memory the host reads in place, or one whose memory it must download.
class FirstOtherTest : public testing::TestWithParam<const Device* (*)()> {
 protected:
  static constexpr std::size_t kBytes = (std::size_t{1} << 20) + 4099;  // some pieces and a bit

  FirstOtherTest() : payload_(kBytes), buffer_(*GetParam()(), kBytes) {
    for (std::size_t i = 0; i < kBytes; ++i) payload_[i] = static_cast<std::byte>(i * i >> 7);
    buffer_.Write(payload_, Poison::kFirst);
  }

  std::vector<std::byte> payload_;
  GuardedBuffer buffer_;
};

TEST_P(FirstOtherTest, IsTheFirstOfSeveral) {
  EXPECT_EQ(buffer_.FirstOther(payload_), std::nullopt);
  for (const std::size_t at :
       {kBytes - 1, std::size_t{600000}, std::size_t{4096}, std::size_t{0}}) {
    buffer_.data()[at] ^= std::byte{0x80};
    EXPECT_EQ(buffer_.FirstOther(payload_), at);
  }
}

TEST_P(FirstOtherTest, OfContentsThatAreKnownIsTheSame) {
  Fingerprint fingerprint;
  buffer_.data()[600000] ^= std::byte{1};
  EXPECT_EQ(buffer_.FirstOther(payload_, &fingerprint), 600000U);
  EXPECT_EQ(fingerprint.Bytes(), 0U) << "not of what is not there";
  buffer_.data()[600000] ^= std::byte{1};
  EXPECT_EQ(buffer_.FirstOther(payload_, &fingerprint), std::nullopt);
  EXPECT_EQ(fingerprint.Bytes(), kBytes);
  EXPECT_EQ(buffer_.FirstOther(payload_, &fingerprint), std::nullopt);
  for (const std::size_t at :
       {kBytes - 1, std::size_t{600000}, std::size_t{4096}, std::size_t{0}}) {
    buffer_.data()[at] ^= std::byte{0x80};
    EXPECT_EQ(buffer_.FirstOther(payload_, &fingerprint), at);
  }
}

TEST_P(FirstOtherTest, OfPoisonIsTheFirstByteThatIsNot) {
  buffer_.WritePoison(Poison::kSecond);
  EXPECT_EQ(buffer_.FirstOther(Poison::kSecond), std::nullopt);
  EXPECT_EQ(buffer_.FirstOther(Poison::kFirst), 0U);
  buffer_.data()[700001] = std::byte{};
  buffer_.data()[300001] = std::byte{};
  EXPECT_EQ(buffer_.FirstOther(Poison::kSecond), 300001U);
}

const Device* ReadInPlace() { return &CpuDevice(); }

// Our own library without its extensions.
const Device* Downloaded() {
  static const DeviceLibrary kLibrary({NORMGRAD_ONE_PRODUCT});
  static const Device kDevice(kLibrary, 0, /*timeout_seconds=*/60);
  return &kDevice;
}

INSTANTIATE_TEST_SUITE_P(GuardedBuffer, FirstOtherTest, testing::Values(ReadInPlace, Downloaded),
                         [](const auto& device) {
                           return device.param == &ReadInPlace ? "in_place" : "downloaded";
                         });

TEST(GuardedBuffer, KnowsWhichMemoryTheHostReadsInPlace) {
  const GuardedBuffer in_place(*ReadInPlace(), 8), downloaded(*Downloaded(), 8);
  EXPECT_EQ(ReadInPlace()->HostView(in_place.data()), in_place.data());
  EXPECT_EQ(Downloaded()->HostView(downloaded.data()), nullptr);
}

TEST(Poison, TheTwoDifferInEveryBit) {
  EXPECT_EQ(PoisonByte(Poison::kFirst) ^ PoisonByte(Poison::kSecond), std::byte{0xFF});
}

}  // namespace
}  // namespace normgrad
