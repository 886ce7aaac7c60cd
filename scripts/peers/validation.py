#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast a backward problem is validated: ours beside oneDNN's benchdnn, in interleaved rounds.

    scripts/peers/validation.py [--benchdnn <its executable>]

Needs a release build of ours, and a benchdnn that was built with OpenMP; without one its columns are
empty. Both judge the gradients of data, scale and shift on the same shape, dtypes and number of
threads, each with its own data and its own kernel under test. Ours is `run` with the checks accuracy
and memory: data, launches, float64 oracle, bound, standards, guards and bytes. benchdnn is its
correctness mode: data, one launch, float32 reference, and a comparison that the norm of the error may
decide.

Seconds are of a whole case without the start of the process: ours as the report says, benchdnn's from
the line that announces a problem to the one that judges it. A process repeats its case, ours with
other seeds; the first is not counted, the others are averaged. A ratio is taken within its round;
the table shows medians over the rounds and, in brackets, the least and the most. The kernel's share
of benchdnn's time is what benchdnn says of the process. Columns of a problem that this benchdnn does
not know, such as RMS norm before oneDNN had it, are empty.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # leaves nothing beside the scripts
from compare import ROOT, text

SHORT = {'float32': 'f32', 'bfloat16': 'bf16'}
# Statistics, scale and shift are float32, as benchdnn's are unless told otherwise.
ROWS = {
    'rms_norm_grad': '{0}-float32-float32-float32',
    'layer_norm_backward': '{0}-float32-float32-float32-float32',
    'group_norm_backward': '{0}-float32-float32-float32',
}
FLAGS = {
    'rms_norm_grad': ['--lnorm', '--flags=CM'],
    'layer_norm_backward': ['--lnorm', '--flags=CH'],
    'group_norm_backward': ['--gnorm', '--flags=CH'],
}
SMALL = {'rms_norm_grad': (2, 2), 'layer_norm_backward': (2, 2), 'group_norm_backward': (1, 2, 2, 2, 1)}
SHAPES = {
    'rms_norm_grad': [(4096, 4096)],
    'layer_norm_backward': [(4096, 4096), (32768, 256)],
    'group_norm_backward': [(8, 512, 64, 64, 32)],
}


def problem(op, shape, data):
    """Arguments of benchdnn."""
    if op == 'group_norm_backward':
        descriptor = 'g{4}mb{0}ic{1}ih{2}iw{3}'.format(*shape)
    else:
        descriptor = '{}x{}'.format(*shape)
    return [*FLAGS[op], '--dir=BWD_DW', f'--dt={SHORT[data]}', descriptor]


def sweep(op, shape, data, seeds):
    """A sweep file of ours; JSON is YAML."""
    if op == 'group_norm_backward':
        dims = {'N': shape[0], 'C': shape[1], 'S': list(shape[2:4]), 'G': shape[4]}
    else:
        dims = {'A': [shape[0]], 'R': [shape[1]]}
    return json.dumps({'operator': op, 'products': 'ascend-950', 'checks': ['accuracy', 'memory'],
                       'sweep': [{'shapes': [dims], 'rows': [ROWS[op].format(data)], 'seeds': seeds}]})


def fail(message):
    print(f'validation.py: {message}', file=sys.stderr)
    sys.exit(2)


def knows(options, op):
    if options.benchdnn is None:
        return False
    command = [options.benchdnn, '--mode=L', *problem(op, SMALL[op], 'float32')]
    try:
        process = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        fail(f'--benchdnn {options.benchdnn}: {error.strerror}')
    if process.returncode == 0 and 'listed:1' in process.stdout:
        return True
    if op != 'rms_norm_grad':
        fail(f'{" ".join(command)}: exit code {process.returncode}: '
             f'{(process.stderr + process.stdout).strip()}')
    return False


def time_theirs(options, op, shape, data):
    """Seconds of a case, and the share of the kernel under test if benchdnn says it."""
    command = [options.benchdnn, '-v1', '--mode=C', f'--repeats-per-prb={options.cases + 1}',
               *problem(op, shape, data)]
    environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads))
    seconds, said = [], []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=environment) as process:
        for line in process.stdout:
            now = time.perf_counter()
            said.append(line)
            if line.startswith('create:'):
                began = now
            elif re.match(r'\d+:(PASSED|MISTRUSTED)\b', line):
                seconds.append(now - began)
    if process.returncode != 0 or len(seconds) != options.cases + 1:
        fail(f'{" ".join(command)}: exit code {process.returncode}: {"".join(said[-8:]).strip()}')
    share = re.search(r'total: .* execute: [\d.]+s \((\d+)%\)', said[-1])
    return statistics.mean(seconds[1:]), int(share[1]) / 100 if share else None


def time_ours(options, op, shape, data):
    """Seconds of a case, and the elements it judges."""
    with tempfile.TemporaryDirectory(prefix='normgrad-validation-') as folder:
        path = pathlib.Path(folder, 'sweep.yaml')
        path.write_text(sweep(op, shape, data, list(range(1, options.cases + 2))), encoding='utf-8')
        command = [options.tool, 'run', str(path), '--report', folder, '--format', 'json', '-q',
                   '--threads', str(options.threads)]
        try:
            process = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            fail(f'--tool {options.tool}: {error.strerror}')
        if process.returncode != 0:
            fail(f'{" ".join(command)}: exit code {process.returncode}: '
                 f'{(process.stderr + process.stdout).strip()}')
        results = json.loads(pathlib.Path(folder, 'report.json').read_text(encoding='utf-8'))['results']
    return (statistics.mean(result['seconds'] for result in results[1:]),
            sum(output['elements'] for output in results[0]['outputs']))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--benchdnn', help='executable of theirs')
    parser.add_argument('--tool', default=str(ROOT / 'build/release/bin/normgrad-bench'),
                        help='executable of ours')
    parser.add_argument('--only', default='', help='regular expression over "operator shape dtype"')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--cases', type=int, default=3, help='counted in every process')
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    options = parser.parse_args()

    known = {op: knows(options, op) for op in SHAPES}
    columns = ['operator', 'shape', 'data', 'ours s', 'benchdnn s', 'of it its kernel', 'ours Melem/s',
               'benchdnn Melem/s', 'ours is × faster']
    print(f'{platform.machine()}, {options.threads} threads, Linux {platform.release()}\n')
    print('| ' + ' | '.join(columns) + ' |\n|' + ' --- |' * len(columns), flush=True)
    for op, shape, data in ((op, shape, data) for op, shapes in SHAPES.items()
                            for shape in shapes for data in SHORT):
        name = '×'.join(map(str, shape))
        if not re.search(options.only, f'{op} {name} {data}'):
            continue
        ours, theirs, kernel = [], [], []
        for _ in range(options.rounds):
            if known[op]:
                seconds, share = time_theirs(options, op, shape, data)
                theirs.append(seconds)
                kernel += [share] if share is not None else []
            seconds, elements = time_ours(options, op, shape, data)
            ours.append(seconds)
        rates = [[elements / value * 1e-6 for value in values] for values in (ours, theirs)]
        print('| ' + ' | '.join([
            op, name, data, text(ours), text(theirs),
            f'{statistics.median(kernel):.2f}' if kernel else '–',
            *(f'{statistics.median(values):.1f}' if values else '–' for values in rates),
            text([their / mine for their, mine in zip(theirs, ours)])]) + ' |', flush=True)


if __name__ == '__main__':
    main()
