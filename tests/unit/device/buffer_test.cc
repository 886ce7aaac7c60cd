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

TEST(Poison, TheTwoDifferInEveryBit) {
  EXPECT_EQ(PoisonByte(Poison::kFirst) ^ PoisonByte(Poison::kSecond), std::byte{0xFF});
}

}  // namespace
}  // namespace normgrad
