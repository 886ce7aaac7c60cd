// SPDX-License-Identifier: Apache-2.0
#include "run/fill_exact.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <mutex>

namespace normgrad {
namespace {

// Draws one number after another.
class Sequence {
 public:
  Sequence(RandomStream random, std::uint64_t first) : random_(random), next_(first << 32) {}

  std::uint64_t Below(std::uint64_t end) { return random_.Bits(next_++) % end; }
  double Sign() { return Below(2) == 0 ? 1 : -1; }

 private:
  RandomStream random_;
  std::uint64_t next_;
};

// e: a whole number with either sign; never 0, so that no result is small by accident.
struct Level {
  double least, step;  // magnitudes least, least + step, …
  std::uint64_t count;

  double Draw(Sequence* random) const {
    return random->Sign() * (least + step * static_cast<double>(random->Below(count)));
  }
};

constexpr Level kIndexLevel{1, 1, 6};

// p = beta + alpha * xhat + e must fit the significand of dy, and e be one bit too long for that of
// dx: odd numbers from 2^digits on, where steps are of 2, with room for beta and alpha.
Level TieLevel(DType dx) {
  const double first = dx == DType::kFloat16 ? 2048 : 256;
  return {first + 1, 2, static_cast<std::uint64_t>(first) / 2 - 2};
}

// What one set shares.
struct Shared {
  double mean, rstd, beta, alpha;
};

// `odd`: beta + alpha is odd, so that p is even where e is odd; else it is even, so that leftover
// elements can be balanced by whole numbers.
Shared DrawShared(bool has_mean, bool odd, Sequence* random) {
  Shared shared{};
  shared.mean = has_mean ? static_cast<double>(random->Below(5)) - 2 : 0;
  shared.rstd = std::exp2(static_cast<double>(random->Below(3)) - 1);
  shared.beta = has_mean ? random->Sign() : 0;
  shared.alpha = random->Sign() * (has_mean == odd ? 2 : 1);
  return shared;
}

void DrawScales(FillCall& call) {
  for (const std::size_t param : call.InputsOf(Role::kScale)) {
    const RandomStream random = call.Random(call.the_case().op->params[param].name);
    call.SetAll(param, [&](std::size_t i) {
      const double power = i % 2 == 0 ? 2 : 0.5;  // never alike, never one
      return random.Bits(i) % 2 == 0 ? power : -power;
    });
  }
}

struct Element {
  double xhat, e;
};

// Fills elements first … end - 1 with xhat = 1 as often as -1, or once more, and e that add up to
// `plus` where xhat is 1 and to `minus` where it is -1.
void Balance(const Level& level, double plus, double minus, std::span<Element> elements,
             Sequence* random) {
  double rest[] = {minus, plus};
  const std::size_t count = elements.size();
  for (std::size_t i = 0; i < count; ++i) {
    const bool positive = i % 2 == 0;
    double& left = rest[positive ? 1 : 0];
    const bool last = i + 2 >= count;
    double e = level.Draw(random);
    // The last but one of a sign must leave something for the last.
    if (!last && i + 4 >= count && e == left) e = -e;
    if (last) e = left;
    left -= e;
    elements[i] = {positive ? 1.0 : -1.0, e};
  }
}

// The elements of one set in random order.
void DrawElements(const Level& level, const Shared& shared, std::span<Element> elements,
                  Sequence* random) {
  const std::size_t size = elements.size(), over = size % 2;
  std::size_t done = 0;
  for (; done + 8 <= size; done += 4) {
    Balance(level, 0, 0, elements.subspan(done, 4), random);
  }
  // sum of e = -alpha * (sum of xhat) and sum of e * xhat = -beta * (sum of xhat); without a mean
  // only the second matters.
  const double odd = static_cast<double>(over) / 2;
  Balance(level, -(shared.alpha + shared.beta) * odd, -(shared.alpha - shared.beta) * odd,
          elements.subspan(done), random);
  for (std::size_t i = size; i > 1; --i) {
    std::swap(elements[i - 1], elements[random->Below(i)]);
  }
}

void SetElement(FillCall& call, std::size_t i, const Shared& shared, const Element& element) {
  const Normalisation& norm = call.norm();
  // Batch norm multiplies by its scale last.
  const double scale = call.Reduces() ? call.Get(norm.scale, norm.scales.OwnerOf(i)) : 1;
  call.Set(norm.x, i, shared.mean + element.xhat / shared.rstd);
  call.Set(norm.dy, i, (shared.beta + shared.alpha * element.xhat + element.e) / scale);
}

void SetStatistics(FillCall& call, std::size_t set, const Shared& shared) {
  call.Set(call.norm().mean, set, shared.mean);
  call.Set(call.norm().rstd, set, shared.rstd);
}

// Elements of counter whose sum is a power of two, not all alike. Returns the sum.
double SetCounts(FillCall& call) {
  double sum = 1;
  for (const std::size_t param : call.InputsOf(Role::kCount)) {
    const std::size_t count = ElementCount(call.tensors()[param].shape);
    if (count == 0) continue;
    const std::size_t total = 4 * std::bit_ceil(count), share = total / count;
    call.SetAll(param, [&](std::size_t i) {
      const double extra = i < total % count ? 1 : 0;
      const double uneven = i + 1 == count && count % 2 == 1 ? 0 : i % 2 == 0 ? 1 : -1;
      return static_cast<double>(share) + extra + uneven;
    });
    sum = static_cast<double>(total);
  }
  return sum;
}

Shared SharedOf(const FillCall& call, std::size_t set, bool odd) {
  Sequence random(call.Random("shared"), set);
  return DrawShared(call.norm().mean != kNoParam, odd, &random);
}

void MakeSets(FillCall& call, const Level& level, bool odd) {
  const Normalisation& norm = call.norm();
  const std::size_t size = norm.SetSize();
  const RandomStream stream = call.Random("elements");
  call.ForStretches(norm.sets.count, size, [&](std::size_t first, std::size_t end) {
    std::vector<Element> elements(size);
    for (std::size_t set = first; set < end; ++set) {
      const Shared shared = SharedOf(call, set, odd);
      Sequence random(stream, set);
      DrawElements(level, shared, elements, &random);
      SetStatistics(call, set, shared);
      for (std::size_t i = 0; i < size; ++i) {
        SetElement(call, set * size + i, shared, elements[i]);
      }
    }
  });
}

// Batch norm: no element depends on another, and the sums are inputs.
void MakeChannels(FillCall& call, const Level& level, bool odd) {
  const Normalisation& norm = call.norm();
  const double count = SetCounts(call);
  const std::vector<std::size_t> sums = call.InputsOf(Role::kChannelSum);
  std::vector<Shared> channels;
  channels.reserve(norm.sets.count);
  for (std::size_t channel = 0; channel < norm.sets.count; ++channel) {
    const Shared& shared = channels.emplace_back(SharedOf(call, channel, odd));
    SetStatistics(call, channel, shared);
    call.Set(sums.at(0), channel, count * shared.beta);
    call.Set(sums.at(1), channel, count * shared.alpha / shared.rstd);
  }
  const RandomStream stream = call.Random("elements");
  call.ForStretches(norm.elements, 1, [&](std::size_t first, std::size_t end) {
    for (std::size_t i = first; i < end; ++i) {
      Sequence random(stream, i);
      const Element element{random.Sign(), level.Draw(&random)};
      SetElement(call, i, channels[norm.sets.OwnerOf(i)], element);
    }
  });
}

void Make(FillCall& call, const Level& level, bool odd) {
  DrawScales(call);
  if (call.Reduces()) {
    MakeSets(call, level, odd);
  } else {
    MakeChannels(call, level, odd);
  }
}

// The largest power of two that `value` is a multiple of; infinity for 0.
double QuantumOf(double value) {
  if (value == 0) return std::numeric_limits<double>::infinity();
  if (!std::isfinite(value)) return 0;
  int exponent = 0;
  const auto whole = static_cast<std::int64_t>(std::ldexp(std::frexp(value, &exponent), 53));
  return std::ldexp(1, exponent - 53 + std::countr_zero(static_cast<std::uint64_t>(whole)));
}

// Sums over channels are up to eight times as large, and times a p of up to 2^12 they must stay
// float32 numbers.
constexpr std::size_t kMostCounts = 256;

bool IsPowerOfTwo(double value) { return QuantumOf(value) == std::fabs(value); }

}  // namespace

void MakeExact(FillCall& call) { Make(call, kIndexLevel, /*odd=*/false); }

void MakeTies(FillCall& call) { Make(call, TieLevel(call.DTypeOf(call.norm().dx)), /*odd=*/true); }

void MakeSmallSums(FillCall& call) {
  const Normalisation& norm = call.norm();
  DrawScales(call);
  for (std::size_t set = 0; set < norm.sets.count; ++set) {
    SetStatistics(call, set, SharedOf(call, set, false));
  }
  const std::size_t size = call.ScaleSize(), half = size > 2 ? (size - 1) / 2 : 0;
  const std::size_t turn = norm.scales.length * norm.scales.count;
  const RandomStream stream = call.Random("elements");
  call.ForStretches(norm.elements, 1, [&](std::size_t first, std::size_t end) {
    for (std::size_t i = first; i < end; ++i) {
      const std::size_t place = i / turn * norm.scales.length + i % norm.scales.length;
      const bool second = place >= half && place < 2 * half;
      const std::size_t pair = second ? place - half : place;
      Sequence random(stream, norm.scales.OwnerOf(i) * size + pair);
      const Element element{random.Sign(), kIndexLevel.Draw(&random)};
      const std::size_t set = norm.sets.OwnerOf(i);
      call.Set(norm.x, i,
               (norm.mean == kNoParam ? 0 : call.Get(norm.mean, set)) +
                   element.xhat / call.Get(norm.rstd, set));
      call.Set(norm.dy, i, second ? -element.e : element.e);
    }
  });
}

std::optional<std::string_view> WhyNotExact(const FillCall& call) {
  for (const std::size_t param : call.InputsOf(Role::kCount)) {
    if (ElementCount(call.tensors()[param].shape) > kMostCounts) {
      return "so many counts make sums that are not exact";
    }
  }
  if (call.Reduces() && call.norm().elements > 0 && call.norm().SetSize() < 4) {
    return "exact data need at least 4 elements that share statistics";
  }
  return std::nullopt;
}

std::optional<std::string_view> WhyNotTies(const FillCall& call) {
  const Normalisation& norm = call.norm();
  if (!norm.Has(norm.dx)) return "dx is not wanted: it alone has ties";
  const DType dx = call.DTypeOf(norm.dx), dy = call.DTypeOf(norm.dy);
  if (SizeOf(dx) != 2) return "ties need a 16-bit dx";
  if (SizeOf(dy) == 2 && dy != dx) return "ties need a dy of at least the precision of dx";
  if (call.Reduces() && !std::has_single_bit(norm.SetSize())) {
    return "ties need a power of two of elements that share statistics";
  }
  return WhyNotExact(call);
}

std::optional<std::string_view> WhyNoSums(const FillCall& call) {
  if (!call.Reduces()) return "the operator adds nothing up";
  if (call.norm().elements > 0 && call.ScaleSize() < 4) {
    return "at least 4 elements must share a scale";
  }
  return std::nullopt;
}

double QuantumOf(const FillCall& call) {
  const Normalisation& norm = call.norm();
  double quantum = std::numeric_limits<double>::infinity();
  std::mutex mutex;
  call.ForStretches(norm.elements, 1, [&](std::size_t first, std::size_t end) {
    double term = std::numeric_limits<double>::infinity(), xhat = 1;
    for (std::size_t i = first; i < end; ++i) {
      const std::size_t set = norm.sets.OwnerOf(i);
      const double rstd = call.Get(norm.rstd, set);
      if (!IsPowerOfTwo(rstd)) term = 0;
      const double dy = call.Get(norm.dy, i);
      term = std::min(term, QuantumOf(dy));
      term = std::min(term, QuantumOf(dy * call.Get(norm.scale, norm.scales.OwnerOf(i))));
      xhat = std::min(xhat, QuantumOf(call.Get(norm.x, i)) * rstd);
      if (norm.mean != kNoParam) xhat = std::min(xhat, QuantumOf(call.Get(norm.mean, set)) * rstd);
    }
    const std::lock_guard lock(mutex);
    quantum = std::min(quantum, term * xhat);
  });
  return std::isfinite(quantum) ? quantum : 0;
}

bool HasExactElements(const FillCall& call) {
  if (call.Reduces()) return std::has_single_bit(call.norm().SetSize());
  double count = 0;
  for (const std::size_t param : call.InputsOf(Role::kCount)) {
    for (std::size_t i = 0; i < ElementCount(call.tensors()[param].shape); ++i) {
      count += call.Get(param, i);
    }
  }
  return IsPowerOfTwo(count);
}

}  // namespace normgrad
