// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "run/fill_call.h"

namespace normgrad {

/// Data on which float32 arithmetic is exact, in any order. The statistics are free inputs: the
/// mean is a small whole number, rstd and the scale are powers of two and xhat is 1 or -1. For the
/// set operators p = beta + alpha * xhat + e, with small whole numbers whose sums over a set are
/// those of beta and alpha * xhat alone, so that dx = rstd * e; of batch norm the sums are inputs,
/// chosen to the same end.

/// e is one of twelve small whole numbers: every element tells its neighbours apart.
void MakeExact(FillCall& call);

/// e is so large and odd that dx lies halfway between two numbers of its 16-bit dtype.
void MakeTies(FillCall& call);

/// Pairs far apart in every sum over a scale's elements cancel, but for one or two: the sums are
/// numbers of every dtype, and whatever is lost or counted twice shows.
void MakeSmallSums(FillCall& call);

std::optional<std::string_view> WhyNotExact(const FillCall& call);
std::optional<std::string_view> WhyNotTies(const FillCall& call);
std::optional<std::string_view> WhyNoSums(const FillCall& call);

/// A power of two that every term of every sum of the call is a multiple of, as any arrangement
/// forms it; 0 if there is none worth the name.
double QuantumOf(const FillCall& call);

/// Whether, where sums are exact, so is all that is done with them: divisors are powers of two.
bool HasExactElements(const FillCall& call);

}  // namespace normgrad
