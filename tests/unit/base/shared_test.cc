// SPDX-License-Identifier: Apache-2.0
#include "base/shared.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace normgrad {
namespace {

using Numbers = Shared<std::map<std::string, int, std::less<>>>;

TEST(Shared, ReadsAsTheContainerDoes) {
  const Shared<std::vector<int>> list = {1, 2, 3};
  EXPECT_EQ(list.size(), 3U);
  EXPECT_EQ(std::vector<int>(list.begin(), list.end()), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(list.back(), 3);
  const Numbers map = {{"a", 1}};
  EXPECT_TRUE(map.contains("a"));
  EXPECT_EQ(map.find("b"), map.end());
  EXPECT_EQ(map.at("a"), 1);
  EXPECT_TRUE(Numbers().empty());
}

TEST(Shared, CopiesShareTheirContents) {
  const Numbers first = {{"a", 1}};
  const std::vector<Numbers> copies(2, first);
  EXPECT_EQ(&*copies[0], &*first);
  EXPECT_EQ(&*copies[1], &*first);
}

TEST(Shared, ChangesOfOneLeaveTheOtherAlone) {
  const Numbers first = {{"a", 1}};
  Numbers second = first;
  second["a"] = 2;
  second.emplace("b", 3);
  EXPECT_EQ(first, (Numbers{{"a", 1}}));
  EXPECT_EQ(second, (Numbers{{"a", 2}, {"b", 3}}));
  second.clear();
  EXPECT_TRUE(second.empty());
  EXPECT_FALSE(first == second);
}

TEST(Shared, EmptyOnesAreEqualHoweverTheyCameToBe) {
  Numbers changed = {{"a", 1}};
  changed.clear();
  EXPECT_EQ(changed, Numbers());
  EXPECT_EQ(Numbers(std::map<std::string, int, std::less<>>()), Numbers());
}

}  // namespace
}  // namespace normgrad
