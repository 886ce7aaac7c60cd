#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the tool costs beside the work it is asked for, on the built-in CPU device.

    scripts/peers/overhead.py

Needs a release build. Cases have 8 elements and the check accuracy, in worker processes and in the
process of the tool. Per case: what 2000 more cases add to a run, all that happens in between
included: planning, data, launches, oracle, judging, journal and reports. A run of one case: from the
start of the process to its end. Medians over interleaved rounds; in brackets the least and the most.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # leaves nothing beside the scripts
from compare import ROOT, text

MANY = 2000


def run(options, isolate, cases):
    """Seconds of a run of so many cases."""
    sweep = {'operator': 'rms_norm_grad', 'products': 'ascend-950', 'checks': ['accuracy'],
             'sweep': [{'shapes': [{'A': [1], 'R': [8]}], 'rows': ['float32-float32-float32-float32'],
                        'seeds': list(range(1, cases + 1))}]}
    with tempfile.TemporaryDirectory(prefix='normgrad-overhead-') as folder:
        path = pathlib.Path(folder, 'sweep.yaml')
        path.write_text(json.dumps(sweep), encoding='utf-8')  # JSON is YAML
        command = [options.tool, 'run', str(path), '--report', folder, '-q', '--isolate', isolate]
        began = time.perf_counter()
        try:
            process = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            sys.exit(f'overhead.py: --tool {options.tool}: {error.strerror}')
        seconds = time.perf_counter() - began
    if process.returncode != 0:
        sys.exit(f'overhead.py: {" ".join(command)}: exit code {process.returncode}: '
                 f'{(process.stderr + process.stdout).strip()}')
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--tool', default=str(ROOT / 'build/release/bin/normgrad-bench'),
                        help='executable')
    parser.add_argument('--rounds', type=int, default=5)
    options = parser.parse_args()
    runs = {isolate: {cases: [] for cases in (1, 1 + MANY)} for isolate in ('on', 'off')}
    for _ in range(options.rounds):
        for isolate, counts in runs.items():
            for cases, seconds in counts.items():
                seconds.append(run(options, isolate, cases))
    print('| cases are answered | µs per case | ms of a run of one case |\n| --- | --- | --- |')
    for isolate, where in (('on', 'in worker processes'), ('off', 'in the process of the tool')):
        one, many = runs[isolate].values()
        print(f'| {where} | {text([(b - a) / MANY * 1e6 for a, b in zip(one, many)])} | '
              f'{text([a * 1e3 for a in one])} |')


if __name__ == '__main__':
    main()
