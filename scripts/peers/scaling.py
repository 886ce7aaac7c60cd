#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How the kernels of the CPU device scale: with the size of tensors, the number of rows, the length
of rows and planes, threads; and whether there is a cliff where a strategy changes over.

    scripts/peers/scaling.py > scaling.md

Needs a release build. Every time is a median over interleaved rounds, every ratio of times is taken
within its round. A share of the copy is of one that moves the same bytes from as much memory; cold,
as in compare.py, above the size of the caches. What lies on both sides of a crossover is timed in new
processes in every round, behind a timing that does not count.
"""
import argparse
import math
import os
import pathlib
import platform
import statistics
import sys

sys.dont_write_bytecode = True  # leaves nothing beside the scripts
from compare import COLD_BYTES, ROOT, SIZES, compulsory_bytes, device, text

# Sizes of all three tensors together.
TOTALS = [1 << bits for bits in range(10, 33, 2)]
LARGE = 16 << 20  # elements
# Where a strategy changes over, by the extents on both sides: what lies behind should cost as much
# per element.
CROSSOVERS = [
    ('rms_norm_grad', 'float32', '15,2048', '16,2048', 'few rows: split by columns | by rows'),
    ('rms_norm_grad', 'float32', '31,8192', '32,8192', 'few longer rows: split by columns | by rows'),
    ('layer_norm_backward', 'float32', '227,768', '228,768', 'second-level caches: four rows | overlapped'),
    ('layer_norm_backward', 'bfloat16', '455,768', '456,768', 'second-level caches: four rows | overlapped'),
    ('rms_norm_grad', 'float32', '1360,1024', '1370,1024',
     'half the last cache: kept and on the thread of the caller | streamed and on a queue'),
    ('layer_norm_backward', 'float32', '1300000,12', '1200000,13',
     'many rows to a vector | many rows at a time'),
    ('layer_norm_backward', 'bfloat16', '1150000,14', '1070000,15',
     'many rows to a vector | many rows at a time'),
    ('rms_norm_grad', 'bfloat16', '1000000,16', '950000,17',
     'many rows to a vector | many rows at a time'),
    ('rms_norm_grad', 'float32', '32768,128', '32768,160', 'many rows at a time | one row'),
    ('rms_norm_grad', 'float32', '32768,144', '32768,160',
     'half a block left: many rows at a time | none left: one row'),
    ('rms_norm_grad', 'float32', '32768,176', '32768,208',
     'half a block left: many rows at a time | one row'),
    ('rms_norm_grad', 'bfloat16', '32768,128', '32768,160', 'many rows at a time | one row'),
    ('rms_norm_grad', 'float32', '21000,191', '21000,193',
     'many rows at a time | one row, collected'),
    ('rms_norm_grad', 'bfloat16', '10000,383', '10000,385',
     'many rows at a time | one row, collected'),
    ('group_norm_backward', 'float32', '16000,384,2,32', '15000,416,2,32',
     'many groups to a vector | many groups at a time'),
    ('group_norm_backward', 'bfloat16', '16000,384,2,32', '15000,416,2,32',
     'many groups to a vector | many groups at a time'),
    ('group_norm_backward', 'float32', '64,320,23,32', '64,320,24,32', 'short planes | long planes'),
    ('group_norm_backward', 'bfloat16', '64,320,23,32', '64,320,24,32', 'short planes | long planes'),
    ('group_norm_backward', 'float32', '64,256,192,32', '64,256,256,32',
     'groups of 2048: not overlapped | overlapped'),
    ('group_norm_backward', 'float32', '16,320,4864,32', '16,320,4928,32',
     'second-level cache: overlapped | not'),
    ('group_norm_backward', 'bfloat16', '16,320,9792,32', '16,320,9856,32',
     'second-level cache: overlapped | not'),
    ('batch_norm_elemt_backward', 'float32', '512,256,31', '512,256,32', 'short planes | long planes'),
    ('batch_norm_elemt_backward', 'bfloat16', '512,256,31', '512,256,32', 'short planes | long planes'),
]
# And those of rows through a first-level cache of 32 KiB,
THROUGH_32K = [
    ('layer_norm_backward', 'float32', '340,49088', '340,49152', 'long rows: split by rows | by columns'),
    ('layer_norm_backward', 'bfloat16', '340,49088', '340,49152', 'long rows: split by rows | by columns'),
    ('rms_norm_grad', 'bfloat16', '1023,49152', '1024,49152', 'long rows: split by columns | by rows'),
    ('rms_norm_grad', 'float32', '128,992', '128,1024', 'in caches: four rows | whole pages: overlapped'),
]
# or through one of 48.
THROUGH_48K = [
    ('layer_norm_backward', 'float32', '31,49152', '32,49152', 'few long rows: split by columns | by rows'),
    ('layer_norm_backward', 'float16', '16384,512', '16384,544', 'very short rows: overlapped | one row'),
    ('rms_norm_grad', 'bfloat16', '16384,512', '16384,544', 'very short rows: overlapped | one row'),
    ('layer_norm_backward', 'float32', '4096,1408', '4096,1440', 'first-level cache: one row | four'),
    ('layer_norm_backward', 'bfloat16', '4096,1792', '4096,1824', 'first-level cache: one row | four'),
    ('rms_norm_grad', 'float32', '4096,1792', '4096,1824', 'first-level cache: one row | four'),
    ('layer_norm_backward', 'float32', '768,1408', '768,1440',
     'from a farther cache, first-level cache: overlapped | four rows'),
    ('rms_norm_grad', 'float32', '1024,8192', '1024,8224', 'second-level cache: four rows | two'),
    ('layer_norm_backward', 'bfloat16', '512,32768', '512,32800', 'second-level cache: four rows | two'),
    ('layer_norm_backward', 'float16', '340,49088', '340,49152', 'long rows: split by rows | by columns'),
    ('rms_norm_grad', 'float32', '512,32768', '512,32800', 'second-level cache: two rows | one'),
]


def first_level_kib():
    try:
        size = pathlib.Path('/sys/devices/system/cpu/cpu0/cache/index0/size').read_text()
        return int(size.strip().removesuffix('K'))
    except (OSError, ValueError):
        return 0


def statistic_of(op, data):
    return 'float32' if op in ('rms_norm_grad', 'layer_norm_backward') else data


class Bench:
    def __init__(self, options):
        self.ours = device('ours', options.library)
        self.other = device('ours, too', options.library)
        self.copy = device('copy', options.library)
        self.rounds = options.rounds
        self.seconds = options.seconds

    def measure(self, op, shape, data, threads):
        """Seconds of a launch and of a copy that moves as many bytes, and the share of the copy."""
        size, sets = self.pose(self.ours, op, shape, data, threads)
        half = max(64, size // 2 // 64 * 64)
        self.copy.ask(f'threads {threads}')
        self.copy.ask(f'case copy {half} float32 float32 float32 {sets} launch')
        pairs = [(self.ours.time(self.seconds), self.copy.time(self.seconds))
                 for _ in range(self.rounds)]
        self.ours.ask('case copy 64 float32 float32 float32 1 launch')  # lets go of its memory
        return (statistics.median(mine for mine, _ in pairs),
                statistics.median(copy for _, copy in pairs),
                statistics.median(copy * size / (2 * half) / mine for mine, copy in pairs))

    def compare(self, op, before, behind, data, threads):
        """Costs per byte of the second shape, as multiples of those of the first."""
        first, _ = self.pose(self.ours, op, before, data, threads)
        second, _ = self.pose(self.other, op, behind, data, threads)
        costs = {self.ours: [], self.other: []}
        for number in range(self.rounds):
            for contestant, size in ((self.ours, first), (self.other, second)):
                if number > 0:
                    contestant.restart()
                contestant.time(self.seconds)  # after another process a core is slow for a while
                costs[contestant].append(contestant.time(2 * self.seconds) / size)
        return [b / a for a, b in zip(costs[self.ours], costs[self.other])]

    def pose(self, contestant, op, shape, data, threads):
        """Gives it a case. Returns its bytes, and how many sets of tensors take turns."""
        size = compulsory_bytes(op, shape, data)
        # One set stays in the caches if it can; several that do not fit do not.
        sets = 1 if size < COLD_BYTES // 15 else max(2, -(-COLD_BYTES // size)) if size < 1 << 31 else 1
        contestant.ask(f'threads {threads}')
        answer = contestant.ask(f'case {op} {shape} {data} {statistic_of(op, data)} {data} {sets} launch')
        if answer != 'ok':
            raise SystemExit(f'{op} {shape} {data}: {answer}')
        return size, sets


def human(count):
    for unit in ('B', 'KiB', 'MiB', 'GiB'):
        if count < 1024:
            return f'{count:.3g} {unit}'
        count /= 1024
    return f'{count:.3g} TiB'


def table(title, columns):
    print(f'\n## {title}\n\n| ' + ' | '.join(columns) + ' |\n|' + ' --- |' * len(columns), flush=True)


def row(*cells):
    print('| ' + ' | '.join(str(cell) for cell in cells) + ' |', flush=True)


def times(bench, op, shape, data, threads):
    mine, _, share = bench.measure(op, shape, data, threads)
    rate = compulsory_bytes(op, shape, data) / mine * 1e-9
    return f'{mine * 1e6:.2f}', f'{rate:.1f}', f'{share:.2f}'


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=float, default=0.02, help='of each timing')
    parser.add_argument('--library', default=ROOT / 'build/release/lib',
                        help='folder of libnormgrad_cpu.so')
    parser.add_argument('--most', type=int, default=1 << 32, help='bytes of the largest tensors together')
    options = parser.parse_args()
    bench = Bench(options)
    cores = os.cpu_count()
    print(f'# Scaling of the CPU device\n\n{platform.machine()}, {cores} cores, Linux {platform.release()}')

    table('Size of the tensors, rows of 1024',
          ['operator', 'data', 'dy, x and dx', 'µs', 'GB/s', 'of copy'])
    for op in ('rms_norm_grad', 'layer_norm_backward'):
        for data in ('float32', 'bfloat16'):
            for total in TOTALS:
                if total > options.most:
                    break
                cols = min(1024, total // 3 // SIZES[data])
                rows = max(1, total // 3 // SIZES[data] // cols)
                row(op, data, human(total), *times(bench, op, f'{rows},{cols}', data, cores))

    table('Length of rows, 16 Mi elements', ['operator', 'data', 'rows × columns', 'µs', 'GB/s', 'of copy'])
    for op in ('rms_norm_grad', 'layer_norm_backward'):
        for data in ('float32', 'bfloat16'):
            for bits in range(4, 21, 2):
                cols = 1 << bits
                row(op, data, f'{LARGE // cols} × {cols}',
                    *times(bench, op, f'{LARGE // cols},{cols}', data, cores))

    table('Length of planes, 16 Mi elements',
          ['operator', 'groups', 'data', 'N × C × HW', 'µs', 'GB/s', 'of copy'])
    for op, groups in (('group_norm_backward', '32'), ('group_norm_backward', 'C'),
                       ('batch_norm_elemt_backward', '')):
        for data in ('float32', 'bfloat16'):
            for bits in range(0, 17, 2):
                plane = 1 << bits
                channels = 256 if plane <= 1 << 12 else 64
                samples = LARGE // plane // channels
                shape = f'{samples},{channels},{plane}'
                if groups:
                    shape += f',{channels if groups == "C" else groups}'
                row(op, groups, data, f'{samples} × {channels} × {plane}',
                    *times(bench, op, shape, data, cores))

    table('Number of rows of 8192', ['operator', 'data', 'rows', 'µs', 'µs per row', 'of copy'])
    for data in ('float32', 'bfloat16'):
        for bits in range(0, 13):
            mine, _, share = bench.measure('rms_norm_grad', f'{1 << bits},8192', data, cores)
            row('rms_norm_grad', data, 1 << bits, f'{mine * 1e6:.2f}', f'{mine * 1e6 / (1 << bits):.3f}',
                f'{share:.2f}')

    table('Threads', ['operator', 'shape', 'data', 'threads', 'µs', 'gain', 'gain of the copy'])
    for op, shape in (('rms_norm_grad', '4096,4096'), ('layer_norm_backward', '8192,1024'),
                      ('group_norm_backward', '32,320,4096,32'), ('batch_norm_elemt_backward', '32,256,3136')):
        for data in ('float32', 'bfloat16'):
            alone = None
            for threads in sorted({1 << bits for bits in range(int(math.log2(cores)) + 1)} | {cores}):
                mine, copy, _ = bench.measure(op, shape, data, threads)
                alone = alone or (mine, copy)
                row(op, shape.replace(',', '×'), data, threads, f'{mine * 1e6:.0f}', f'{alone[0] / mine:.2f}',
                    f'{alone[1] / copy:.2f}')

    table('Where strategies change over',
          ['operator', 'data', 'before', 'behind', 'cost per element, behind : before', 'strategies'])
    through = THROUGH_48K if first_level_kib() >= 48 else THROUGH_32K
    for op, data, before, behind, what in CROSSOVERS + through:
        ratios = bench.compare(op, before, behind, data, cores)
        row(op, data, before.replace(',', '×'), behind.replace(',', '×'),
            text(ratios), what.replace('|', '→'))


if __name__ == '__main__':
    main()
