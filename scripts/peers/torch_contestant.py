# SPDX-License-Identifier: Apache-2.0
"""PyTorch on the CPU: what a program gets that computes the same gradients with it.

Speaks the language of contestant.h. Norms that PyTorch has a backward operator for are that operator;
RMS norm is its autograd formula, and batch norm's element-wise half an eager expression, because there
is none on CPUs. With --compile both are compiled first.
"""
import sys
import time

import numpy
import torch

DTYPES = {'float32': torch.float32, 'float16': torch.float16, 'bfloat16': torch.bfloat16}
COMPILE = '--compile' in sys.argv


def value(count, salt):
    index = numpy.arange(1, count + 1, dtype=numpy.uint64) * 2654435761 + salt * 40503 * 65537
    bits = index.astype(numpy.uint32) >> 8
    return bits.astype(numpy.float32) * numpy.float32(2.0**-23) - numpy.float32(1)


def tensor(shape, dtype, salt, scale=1.0, offset=0.0):
    count = int(numpy.prod(shape))
    values = numpy.float32(scale) * value(count, salt) + numpy.float32(offset)
    return torch.from_numpy(values).reshape(shape).to(DTYPES[dtype])


def rms_formula(dy, x, rstd, gamma):
    xhat = x.float() * rstd
    g = dy.float() * gamma.float()
    dx = rstd * (g - xhat * (g * xhat).mean(1, keepdim=True))
    return dx.to(x.dtype), (dy.float() * xhat).sum(0)


def batch_formula(dy, x, mean, invstd, weight, sum_dy, sum_dy_xmu, count):
    shape = (1, -1, 1)
    offset = (sum_dy.float() / count).view(shape)
    slope = (invstd.float() ** 2 * sum_dy_xmu.float() / count).view(shape)
    factor = (invstd.float() * weight.float()).view(shape)
    return ((dy - offset - (x - mean.float().view(shape)) * slope) * factor).to(x.dtype)


def make_set(op, e, data, statistic, scale):
    """A function that computes (dx, dgamma or None)."""
    aten = torch.ops.aten
    if op in ('layer_norm_backward', 'group_norm_backward') and scale == data:
        statistic = data  # PyTorch has float32 statistics beside float32 scales only
    if op == 'rms_norm_grad':
        dy, x = tensor(e, data, 1), tensor(e, data, 2)
        rstd = tensor([e[0], 1], statistic, 3, 0.2, 1.7)
        gamma = tensor([e[1]], scale, 4, 0.2, 1.0)
        formula = torch.compile(rms_formula) if COMPILE else rms_formula
        return lambda: formula(dy, x, rstd, gamma)
    if op == 'layer_norm_backward':
        dy, x = tensor(e, data, 1), tensor(e, data, 2)
        mean = tensor([e[0], 1], statistic, 5, 0.1)
        rstd = tensor([e[0], 1], statistic, 3, 0.2, 1.7)
        gamma, beta = tensor([e[1]], scale, 4, 0.2, 1.0), tensor([e[1]], scale, 6, 0.2)
        return lambda: aten.native_layer_norm_backward(
            dy, x, [e[1]], mean, rstd, gamma, beta, [True, True, True])[:2]
    if op == 'group_norm_backward':
        n, c, s, g = e
        dy, x = tensor([n, c, s], data, 1), tensor([n, c, s], data, 2)
        mean = tensor([n, g], statistic, 5, 0.1)
        rstd = tensor([n, g], statistic, 3, 0.2, 1.7)
        gamma = tensor([c], scale, 4, 0.2, 1.0)
        return lambda: aten.native_group_norm_backward(
            dy, x, mean, rstd, gamma, n, c, s, g, [True, True, True])[:2]
    if op == 'batch_norm_elemt_backward':
        n, c, s = e
        dy, x = tensor([n, c, s], data, 1), tensor([n, c, s], data, 2)
        rest = [tensor([c], statistic, 5, 0.1), tensor([c], statistic, 3, 0.2, 1.7),
                tensor([c], scale, 4, 0.2, 1.0), tensor([c], statistic, 7), tensor([c], statistic, 8)]
        formula = torch.compile(batch_formula) if COMPILE else batch_formula
        return lambda: (formula(dy, x, *rest, 64.0), None)
    raise ValueError('no operator of PyTorch for ' + op)


def measure(sets, seconds):
    times = []
    sets[0]()
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        run = sets[(len(times) + 1) % len(sets)]
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return sorted(times)[len(times) // 2], len(times)


@torch.inference_mode()
def main():
    sets = []
    for line in sys.stdin:
        command, *words = line.split()
        try:
            if command == 'case':
                sets.clear()
                op, extents, data, statistic, scale, count, _ = words
                e = [int(extent) for extent in extents.split(',')]
                torch.compiler.reset()
                sets.extend(make_set(op, e, data, statistic, scale) for _ in range(int(count)))
                sets[0]()
                answer = 'ok'
            elif command == 'time':
                answer = '%g %d' % measure(sets, float(words[0]))
            elif command == 'sums':
                dx, dgamma = sets[0]()
                dx = dx.double().flatten()
                weights = torch.from_numpy(value(dx.numel(), 99)).double()
                total = 0 if dgamma is None else dgamma.double().abs().sum()
                answer = '%.6g %.6g %.6g' % (dx.abs().sum(), (dx * weights).sum(), total)
            else:
                torch.set_num_threads(int(words[0]))
                answer = 'ok'
        except Exception as error:  # whatever a peer cannot do is an answer
            answer = 'no ' + str(error).split('\n', maxsplit=1)[0]
        print(answer, flush=True)


main()
