#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes golden/vectors/<operator>.jsonl: exact outputs for small inputs.

Usage, from the repository root:  scripts/make_golden_vectors.py

Every output is a rational function of the inputs, so fractions.Fraction evaluates the formulas of
the operators' documents without any rounding. Nothing of this repository is used. The files are the
same on every run.

One JSON object per line:
  id       unique name
  dims     what each symbol of the operator's shapes stands for
  eps      of the forward pass, as C99 hexadecimal float (float64)
  dtypes   name -> dtype of every tensor; "none" of one that is null
  inputs   name -> values, row-major, C99 hexadecimal floats that are exact in their dtype
  forward  true if mean, rstd and the sums over channels are what the other inputs give, correctly
           rounded to their dtypes
  outputs  name -> {"exact": [high, low, high, low, …], "rounded": [bits, …]}
           exact value = high + low up to 2^-76 of it; high is the nearest float64, low is cut to 24
           bits. rounded: the element nearest to the exact value, ties to even, as hexadecimal bits
"""

import json
import math
import random
from fractions import Fraction
from pathlib import Path

FOLDER = Path("golden/vectors")
EPS = 1e-6

# dtype -> (bits of the stored significand, exponent of the smallest normal number, total bits)
FORMATS = {"float32": (23, -126, 32), "float16": (10, -14, 16), "bfloat16": (7, -126, 16)}

F32, F16, BF16, NONE = "float32", "float16", "bfloat16", "none"


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
    exponent = max(biased, 1) - 1 + min_exponent - fraction_bits
    value = Fraction(significand) * Fraction(2) ** exponent
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
    if kind == "far":  # a mean of 2^20 standard deviations
        return 2.0**20 + normal(rng)
    if kind == "subnormal":
        smallest = 2.0 ** FORMATS[dtype][1]
        return smallest * rng.uniform(-1, 1)
    if kind == "overflow":
        return float(largest(dtype)) * rng.uniform(0.5, 1) * (-1) ** index
    if kind == "zeros":
        return 0.0
    raise ValueError(kind)


class Call:
    """One call: which elements of x share statistics and a scale, and its tensors by what they are:
    dy, x, mean, rstd, scale, bias, and for batch norm sum_dy, sum_dy_xmu, count."""

    def __init__(self, dims, elements, sets, scales):
        self.dims = dims
        self.elements = elements
        self.sets, self.scales = sets, scales  # (adjacent elements of one owner, owners)
        self.tensors = {}

    @staticmethod
    def owner(deal, element):
        length, owners = deal
        return element // length % owners

    def members(self, deal, owner):
        return [i for i in range(self.elements) if self.owner(deal, i) == owner]

    def rows(self):
        """(element, dy, x, mean, rstd, scale), for every element."""
        at = self.tensors
        for i in range(self.elements):
            row, column = self.owner(self.sets, i), self.owner(self.scales, i)
            yield (i, at["dy"][i], at["x"][i], at["mean"][row] if "mean" in at else 0,
                   at["rstd"][row], at["scale"][column] if "scale" in at else 1)


def normalised_gradients(call):
    """dx, dscale, dbias of RMS, layer and group norm."""
    sums = [[Fraction(0), Fraction(0)] for _ in range(call.sets[1])]
    dscale, dbias = ([Fraction(0)] * call.scales[1] for _ in range(2))
    for i, dy, x, mean, rstd, scale in call.rows():
        xhat = (x - mean) * rstd
        row, column = call.owner(call.sets, i), call.owner(call.scales, i)
        sums[row][0] += dy * scale if "mean" in call.tensors else 0
        sums[row][1] += dy * scale * xhat
        dscale[column] += dy * xhat
        dbias[column] += dy
    dx = []
    size = Fraction(call.elements, max(call.sets[1], 1))
    for i, dy, x, mean, rstd, scale in call.rows():
        first, second = sums[call.owner(call.sets, i)]
        xhat = (x - mean) * rstd
        dx.append(rstd * (dy * scale - first / size - xhat * second / size))
    return {"dx": dx, "dscale": dscale, "dbias": dbias}


def batch_norm_gradient(call):
    """dx of batch norm, whose sums are inputs."""
    count = sum(call.tensors["count"])
    dx = []
    for i, dy, x, mean, rstd, scale in call.rows():
        channel = call.owner(call.sets, i)
        slope = rstd**2 * (call.tensors["sum_dy_xmu"][channel] / count)
        offset = call.tensors["sum_dy"][channel] / count
        dx.append((dy - offset - (x - mean) * slope) * rstd * scale)
    return {"dx": dx}


def tall(a, r):
    """RMS and layer norm: statistics of rows, scales of columns."""
    rows, columns = math.prod(a), math.prod(r)
    return Call({"A": a, "R": r}, rows * columns, (columns, rows), (1, columns))


def grouped(n, c, g, s):
    pixels = math.prod(s)
    return Call({"N": [n], "C": [c], "G": [g], "S": s}, n * c * pixels, (c // g * pixels, n * g),
                (pixels, c))


def batched(n, c, s, k):
    pixels = math.prod(s)
    return Call({"N": [n], "C": [c], "S": s, "K": k}, n * c * pixels, (pixels, c), (pixels, c))


# What a tensor is -> its name, inputs first; then dtype rows: label -> what a tensor is -> dtype.
RMS_NORM = {
    "name": "rms_norm_grad",
    "inputs": {"dy": "dy", "x": "x", "rstd": "rstd", "scale": "gamma"},
    "outputs": {"dx": "dxOut", "dscale": "dgammaOut"},
    "gradients": normalised_gradients,
    "rows": [
        {"dy": data, "x": data, "rstd": F32, "scale": scale, "dx": data, "dscale": F32}
        for data, scale in [(F16, F32), (BF16, F32), (F16, F16), (F32, F32), (BF16, BF16)]
    ],
    "label": ["x", "scale"],
    "shapes": {
        "zeros": [tall([1], [1]), tall([3], [5]), tall([0], [3])],
        "foreign": [tall([2, 3], [2, 2])],
        "": [tall([1], [1]), tall([5], [1]), tall([1], [7]), tall([3], [17])],
    },
}
LAYER_NORM = {
    "name": "layer_norm_backward",
    "inputs": {"dy": "gradOut", "x": "input", "mean": "mean", "rstd": "rstd",
               "scale": "weightOptional", "bias": "biasOptional"},
    "outputs": {"dx": "gradInputOut", "dscale": "gradWeightOut", "dbias": "gradBiasOut"},
    "gradients": normalised_gradients,
    "rows": [
        {"dy": data, "x": data, "mean": statistic, "rstd": statistic, "scale": scale, "bias": bias,
         "dx": data, "dscale": scale if scale != NONE else data,
         "dbias": scale if scale != NONE else data}
        for data, statistic, scale, bias in [
            (F32, F32, F32, F32), (F16, F32, F32, NONE), (BF16, F32, F32, F32),
            (F16, F16, F16, F16), (BF16, BF16, BF16, NONE), (F32, F32, NONE, NONE),
            (F16, F32, NONE, F16), (BF16, BF16, F32, NONE)]
    ],
    "label": ["x", "mean", "scale"],
    "shapes": {
        "zeros": [tall([3], [5])],
        "foreign": [tall([2, 3], [2, 2])],
        "": [tall([2], [1]), tall([3], [17])],
    },
}
GROUP_NORM = {
    "name": "group_norm_backward",
    "inputs": {"dy": "gradOut", "x": "input", "mean": "mean", "rstd": "rstd", "scale": "gamma"},
    "outputs": {"dx": "gradInput", "dscale": "gradGammaOut", "dbias": "gradBetaOut"},
    "gradients": normalised_gradients,
    "rows": [
        {"dy": data, "x": data, "mean": other, "rstd": other, "scale": scale, "dx": data,
         "dscale": other, "dbias": other}
        for data, other, scale in [
            (F32, F32, F32), (F16, F16, F16), (F16, F32, F32), (BF16, BF16, BF16), (BF16, F32, F32),
            (F32, F32, NONE), (BF16, F32, NONE)]
    ],
    "label": ["x", "mean", "scale"],
    "shapes": {
        "zeros": [grouped(1, 4, 2, [3]), grouped(0, 4, 2, [3]), grouped(2, 2, 1, [0])],
        "foreign": [grouped(2, 6, 3, [2, 2])],
        "": [grouped(2, 3, 3, [1]), grouped(2, 6, 3, [4])],
    },
}
BATCH_NORM = {
    "name": "batch_norm_elemt_backward",
    "inputs": {"dy": "gradOut", "x": "input", "mean": "mean", "rstd": "invstd", "scale": "weight",
               "sum_dy": "sumDy", "sum_dy_xmu": "sumDyXmu", "count": "counter"},
    "outputs": {"dx": "gradInput"},
    "gradients": batch_norm_gradient,
    "rows": [
        dict(zip(["dy", "x", "mean", "rstd", "scale", "sum_dy", "sum_dy_xmu", "count", "dx"], row))
        for row in [
            (F32, F32, F32, F32, F32, F32, F32, "int32", F32),
            (F16, F16, F16, F16, F16, F16, F16, F32, F16),
            (BF16, BF16, BF16, BF16, BF16, BF16, BF16, F16, BF16),
            (F16, F16, F32, F32, F32, F32, F32, "int32", F16),
            (F32, F32, F32, F32, NONE, F32, F32, F32, F32),
            (F32, F16, BF16, F32, F16, BF16, F32, "int32", BF16),
            (BF16, F32, F32, F16, NONE, F32, F16, F16, F16),
        ]
    ],
    "label": ["dy", "x", "mean", "rstd", "scale", "sum_dy", "sum_dy_xmu", "count", "dx"],
    "shapes": {
        "zeros": [batched(1, 2, [3], [2]), batched(0, 3, [2], [1])],
        "foreign": [batched(2, 3, [2, 2], [3])],
        "": [batched(2, 3, [], [1]), batched(3, 4, [6], [2, 2])],
    },
}
KINDS = ["normal", "foreign", "wide", "cancel", "big", "far", "subnormal", "overflow", "zeros"]


def make_counts(kind, how_many, size, dtype, rng):
    """Counters that add up to the elements of a channel, but for foreign ones."""
    if kind == "foreign":
        quantum = 1 if dtype == "int32" else 8
        return [Fraction(rng.randint(1, 400), quantum) for _ in range(how_many)]
    rest = [Fraction(rng.randint(0, 2)) for _ in range(how_many - 1)]
    return rest + [Fraction(max(size, 1)) - sum(rest)]


def make_inputs(kind, operator, call, dtypes, rng):
    """Fills call.tensors; returns whether the derived ones are what the others give."""

    def tensor(what, count):
        plain = {"x": ["overflow"], "scale": ["subnormal", "overflow", "zeros", "far"],
                 "bias": KINDS, "dy": ["far"]}.get(what, [])
        special = "normal" if kind in plain else kind
        dtype = dtypes[what]
        return [rounded(Fraction(fill(special, rng, dtype, i)), dtype) for i in range(count)]

    at, sets, wants = call.tensors, call.sets[1], operator["inputs"]
    at["x"] = tensor("x", call.elements)
    cancels = kind == "cancel" and dtypes["dy"] == dtypes["x"]
    at["dy"] = list(at["x"]) if cancels else tensor("dy", call.elements)
    for what in ("scale", "bias"):
        if dtypes.get(what, NONE) != NONE:
            one = kind == "cancel" and what == "scale"
            count = call.scales[1]
            at[what] = [Fraction(1)] * count if one else tensor(what, count)
    size = call.elements // max(sets, 1)
    if "count" in wants:
        at["count"] = make_counts(kind, math.prod(call.dims["K"]), size, dtypes["count"], rng)
    derived = {what: [] for what in ("mean", "rstd", "sum_dy", "sum_dy_xmu") if what in wants}
    at.update(derived)
    if kind == "foreign":
        for what, values in derived.items():
            values += [rounded(Fraction(3 * normal(rng)), dtypes[what]) for _ in range(sets)]
        return False
    for owner in range(sets):
        members = call.members(call.sets, owner)
        mean = sum(at["x"][i] for i in members) / Fraction(max(size, 1)) if "mean" in wants else 0
        squares = sum((at["x"][i] - mean) ** 2 for i in members) / Fraction(max(size, 1))
        values = {"mean": mean, "rstd": None}
        if "count" in wants:
            share = sum(at["count"]) / max(size, 1)
            values["sum_dy"] = share * sum(at["dy"][i] for i in members)
            values["sum_dy_xmu"] = share * sum(at["dy"][i] * (at["x"][i] - mean) for i in members)
        for what, target in derived.items():
            dtype = dtypes[what]
            target.append(rounded_rsqrt(squares + Fraction(EPS), dtype) if what == "rstd"
                          else rounded(Fraction(values[what]), dtype))
    return not any(abs(v) == largest(dtypes[what]) for what, vs in derived.items() for v in vs)


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


def line(name, operator, call, dtypes, forward):
    results = operator["gradients"](call)
    names = operator["inputs"] | operator["outputs"]
    record = {
        "id": name,
        "dims": call.dims,
        "eps": short_hex(EPS),
        "dtypes": {names[what]: dtype for what, dtype in dtypes.items()},
        "inputs": {names[what]: [short_hex(value) for value in call.tensors[what]]
                   for what in operator["inputs"] if what in call.tensors},
        "forward": forward,
        "outputs": {name: output(results[what], dtypes[what])
                    for what, name in operator["outputs"].items()},
    }
    return json.dumps(record, separators=(",", ":"))


def make_line(kind, operator, call, dtypes):
    dims = ",".join(f"{symbol}={'x'.join(map(str, shape))}" for symbol, shape in call.dims.items())
    label = "-".join(dtypes[what] for what in operator["label"])
    name = f"{kind}/{dims}/{label}"
    forward = make_inputs(kind, operator, call, dtypes, random.Random(name))
    return line(name, operator, call, dtypes, forward)


def rms_norm_extras():
    """The example program of the document, where every intermediate is an integer; longer rows."""
    rows = RMS_NORM["rows"]
    example = tall([2, 1], [16])
    values = [Fraction(i) for i in range(1, 33)]
    example.tensors = {"dy": values, "x": values, "rstd": [Fraction(1), Fraction(2)],
                       "scale": [Fraction(i) for i in range(1, 17)]}
    return [
        line("document-example", RMS_NORM, example, rows[3], False),
        make_line("normal", RMS_NORM, tall([5], [33]), rows[3]),
        make_line("cancel", RMS_NORM, tall([5], [33]), rows[2]),
        make_line("normal", RMS_NORM, tall([8], [32]), rows[1]),
    ]


def main():
    for operator in (RMS_NORM, LAYER_NORM, GROUP_NORM, BATCH_NORM):
        shapes = operator["shapes"]
        lines = rms_norm_extras() if operator is RMS_NORM else []
        for dtypes in operator["rows"]:
            for kind in KINDS:
                # The distance between such numbers must leave something of the deviation.
                if kind == "far" and (dtypes["x"] != F32 or "mean" not in operator["inputs"]):
                    continue
                for shape in shapes.get(kind, shapes[""]):
                    call = Call(shape.dims, shape.elements, shape.sets, shape.scales)
                    lines.append(make_line(kind, operator, call, dtypes))
        path = FOLDER / f"{operator['name']}.jsonl"
        path.write_text("\n".join(lines) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
