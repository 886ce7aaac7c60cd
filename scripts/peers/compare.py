#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Norm gradients on this CPU: ours beside a copy, a triad, PyTorch and oneDNN, in interleaved rounds.

    python3 -m venv build/peers/venv
    build/peers/venv/bin/pip install torch numpy onednn onednn-devel
    scripts/peers/compare.py --only 'rms_norm_grad.*float32'

Needs a release build. Peers that are not installed have empty columns; one whose sums over dx or dgamma
differ from ours by more than 2 % is called wrong. Every round times the copy, the triad, which reads two
tensors and writes one as every operator does, and every contestant once, one after the other; a ratio is
taken within its round, and the table shows the median over the rounds and, in brackets, the least and the
most. Ours, copy and triad are new processes in every round: in another process the same library is up to 4 %
faster or slower, for as long as that process lives. Every timing stands behind one that does not count:
threads that begin to work after another process did may share a core for some milliseconds.
Large shapes are cold: tensors rotate over more memory than caches hold. Small ones are hot, and ours is phase 1
and phase 2 and the wait.
"""
import argparse
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / 'scripts/peers'
COLD_BYTES = 200_000_000
COPY_BYTES = 1 << 26  # of each tensor
SIZES = {'float32': 4, 'float16': 2, 'bfloat16': 2}

ROWS = ['4096,4096', '8192,1024', '2048,8192', '32768,256', '256,65536']
LARGE = {
    'rms_norm_grad': ROWS,
    'layer_norm_backward': ROWS,
    'group_norm_backward': ['32,320,4096,32', '8,512,1024,32', '2,128,65536,32'],
    'batch_norm_elemt_backward': ['32,256,3136', '64,64,12544'],
}
SMALL = {
    'rms_norm_grad': ['128,768', '1,4096', '8,8192'],
    'layer_norm_backward': ['128,768', '1,4096', '8,8192'],
    'group_norm_backward': ['1,32,64,8'],
    'batch_norm_elemt_backward': ['1,16,49'],
}


class Contestant:
    """A process that speaks the language of contestant.h."""

    def __init__(self, name, command, **environment):
        self.name = name
        self.command = command
        self.environment = dict(os.environ, **environment)
        self.said = {}  # the last line of each kind, which restart() repeats
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=self.environment)

    def restart(self):
        """Goes on with its case in another process, whose memory lies elsewhere."""
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self.start()
        for line in self.said.values():
            answer = self.ask(line)
            if answer != 'ok':
                sys.exit(f'{self.name}: {line}: {answer}')

    def ask(self, line):
        if line.startswith(('case ', 'threads ')):
            self.said[line.split()[0]] = line
        try:
            self.process.stdin.write(line + '\n')
            self.process.stdin.flush()
            return self.process.stdout.readline().strip()
        except BrokenPipeError:
            return ''

    def time(self, seconds):
        return float(self.ask(f'time {seconds}').split()[0])


def build(source, *flags):
    program = ROOT / 'build/peers' / pathlib.Path(source).stem
    if not program.exists() or program.stat().st_mtime < (HERE / source).stat().st_mtime:
        program.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(['g++', '-O2', '-march=native', '-std=c++17', str(HERE / source), '-o',
                        str(program), *flags], check=True)
    return str(program)


def device(name, library):
    program = build('device_contestant.cc', f'-I{ROOT}/kernels/include', f'-L{library}',
                    '-lnormgrad_cpu')
    return Contestant(name, [program], LD_LIBRARY_PATH=str(library))


def open_peers(options):
    venv = pathlib.Path(options.venv)
    peers = []
    if next(venv.glob('lib/python*/site-packages/torch'), None):
        # The allocator keeps what it has: fresh pages for every result would be half of the time.
        keep = str(1 << 40)
        command = [str(venv / 'bin/python'), str(HERE / 'torch_contestant.py')]
        tuned = dict(MALLOC_MMAP_THRESHOLD_=keep, MALLOC_TRIM_THRESHOLD_=keep,
                     GLIBC_TUNABLES='glibc.malloc.hugetlb=1')
        peers.append(Contestant('PyTorch', command, **tuned))
        if options.compile:
            peers.append(Contestant('compiled', [*command, '--compile'], **tuned))
    onednn = pathlib.Path(options.onednn) if options.onednn else venv
    if (onednn / 'include/oneapi/dnnl/dnnl.hpp').exists():
        libraries = onednn / 'lib'
        program = build('onednn_contestant.cc', f'-I{onednn}/include', f'-L{libraries}', '-ldnnl',
                        '-Wl,--allow-shlib-undefined')
        # The package from PyPI finds the CPU through OpenCL.
        peers.append(Contestant('oneDNN', [program], LD_LIBRARY_PATH=str(libraries),
                                ONEDNN_VERBOSE='none',
                                OCL_ICD_FILENAMES=str(libraries / 'libintelocl.so')))
    return peers


def cases(options):
    for small, table in ((False, LARGE), (True, SMALL)):
        for op, shapes in table.items():
            for shape in shapes:
                for data in SIZES:
                    for statistic in statistics_of(op, data):
                        name = f'{op} {shape} {data} {statistic}' + (' small' if small else '')
                        if re.search(options.only, name):
                            yield small, op, shape, data, statistic


def statistics_of(op, data):
    """dtypes of the statistics: gamma has that of the data."""
    if op == 'layer_norm_backward' and data != 'float32':
        return ['float32', data]
    return ['float32'] if op in ('rms_norm_grad', 'layer_norm_backward') else [data]


def compulsory_bytes(op, shape, data):
    extents = [int(extent) for extent in shape.split(',')]
    count = 1
    for extent in extents[:3] if op.startswith(('group', 'batch')) else extents:
        count *= extent
    return 3 * count * SIZES[data]


def text(values):
    if not values:
        return '–'
    return f'{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]'


def agree(ours, theirs):
    pairs = zip(map(float, ours.split()), map(float, theirs.split()))
    return all(abs(a - b) <= 0.02 * max(abs(a), abs(b), 1) for a, b in pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', default='', help='regular expression over "operator shape dtypes"')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=float, default=0.05, help='of each timing')
    parser.add_argument('--library', default=ROOT / 'build/release/lib',
                        help='folder of libnormgrad_cpu.so')
    parser.add_argument('--baseline', help='folder of another one, for a column of its own')
    parser.add_argument('--venv', default=ROOT / 'build/peers/venv', help='where the peers are')
    parser.add_argument('--onednn', help='another installation of oneDNN: its prefix')
    parser.add_argument('--compile', action='store_true', help='PyTorch compiled, too')
    parser.add_argument('--no-peers', action='store_true')
    parser.add_argument('--gain', action='store_true', help='gain of a second thread, too')
    options = parser.parse_args()

    copy = device('copy', options.library)
    triad = device('triad', options.library)
    ours = device('ours', options.library)
    others = [device('baseline', options.baseline)] if options.baseline else []
    peers = [] if options.no_peers else open_peers(options)
    contestants = [ours, *others, *peers]
    if options.gain:
        for contestant in (copy, triad, ours):
            contestant.ask('threads 2')
    for roofline in (copy, triad):
        roofline.ask(f'case {roofline.name} {COPY_BYTES} float32 float32 float32 '
                     f'{COLD_BYTES // COPY_BYTES + 1} launch')
    columns = ['operator', 'shape', 'data/statistic', 'time µs', 'copy GB/s', 'of copy', 'of triad',
               *(f'{peer.name}: ours is × faster' for peer in contestants[1:])]
    if options.gain:
        columns.append('gain of a second thread, of copy\'s')
    print(f'{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}\n')
    print('| ' + ' | '.join(columns) + ' |\n|' + ' --- |' * len(columns), flush=True)
    for small, op, shape, data, statistic in cases(options):
        size = compulsory_bytes(op, shape, data)
        sets = 1 if small else max(2, -(-COLD_BYTES // size))
        mode = 'call' if small else 'launch'
        running, wrong = [], []
        sums = None
        for contestant in contestants:
            answer = contestant.ask(f'case {op} {shape} {data} {statistic} {data} {sets} {mode}')
            if answer != 'ok':
                # A peer need not have every operator and dtype; its cell is empty.
                if contestant in (ours, *others):
                    sys.exit(f'{contestant.name}: {op} {shape} {data}: {answer}')
                continue
            said = contestant.ask('sums')
            sums = sums or said
            if not agree(sums, said):
                if contestant in others:
                    sys.exit(f'{contestant.name} computes something else: {said}, expected {sums}')
                wrong.append(contestant)
            running.append(contestant)
        times = {contestant: [] for contestant in [copy, triad, *running]}
        gains = []
        for number in range(options.rounds):
            if number > 0:
                for contestant in (copy, triad, ours, *others):
                    contestant.restart()
            for contestant, measured in times.items():
                contestant.time(options.seconds)
                measured.append(contestant.time(options.seconds))
            if options.gain:
                two = times[copy][-1], times[ours][-1]
                for contestant in (copy, ours):
                    contestant.ask('threads 1')
                gains.append(ours.time(options.seconds) / two[1] /
                             (copy.time(options.seconds) / two[0]))
                for contestant in (copy, ours):
                    contestant.ask('threads 2')
        copied, added = ([tensors * COPY_BYTES / time * 1e-9 for time in times[roofline]]
                         for tensors, roofline in ((2, copy), (3, triad)))
        cells = [op, shape.replace(',', '×'), f'{data}/{statistic}',
                 f'{statistics.median(times[ours]) * 1e6:.1f}', f'{statistics.median(copied):.1f}',
                 *(text([size / time * 1e-9 / rate for time, rate in zip(times[ours], rates)])
                   for rates in (copied, added))]
        for contestant in contestants[1:]:
            cells.append(text([theirs / mine for theirs, mine in
                               zip(times.get(contestant, []), times[ours])]) +
                         (', and wrong' if contestant in wrong else ''))
        if options.gain:
            cells.append(text(gains))
        print('| ' + ' | '.join(cells) + ' |', flush=True)


if __name__ == '__main__':
    main()
