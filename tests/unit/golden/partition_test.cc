// SPDX-License-Identifier: Apache-2.0
#include "golden/partition.h"

#include <atomic>
#include <mutex>
#include <numeric>

#include <gtest/gtest.h>

namespace normgrad {
namespace {

struct CountingPartial {
  explicit CountingPartial(std::size_t columns = 0) : visits(columns) {}
  void Merge(const CountingPartial& later) {
    // Chunks of rows must arrive in order.
    EXPECT_EQ(next_row, later.first_row);
    next_row = later.next_row;
    for (std::size_t i = 0; i < visits.size(); ++i) visits[i] += later.visits[i];
  }
  std::vector<std::size_t> visits;
  std::size_t first_row = 0, next_row = 0;
};

TEST(ReduceColumns, VisitsEveryElementOnceAndEveryColumnOnce) {
  for (const auto& [rows, columns] : std::initializer_list<std::pair<std::size_t, std::size_t>>{
           {0, 3}, {1, 1}, {3, 0}, {5000, 3}, {1025, 513}, {2, 100'000}, {200'000, 1}}) {
    std::vector<std::size_t> visits(columns, 0);
    std::atomic<std::size_t> emitted = 0;
    ReduceColumns<CountingPartial>(
        rows, columns, 3,
        [](Range chunk, Range tile, CountingPartial* partial) {
          partial->first_row = chunk.first;
          partial->next_row = chunk.first + chunk.count;
          for (std::size_t i = 0; i < tile.count; ++i) partial->visits[i] += chunk.count;
        },
        [&, row_count = rows](Range tile, const CountingPartial& total) {
          EXPECT_EQ(total.next_row, row_count);
          std::ranges::copy(total.visits, visits.data() + tile.first);
          emitted += tile.count;
        });
    EXPECT_EQ(emitted, columns);
    EXPECT_EQ(visits, std::vector<std::size_t>(columns, rows)) << rows << "x" << columns;
  }
}

TEST(ForEachRowGroup, VisitsEveryRowOnce) {
  for (const std::size_t columns : {1, 100, 100'000}) {
    std::mutex mutex;
    std::vector<int> visits(40'000 / columns + 1, 0);
    ForEachRowGroup(visits.size(), columns, 2, [&](Range rows) {
      const std::lock_guard lock(mutex);
      for (std::size_t i = 0; i < rows.count; ++i) ++visits[rows.first + i];
    });
    EXPECT_EQ(visits, std::vector<int>(visits.size(), 1)) << columns;
  }
}

}  // namespace
}  // namespace normgrad
