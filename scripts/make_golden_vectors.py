#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes golden/vectors/rms_norm_grad.jsonl: exact outputs for small inputs.

Usage, from the repository root:  scripts/make_golden_vectors.py

Every output is a rational function of the inputs, so fractions.Fraction evaluates the formulas of
the operator's document without any rounding. Nothing of this repository is used. The file is the
same on every run.

One JSON object per line:
  id       unique name
  A, R     extents of the leading and of the normalised axes
  eps      of the forward pass, as C99 hexadecimal float (float64)
  dtypes   name -> dtype, for dy, x, rstd, gamma, dxOut, dgammaOut
  inputs   name -> values, row-major, C99 hexadecimal floats that are exact in their dtype
  forward  true if rstd is 1 / sqrt(mean(x^2) + eps), correctly rounded to its dtype
  outputs  name -> {"exact": [high, low, high, low, …], "rounded": [bits, …]}
           exact value = high + low up to 2^-76 of it; high is the nearest float64, low is cut to 24
           bits. rounded: the element nearest to the exact value, ties to even, as hexadecimal bits
"""

import json
import math
import random
from fractions import Fraction
from pathlib import Path

OUTPUT = Path("golden/vectors/rms_norm_grad.jsonl")
EPS = 1e-6

# dtype -> (bits of the stored significand, exponent of the smallest normal number, total bits)
FORMATS = {"float32": (23, -126, 32), "float16": (10, -14, 16), "bfloat16": (7, -126, 16)}

# The document's dtype table: data (dy, x, dx), gamma. rstd and dgamma are always float32.
DTYPE_ROWS = [
    ("float16", "float32"),
    ("bfloat16", "float32"),
    ("float16", "float16"),
    ("float32", "float32"),
    ("bfloat16", "bfloat16"),
]


def floor_log2(value):
    """Largest e with 2^e <= value, for a positive Fraction."""
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    return exponent if Fraction(2) ** exponent <= value else exponent - 1


def round_half_even(value):
    floor = value.numerator // value.denominator
    rest = value - floor
    return floor + (rest > Fraction(1, 2) or (rest == Fraction(1, 2) and floor % 2 == 1))


def to_bits(value, dtype):
    """Bit pattern of the element of `dtype` nearest to a Fraction; zero is always +0."""
    fraction_bits, min_exponent, width = FORMATS[dtype]
    if value == 0:
        return 0
    magnitude = abs(value)
    exponent = max(floor_log2(magnitude), min_exponent)
    significand = round_half_even(magnitude / Fraction(2) ** (exponent - fraction_bits))
    # A significand of 2^(fraction_bits + 1) carries into the exponent by plain addition.
    bits = ((exponent - min_exponent) << fraction_bits) + significand
    infinity = (1 << (width - 1)) - (1 << fraction_bits)
    return min(bits, infinity) | ((1 << (width - 1)) if value < 0 and bits else 0)


def from_bits(bits, dtype):
    fraction_bits, min_exponent, width = FORMATS[dtype]
    magnitude = bits & ((1 << (width - 1)) - 1)
    biased, fraction = magnitude >> fraction_bits, magnitude & ((1 << fraction_bits) - 1)
    significand = fraction if biased == 0 else fraction | (1 << fraction_bits)
    value = Fraction(significand) * Fraction(2) ** (max(biased, 1) - 1 + min_exponent - fraction_bits)
    return -value if bits >> (width - 1) else value


def largest(dtype):
    fraction_bits, _, width = FORMATS[dtype]
    return from_bits((1 << (width - 1)) - (1 << fraction_bits) - 1, dtype)


def rounded(value, dtype):
    """The nearest finite element of `dtype`, as Fraction."""
    limit = largest(dtype)
    return from_bits(to_bits(max(-limit, min(limit, value)), dtype), dtype)


def rounded_rsqrt(square, dtype):
    """1 / sqrt(square), correctly rounded to `dtype`; `square` is a positive Fraction."""
    shift = 2 * (200 + abs(floor_log2(square)))
    scaled = (square.denominator << (2 * shift)) // square.numerator
    # isqrt() cuts off below 2^-200 of the value: no rational of this size is that near a tie.
    return rounded(Fraction(math.isqrt(scaled), 1 << shift), dtype)


def normal(rng):
    """Nearly standard normal; sums of uniforms are the same on every platform."""
    return sum(rng.random() for _ in range(12)) - 6


def fill(kind, rng, dtype, index):
    if kind in ("normal", "cancel", "foreign"):
        return normal(rng)
    if kind == "wide":
        span = 12 if dtype == "float16" else 40
        return math.ldexp(normal(rng), rng.randint(-span, span // 3))
    if kind == "big":
        return 1000 + 10 * normal(rng)
    if kind == "subnormal":
        smallest = 2.0 ** FORMATS[dtype][1]
        return smallest * rng.uniform(-1, 1)
    if kind == "overflow":
        return float(largest(dtype)) * rng.uniform(0.5, 1) * (-1) ** index
    if kind == "zeros":
        return 0.0
    raise ValueError(kind)


def make_inputs(kind, a, r, data, scale, rng):
    """dy, x, rstd, gamma as lists of Fractions, and whether rstd is the forward pass's."""

    def tensor(name, count, dtype):
        plain = {"x": ["overflow"], "gamma": ["subnormal", "overflow", "zeros"]}.get(name, [])
        special = "normal" if kind in plain else kind
        return [rounded(Fraction(fill(special, rng, dtype, i)), dtype) for i in range(count)]

    x = tensor("x", a * r, data)
    dy = list(x) if kind == "cancel" else tensor("dy", a * r, data)
    gamma = [Fraction(1)] * r if kind == "cancel" else tensor("gamma", r, scale)
    if kind == "foreign":
        return dy, x, [rounded(Fraction(3 * normal(rng)), "float32") for _ in range(a)], gamma, False
    rstd = []
    for row in range(a):
        squares = sum(v * v for v in x[row * r : (row + 1) * r])
        rstd.append(rounded_rsqrt(squares / r + Fraction(EPS), "float32"))
    return dy, x, rstd, gamma, True


def backward(a, r, dy, x, rstd, gamma):
    dx, dgamma = [], [Fraction(0)] * r
    for row in range(a):
        at = range(row * r, (row + 1) * r)
        xhat = [x[i] * rstd[row] for i in at]
        p = [dy[i] * gamma[i - row * r] for i in at]
        mean = sum(u * v for u, v in zip(p, xhat)) / r
        dx += [rstd[row] * (u - v * mean) for u, v in zip(p, xhat)]
        for column in range(r):
            dgamma[column] += dy[row * r + column] * xhat[column]
    return dx, dgamma


def short_hex(value):
    """Shortest C99 spelling of a float64: no zeros at the end of the significand."""
    text = float(value).hex()
    significand, exponent = text.split("p")
    significand = significand.rstrip("0").rstrip(".") if "." in significand else significand
    return "0" if float(value) == 0 else f"{significand}p{exponent}"


def exact_pair(value):
    high = float(value)  # correctly rounded
    rest = value - Fraction(high)
    if rest == 0:
        return [short_hex(high), "0"]
    step = Fraction(2) ** (floor_log2(abs(rest)) - 23)
    return [short_hex(high), short_hex(float(round_half_even(rest / step) * step))]


def output(values, dtype):
    digits = FORMATS[dtype][2] // 4
    return {
        "exact": [text for value in values for text in exact_pair(value)],
        "rounded": [f"{to_bits(value, dtype):0{digits}x}" for value in values],
    }


def line(name, a_shape, r_shape, data, scale, inputs):
    dy, x, rstd, gamma, forward = inputs
    dx, dgamma = backward(math.prod(a_shape), math.prod(r_shape), dy, x, rstd, gamma)
    record = {
        "id": name,
        "A": a_shape,
        "R": r_shape,
        "eps": short_hex(EPS),
        "dtypes": {"dy": data, "x": data, "rstd": "float32", "gamma": scale, "dxOut": data,
                   "dgammaOut": "float32"},
        "inputs": {key: [short_hex(value) for value in values]
                   for key, values in (("dy", dy), ("x", x), ("rstd", rstd), ("gamma", gamma))},
        "forward": forward,
        "outputs": {"dxOut": output(dx, data), "dgammaOut": output(dgamma, "float32")},
    }
    return json.dumps(record, separators=(",", ":"))


def document_example():
    """The example program of the operator's document: every intermediate is an integer."""
    values = [Fraction(i) for i in range(1, 33)]
    rstd, gamma = [Fraction(1), Fraction(2)], [Fraction(i) for i in range(1, 17)]
    return line("document-example", [2, 1], [16], "float32", "float32",
                (values, list(values), rstd, gamma, False))


def main():
    kinds = ["normal", "foreign", "wide", "cancel", "big", "subnormal", "overflow", "zeros"]
    shapes = {kind: [([1], [1]), ([5], [1]), ([1], [7]), ([3], [17])] for kind in kinds}
    shapes["zeros"] = [([1], [1]), ([3], [5]), ([0], [3])]
    shapes["foreign"] = [([2, 3], [2, 2])]
    lines = [document_example()]
    for data, scale in DTYPE_ROWS:
        for kind in kinds:
            for a_shape, r_shape in shapes[kind]:
                lines.append(make_line(kind, a_shape, r_shape, data, scale))
    lines.append(make_line("normal", [5], [33], "float32", "float32"))
    lines.append(make_line("cancel", [5], [33], "float16", "float16"))
    lines.append(make_line("normal", [8], [32], "bfloat16", "float32"))
    OUTPUT.write_text("\n".join(lines) + "\n", encoding="ascii")


def make_line(kind, a_shape, r_shape, data, scale):
    a_text, r_text = ("x".join(map(str, shape)) for shape in (a_shape, r_shape))
    name = f"{kind}/A={a_text},R={r_text}/{data}-{scale}"
    inputs = make_inputs(kind, math.prod(a_shape), math.prod(r_shape), data, scale,
                         random.Random(name))
    return line(name, a_shape, r_shape, data, scale, inputs)


if __name__ == "__main__":
    main()
