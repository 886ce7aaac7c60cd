// SPDX-License-Identifier: Apache-2.0
#include "base/layout.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <span>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace normgrad {
namespace {

using testing::ElementsAre;

// Ranks 0 to 8, extents of 0 and 1 included.
const Shape kShapes[] = {
    {},
    {1},
    {7},
    {0},
    {3, 5},
    {1, 4},
    {4, 1},
    {2, 0, 3},
    {2, 3, 4},
    {2, 1, 3, 1},
    {2, 3, 1, 2, 3},
    {1, 2, 3, 2, 1, 2},
    {2, 1, 2, 1, 2, 1, 3},
    {2, 1, 2, 2, 1, 2, 1, 2},
};

std::vector<std::byte> Pattern(std::size_t bytes, unsigned start) {
  std::vector<std::byte> pattern(bytes);
  for (std::size_t i = 0; i < bytes; ++i) pattern[i] = static_cast<std::byte>(start + 7 * i);
  return pattern;
}

class LayoutOfKind : public testing::TestWithParam<LayoutKind> {
 protected:
  /// Calls test(layout, element bytes) for every shape and element size.
  template <typename Test>
  static void ForEachShape(Test test) {
    for (const Shape& shape : kShapes) {
      for (const std::size_t element_bytes : {2U, 4U, 8U}) {
        SCOPED_TRACE(testing::Message() << ToString(shape) << " of " << element_bytes << " bytes");
        test(MakeLayout(GetParam(), shape), element_bytes);
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Layout, LayoutOfKind, testing::ValuesIn(AllLayoutKinds()),
                         [](const auto& test) { return std::string(Name(test.param)); });

TEST_P(LayoutOfKind, GathersWhatWasScattered) {
  ForEachShape([](const Layout& layout, std::size_t element_bytes) {
    const auto dense = Pattern(ElementCount(layout.shape) * element_bytes, 1);
    auto storage = Pattern(StorageCount(layout) * element_bytes, 100);
    std::vector<std::byte> gathered(dense.size());
    Scatter(layout, element_bytes, dense.data(), storage.data());
    Gather(layout, element_bytes, storage.data(), gathered.data());
    EXPECT_EQ(gathered, dense);
  });
}

TEST_P(LayoutOfKind, ScattersOnlyWhereOccupied) {
  ForEachShape([](const Layout& layout, std::size_t element_bytes) {
    const auto before = Pattern(StorageCount(layout) * element_bytes, 100);
    auto storage = before;
    const std::vector<std::byte> zeros(ElementCount(layout.shape) * element_bytes);
    Scatter(layout, element_bytes, zeros.data(), storage.data());
    const std::vector<std::uint8_t> occupied = Occupancy(layout);
    ASSERT_EQ(occupied.size(), StorageCount(layout));
    for (std::size_t i = 0; i < storage.size(); ++i) {
      EXPECT_EQ(storage[i], occupied[i / element_bytes] != 0 ? std::byte{0} : before[i]) << i;
    }
  });
}

TEST_P(LayoutOfKind, PutsElementsWhereOffsetAndStridesSay) {
  ForEachShape([](const Layout& layout, std::size_t) {
    const std::size_t count = ElementCount(layout.shape);
    std::vector<std::uint32_t> dense(count), storage(StorageCount(layout), ~0U);
    std::iota(dense.begin(), dense.end(), 0U);
    Scatter(layout, sizeof(std::uint32_t), std::as_bytes(std::span(dense)).data(),
            std::as_writable_bytes(std::span(storage)).data());
    for (std::size_t flat = 0; flat < count; ++flat) {
      std::int64_t at = layout.offset;
      std::size_t rest = flat;
      for (std::size_t axis = layout.shape.size(); axis-- > 0;) {
        const auto extent = static_cast<std::size_t>(layout.shape[axis]);
        at += layout.strides[axis] * static_cast<std::int64_t>(rest % extent);
        rest /= extent;
      }
      ASSERT_LT(static_cast<std::size_t>(at), storage.size());
      EXPECT_EQ(storage[static_cast<std::size_t>(at)], flat);
    }
    const auto occupied = Occupancy(layout);
    EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(occupied, 1)), count);
  });
}

TEST(Layout, ContiguousIsRowMajor) {
  const Layout layout = MakeLayout(LayoutKind::kContiguous, {2, 3, 4});
  EXPECT_THAT(layout.strides, ElementsAre(12, 4, 1));
  EXPECT_EQ(layout.offset, 0);
  EXPECT_THAT(layout.storage_shape, ElementsAre(2, 3, 4));
}

TEST(Layout, TransposedStoresTheAxesInReverse) {
  const Layout layout = MakeLayout(LayoutKind::kTransposed, {2, 3, 4});
  EXPECT_THAT(layout.strides, ElementsAre(1, 2, 6));
  EXPECT_THAT(layout.storage_shape, ElementsAre(4, 3, 2));
}

TEST(Layout, StridedLeavesGapsBetweenElements) {
  const Layout layout = MakeLayout(LayoutKind::kStrided, {2, 3});
  EXPECT_THAT(layout.strides, ElementsAre(9, 2));
  EXPECT_EQ(layout.offset, 1);
  EXPECT_THAT(Occupancy(layout), ElementsAre(0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0));
}

TEST(Layout, PaddedLeavesGapsBetweenRows) {
  const Layout layout = MakeLayout(LayoutKind::kPadded, {2, 3});
  EXPECT_THAT(layout.strides, ElementsAre(6, 1));
  EXPECT_THAT(Occupancy(layout), ElementsAre(0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0));
}

TEST(Layout, OffsetHasRoomOnBothSides) {
  const Layout layout = MakeLayout(LayoutKind::kOffset, {2});
  EXPECT_THAT(Occupancy(layout), ElementsAre(0, 0, 0, 1, 1, 0, 0, 0, 0, 0));
}

TEST(Layout, IsDenseKnowsGapsAndOrder) {
  EXPECT_TRUE(IsDense(MakeLayout(LayoutKind::kContiguous, {2, 3})));
  EXPECT_TRUE(IsDense(MakeLayout(LayoutKind::kOffset, {2, 3})));
  EXPECT_FALSE(IsDense(MakeLayout(LayoutKind::kTransposed, {2, 3})));
  EXPECT_FALSE(IsDense(MakeLayout(LayoutKind::kStrided, {2, 3})));
  EXPECT_FALSE(IsDense(MakeLayout(LayoutKind::kPadded, {2, 3})));
}

TEST(Layout, IsDenseWhereOnlyUnusedStridesDiffer) {
  EXPECT_TRUE(IsDense(MakeLayout(LayoutKind::kTransposed, {5})));
  EXPECT_TRUE(IsDense(MakeLayout(LayoutKind::kPadded, {1, 5})));
  EXPECT_TRUE(IsDense(MakeLayout(LayoutKind::kStrided, {})));
  EXPECT_TRUE(IsDense(MakeLayout(LayoutKind::kContiguous, {3, 0, 2})));
  EXPECT_TRUE(IsDense(MakeLayout(LayoutKind::kStrided, {3, 0})));
}

TEST(Layout, CountsAndPrintsShapes) {
  EXPECT_EQ(ElementCount({}), 1U);
  EXPECT_EQ(ElementCount({4, 512}), 2048U);
  EXPECT_EQ(ElementCount({4, 0}), 0U);
  EXPECT_EQ(ToString(Shape{}), "[]");
  EXPECT_EQ(ToString(Shape{4, 512}), "[4, 512]");
  EXPECT_EQ(IndexText({}, 0), "[]");
  EXPECT_EQ(IndexText({3, 20}, 57), "[2, 17]");
}

TEST(Layout, KindsAreParsedBack) {
  std::set<std::string_view> names;
  for (const LayoutKind kind : AllLayoutKinds()) {
    EXPECT_EQ(ParseLayoutKind(Name(kind)), kind);
    names.insert(Name(kind));
  }
  EXPECT_EQ(names.size(), 5U);
  EXPECT_THAT([] { ParseLayoutKind("dense"); },
              testing::ThrowsMessage<Error>("unknown layout 'dense': expected one of contiguous, "
                                            "transposed, strided, padded, offset"));
}

}  // namespace
}  // namespace normgrad
