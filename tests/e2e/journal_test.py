# SPDX-License-Identifier: Apache-2.0
"""What a run answered is in its journal: reports are made from it, and a stopped run goes on."""

import json
import os
import resource
import shutil
import signal
import unittest
from pathlib import Path

from bench import BENCH, CPU, FAULTY, SWEEP, BenchTest

LONG = """\
operator: rms_norm_grad
products: [atlas-a2]
checks: [accuracy]
seeds: [{seeds}]
sweep:
  - dims: {{A: [64], R: [512]}}
    rows: [float32-float32-float32-float32]
""".format(seeds=", ".join(str(seed) for seed in range(1, 401)))


class JournalTest(BenchTest):
    def journal(self, folder="out"):
        return self.folder / folder / "journal.jsonl"

    def stopped_run(self, *arguments):
        """A run of 400 cases that was killed after a few."""
        self.write("long.yaml", LONG)
        process = self.start("run", "long.yaml", "--report", "out", *arguments)
        self.wait_until(lambda: self.journal().exists() and
                        self.journal().read_text().count('{"result"') > 5, "five answers")
        process.kill()
        process.communicate(timeout=60)

    def refused(self, message, *arguments, **environment):
        before = {path: (self.folder / path).read_bytes() for path in self.files()}
        process = self.run_bench(*arguments, **environment)
        self.assertEqual(process.returncode, 2, process.stdout_text + process.stderr_text)
        self.assertRegex(process.stderr_text, f"^normgrad-bench: {message}")
        self.assertEqual({path: (self.folder / path).read_bytes() for path in self.files()}, before)

    def test_every_line_is_json_and_every_case_has_two(self):
        self.write("sweep.yaml", SWEEP)
        self.run_bench("run", "sweep.yaml", "--report", "out")
        records = [json.loads(line) for line in self.journal().read_text().splitlines()]
        self.assertEqual([next(iter(record)) for record in records],
                         ["header", "planned", "planned", "started", "result", "started", "result",
                          "finished"])
        results = [record["result"] for record in records if "result" in record]
        self.assertEqual(results, self.report()["results"])
        self.assertEqual(records[0]["header"]["run"], self.report()["run"])

    def test_reports_are_made_from_the_journal_alone(self):
        self.write("sweep.yaml", SWEEP)
        run = self.run_bench("run", "sweep.yaml", "--report", "out", "--device", FAULTY,
                             NORMGRAD_FAULT="wrong_value")
        reports = {name: (self.folder / "out" / name).read_bytes()
                   for name in ("report.json", "report.csv", "report.md")}
        (self.folder / "moved").mkdir()
        shutil.move(self.journal(), self.journal("moved"))
        process = self.run_bench("report", "moved")
        self.assertEqual(process.returncode, run.returncode)
        self.assertEqual(process.stdout_text, run.stdout_text.replace("out/", "moved/"))
        for name, text in reports.items():
            self.assertEqual((self.folder / "moved" / name).read_bytes(), text)
        self.run_bench("report", "moved", "--report", "other", "--format", "csv")
        self.assertEqual(os.listdir(self.folder / "other"), ["report.csv"])
        self.assertEqual((self.folder / "other" / "report.csv").read_bytes(), reports["report.csv"])

    def test_an_interrupted_run_goes_on(self):
        self.write("long.yaml", LONG)
        self.run_bench("run", "long.yaml", "--report", "whole")
        process = self.start("run", "long.yaml", "--report", "out")
        self.wait_until(lambda: self.journal().exists() and
                        self.journal().read_text().count('{"result"') > 5, "five answers")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 5)
        self.assertIn("not-run", {r["outcome"] for r in self.report()["results"]})
        rebuilt = self.run_bench("report", "out", "--report", "rebuilt")
        self.assertEqual(rebuilt.returncode, 5)
        self.assertEqual((self.folder / "rebuilt" / "report.csv").read_bytes(),
                         (self.folder / "out" / "report.csv").read_bytes())
        process = self.run_bench("run", "--resume", "out")
        self.assertEqual(process.returncode, 0, process.stderr_text)
        self.assertEqual(self.story("out"), self.story("whole"))

    def test_an_unfinished_run_is_not_overwritten(self):
        self.stopped_run()
        message = "out/journal.jsonl: holds a run of which answers are missing: go on with "
        self.refused(message, "run", "long.yaml", "--report", "out")
        self.assertEqual(self.run_bench("run", "--resume", "out").returncode, 0)
        self.assertEqual(self.run_bench("run", "long.yaml", "--report", "out").returncode, 0)

    def test_one_process_at_a_time_writes(self):
        self.write("long.yaml", LONG)
        process = self.start("run", "long.yaml", "--report", "out", "--device", FAULTY,
                             NORMGRAD_FAULT="hang")
        # From its first case on it writes no more: that one hangs.
        self.wait_until(lambda: self.journal().exists() and '{"started"' in
                        self.journal().read_text() and (self.folder / "out/report.csv").exists(),
                        "the first case has begun")
        for command in (["run", "--resume", "out"], ["run", "long.yaml", "--report", "out"],
                        ["report", "out"]):
            self.refused("out/journal.jsonl: (another process|a run) is writing to it: ", *command)
        # Elsewhere it can be reported how far it is.
        self.assertEqual(self.run_bench("report", "out", "--report", "look").returncode, 5)
        process.kill()
        process.communicate(timeout=60)

    def test_resume_refuses_what_is_not_as_it_was(self):
        shutil.copy(CPU, self.folder / "device.so")
        self.stopped_run("--device", "./device.so")
        self.write("long.yaml", LONG.replace("R: [512]", "R: [256]"))
        self.refused("out/journal.jsonl: not what it was when the run began: plan 0x[0-9a-f]{16}, "
                     "was 0x[0-9a-f]{16}: run again in another folder, or go on all the same with "
                     "--resume-anyway\n", "run", "--resume", "out")
        self.write("long.yaml", LONG)
        with open(self.folder / "device.so", "ab") as file:
            file.write(b"rebuilt")
        self.refused("out/journal.jsonl: not .*: device library 0x", "run", "--resume", "out")
        other = self.folder / "other-tool"
        build = bytes.fromhex(json.loads(self.journal().read_text().split("\n")[0])
                              ["header"]["run"]["tool_build"])
        program = Path(BENCH).read_bytes()
        self.assertEqual(program.count(build), 1)
        other.write_bytes(program.replace(build, build[::-1]))
        other.chmod(0o755)
        process = self.start("run", "--resume", "out", popen={"executable": other})
        self.assertRegex(process.communicate(timeout=60)[1], "tool build [0-9a-f]+, was [0-9a-f]+; device l")
        process = self.run_bench("run", "--resume", "out", "--resume-anyway")
        self.assertEqual(process.returncode, 0, process.stderr_text)
        self.assertRegex(process.stdout_text, "\nnot all along: device library 0x.*, was 0x")
        [mixed] = self.report()["run"]["mixed"]
        self.assertRegex(mixed, "^device library 0x")
        self.run_bench("report", "out", "--report", "rebuilt")
        self.assertEqual(self.story("rebuilt"), self.story("out"))

    def test_cases_that_are_gone_are_not_run(self):
        self.write("sweep.yaml", SWEEP)
        self.run_bench("run", "sweep.yaml", "--report", "out", "--check", "accuracy")
        journal = self.journal().read_text().splitlines(keepends=True)
        # As a kill behind the first answer leaves it.
        self.journal().write_text("".join(journal[:5]))
        self.write("sweep.yaml", SWEEP.replace(", bfloat16-float32-bfloat16-float32", ""))
        process = self.run_bench("run", "--resume", "out", "--resume-anyway")
        self.assertEqual(process.returncode, 5)
        self.assertIn("not-run      the sweeps no longer hold this case\n", process.stdout_text)

    def test_resume_takes_everything_from_the_journal(self):
        self.refused("--resume goes on with the sweeps and options of its journal: leave out sweeps",
                     "run", "sweep.yaml", "--resume", "out")
        self.refused("--resume goes on with .*: leave out --seed", "run", "--resume", "out",
                     "--seed", "1")
        self.refused("out/journal.jsonl: there is no journal here: ", "run", "--resume", "out")
        self.refused("--resume-anyway: expected --resume DIR", "run", "x.yaml", "--resume-anyway")
        self.refused("out/journal.jsonl: there is no journal here: ", "report", "out")

    def test_a_damaged_journal_is_refused_and_a_cut_one_repaired(self):
        self.stopped_run()
        whole = self.journal().read_bytes()
        lines = whole.splitlines(keepends=True)
        damaged = lines[-3].replace(b"accuracy", b"accuracz") if b"result" in lines[-3] else \
            lines[-2].replace(b"accuracy", b"accuracz")
        at = whole.index(damaged.replace(b"accuracz", b"accuracy"))
        self.journal().write_bytes(whole[:at] + damaged + whole[at + len(damaged):])
        number = whole[:at].count(b"\n") + 1
        self.refused(f"out/journal.jsonl:{number}: the line is damaged, and others follow: ",
                     "run", "--resume", "out")
        self.journal().write_bytes(whole[:at] + damaged[:40])
        self.assertEqual(self.run_bench("run", "--resume", "out").returncode, 0)
        self.assertTrue(self.journal().read_bytes().startswith(whole[:at] + b'{"resumed"'))

    def test_a_full_disk_ends_the_run_and_costs_no_answer(self):
        self.write("long.yaml", LONG)
        self.run_bench("run", "long.yaml", "--report", "whole")
        size = self.journal("whole").stat().st_size

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))

        process = self.run_bench("run", "long.yaml", "--report", "out", popen={"preexec_fn": limit})
        self.assertEqual(process.returncode, 2)
        self.assertEqual(process.stderr_text,
                         "normgrad-bench: out/journal.jsonl: File too large: the journal ends before "
                         "this record; make room and go on with normgrad-bench run --resume out\n")
        self.assertTrue(self.journal().read_bytes().endswith(b'"}\n'), "a piece of a record")
        self.assertEqual(self.run_bench("run", "--resume", "out").returncode, 0)
        self.assertEqual(self.story("out"), self.story("whole"))


if __name__ == "__main__":
    unittest.main()
