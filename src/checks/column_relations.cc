// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "checks/bounded.h"
#include "checks/derived.h"
#include "checks/relations.h"

namespace normgrad {
namespace {

/// The terms of a sum, with zeros behind them.
struct Terms {
  Stretch value;
  Stretch size;  // magnitudes of the numbers whose difference the value may be
};

using LoadTerms = void (*)(const Normalisation& norm, std::size_t first, std::size_t count,
                           Terms* terms);

void LoadTermsOfDbeta(const Normalisation& norm, std::size_t first, std::size_t count,
                      Terms* terms) {
  norm.Load(norm.dy, first, count, terms->value.data());
  Pad(count, 0, &terms->value);
  Vectorised([=, value = terms->value.data(), size = terms->size.data()] {
    for (std::size_t i = 0; i < Padded(count); ++i) size[i] = std::fabs(value[i]);
  });
}

void LoadTermsOfDgamma(const Normalisation& norm, std::size_t first, std::size_t count,
                       Terms* terms) {
  SetElements elements;
  elements.Load(norm, first, count);
  Vectorised([=, from = &elements, value = terms->value.data(), size = terms->size.data()] {
    for (std::size_t i = 0; i < Padded(count); ++i) {
      value[i] = from->dy[i] * from->xhat[i];
      size[i] = std::fabs(from->dy[i]) * from->reach[i];
    }
  });
}

/// Sums under way, one per column.
struct ColumnTotals {
  explicit ColumnTotals(std::size_t columns = 0)
      : value(columns), magnitude(columns), energy(columns) {}

  void Add(std::size_t first, const Terms& terms, std::size_t count) {
    Vectorised([=, from = &terms, values = value.data() + first,
                magnitudes = magnitude.data() + first, energies = energy.data() + first] {
      for (std::size_t i = 0; i < count; ++i) {
        values[i] += from->value[i];
        magnitudes[i] += from->size[i];
        energies[i] += from->size[i] * from->size[i];
      }
    });
  }

  void Merge(const ColumnTotals& later) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      value[i] += later.value[i];
      magnitude[i] += later.magnitude[i];
      energy[i] += later.energy[i];
    }
  }

  std::vector<double> value, magnitude, energy;
};

/// The elements of a column in some rows of the batch are adjacent ones of each.
void SumPlanes(const Normalisation& norm, Range rows, std::size_t column, LoadTerms load,
               Sum* sum) {
  Terms terms;
  LaneTerms sums;
  for (std::size_t row = rows.first; row < rows.first + rows.count; ++row) {
    const std::size_t plane = (row * norm.scales.count + column) * norm.scales.length;
    ForEachStretch(plane, norm.scales.length, [&](std::size_t first, std::size_t count) {
      load(norm, first, count, &terms);
      Vectorised([=, &sums, from = &terms] {
        LaneTerms local = sums;
        for (std::size_t i = 0; i < count; i += kLanes) {
          local.Add(LoadLanes(&from->value[i]), LoadLanes(&from->size[i]));
        }
        sums = local;
      });
    });
  }
  sum->value = SumOf(sums.value);
  sum->magnitude = SumOf(sums.magnitude);
  sum->energy = SumOf(sums.energy);
}

/// Adds a row of the batch, or some columns of it, to `totals`.
void AddRow(const Normalisation& norm, std::size_t row, Range columns, LoadTerms load,
            ColumnTotals* totals) {
  Terms terms;
  for (std::size_t done = 0, count = 0; done < columns.count; done += count) {
    const std::size_t first = row * norm.scales.count + columns.first + done;
    const std::size_t of_set = norm.sets.length - first % norm.sets.length;
    count = std::min({columns.count - done, of_set, kStretch});
    load(norm, first, count, &terms);
    totals->Add(done, terms, count);
  }
}

/// The sums that the elements of dgamma or dbeta are over some rows of the batch.
std::vector<Sum> SumColumns(const Normalisation& norm, Range rows, double roundings, LoadTerms load,
                            unsigned threads) {
  const auto [length, columns] = norm.scales;
  std::vector<Sum> sums(
      columns, Sum{.count = static_cast<double>(rows.count * length), .roundings = roundings});
  if (length > 1) {
    ForEachRowGroup(columns, rows.count * length, threads, [&](Range range) {
      for (std::size_t column = range.first; column < range.first + range.count; ++column) {
        SumPlanes(norm, rows, column, load, &sums[column]);
      }
    });
    return sums;
  }
  const auto accumulate = [&](Range some, Range range, ColumnTotals* totals) {
    for (std::size_t row = some.first; row < some.first + some.count; ++row) {
      AddRow(norm, rows.first + row, range, load, totals);
    }
  };
  const auto emit = [&](Range range, const ColumnTotals& totals) {
    for (std::size_t i = 0; i < range.count; ++i) {
      Sum& sum = sums[range.first + i];
      sum.value = totals.value[i];
      sum.magnitude = totals.magnitude[i];
      sum.energy = totals.energy[i];
    }
  };
  ReduceColumns<ColumnTotals>(rows.count, columns, threads, accumulate, emit);
  return sums;
}

/// The sum of all terms of two.
Sum Together(const Sum& a, const Sum& b) {
  return {.count = a.count + b.count,
          .roundings = a.roundings,
          .value = a.value + b.value,
          .magnitude = a.magnitude + b.magnitude,
          .energy = a.energy + b.energy};
}

/// Calls visit(column, value, what it may be off by its own rounding) for every element of an
/// output.
template <typename Visit>
void ForEachResult(const HostTensor& output, Visit visit) {
  Results results;
  ForEachStretch(0, ElementCount(output.shape), [&](std::size_t first, std::size_t count) {
    results.Load(output, first, count);
    for (std::size_t i = 0; i < count; ++i) {
      visit(first + i, results.value[i], results.rounding[i] + Flush(output));
    }
  });
}

PropertyResult CheckDbeta(const BoundedCall& call, std::size_t rows, unsigned threads) {
  PropertyResult property{.name = "dbeta is the sum of dy", .label = "bound"};
  const std::size_t dbeta = call.norm().dbias;
  const std::vector<Sum> sums = SumColumns(call.norm(), {0, rows}, 0, LoadTermsOfDbeta, threads);
  ForEachResult(call.Tensor(dbeta), [&](std::size_t column, double value, double rounding) {
    CompareBound(value, sums[column].value, Allow(sums[column], call.rule()) + rounding, &property,
                 [&] { return call.IndexOf(dbeta, column); });
  });
  return property;
}

PropertyResult CheckSplit(const CaseRun& run, const BoundedCall& call, std::size_t rows,
                          unsigned threads) {
  PropertyResult property{.name = "dgamma adds up over parts of the batch", .label = "bound"};
  if (rows < 2) property.note = "the batch has no rows to take apart";
  if (!HasRoomForAnother(run)) property.note = "there is no room for another batch";
  if (!property.note.empty()) return property;
  const std::size_t dgamma = call.norm().dscale, half = rows / 2;
  const std::size_t columns = ElementCount(call.Tensor(dgamma).shape);
  std::vector<double> added(columns), allowed(columns);
  std::vector<Sum> all(columns);
  for (const Range part : {Range{0, half}, Range{half, rows - half}}) {
    const std::vector<Sum> sums =
        SumColumns(call.norm(), part, kTermRoundings, LoadTermsOfDgamma, threads);
    std::vector<std::size_t> selected(part.count);
    std::iota(selected.begin(), selected.end(), part.first);
    const DerivedCase derived = SelectRows(run.the_case(), *run.inputs(), selected);
    CaseRun alone(derived.the_case, run.device(), derived.inputs);
    alone.Launch(Poison::kFirst, /*deterministic=*/true);
    const Bytes output = alone.Output(dgamma);
    ForEachResult(AsHostTensor(derived.the_case, dgamma, output),
                  [&](std::size_t i, double value, double rounding) {
                    added[i] += value;
                    allowed[i] += rounding + Allow(sums[i], call.rule());
                    all[i] = Together(sums[i], all[i]);
                  });
  }
  ForEachResult(call.Tensor(dgamma), [&](std::size_t i, double value, double rounding) {
    CompareBound(value, added[i], allowed[i] + Allow(all[i], call.rule()) + rounding, &property,
                 [&] { return call.IndexOf(dgamma, i); });
  });
  return property;
}

}  // namespace

std::vector<PropertyResult> ColumnRelations(CaseRun& run, const DenseTensors& base,
                                            unsigned threads) {
  const BoundedCall call(run, base);
  std::vector<PropertyResult> properties;
  if (call.norm().elements == 0) return properties;
  const std::size_t rows = BatchRows(run.the_case());
  if (call.norm().Has(call.norm().dbias)) properties.push_back(CheckDbeta(call, rows, threads));
  if (call.norm().Has(call.norm().dscale)) {
    properties.push_back(CheckSplit(run, call, rows, threads));
  }
  return properties;
}

}  // namespace normgrad
