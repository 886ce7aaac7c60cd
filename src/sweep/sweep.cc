// SPDX-License-Identifier: Apache-2.0
#include "sweep/sweep.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "abi/names.h"
#include "base/error.h"
#include "base/text.h"
#include "ops/product.h"
#include "sweep/limits.h"
#include "sweep/sweep_file.h"

namespace normgrad {
namespace {

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
    if (!param.IsTensor()) continue;
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
    if (!the_case.Passes(param)) return true;
    const LayoutKind kind = the_case.LayoutOf(param);
    return kind == LayoutKind::kContiguous || IsContiguous(kind, the_case.ShapeOf(param));
  });
}

/// Every aclDataType that a call may be given for the param `name` and that makes it leave the
/// table.
std::vector<std::int32_t> DTypesOutside(Case the_case, const std::string& name) {
  std::vector<std::int32_t> outside;
  for (const NamedCode& dtype : DataTypes()) {
    the_case.changes[name].dtype = dtype.code;
    const auto violation = ViolationOf(the_case);
    if (violation && violation->kind == Violation::Kind::kDType) outside.push_back(dtype.code);
  }
  return outside;
}

/// `changes` of `the_case`, one alternative per dtype where it says kEveryDTypeOutside.
std::vector<Shared<Changes>> Alternatives(const Case& the_case, const Shared<Changes>& changes) {
  for (const auto& [name, change] : changes) {
    if (change.dtype != kEveryDTypeOutside) continue;
    std::vector<Shared<Changes>> alternatives;
    Case base = the_case;
    base.changes = changes;
    for (const std::int32_t dtype : DTypesOutside(base, name)) {
      alternatives.emplace_back(changes)[name].dtype = dtype;
    }
    return alternatives;
  }
  return {changes};
}

/// Whether a combination is wanted, by its id; none: all are.
using Wanted = std::function<bool(const std::string& id)>;

class Expansion {
 public:
  Expansion(Wanted wanted, Sweep* sweep) : wanted_(std::move(wanted)), sweep_(*sweep) {}

  void Add(const SweepEntry& entry) {
    drop_of_.clear();
    Case next;
    next.op = entry.op;
    next.source = entry.source;
    next.checks = entry.checks;
    ForEachShape(entry, [&](const Dims& dims) {
      CheckSize(entry, dims);
      next.dims = dims;
      entry.expectation ? AddRejects(entry, next) : AddShape(entry, next);
    });
  }

 private:
  void AddShape(const SweepEntry& entry, Case& next) {
    for (const CallChoice& call : entry.calls) {
      next.product = call.product;
      next.dtypes = call.dtypes;
      for (const std::string& masks : entry.masks) {
        next.masks = masks;
        for (const auto& reshaped : entry.reshaped) {
          next.reshaped = reshaped;
          AddCall(entry, next, call.refusal);
        }
      }
    }
  }

  void AddCall(const SweepEntry& entry, Case& next, std::string refusal) {
    if (refusal.empty()) {
      if (const auto broken = ViolationOf(next)) {
        refusal = fmt::format("violates \"{}\"", broken->rule);
      }
    }
    for (const LayoutChoice& choice : entry.layouts) {
      SetLayout(choice, &next);
      const bool plain = choice.layout == LayoutKind::kContiguous && choice.layout_of.empty();
      const bool moves_nothing = refusal.empty() && !plain && IsContiguous(next);
      AddFills(entry, next,
               moves_nothing
                   ? fmt::format("layout {} is contiguous for this shape", LayoutText(next))
                   : refusal);
    }
    SetLayout({}, &next);
  }

  /// Calls that phase 1 must refuse, or accept against appearances.
  void AddRejects(const SweepEntry& entry, Case& next) {
    next.expectation = entry.expectation;
    for (const CallChoice& call : entry.calls) {
      next.product = call.product;
      next.dtypes = call.dtypes;
      next.legal = LegalCall(entry, next);
      for (const std::string& masks : entry.masks) {
        next.masks = masks;
        for (const Shared<Changes>& changes : entry.changes) {
          next.changes.clear();
          for (const Shared<Changes>& alternative : Alternatives(next, changes)) {
            next.changes = alternative;
            if (wanted_ && !wanted_(next.Id())) continue;
            AddCase(next);
          }
        }
      }
    }
  }

  /// The call that must still pass after `next`; null where the product offers none.
  static std::shared_ptr<const Case> LegalCall(const SweepEntry& entry, const Case& next) {
    if (!SupportOn(*entry.op, next.product).supported) return nullptr;
    auto legal = std::make_shared<Case>();
    legal->op = entry.op;
    legal->product = next.product;
    legal->dims = *entry.legal_dims;
    const auto rows = DocumentedDTypes(*entry.op);
    legal->dtypes = std::ranges::find(rows, next.product, &DTypeRow::product)->Combinations()[0];
    if (const auto broken = ViolationOf(*legal)) {
      throw Error(
          "{}: the call to start from is not legal on {}: {}: expected dims at the top of "
          "the file that are",
          entry.source, next.product, broken->message);
    }
    return legal;
  }

  static void SetLayout(const LayoutChoice& choice, Case* next) {
    next->layout = choice.layout;
    next->layout_of = choice.layout_of;
  }

  /// What is refused becomes no case, but counts.
  void AddFills(const SweepEntry& entry, Case& next, const std::string& refusal) {
    for (const std::string& fill : entry.fills) {
      next.fill = fill;
      for (const double eps : entry.eps) {
        next.eps = eps;
        for (const std::uint64_t seed : entry.seeds) {
          next.seed = seed;
          if (wanted_ && !wanted_(next.Id())) continue;
          if (refusal.empty()) {
            AddCase(next);
          } else {
            Drop(next, refusal);
          }
        }
      }
    }
  }

  void AddCase(const Case& next) {
    // Hashes stand in for ids to save their memory; equal ones are compared in full.
    const auto [found, is_new] = case_of_.try_emplace(next.Hash(), sweep_.cases.size());
    if (!is_new && sweep_.cases[found->second].Id() == next.Id()) {
      Case& earlier = sweep_.cases[found->second];
      if (earlier.checks != next.checks) {
        std::vector<std::string> checks = earlier.checks;
        checks.insert(checks.end(), next.checks.begin(), next.checks.end());
        earlier.checks = OrderedChecks(checks);
      }
      Drop(next, fmt::format("same case as {}", earlier.source));
      return;
    }
    sweep_.cases.push_back(next);
    ++sweep_.combinations;
  }

  void Drop(const Case& dropped, const std::string& reason) {
    const auto [found, is_new] = drop_of_.try_emplace(reason, sweep_.drops.size());
    if (is_new) sweep_.drops.push_back({dropped.source, reason, 0, dropped.Id()});
    ++sweep_.drops[found->second].count;
    ++sweep_.combinations;
  }

  Wanted wanted_;
  Sweep& sweep_;
  std::unordered_map<std::uint64_t, std::size_t> case_of_;  // by Case::Hash()
  std::unordered_map<std::string, std::size_t> drop_of_;    // of this entry, by reason
};

void Expand(const std::vector<SweepEntry>& entries, Wanted wanted, Sweep* sweep) {
  Expansion expansion(std::move(wanted), sweep);
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
  if (std::ranges::find(selection.case_globs, "") != selection.case_globs.end()) {
    throw Error("--case '': the pattern is empty: expected an id, a part of one, or a glob");
  }
}

/// Sets what the selection replaces and removes the products it does not keep. Returns whether
/// anything is left.
bool Narrow(const Selection& selection, SweepEntry* entry) {
  if (selection.seed) entry->seeds = {*selection.seed};
  if (!selection.checks.empty()) {
    // A call made to be refused can be asked nothing else.
    const bool contract = std::ranges::find(selection.checks, "contract") != selection.checks.end();
    if (!entry->expectation) {
      entry->checks = OrderedChecks(selection.checks);
    } else if (!contract) {
      return false;
    }
  }
  if (selection.products.empty()) return true;
  std::erase_if(entry->calls, [&](const CallChoice& call) {
    return std::ranges::find(selection.products, call.product) == selection.products.end();
  });
  return !entry->calls.empty();
}

/// The entries of `paths` that `selection` leaves. Refuses too many combinations before any of them
/// is made.
std::vector<SweepEntry> ReadEntries(const std::vector<std::string>& paths,
                                    const Selection& selection, std::vector<std::string>* files) {
  std::vector<SweepEntry> entries;
  std::uint64_t combinations = 0, written = 0;
  ReadSweepFiles(paths, files, [&](SweepEntry entry) {
    ++written;
    if (!Narrow(selection, &entry)) return;
    const std::uint64_t more = CountCombinations(entry);
    if (more > kMaxCombinations || combinations + more > kMaxCombinations) {
      constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
      const bool countable = more <= kMost - combinations && more < kMost;
      throw Error(
          "{}: {} combinations up to here: a run may have at most {}: shorten a list{}",
          entry.source, countable ? Grouped(combinations + more) : "over " + Grouped(kMost - 1),
          Grouped(kMaxCombinations), selection.products.empty() ? ", or choose a --product" : "");
    }
    combinations += more;
    entries.push_back(std::move(entry));
  });
  if (written == 0) throw Error("no sweep file: expected at least one");
  if (!entries.empty()) return entries;
  std::vector<std::string> wishes;
  if (!selection.products.empty()) {
    wishes.push_back(fmt::format("is for product {}", fmt::join(selection.products, " or ")));
  }
  if (!selection.checks.empty()) {
    wishes.push_back(fmt::format("can be asked for {}", fmt::join(selection.checks, " or ")));
  }
  throw Error("no case is left: none {}", fmt::join(wishes, " and "));
}

bool HasWildcard(const std::string& glob) { return glob.find_first_of("*?") != std::string::npos; }

bool Matches(const std::string& pattern, const std::string& id) {
  return HasWildcard(pattern) ? GlobMatch(pattern, id) : id.find(pattern) != std::string::npos;
}

/// For the user whose `pattern` matches none of `cases`.
[[noreturn]] void FailToMatch(const std::string& pattern, const std::vector<Case>& cases) {
  const std::string wider = "*" + pattern + "*";
  if (HasWildcard(pattern) &&
      std::ranges::any_of(cases, [&](const Case& one) { return Matches(wider, one.Id()); })) {
    throw Error(
        "--case '{}': matches no case: a pattern with * or ? must match the whole id: did "
        "you mean '{}'?",
        pattern, wider);
  }
  throw Error("--case '{}': matches no case: normgrad-bench plan shows the ids", pattern);
}

/// What `patterns` want of `cases`. Throws where one of them wants nothing.
Wanted WantedBy(const std::vector<std::string>& patterns, const std::vector<Case>& cases) {
  struct Match {
    bool some = false;
    bool is_id = false;
  };
  std::vector<Match> matches(patterns.size());
  for (const Case& the_case : cases) {
    const std::string id = the_case.Id();
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      matches[i].some = matches[i].some || Matches(patterns[i], id);
      matches[i].is_id = matches[i].is_id || patterns[i] == id;
    }
  }
  std::vector<std::string> complete;
  std::vector<std::string> partial;
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    if (!matches[i].some) FailToMatch(patterns[i], cases);
    // A complete id selects its case alone, even where it is also the start of longer ids.
    (matches[i].is_id ? complete : partial).push_back(patterns[i]);
  }
  return [complete, partial](const std::string& id) {
    return std::ranges::find(complete, id) != complete.end() ||
           std::ranges::any_of(partial, [&](const std::string& p) { return Matches(p, id); });
  };
}

}  // namespace

Sweep LoadSweeps(const std::vector<std::string>& paths, const Selection& selection) {
  CheckSelection(selection);
  Sweep sweep;
  const std::vector<SweepEntry> entries = ReadEntries(paths, selection, &sweep.files);
  Expand(entries, {}, &sweep);
  if (sweep.cases.empty()) {
    throw Error("no case is left: each of {} combinations is dropped, the first because {}",
                sweep.combinations, sweep.drops.front().reason);
  }
  if (selection.case_globs.empty()) return sweep;
  // Once more, so that what the selection leaves out is not counted as dropped either.
  Sweep selected;
  selected.files = std::move(sweep.files);
  Wanted wanted = WantedBy(selection.case_globs, sweep.cases);
  sweep = {};  // two of them would double the memory
  Expand(entries, std::move(wanted), &selected);
  return selected;
}

}  // namespace normgrad
