// SPDX-License-Identifier: Apache-2.0
#include "sweep/sweep.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/text.h"
#include "ops/product.h"
#include "sweep/sweep_file.h"

namespace normgrad {
namespace {

// What a sweep may ask for before it is more likely a slip than a wish.
constexpr double kMaxCombinations = 1e7;
constexpr std::int64_t kMaxElements = std::int64_t{1} << 40;

/// In floating point: exact far beyond the limit, and never wraps.
double Combinations(const SweepEntry& entry) {
  double crossed = entry.dims.empty() ? 0 : 1;
  for (const auto& [symbol, alternatives] : entry.dims) {
    crossed *= static_cast<double>(alternatives.size());
  }
  double count = crossed + static_cast<double>(entry.shapes.size());
  for (const std::size_t choices : {entry.calls.size(), entry.layouts.size(), entry.fills.size(),
                                    entry.eps.size(), entry.seeds.size()}) {
    count *= static_cast<double>(choices);
  }
  return count;
}

/// Calls use(dims) for each shape of `entry`, the last symbol's alternatives fastest.
template <typename Use>
void ForEachShape(const SweepEntry& entry, Use use) {
  std::vector<std::size_t> choice(entry.dims.size(), 0);
  for (bool done = entry.dims.empty(); !done;) {
    Dims dims;
    std::size_t symbol = 0;
    for (const auto& [name, alternatives] : entry.dims) {
      dims.emplace(name, alternatives[choice[symbol++]]);
    }
    use(dims);
    done = true;
    for (auto axis = entry.dims.rbegin(); done && axis != entry.dims.rend(); ++axis) {
      std::size_t& index = choice[--symbol];
      if (++index == axis->second.size()) {
        index = 0;
      } else {
        done = false;
      }
    }
  }
  for (const Dims& dims : entry.shapes) use(dims);
}

/// Throws where a tensor would have more elements than can be counted, let alone held.
void CheckSize(const SweepEntry& entry, const Dims& dims) {
  for (const Param& param : entry.op->params) {
    std::int64_t count = 1;
    for (const std::int64_t extent : Expand(param.pattern, dims)) {
      // An empty axis does not make its neighbours' strides any smaller.
      const std::int64_t factor = std::max<std::int64_t>(extent, 1);
      if (count > kMaxElements / factor) {
        throw Error("{}: {} has more than 2^40 elements with {}: expected smaller extents",
                    entry.source, param.name, ToString(dims));
      }
      count *= factor;
    }
  }
}

/// True when `kind` puts the elements of `shape` where the contiguous layout puts them.
bool IsContiguous(LayoutKind kind, const Shape& shape) {
  const Layout layout = MakeLayout(kind, shape);
  const std::size_t count = ElementCount(shape);
  return layout.offset == 0 && StorageCount(layout) == count && (count < 2 || IsDense(layout));
}

bool IsContiguous(const Case& the_case) {
  return std::ranges::all_of(the_case.op->params, [&](const Param& param) {
    const LayoutKind kind = the_case.LayoutOf(param);
    return kind == LayoutKind::kContiguous || IsContiguous(kind, the_case.ShapeOf(param));
  });
}

const Rule* BrokenRule(const Case& the_case) {
  for (const Rule& rule : the_case.op->rules) {
    if (!rule.holds({the_case.product, the_case.dims, the_case.dtypes})) return &rule;
  }
  return nullptr;
}

class Expansion {
 public:
  explicit Expansion(Sweep* sweep) : sweep_(*sweep) {}

  void Add(const SweepEntry& entry) {
    drop_of_.clear();
    per_layout_ = entry.fills.size() * entry.eps.size() * entry.seeds.size();
    Case next;
    next.op = entry.op;
    next.source = entry.source;
    next.checks = entry.checks;
    ForEachShape(entry, [&](const Dims& dims) {
      CheckSize(entry, dims);
      next.dims = dims;
      AddShape(entry, next);
    });
  }

 private:
  void AddShape(const SweepEntry& entry, Case& next) {
    std::vector<bool> redundant;
    for (const LayoutChoice& choice : entry.layouts) {
      SetLayout(choice, &next);
      const bool plain = choice.layout == LayoutKind::kContiguous && choice.layout_of.empty();
      redundant.push_back(!plain && IsContiguous(next));
    }
    for (const CallChoice& call : entry.calls) {
      next.product = call.product;
      next.dtypes = call.dtypes;
      next.fill = entry.fills.front();
      next.eps = entry.eps.front();
      next.seed = entry.seeds.front();
      SetLayout(entry.layouts.front(), &next);
      if (!call.refusal.empty()) {
        Drop(next, call.refusal, per_layout_ * entry.layouts.size());
        continue;
      }
      if (const Rule* broken = BrokenRule(next)) {
        Drop(next, fmt::format("violates \"{}\"", broken->text),
             per_layout_ * entry.layouts.size());
        continue;
      }
      for (std::size_t i = 0; i < entry.layouts.size(); ++i) {
        SetLayout(entry.layouts[i], &next);
        if (redundant[i]) {
          Drop(next, fmt::format("layout {} is contiguous for this shape", LayoutText(next)),
               per_layout_);
          continue;
        }
        AddFills(entry, next);
      }
    }
  }

  static void SetLayout(const LayoutChoice& choice, Case* next) {
    next->layout = choice.layout;
    next->layout_of = choice.layout_of;
  }

  void AddFills(const SweepEntry& entry, Case& next) {
    for (const std::string& fill : entry.fills) {
      next.fill = fill;
      for (const double eps : entry.eps) {
        next.eps = eps;
        for (const std::uint64_t seed : entry.seeds) {
          next.seed = seed;
          AddCase(next);
        }
      }
    }
  }

  void AddCase(const Case& next) {
    // Hashes stand in for ids to save their memory; equal ones are compared in full.
    const auto [found, is_new] = case_of_.try_emplace(next.Hash(), sweep_.cases.size());
    if (!is_new && sweep_.cases[found->second].Id() == next.Id()) {
      Case& earlier = sweep_.cases[found->second];
      earlier.checks.insert(earlier.checks.end(), next.checks.begin(), next.checks.end());
      earlier.checks = OrderedChecks(earlier.checks);
      Drop(next, fmt::format("same case as {}", earlier.source), 1);
      return;
    }
    sweep_.cases.push_back(next);
    ++sweep_.combinations;
  }

  void Drop(const Case& dropped, const std::string& reason, std::uint64_t count) {
    const auto [found, is_new] = drop_of_.try_emplace(reason, sweep_.drops.size());
    if (is_new) sweep_.drops.push_back({dropped.source, reason, 0, dropped.Id()});
    sweep_.drops[found->second].count += count;
    sweep_.combinations += count;
  }

  Sweep& sweep_;
  std::uint64_t per_layout_ = 0;  // combinations of what varies faster than the layout
  std::unordered_map<std::uint64_t, std::size_t> case_of_;  // by Case::Hash()
  std::unordered_map<std::string, std::size_t> drop_of_;    // of this entry, by reason
};

void Expand(const std::vector<SweepEntry>& entries, Sweep* sweep) {
  double combinations = 0;
  for (const SweepEntry& entry : entries) {
    combinations += Combinations(entry);
    if (combinations > kMaxCombinations) {
      throw Error("{}: {:.15g} combinations up to here: expected at most {:.15g}", entry.source,
                  combinations, kMaxCombinations);
    }
  }
  sweep->cases.reserve(static_cast<std::size_t>(combinations));
  Expansion expansion(sweep);
  for (const SweepEntry& entry : entries) expansion.Add(entry);
}

template <typename Known>
void CheckKnown(const std::vector<std::string>& names, std::string_view what, const Known& known) {
  for (const std::string& name : names) {
    if (std::ranges::find(known, name) == known.end()) {
      throw Error("unknown {} '{}': {}", what, name, Suggest(name, known));
    }
  }
}

void CheckSelection(const Selection& selection) {
  std::vector<std::string_view> products;
  for (const Product& product : AllProducts()) products.push_back(product.key);
  CheckKnown(selection.products, "product", products);
  CheckKnown(selection.checks, "check", CheckNames());
}

/// Sets what the selection replaces and removes the products it does not keep.
void Narrow(const Selection& selection, std::vector<SweepEntry>* entries) {
  for (SweepEntry& entry : *entries) {
    if (selection.seed) entry.seeds = {*selection.seed};
    if (!selection.checks.empty()) entry.checks = OrderedChecks(selection.checks);
    if (selection.products.empty()) continue;
    std::erase_if(entry.calls, [&](const CallChoice& call) {
      return std::ranges::find(selection.products, call.product) == selection.products.end();
    });
  }
  std::erase_if(*entries, [](const SweepEntry& entry) { return entry.calls.empty(); });
}

bool HasWildcard(const std::string& glob) { return glob.find_first_of("*?") != std::string::npos; }

/// Keeps the cases that `globs` name.
void KeepMatching(const std::vector<std::string>& globs, Sweep* sweep) {
  std::vector<std::string> ids;
  for (const Case& the_case : sweep->cases) ids.push_back(the_case.Id());
  std::vector<bool> keep(ids.size(), false);
  for (const std::string& glob : globs) {
    // A complete id selects its case alone, even where it is also the start of longer ids.
    const bool is_id = std::ranges::find(ids, glob) != ids.end();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const bool matches = is_id               ? ids[i] == glob
                           : HasWildcard(glob) ? GlobMatch(glob, ids[i])
                                               : ids[i].find(glob) != std::string::npos;
      if (matches) keep[i] = true;
    }
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!keep[i]) continue;
    if (kept != i) sweep->cases[kept] = std::move(sweep->cases[i]);
    ++kept;
  }
  sweep->combinations -= ids.size() - kept;
  sweep->cases.resize(kept);
}

}  // namespace

Sweep LoadSweeps(const std::vector<std::string>& paths, const Selection& selection) {
  CheckSelection(selection);
  Sweep sweep;
  std::vector<SweepEntry> entries = ReadSweepFiles(paths, &sweep.files);
  if (entries.empty()) throw Error("no sweep file: expected at least one");
  std::vector<SweepEntry> narrowed = entries;
  Narrow(selection, &narrowed);
  if (narrowed.empty()) {
    Expand(entries, &sweep);
    throw Error("no case is left: none of {} cases is for product {}", sweep.cases.size(),
                fmt::join(selection.products, " or "));
  }
  Expand(narrowed, &sweep);
  if (sweep.cases.empty()) {
    throw Error("no case is left: each of {} combinations is dropped, the first because {}",
                sweep.combinations, sweep.drops.front().reason);
  }
  if (!selection.case_globs.empty()) {
    const std::size_t before = sweep.cases.size();
    KeepMatching(selection.case_globs, &sweep);
    if (sweep.cases.empty()) {
      throw Error("no case is left: none of {} cases matches --case '{}'", before,
                  fmt::join(selection.case_globs, "' or '"));
    }
  }
  return sweep;
}

}  // namespace normgrad
