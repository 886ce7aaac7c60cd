// SPDX-License-Identifier: Apache-2.0
// Relations between launches, and between the elements of one, that hold whatever the right result
// is. They need no oracle: a second opinion, and the only one where the oracle would take too long.
//
// Bit for bit, because a power of two commutes with every rounding of a binary format:
//   dy times 2^k                                 dx, dgamma and dbeta times 2^k
//   x and mean times 2^k, 1/deviation by 2^-k    dx times 2^-k; dgamma and dbeta as they were
//   gamma times 2^k                              dx times 2^k; dgamma and dbeta as they were
// unless something leaves the range of normal numbers on the way: such elements, and inputs near
// the edges, are left out. A constant that has no place in the formula, an epsilon above all,
// breaks them.
//
// Within the derived bound, because they change what is added to what:
//   dbeta                sum of dy
//   dgamma               dgamma of one half of the batch + that of the other
//   dx                   dx of every second element of dy, others 0, + that of the rest
//   sum of dx            over a normalised group: what the moments of its inputs make it, 0 for
//   sum of dx * xhat     exact statistics and no epsilon
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/parallel.h"
#include "checks/check.h"
#include "checks/derived.h"
#include "ops/shape_pattern.h"

namespace normgrad {
namespace {

/// Roundings of one element of dx outside its sums, whichever way x̂ is evaluated.
constexpr double kDxRoundings = 8;
/// Roundings of one term of dgamma before it is added: x - mean, times 1/deviation, times dy.
constexpr double kTermRoundings = 3;
/// Magnitudes between which no product of four inputs leaves the range of float32.
constexpr double kLeastInput = 0x1p-30, kMostInput = 0x1p30;

/// The parts of a case by what they are in the formulas.
class Parts {
 public:
  explicit Parts(const Case& the_case) : case_(the_case), parts_(PartsOf(*the_case.op)) {}

  const Case& the_case() const { return case_; }
  std::span<const Part> all() const { return parts_; }

  /// The param that is `part`, where the case uses it.
  std::optional<std::size_t> Find(Part part) const {
    const auto found = std::ranges::find(parts_, part);
    if (found == parts_.end()) return std::nullopt;
    const auto index = static_cast<std::size_t>(found - parts_.begin());
    return case_.Uses(case_.op->params[index]) ? std::optional(index) : std::nullopt;
  }

  const Param& ParamAt(std::size_t index) const { return case_.op->params[index]; }
  DType DTypeAt(std::size_t index) const { return case_.DTypeOf(ParamAt(index)); }

 private:
  const Case& case_;
  std::vector<Part> parts_;
};

/// Reads elements of one tensor; `absent` where the case does not use it.
class Elements {
 public:
  Elements(const Parts& parts, Part part, const DenseTensors& tensors, double absent = 0)
      : absent_(absent) {
    const auto index = parts.Find(part);
    if (!index) return;
    dtype_ = parts.DTypeAt(*index);
    bytes_ = SizeOf(dtype_);
    data_ = &tensors[*index];
    shape_ = parts.the_case().ShapeOf(parts.ParamAt(*index));
    name_ = parts.ParamAt(*index).name;
  }

  bool present() const { return data_ != nullptr; }
  std::size_t count() const { return present() ? data_->size() / bytes_ : 0; }
  double operator[](std::size_t i) const {
    return present() ? Load(dtype_, data_->data() + i * bytes_) : absent_;
  }
  /// How far a real number that rounds to element i can be from it.
  double Rounding(std::size_t i) const {
    const Preimage preimage = RoundingPreimage(dtype_, data_->data() + i * bytes_);
    // At a power of two the numbers on one side lie closer than those on the other.
    const double value = (*this)[i];
    return std::max(preimage.high - value, value - preimage.low);
  }
  std::string IndexOf(std::size_t i) const {
    return fmt::format("{}{}", name_, IndexText(shape_, i));
  }
  DType dtype() const { return dtype_; }

 private:
  double absent_;
  DType dtype_ = DType::kNone;
  std::size_t bytes_ = 0;
  const Bytes* data_ = nullptr;
  Shape shape_;
  std::string_view name_;
};

double SmallestNormal(DType dtype) { return dtype == DType::kFloat16 ? 0x1p-14 : 0x1p-126; }

DenseTensors LaunchWith(CaseRun& run, std::shared_ptr<const CaseInputs> inputs) {
  const InputsRestorer restorer(run);
  run.UseInputs(std::move(inputs));
  run.Launch(Poison::kFirst, /*deterministic=*/true);
  return run.Outputs();
}

/// By which power of 2^k each part is multiplied, and what becomes of the outputs.
struct Scaling {
  std::string_view name;
  Part needs;  // makes sense only where the case uses it
  std::span<const std::pair<Part, int>> powers;
};

constexpr std::pair<Part, int> kDyPowers[] = {{Part::kDy, 1},       {Part::kSumDy, 1},
                                              {Part::kSumDyXmu, 1}, {Part::kDx, 1},
                                              {Part::kDgamma, 1},   {Part::kDbeta, 1}};
constexpr std::pair<Part, int> kXPowers[] = {
    {Part::kX, 1}, {Part::kMean, 1}, {Part::kDeviation, -1}, {Part::kSumDyXmu, 1}, {Part::kDx, -1}};
constexpr std::pair<Part, int> kGammaPowers[] = {{Part::kGamma, 1}, {Part::kDx, 1}};

constexpr Scaling kScalings[] = {
    {"scaling dy", Part::kDy, kDyPowers},
    {"scaling x", Part::kX, kXPowers},
    {"scaling gamma", Part::kGamma, kGammaPowers},
};

int PowerOf(const Scaling& scaling, Part part) {
  const auto found = std::ranges::find(scaling.powers, part, &std::pair<Part, int>::first);
  return found == scaling.powers.end() ? 0 : found->second;
}

/// Why some input is too near the edges of float32 for exact relations; empty when none is.
std::string NearTheEdges(const Parts& parts, const CaseInputs& inputs) {
  for (std::size_t i = 0; i < inputs.tensors.size(); ++i) {
    if (inputs.tensors[i].empty()) continue;
    const DType dtype = parts.DTypeAt(i);
    for (std::size_t at = 0; at < inputs.tensors[i].size(); at += SizeOf(dtype)) {
      const double value = std::fabs(Load(dtype, &inputs.tensors[i][at]));
      if (value != 0 && !(value >= kLeastInput && value <= kMostInput)) {
        return fmt::format("{} holds {:.3g}: something may leave the range of float32",
                           parts.ParamAt(i).name, value);
      }
    }
  }
  return "";
}

/// Multiplies every element by `factor`; whether that is exact for all.
bool ScaleExactly(DType dtype, double factor, Bytes* elements) {
  for (std::size_t at = 0; at < elements->size(); at += SizeOf(dtype)) {
    const double scaled = Load(dtype, &(*elements)[at]) * factor;
    Store(dtype, scaled, &(*elements)[at]);
    if (Load(dtype, &(*elements)[at]) != scaled) return false;
  }
  return true;
}

/// Scaled inputs; null, and why in `*note`, where they cannot be exact.
std::shared_ptr<const CaseInputs> Scaled(const Parts& parts, const CaseInputs& inputs,
                                         const Scaling& scaling, int k, std::string* note) {
  auto scaled = std::make_shared<CaseInputs>(inputs);
  for (std::size_t i = 0; i < scaled->tensors.size(); ++i) {
    const int power = PowerOf(scaling, parts.all()[i]);
    if (power == 0 || scaled->tensors[i].empty()) continue;
    if (!ScaleExactly(parts.DTypeAt(i), std::ldexp(1.0, power * k), &scaled->tensors[i])) {
      *note = fmt::format("{} has an element that 2^{} cannot multiply exactly",
                          parts.ParamAt(i).name, power * k);
      return nullptr;
    }
  }
  return scaled;
}

void CompareScaled(const Elements& was, const Elements& is, int power, PropertyResult* property) {
  const double factor = std::ldexp(1.0, power), least = 2 * SmallestNormal(was.dtype());
  for (std::size_t i = 0; i < was.count(); ++i) {
    const double before = was[i], after = is[i], expected = before * factor;
    // A result below the normal numbers, which may have been rounded up to the smallest of them, or
    // beyond the finite ones was not rounded as the other.
    const bool comparable = std::isfinite(before) && std::isfinite(after) &&
                            (before == 0 || std::fabs(before) >= least) &&
                            (expected == 0 || std::fabs(expected) >= least) &&
                            (after == 0 || std::fabs(after) >= least) &&
                            Round(was.dtype(), expected) == expected;
    if (!comparable) continue;
    ++property->compared;
    if (after == expected) continue;
    if (property->violations++ == 0) {
      property->first = fmt::format("{} is {:.9g}, exactly {:.9g} is right: 2^{} times {:.9g}",
                                    was.IndexOf(i), after, expected, power, before);
    }
  }
}

PropertyResult CheckScaling(CaseRun& run, const Parts& parts, const Scaling& scaling,
                            const DenseTensors& base) {
  PropertyResult property{.name = std::string(scaling.name), .label = "exact"};
  // Far enough to move an epsilon; float16 has no room for more.
  const bool narrow = std::ranges::any_of(run.the_case().dtypes,
                                          [](DType dtype) { return dtype == DType::kFloat16; });
  const int k = narrow ? 2 : 8;
  property.note = NearTheEdges(parts, *run.inputs());
  if (!property.note.empty()) return property;
  const auto inputs = Scaled(parts, *run.inputs(), scaling, k, &property.note);
  if (inputs == nullptr) return property;
  const DenseTensors outputs = LaunchWith(run, inputs);
  for (const Part part : {Part::kDx, Part::kDgamma, Part::kDbeta}) {
    if (!parts.Find(part)) continue;
    CompareScaled(Elements(parts, part, base), Elements(parts, part, outputs),
                  k * PowerOf(scaling, part), &property);
  }
  return property;
}

/// Adds the terms of one sum.
class Terms {
 public:
  explicit Terms(double roundings) { sum_.roundings = roundings; }
  /// `magnitude` is that of the numbers whose difference `value` may be.
  void Add(double value, double magnitude) {
    sum_.count += 1;
    sum_.value += value;
    sum_.magnitude += magnitude;
    sum_.energy += magnitude * magnitude;
  }
  const Sum& sum() const { return sum_; }

 private:
  Sum sum_;
};

/// How the elements of the data map to those of the smaller tensors, and their values.
class Data {
 public:
  Data(const Parts& parts, const DenseTensors& inputs)
      : dy(parts, Part::kDy, inputs),
        x(parts, Part::kX, inputs),
        mean(parts, Part::kMean, inputs),
        deviation(parts, Part::kDeviation, inputs),
        gamma(parts, Part::kGamma, inputs, 1) {
    const Case& the_case = parts.the_case();
    if (deviation.count() > 0) group = dy.count() / deviation.count();
    // gamma's symbol stands in the data's shape with other axes behind it.
    const auto scale = std::ranges::find(parts.all(), Part::kGamma) - parts.all().begin();
    const std::string_view symbol =
        ParsePattern(the_case.op->params[static_cast<std::size_t>(scale)].pattern).front().symbol;
    const auto data = std::ranges::find(parts.all(), Part::kDy) - parts.all().begin();
    bool behind = false;
    for (const PatternAxis& axis :
         ParsePattern(the_case.op->params[static_cast<std::size_t>(data)].pattern)) {
      const std::size_t extent = ElementCount(the_case.dims.find(axis.symbol)->second);
      if (behind) inner *= extent;
      if (axis.symbol == symbol) {
        columns = extent;
        behind = true;
      }
    }
  }

  std::size_t Column(std::size_t i) const { return i / inner % columns; }
  double Xhat(std::size_t i) const { return (x[i] - mean[i / group]) * deviation[i / group]; }
  double XhatMagnitude(std::size_t i) const {
    return (std::fabs(x[i]) + std::fabs(mean[i / group])) * std::fabs(deviation[i / group]);
  }

  Elements dy, x, mean, deviation, gamma;
  std::size_t group = 1;    // adjacent elements that share a statistic
  std::size_t columns = 1;  // elements of gamma
  std::size_t inner = 1;    // adjacent elements that share an element of gamma
};

/// `where` says what is compared; asked only of the first that differs, as saying so takes longer
/// than comparing.
template <typename Where>
void CompareBound(double actual, double expected, double allowed, PropertyResult* property,
                  Where where) {
  // Overflow, and what comes of it, is the accuracy check's to judge.
  if (!std::isfinite(expected) || !std::isfinite(allowed) || !std::isfinite(actual)) return;
  ++property->compared;
  if (std::fabs(actual - expected) <= allowed) return;
  if (property->violations++ == 0) {
    property->first = fmt::format("{} is {:.9g}, expected {:.9g} within {:.3g}", where(), actual,
                                  expected, allowed);
  }
}

/// What float32 may flush to zero, in terms of one element.
double Flush(const Elements& output) { return 4 * SmallestNormal(output.dtype()); }

PropertyResult CheckDbeta(const Data& data, const BoundRule& rule, const Elements& dbeta) {
  PropertyResult property{.name = "dbeta is the sum of dy", .label = "bound"};
  std::vector<Terms> terms(data.columns, Terms(0));
  for (std::size_t i = 0; i < data.dy.count(); ++i) {
    terms[data.Column(i)].Add(data.dy[i], std::fabs(data.dy[i]));
  }
  for (std::size_t column = 0; column < dbeta.count(); ++column) {
    const Sum& sum = terms[column].sum();
    CompareBound(dbeta[column], sum.value, Allow(sum, rule) + dbeta.Rounding(column) + Flush(dbeta),
                 &property, [&] { return dbeta.IndexOf(column); });
  }
  return property;
}

/// The sums that the elements of dgamma are, over the elements [first, end) of the data.
std::vector<Terms> DgammaTerms(const Data& data, std::size_t first, std::size_t end) {
  std::vector<Terms> terms(data.columns, Terms(kTermRoundings));
  for (std::size_t i = first; i < end; ++i) {
    terms[data.Column(i)].Add(data.dy[i] * data.Xhat(i),
                              std::fabs(data.dy[i]) * data.XhatMagnitude(i));
  }
  return terms;
}

PropertyResult CheckSplit(const CaseRun& run, const Parts& parts, const Data& data,
                          const BoundRule& rule, const Elements& dgamma) {
  PropertyResult property{.name = "dgamma adds up over parts of the batch", .label = "bound"};
  const std::size_t rows = BatchRows(run.the_case()), half = rows / 2;
  if (rows < 2) property.note = "the batch has no rows to take apart";
  if (!HasRoomForAnother(run)) property.note = "there is no room for another batch";
  if (!property.note.empty()) return property;
  std::vector<double> added(dgamma.count()), allowed(dgamma.count());
  const auto allow = [&](std::size_t first, std::size_t end) {
    const std::size_t per_row = data.dy.count() / rows;
    const std::vector<Terms> terms = DgammaTerms(data, first * per_row, end * per_row);
    for (std::size_t i = 0; i < allowed.size(); ++i) allowed[i] += Allow(terms[i].sum(), rule);
  };
  for (const auto& [first, end] : {std::pair(std::size_t{0}, half), std::pair(half, rows)}) {
    std::vector<std::size_t> selected(end - first);
    std::iota(selected.begin(), selected.end(), first);
    const DerivedCase part = SelectRows(run.the_case(), *run.inputs(), selected);
    CaseRun alone(part.the_case, run.device(), part.inputs);
    alone.Launch(Poison::kFirst, /*deterministic=*/true);
    const DenseTensors outputs = alone.Outputs();
    const Elements of_part(parts, Part::kDgamma, outputs);
    for (std::size_t i = 0; i < added.size(); ++i) {
      added[i] += of_part[i];
      allowed[i] += of_part.Rounding(i) + Flush(dgamma);
    }
    allow(first, end);
  }
  allow(0, rows);
  for (std::size_t i = 0; i < dgamma.count(); ++i) {
    CompareBound(dgamma[i], added[i], allowed[i] + dgamma.Rounding(i) + Flush(dgamma), &property,
                 [&] { return dgamma.IndexOf(i); });
  }
  return property;
}

/// The sums that every element of dx of one normalised group depends on.
struct Moments {
  double count = 0, deviation = 0;
  Terms g{2}, gx{kTermRoundings + 2};  // of g = dy * gamma, and of g * xhat
  double sum_xhat = 0, sum_xhat2 = 0;
  bool centred = false;

  double c1() const { return centred ? g.sum().value / count : 0; }
  double c2() const { return gx.sum().value / count; }
};

/// `dy` may be other elements than data.dy.
Moments MomentsOf(const Data& data, const Elements& dy, std::size_t group) {
  Moments moments;
  moments.count = static_cast<double>(data.group);
  moments.deviation = data.deviation[group];
  moments.centred = data.mean.present();
  for (std::size_t i = group * data.group; i < (group + 1) * data.group; ++i) {
    const double g = dy[i] * data.gamma[data.Column(i)], xhat = data.Xhat(i);
    moments.g.Add(g, std::fabs(g));
    moments.gx.Add(g * xhat, std::fabs(g) * data.XhatMagnitude(i));
    moments.sum_xhat += xhat;
    moments.sum_xhat2 += xhat * xhat;
  }
  return moments;
}

/// What element i of dx may be off, beside the rounding to its dtype.
double DxAllowance(const Data& data, const Elements& dy, const Moments& moments,
                   const BoundRule& rule, double allow1, double allow2, std::size_t i) {
  const double g = std::fabs(dy[i] * data.gamma[data.Column(i)]), xhat = data.XhatMagnitude(i);
  const double local = g + std::fabs(moments.c1()) + xhat * std::fabs(moments.c2());
  const double sums = (moments.centred ? allow1 : 0) + xhat * allow2;
  return std::fabs(moments.deviation) *
         (kDxRoundings * rule.roundoff * local + sums / moments.count);
}

/// Calls compare(group, &property) for every normalised group, on up to `threads` threads, and adds
/// what it finds to `property`, in the order of the groups.
template <typename Compare>
void CompareGroups(const Data& data, unsigned threads, Compare compare, PropertyResult* property) {
  constexpr std::size_t kPieceElements = std::size_t{1} << 16;
  const std::size_t groups = data.deviation.count();
  const std::size_t piece_groups = std::max<std::size_t>(kPieceElements / data.group, 1);
  std::vector<PropertyResult> pieces((groups + piece_groups - 1) / piece_groups);
  ParallelFor(pieces.size(), threads, [&](std::size_t piece) {
    const std::size_t first = piece * piece_groups;
    for (std::size_t group = first; group < std::min(groups, first + piece_groups); ++group) {
      compare(group, &pieces[piece]);
    }
  });
  for (PropertyResult& piece : pieces) {
    property->compared += piece.compared;
    if (property->violations == 0) property->first = std::move(piece.first);
    property->violations += piece.violations;
  }
}

PropertyResult CheckProjection(const Data& data, const BoundRule& rule, const Elements& dx,
                               unsigned threads) {
  PropertyResult property{.name = "sums of dx and dx * xhat over a group", .label = "bound"};
  const auto compare = [&](std::size_t group, PropertyResult* of_piece) {
    const Moments moments = MomentsOf(data, data.dy, group);
    const double allow1 = Allow(moments.g.sum(), rule), allow2 = Allow(moments.gx.sum(), rule);
    double sum = 0, sum_xhat = 0, allowed = 0, allowed_xhat = 0;
    for (std::size_t i = group * data.group; i < (group + 1) * data.group; ++i) {
      const double error =
          DxAllowance(data, data.dy, moments, rule, allow1, allow2, i) + dx.Rounding(i) + Flush(dx);
      const double value = dx[i], xhat = data.Xhat(i);
      sum += value;
      sum_xhat += value * xhat;
      allowed += error;
      allowed_xhat += error * std::fabs(xhat);
    }
    const double r = moments.deviation, c1 = moments.c1(), c2 = moments.c2();
    const auto sum_of = [&](std::string_view terms) {
      return fmt::format("of group {}, which begins at {}, the sum of {}", group,
                         dx.IndexOf(group * data.group), terms);
    };
    CompareBound(sum, r * (moments.g.sum().value - moments.count * c1 - c2 * moments.sum_xhat),
                 allowed, of_piece, [&] { return sum_of("dx"); });
    CompareBound(sum_xhat,
                 r * (moments.gx.sum().value - c1 * moments.sum_xhat - c2 * moments.sum_xhat2),
                 allowed_xhat, of_piece, [&] { return sum_of("dx * xhat"); });
  };
  CompareGroups(data, threads, compare, &property);
  return property;
}

/// The inputs with every element of dy whose index is not `parity` modulo 2 set to 0.
std::shared_ptr<CaseInputs> EverySecond(const Parts& parts, const CaseInputs& inputs,
                                        std::size_t parity) {
  auto half = std::make_shared<CaseInputs>(inputs);
  const std::size_t dy = *parts.Find(Part::kDy), bytes = SizeOf(parts.DTypeAt(dy));
  Bytes& elements = half->tensors[dy];
  for (std::size_t i = 1 - parity; i * bytes < elements.size(); i += 2) {
    std::fill_n(elements.begin() + static_cast<std::ptrdiff_t>(i * bytes), bytes, std::byte{0});
  }
  return half;
}

PropertyResult CheckLinearity(CaseRun& run, const Parts& parts, const Data& data, BoundRule rule,
                              const Elements& dx, unsigned threads) {
  PropertyResult property{.name = "dx is linear in dy", .label = "bound"};
  // Zeros between the terms: they are no longer alike.
  rule.mode = SumMode::kCertified;
  const std::array inputs = {EverySecond(parts, *run.inputs(), 0),
                             EverySecond(parts, *run.inputs(), 1)};
  const std::array outputs = {LaunchWith(run, inputs[0]), LaunchWith(run, inputs[1])};
  const std::array<Elements, 3> dys = {data.dy, Elements(parts, Part::kDy, inputs[0]->tensors),
                                       Elements(parts, Part::kDy, inputs[1]->tensors)};
  const std::array<Elements, 2> halves = {Elements(parts, Part::kDx, outputs[0]),
                                          Elements(parts, Part::kDx, outputs[1])};
  const auto compare = [&](std::size_t group, PropertyResult* of_piece) {
    std::array<Moments, 3> moments;
    std::array<double, 3> allow1{}, allow2{};
    for (std::size_t part = 0; part < 3; ++part) {
      moments[part] = MomentsOf(data, dys[part], group);
      allow1[part] = Allow(moments[part].g.sum(), rule);
      allow2[part] = Allow(moments[part].gx.sum(), rule);
    }
    for (std::size_t i = group * data.group; i < (group + 1) * data.group; ++i) {
      double allowed = dx.Rounding(i) + halves[0].Rounding(i) + halves[1].Rounding(i) + Flush(dx);
      for (std::size_t part = 0; part < 3; ++part) {
        allowed += DxAllowance(data, dys[part], moments[part], rule, allow1[part], allow2[part], i);
      }
      CompareBound(dx[i], halves[0][i] + halves[1][i], allowed, of_piece,
                   [&] { return dx.IndexOf(i); });
    }
  };
  CompareGroups(data, threads, compare, &property);
  return property;
}

}  // namespace

Answer CheckInvariants(CaseRun& run, const CheckOptions& options, Result* result) {
  const Parts parts(run.the_case());
  run.Launch(Poison::kFirst, /*deterministic=*/true);
  const DenseTensors base = run.Outputs();
  run.Launch(Poison::kFirst, /*deterministic=*/true);
  if (run.Outputs() != base) {
    return {Outcome::kMistrusted, "two launches on equal inputs differ: nothing can be compared"};
  }
  std::vector<PropertyResult> properties;
  for (const Scaling& scaling : kScalings) {
    if (parts.Find(scaling.needs)) properties.push_back(CheckScaling(run, parts, scaling, base));
  }
  const std::shared_ptr<const CaseInputs> inputs = run.inputs();
  const Data data(parts, inputs->tensors);
  const BoundRule rule = RuleFor(run, kFloat32Roundoff);
  const Elements dx(parts, Part::kDx, base), dgamma(parts, Part::kDgamma, base);
  const Elements dbeta(parts, Part::kDbeta, base);
  if (data.dy.count() > 0) {
    if (dbeta.present()) properties.push_back(CheckDbeta(data, rule, dbeta));
    if (dgamma.present()) properties.push_back(CheckSplit(run, parts, data, rule, dgamma));
    // An operator that is given its sums projects nothing.
    if (dx.present() && !parts.Find(Part::kSumDy)) {
      properties.push_back(CheckProjection(data, rule, dx, options.threads));
      properties.push_back(CheckLinearity(run, parts, data, rule, dx, options.threads));
    }
  }
  std::vector<std::string> broken;
  std::uint64_t compared = 0;
  for (PropertyResult& property : properties) {
    compared += property.compared;
    if (property.violations > 0) {
      broken.push_back(fmt::format("{}: {} of {} do not hold, first: {}", property.name,
                                   property.violations, property.compared, property.first));
    }
    result->properties.push_back(std::move(property));
  }
  if (!broken.empty()) return {Outcome::kFailed, fmt::format("{}", fmt::join(broken, "; "))};
  if (compared == 0) {
    const bool empty = std::ranges::all_of(base, [](const auto& output) { return output.empty(); });
    return empty ? Skipped(SkipReason::kNoElements, "no output has an element to compare")
                 : Answer{Outcome::kMistrusted, "no relation could be looked at"};
  }
  return {};
}

}  // namespace normgrad
