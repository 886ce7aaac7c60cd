// SPDX-License-Identifier: Apache-2.0
// normgradMove() moves the right bytes and no others.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "normgrad/device.h"
#include "tests/unit/kernels/runtime_fixture.h"

namespace normgrad {
namespace {

using testing::HasSubstr;

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint8_t kUntouched = 0xA5;

/// Of no period that a vector has.
Bytes Pattern(std::size_t count, unsigned step) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<std::uint8_t>(i * step + i / 251);
  }
  return bytes;
}

std::uint64_t SumOfWords(const Bytes& bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += sizeof sum) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min(sizeof word, bytes.size() - i));
    sum += word;
  }
  return sum;
}

struct Place {
  std::uint32_t threads = 1;
  std::size_t bytes = 0;
  std::size_t to_shift = 0;  // from the start of an allocation
  std::size_t a_shift = 0;
};

class MoveTest : public RuntimeTest, public testing::WithParamInterface<Place> {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    ASSERT_EQ(normgradSetThreads(GetParam().threads), ACL_SUCCESS);
  }
  void TearDown() override {
    EXPECT_EQ(normgradSetThreads(0), ACL_SUCCESS);
    RuntimeTest::TearDown();
  }

  std::uint8_t* Shifted(const Bytes& bytes, std::size_t shift) {
    Bytes storage(shift + bytes.size() + 1);
    std::copy(bytes.begin(), bytes.end(), storage.begin() + static_cast<std::ptrdiff_t>(shift));
    return static_cast<std::uint8_t*>(Upload(storage)) + shift;
  }

  /// What stands in `to` afterwards, and that nothing was written beside it.
  Bytes Moved(normgradMotion motion, const Bytes& a, const Bytes& b, std::size_t written) {
    const std::size_t shift = GetParam().to_shift;
    auto* const to = static_cast<std::uint8_t*>(Upload(Bytes(shift + written + 64, kUntouched)));
    EXPECT_EQ(normgradMove(motion, to + shift, Shifted(a, GetParam().a_shift), Shifted(b, 5),
                           a.size(), 3),
              ACL_SUCCESS);
    Bytes all = Download<std::uint8_t>(to, shift + written + 64);
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(shift);
    const auto last = first + static_cast<std::ptrdiff_t>(written);
    EXPECT_EQ(std::count(all.begin(), first, kUntouched), first - all.begin());
    EXPECT_EQ(std::count(last, all.end(), kUntouched), all.end() - last);
    return {first, last};
  }
};

TEST_P(MoveTest, ReadsEveryByteEachTime) {
  const Bytes a = Pattern(GetParam().bytes, 7);
  const Bytes sum = Moved(NORMGRAD_READ, a, a, sizeof(std::uint64_t));
  std::uint64_t value = 0;
  std::memcpy(&value, sum.data(), sizeof value);
  EXPECT_EQ(value, 3 * SumOfWords(a));
}

TEST_P(MoveTest, Copies) {
  const Bytes a = Pattern(GetParam().bytes, 7);
  EXPECT_EQ(Moved(NORMGRAD_COPY, a, a, a.size()), a);
  EXPECT_EQ(Moved(NORMGRAD_STREAMING_COPY, a, a, a.size()), a);
}

TEST_P(MoveTest, AddsByteByByte) {
  const Bytes a = Pattern(GetParam().bytes, 7), b = Pattern(GetParam().bytes, 13);
  Bytes expected(a.size());
  std::ranges::transform(a, b, expected.begin(), std::plus());
  EXPECT_EQ(Moved(NORMGRAD_STREAMING_TRIAD, a, b, a.size()), expected);
}

INSTANTIATE_TEST_SUITE_P(Sizes, MoveTest,
                         testing::Values(Place{1, 0, 0, 0}, Place{2, 1, 1, 0}, Place{3, 63, 0, 1},
                                         Place{1, 64, 0, 0}, Place{3, 65, 3, 0},
                                         Place{2, 129, 0, 7}, Place{5, 1000, 1, 2},
                                         Place{1, 4099, 31, 33}, Place{3, 100'003, 9, 4}),
                         [](const auto& place) {
                           return std::to_string(place.param.bytes) + "BytesWith" +
                                  std::to_string(place.param.threads) + "Threads";
                         });

TEST_F(RuntimeTest, MoveRefusesNullPointersAndUnknownMotions) {
  Bytes bytes(64);
  std::uint8_t* const p = bytes.data();
  EXPECT_EQ(normgradMove(NORMGRAD_READ, nullptr, p, nullptr, 8, 1), 100000);
  EXPECT_THAT(ErrorText(), HasSubstr("normgradMove: to is null"));
  EXPECT_EQ(normgradMove(NORMGRAD_COPY, p, nullptr, nullptr, 8, 1), 100000);
  EXPECT_THAT(ErrorText(), HasSubstr("normgradMove: a is null"));
  EXPECT_EQ(normgradMove(NORMGRAD_STREAMING_TRIAD, p, p + 32, nullptr, 8, 1), 100000);
  EXPECT_THAT(ErrorText(), HasSubstr("normgradMove: b is null"));
  EXPECT_EQ(normgradMove(std::bit_cast<normgradMotion>(9), p, p + 32, p, 8, 1), 100000);
  EXPECT_THAT(ErrorText(), HasSubstr("normgradMove: unknown motion 9"));
}

}  // namespace
}  // namespace normgrad
