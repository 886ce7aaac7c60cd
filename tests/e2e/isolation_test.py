# SPDX-License-Identifier: Apache-2.0
"""Whatever the device library does to the process it lives in costs the case that was running."""

import json
import os
import shutil
import unittest
from pathlib import Path

from bench import CPU, FAULTY, SWEEP, BenchTest

DEADLY = os.environ["NORMGRAD_DEADLY"]

# A sanitizer's own handler of signals would turn them into exit codes.
NATIVE_SIGNALS = ":".join(f"handle_{name}=0" for name in ("segv", "abort", "sigbus", "sigill"))

# What tests/devices/deadly.cc does in cases with 101, 102, … rows: outcome and reason.
SEGFAULT = r"signal 11 \(SIGSEGV\) in "
DEEDS = [
    ("segfault in phase 1", "crashed", "^accuracy: " + SEGFAULT + "phase 1;"),
    ("segfault in phase 2", "crashed", "^accuracy: " + SEGFAULT + "phase 2;"),
    ("segfault on a thread of its own", "crashed", "^accuracy: " + SEGFAULT),
    ("abort", "crashed", r"^accuracy: signal 6 \(SIGABRT\) in phase 2;"),
    ("exit(0)", "crashed", "^accuracy: exit code 0 in phase 2;"),
    ("hang in phase 1", "timed-out", "^accuracy: phase 1 took longer than 1 s;"),
    ("hang in phase 2", "timed-out", "^accuracy: phase 2 took longer than 1 s;"),
    ("hang in synchronise", "timed-out", "^accuracy: waiting for the stream took longer than "),
    ("hang in destroy", "timed-out", ": destroying the call's arguments took longer than 1 s"),
    ("sleep past the limit", "timed-out", "^accuracy: phase 1 took longer than 1 s;"),
    ("leak", "crashed", r"^accuracy: out of memory: the process had taken .* in phase 2, its limit "),
    ("undocumented status", "error", "aclnnRmsNormGrad returned 987654 "),
    ("corrupt the next case", "passed", "^$"),
    ("close the pipe", "crashed", "it closed the pipe to the tool"),
    # It is read when the tool has its turn; the case may be over by then.
    ("garbage on the pipe", "crashed", ": the worker talks nonsense: bytes that are no "),
    ("fork", "passed", "^$"),
    ("fork, and the copy goes on", "passed", "^$"),
    ("mask all signals and hang", "timed-out", "^accuracy: phase 2 took longer than 1 s;"),
    ("kill itself", "crashed", r"^accuracy: signal 9 \(SIGKILL\) in phase 2; not sent by the tool"),
    ("print a lot", "passed", "^$"),
    ("fork into sessions of their own", "passed", "^$"),
]
CORRUPTER = 1 + [name for name, _, _ in DEEDS].index("corrupt the next case")

# After each bad case comes a good one.
TABLE = """\
operator: rms_norm_grad
products: [atlas-a2]
checks: [accuracy, memory]
rows: [float32-float32-float32-float32]
sweep:
""" + "".join(f"  - dims: {{A: [{100 + i}], R: [8]}}\n  - dims: {{A: [{i}], R: [16]}}\n"
              for i in range(1, len(DEEDS) + 1))

MANY = """\
operator: rms_norm_grad
products: [atlas-a2]
checks: [memory]
seeds: [{seeds}]
sweep:
  - dims: {{A: [4], R: [16]}}
    rows: [float32-float32-float32-float32]
""".format(seeds=", ".join(str(seed) for seed in range(1, 201)))


def workers_of(process):
    """Process ids of the workers of a run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue  # it has ended meanwhile
        if parent == process.pid:
            found.append(int(stat.parent.name))
    return found


class IsolationTest(BenchTest):
    def deadly(self, sweep, *arguments, **environment):
        self.write("sweep.yaml", sweep)
        options = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), NATIVE_SIGNALS]))
        return self.run_bench("run", "sweep.yaml", "--device", f"{DEADLY},{CPU}", "--report", "out",
                              "--timeout", "0.2", *arguments, ASAN_OPTIONS=options,
                              **environment)

    def test_every_deed_costs_its_own_case(self):
        process = self.deadly(TABLE, "--max-memory", "0.4")
        self.assertEqual(process.returncode, 5, process.stderr_text)
        results = self.report()["results"]
        self.assertEqual(len(results), 2 * len(DEEDS))
        print()
        for number, (name, expected, reason) in enumerate(DEEDS, 1):
            bad, good = results[2 * number - 2:2 * number]
            print(f"  {name:<32} {bad['outcome']:<10} then {good['outcome']:<7} "
                  f"{bad['reason'][:100]}")
            with self.subTest(name):
                self.assertEqual(bad["outcome"], expected, bad["reason"])
                self.assertRegex(bad["reason"], reason)
                self.assertEqual(bad["predecessor"], "")
                if number != CORRUPTER:
                    self.assertEqual((good["outcome"], good["reason"]), ("passed", ""))
                    continue
                self.assertEqual(good["outcome"], "failed")
                self.assertEqual(good["predecessor"], bad["case_id"])
                self.assertRegex(good["reason"], "^order-dependent: passes alone, fails after "
                                                 f"{bad['case_id']}, which corrupts what it needs; "
                                                 "accuracy: dxOut: ")
        self.assertEqual(self.report()["incidents"], [])
        for stat in Path("/proc").glob("[0-9]*/maps"):
            try:
                self.assertFalse(DEADLY in stat.read_text(), f"{stat.parent.name} was left behind")
            except OSError:
                continue

    def test_a_device_that_is_wrong_in_every_call_is_degraded(self):
        self.write("sweep.yaml", SWEEP)
        process = self.run_bench("run", "sweep.yaml", "--device", FAULTY, "--report", "out",
                                 NORMGRAD_FAULT="throws")
        self.assertEqual(process.returncode, 5)
        incident, = self.report()["incidents"]
        self.assertRegex(incident, "^the device is degraded after rms_norm_grad/.*: it copies right, "
                                   "but rms_norm_grad/.*/exact: accuracy: .*planted")
        self.assertIn("\nIncidents\n  the device is degraded after ", process.stdout_text)
        self.assertEqual([r["outcome"] for r in self.report()["results"]], ["error", "error"])

    def test_a_device_that_is_lost_leaves_the_rest_not_run(self):
        # Its first crash leaves a mark; after that no process gets past opening the device.
        process = self.deadly(TABLE, NORMGRAD_DEADLY_MARK=str(self.folder / "mark"))
        self.assertEqual(process.returncode, 5)
        outcomes = [(r["outcome"], r["reason"]) for r in self.report()["results"]]
        self.assertEqual(outcomes[0][0], "crashed")
        self.assertEqual(set(outcomes[1:]), {("not-run", "device lost")})
        incident, = self.report()["incidents"]
        self.assertRegex(incident, "^the device is lost after rms_norm_grad/.*A=101,R=8.*: exit code "
                                   "3 in opening the device")

    def test_the_tool_itself_never_maps_the_device(self):
        self.write("sweep.yaml", SWEEP)
        process = self.start("run", "sweep.yaml", "--report", "out", "--device", FAULTY,
                             NORMGRAD_FAULT="hang")

        def mapped():
            return any(FAULTY in Path(f"/proc/{pid}/maps").read_text()
                       for pid in workers_of(process))

        self.wait_until(mapped, "a worker has opened the device")
        self.assertNotIn(FAULTY, Path(f"/proc/{process.pid}/maps").read_text())
        workers = workers_of(process)
        process.kill()
        process.wait()
        self.wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in workers),
                        "the workers end with the tool")

    def test_a_case_has_a_limit(self):
        self.write("sweep.yaml", SWEEP)
        process = self.run_bench("run", "sweep.yaml", "--device", FAULTY, "--report", "out",
                                 "--max-seconds", "1", "--check", "memory", NORMGRAD_FAULT="hang")
        self.assertEqual(process.returncode, 5)
        for result in self.report()["results"]:
            self.assertEqual(result["outcome"], "timed-out")
            self.assertRegex(result["reason"], "^memory: the case took longer than 1 s: stopped in "
                                               "waiting for the stream")

    def test_a_run_has_a_limit(self):
        for isolate in ("on", "off"):
            with self.subTest(isolate=isolate):
                self.write("sweep.yaml", SWEEP)
                # A run that was not finished is not replaced.
                shutil.rmtree(self.folder / "out", ignore_errors=True)
                process = self.run_bench("run", "sweep.yaml", "--device", FAULTY, "--report", "out",
                                         "--max-run-seconds", "1.2", "--check", "memory",
                                         "--isolate", isolate, NORMGRAD_FAULT="slow")
                self.assertEqual(process.returncode, 5)
                last = self.report()["results"][-1]
                self.assertEqual(last["outcome"], "not-run")
                self.assertRegex(last["reason"], "the time of the run was up ")

    def test_in_one_process_answers_are_the_same(self):
        self.write("sweep.yaml", SWEEP)
        reports = []
        for isolate in ("on", "off"):
            process = self.run_bench("run", "sweep.yaml", "--report", isolate, "--isolate", isolate)
            self.assertEqual(process.returncode, 0)
            results = self.report(isolate)["results"]
            for result in results:
                for key in ("seconds", "rerun"):
                    del result[key]
                for check in result["checks"]:
                    del check["seconds"]
            reports.append(json.dumps(results))
        self.assertEqual(*reports)

    def test_several_workers_answer_in_the_order_of_the_plan(self):
        self.write("sweep.yaml", MANY)
        ids = []
        for jobs in ("1", "3"):
            process = self.run_bench("run", "sweep.yaml", "--report", jobs, "--jobs", jobs)
            self.assertEqual(process.returncode, 0, process.stdout_text + process.stderr_text)
            ids.append([result["case_id"] for result in self.report(jobs)["results"]])
            self.run_bench("report", jobs, "--report", "rebuilt")
            for name in ("report.json", "report.csv", "report.md"):
                self.assertEqual((self.folder / "rebuilt" / name).read_bytes(),
                                 (self.folder / jobs / name).read_bytes())
        self.assertEqual(*ids)
        self.assertEqual(len(ids[0]), 200)

    def test_workers_do_not_share_a_vendors_device(self):
        self.write("sweep.yaml", SWEEP)
        library = os.environ["NORMGRAD_ONE_PRODUCT"]
        process = self.run_bench("run", "sweep.yaml", "--jobs", "2", "--device", library)
        self.assertEqual(process.returncode, 2)
        self.assertEqual(process.stderr_text, f"normgrad-bench: --jobs 2: {library} has 1 device "
                                              "from device 0 on: at most one worker each\n")

    def test_what_only_processes_can_do(self):
        for arguments in (["--jobs", "2"], ["--max-seconds", "1"]):
            process = self.run_bench("run", "sweep.yaml", "--isolate", "off", *arguments)
            self.assertEqual(process.returncode, 2)
            self.assertRegex(process.stderr_text, "leave --isolate on\n$")

    def test_a_library_that_dies_before_the_first_case(self):
        self.write("mark", "")
        self.write("sweep.yaml", SWEEP)
        process = self.run_bench("run", "sweep.yaml", "--device", f"{DEADLY},{CPU}", "--report",
                                 "out", NORMGRAD_DEADLY_MARK=str(self.folder / "mark"))
        self.assertEqual(process.returncode, 5)
        self.assertRegex(process.stderr_text, "^normgrad-bench: .*: the device does not start: exit "
                                              "code 3 in opening the device")
        self.assertFalse((self.folder / "out").exists())


if __name__ == "__main__":
    unittest.main()
