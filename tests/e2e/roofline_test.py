# SPDX-License-Identifier: Apache-2.0
"""`normgrad-bench roofline`: what it prints, keeps and tells the reports of runs."""

import csv
import json
import unittest

from bench import DEVIATING, SWEEP, BenchTest


class RooflineTest(BenchTest):
    def roofline(self, *arguments, **environment):
        """Measured in no time; kept in the test's folder."""
        return self.run_bench("roofline", "--quick", *arguments,
                              **{"XDG_CACHE_HOME": str(self.folder / "cache"), **environment})

    def kept(self):
        files = list((self.folder / "cache" / "normgrad-bench").iterdir())
        self.assertEqual(len(files), 1, files)
        return files[0]

    def test_it_is_measured_once_and_kept(self):
        first = self.roofline()
        self.assertEqual((first.returncode, first.stderr_text), (0, ""))
        self.assertRegex(first.stdout_text,
                         r"\n      1  memory  +3 MiB  streaming copy +[0-9.]+ +[0-9.]+ +[0-9.]+ +1.00\n")
        self.assertRegex(first.stdout_text, r"\n +\d+  L1 +16 KiB  read ")
        file = self.kept()
        self.assertRegex(file.name, r"^roofline-[0-9a-f]{16}\.json$")
        # A number that no measurement gives shows that none was made.
        kept = json.loads(file.read_text())
        kept["entries"][0]["median_gb_per_s"] = 123456.5
        file.write_text(json.dumps(kept))
        second = self.roofline()
        self.assertEqual((second.returncode, second.stderr_text), (0, ""))
        self.assertIn(" 123456.5 ", second.stdout_text)
        self.assertEqual(json.loads(self.roofline("--format", "json").stdout_text), kept)

    def test_fresh_measures_again(self):
        self.roofline()
        kept = json.loads(self.kept().read_text())
        kept["measured_utc"] = "2001-01-01T00:00:00Z"
        self.kept().write_text(json.dumps(kept))
        fresh = self.roofline("--fresh", "--format", "json")
        self.assertNotIn("2001-01-01", fresh.stdout_text)
        self.assertEqual(self.kept().read_text(), fresh.stdout_text)

    def test_a_damaged_one_is_measured_anew(self):
        self.roofline()
        self.kept().write_text('{"identity": ')
        process = self.roofline()
        self.assertEqual(process.returncode, 0)
        self.assertRegex(process.stderr_text, r"^normgrad-bench: .*\.json: roofline: not JSON: "
                                              r"expected one JSON object: measuring anew\n$")
        self.assertEqual(json.loads(self.kept().read_text())["rounds"], 3)

    def test_without_a_home_it_is_not_kept(self):
        process = self.roofline(XDG_CACHE_HOME="", HOME="")
        self.assertEqual(process.returncode, 0)
        self.assertIn("streaming triad", process.stdout_text)
        self.assertEqual(process.stderr_text,
                         "normgrad-bench: neither XDG_CACHE_HOME nor HOME names a folder: "
                         "the roofline is not kept\n")
        self.assertEqual(self.files(), [])

    def test_where_it_cannot_be_kept_it_is_shown(self):
        self.write("cache", "a file is in the way")
        process = self.roofline()
        self.assertEqual(process.returncode, 0)
        self.assertIn("streaming triad", process.stdout_text)
        self.assertIn(": the roofline is not kept\n", process.stderr_text)

    def test_a_vendors_library_shows_its_copy_alone(self):
        process = self.roofline("--device", DEVIATING)
        self.assertEqual(process.returncode, 0, process.stderr_text)
        self.assertIn("offers its device-to-device copy and no other motion", process.stdout_text)
        self.assertRegex(process.stdout_text, r"\n    all  memory +3 MiB  copy ")
        self.assertNotIn("triad", process.stdout_text)

    def test_reports_of_timed_runs_name_it(self):
        self.write("sweep.yaml", SWEEP)
        timed = ["run", "sweep.yaml", "--case", "float32-float32-float32-float32", "--check",
                 "throughput", "--report", "out"]
        cache = {"XDG_CACHE_HOME": str(self.folder / "cache")}
        unknown = self.run_bench(*timed, **cache)
        self.assertIn("\nRoofline of this machine\n  not measured: normgrad-bench roofline\n",
                      unknown.stdout_text)
        self.assertFalse((self.folder / "cache").exists(), "a run measures none")
        self.roofline()
        for isolate in ("on", "off"):
            known = self.run_bench(*timed, "--isolate", isolate, **cache)
            self.assertRegex(self.report()["run"]["roofline"],
                             r"^copy [0-9.]+ GB/s, read [0-9.]+, triad [0-9.]+ with \d+ threads?, "
                             r"measured \d{4}-\d\d-\d\d too quickly to say much$")
            self.assertIn(self.report()["run"]["roofline"], known.stdout_text)
            self.assertEqual(self.report()["run"]["roofline_gb_per_s"], 0, "too quick to say")
            self.assertIn(f"| roofline | {self.report()['run']['roofline']} |",
                          (self.folder / "out" / "report.md").read_text())

    def test_rates_stand_against_it(self):
        self.write("sweep.yaml", SWEEP)
        self.roofline()
        kept = json.loads(self.kept().read_text())
        self.kept().write_text(json.dumps(dict(kept, quick=False)))
        self.run_bench("run", "sweep.yaml", "--case", "float32-float32-float32-float32", "--check",
                       "throughput", "--report", "out",
                       XDG_CACHE_HOME=str(self.folder / "cache"))
        triads = [entry for entry in kept["entries"]
                  if entry["motion"] == "streaming triad" and entry["place"] == "memory"]
        best = max(triads, key=lambda entry: entry["threads"])["median_gb_per_s"]
        self.assertEqual(self.report()["run"]["roofline_gb_per_s"], best)
        with open(self.folder / "out" / "report.csv", newline="") as file:
            row = next(csv.DictReader(file))
        self.assertAlmostEqual(float(row["roofline_fraction"]), float(row["gb_per_s"]) / best,
                               delta=0.01 * float(row["roofline_fraction"]))

    def test_reports_of_other_runs_do_not(self):
        self.write("sweep.yaml", SWEEP)
        process = self.run_bench("run", "sweep.yaml", "--check", "memory", "--report", "out")
        self.assertEqual(self.report()["run"]["roofline"], "")
        self.assertNotIn("oofline", process.stdout_text)


if __name__ == "__main__":
    unittest.main()
