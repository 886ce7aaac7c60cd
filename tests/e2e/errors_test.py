# SPDX-License-Identifier: Apache-2.0
"""Whatever the user gets wrong: one clear line, exit code 2, and no half-written report."""

import os
import re
import resource
import signal
import unittest

from bench import SWEEP, BenchTest

DTYPES = "product,data,statistic,scale,scale_grad\n"


class ErrorTest(BenchTest):
    def refused(self, message, *arguments):
        before = self.files()
        process = self.run_bench("run", *arguments, "--report", "out")
        self.assertEqual(process.returncode, 2, process.stderr_text)
        self.assertEqual(process.stderr_text, f"normgrad-bench: {message}\n")
        self.assertEqual(process.stdout_text, "")
        self.assertEqual(self.files(), before, "something was left behind")
        self.assertFalse((self.folder / "out").exists())

    def refused_sweep(self, message, text):
        self.write("sweep.yaml", text)
        self.refused(message, "sweep.yaml")

    def test_a_missing_file(self):
        self.refused("nowhere.yaml: cannot be read: No such file or directory", "nowhere.yaml")

    def test_yaml_that_is_no_yaml(self):
        self.write("sweep.yaml", "operator: rms_norm_grad\nsweep: [\n")
        process = self.run_bench("run", "sweep.yaml")
        self.assertEqual(process.returncode, 2)
        self.assertRegex(process.stderr_text, r"^normgrad-bench: sweep\.yaml:\d+:\d+: .+\n$")

    def test_an_unknown_key(self):
        self.refused_sweep("sweep.yaml:2:1: unknown key 'prodcuts': did you mean 'products'?",
                           SWEEP.replace("products:", "prodcuts:"))

    def test_an_unknown_dtype_in_a_table(self):
        self.write("dtypes.csv", DTYPES + "atlas-a2,fp16,float32,float32,float32\n")
        self.refused_sweep(
            "dtypes.csv:2: unknown dtype 'fp16': expected float32, float16, bfloat16 or int32",
            "operator: rms_norm_grad\ndtypes: dtypes.csv\nsweep:\n  - dims: {A: [1], R: [8]}\n")

    def test_a_negative_extent(self):
        self.refused_sweep("sweep.yaml:5:16: extent -65 is negative", SWEEP.replace("65", "-65"))

    def test_a_library_that_is_none(self):
        self.write("sweep.yaml", SWEEP)
        self.write("lib.so", "not an ELF file, and long enough to be read as one\n" * 10)
        self.refused("./lib.so: cannot be opened as a device library: ./lib.so: invalid ELF header",
                     "sweep.yaml", "--device", "./lib.so")

    def test_a_device_of_a_variable_that_is_not_set(self):
        self.write("sweep.yaml", SWEEP)
        self.refused("--device '': an empty path: expected those of shared objects, or no --device for "
                     "the built-in CPU device", "sweep.yaml", "--device", "")

    def test_a_shard_of_a_variable_that_is_not_set(self):
        self.write("sweep.yaml", SWEEP)
        self.refused("--shard : expected <which>/<how many>, as in 2/4, env, or env/<how many>",
                     "sweep.yaml", "--shard", "")

    def test_a_library_that_does_not_exist(self):
        self.write("sweep.yaml", SWEEP)
        self.refused("./no.so: cannot be opened as a device library: ./no.so: cannot open shared "
                     "object file: No such file or directory", "sweep.yaml", "--device", "./no.so")

    def test_a_library_without_a_runtime(self):
        self.write("sweep.yaml", SWEEP)
        library = os.environ["NORMGRAD_NOT_A_DEVICE"]
        self.refused(f"{library}: no symbol aclInit: a device library exports CANN's acl runtime "
                     "and aclnn API", "sweep.yaml", "--device", library)

    def test_a_library_without_the_operator(self):
        self.write("sweep.yaml", SWEEP)
        library = os.environ["NORMGRAD_NO_OPERATOR"]
        self.refused(f"{library}: no symbol aclnnRmsNormGradGetWorkspaceSize: does this CANN "
                     "release contain the operator?", "sweep.yaml", "--device", library)

    def test_instructions_that_are_not_there(self):
        self.write("sweep.yaml", SWEEP)
        library = os.environ["NORMGRAD_CPU"]
        process = self.run_bench("run", "sweep.yaml", "--device", library, "--instruction-set", "x")
        self.assertEqual(process.returncode, 2)
        self.assertRegex(process.stderr_text,
                         re.escape(library) + ": normgradSetInstructionSet: no instruction set 'x' "
                         r"here: expected one of .+\n$")
        self.assertEqual(self.files(), ["sweep.yaml"])
        vendors = os.environ["NORMGRAD_ONE_PRODUCT"]
        self.refused(f"{vendors}: no symbol normgradSetInstructionSet: only a CPU device has "
                     "instructions to choose from", "sweep.yaml", "--device", vendors,
                     "--instruction-set", "avx2")

    def test_a_device_that_is_not_there(self):
        self.write("sweep.yaml", SWEEP)
        library = os.environ["NORMGRAD_CPU"]
        self.refused(f"{library}: no device 7: the library has 1, numbered from 0",
                     "sweep.yaml", "--device", library, "--device-id", "7")

    def test_a_report_folder_that_cannot_be(self):
        self.write("sweep.yaml", SWEEP)
        self.write("file", "")
        before = self.files()
        process = self.run_bench("run", "sweep.yaml", "--report", "file/out")
        self.assertEqual(process.returncode, 2)
        self.assertRegex(process.stderr_text, r"^normgrad-bench: file/out: .+\n$")
        self.assertEqual(self.files(), before)

    def test_no_case_selected(self):
        self.write("sweep.yaml", SWEEP)
        process = self.run_bench("run", "sweep.yaml", "--case", "nothing*", "--report", "out")
        self.assertEqual(process.returncode, 2)
        self.assertEqual(process.stderr_text, "normgrad-bench: --case 'nothing*': matches no case: "
                                              "normgrad-bench plan shows the ids\n")
        self.assertFalse((self.folder / "out").exists())

    def test_an_option_that_makes_a_check_vacuous(self):
        self.write("sweep.yaml", SWEEP)
        self.refused("--repeats 1: expected a whole number from 2 to 100000",
                     "sweep.yaml", "--repeats", "1")

    def test_numbers_that_are_none_or_out_of_range(self):
        self.write("sweep.yaml", SWEEP)
        seed = "expected a whole number from 0 to 18446744073709551615"
        for option, number, message in (
                ("--seed", "-1", seed), ("--seed", "18446744073709551616", seed),
                ("--seed", "0x10", seed), ("--seed", "1.5", seed),
                ("--threads", "1025", "expected a whole number from 0 to 1024"),
                ("--threads", "4294967295", "expected a whole number from 0 to 1024"),
                ("--repeats", "100001", "expected a whole number from 2 to 100000"),
                ("--device-id", "-1", "expected a whole number from 0 to 2147483647"),
                ("--timeout", "nan", "expected a number from 0.001 to 2000000"),
                ("--timeout", "0", "expected a number from 0.001 to 2000000")):
            with self.subTest(option=option, number=number):
                self.refused(f"{option} {number}: {message}", "sweep.yaml", option, number)

    def test_a_seed_is_decimal(self):
        self.write("sweep.yaml", SWEEP)
        process = self.run_bench("plan", "sweep.yaml", "--seed", "010")
        self.assertIn("/seed=10 ", process.stdout_text)

    def test_an_unknown_option_points_at_the_help_that_lists_the_known(self):
        process = self.run_bench("plan", "sweep.yaml", "--bad")
        self.assertEqual(process.returncode, 2)
        self.assertTrue(process.stderr_text.endswith("; see normgrad-bench plan --help\n"),
                        process.stderr_text)

    def test_a_device_that_does_not_start(self):
        self.write("sweep.yaml", SWEEP)
        library = os.environ["NORMGRAD_CPU"]
        for command in (["run", "sweep.yaml", "--report", "out"], ["devices"]):
            process = self.run_bench(*command, "--device", library, NORMGRAD_PRODUCT="atlas-b2")
            self.assertEqual(process.returncode, 5)
            self.assertRegex(process.stderr_text,
                             rf"^normgrad-bench: {library}: the device does not start: aclrt\w+ "
                             r"returned \d+ \(\w+\): .+\n$")
            self.assertEqual(self.files(), ["sweep.yaml"])

    def test_text_that_would_reach_the_terminal_as_commands(self):
        self.refused_sweep("sweep.yaml:2:1: not valid YAML: unknown token",
                           "operator: rms_norm_grad\n@\x1b[2J: 1\n")
        name = "\x1b[2J\u009b2J\n.yaml"
        process = self.run_bench("plan", name)
        self.assertEqual(process.stderr_text,
                         "normgrad-bench: \u241b[2J\ufffd2J .yaml: cannot be read: No such file "
                         "or directory\n")

    def test_a_file_that_outgrows_its_limit(self):
        self.write("sweep.yaml", SWEEP)
        command = ["run", "sweep.yaml", "--format", "json", "--report"]
        self.run_bench(*command, "whole")
        text = (self.folder / "whole" / "report.json").read_text()
        most = text.index(self.report("whole")["results"][1]["case_id"])  # in the second result

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

        process = self.run_bench(*command, "out", popen={"preexec_fn": limit})
        self.assertEqual(process.returncode, 2, process.stderr_text)
        self.assertRegex(process.stderr_text, r"^normgrad-bench: out/[a-z.]+: File too large: .*resume ")
        self.assertLess(len(self.report()["results"]), 2)
        # What was answered is there, and what was not can be asked once there is room.
        process = self.run_bench("run", "--resume", "out")
        self.assertEqual(process.returncode, 0, process.stderr_text)
        self.assertEqual([r["case_id"] for r in self.report()["results"]],
                         [r["case_id"] for r in self.report("whole")["results"]])

    def test_output_that_does_not_arrive(self):
        self.write("sweep.yaml", SWEEP)
        with open("/dev/full", "w") as full:
            for command in (["plan", "sweep.yaml"], ["run", "sweep.yaml", "--report", "out"],
                            ["--help"], ["describe"], ["devices"]):
                with self.subTest(command[0]):
                    process = self.run_bench(*command, popen={"stdout": full})
                    self.assertEqual(process.returncode, 2)
                    self.assertEqual(process.stderr_text, "normgrad-bench: standard output: cannot "
                                                          "be written: No space left on device\n")

    def test_a_reader_that_goes_away_costs_no_report(self):
        self.write("sweep.yaml", SWEEP)
        read, write = os.pipe()
        os.close(read)
        process = self.run_bench("run", "sweep.yaml", "--report", "out", popen={"stdout": write})
        os.close(write)
        self.assertNotEqual(process.returncode, -signal.SIGPIPE)
        self.assertTrue(self.report()["finished"])

    def test_an_unknown_command(self):
        process = self.run_bench("runn")
        self.assertEqual(process.returncode, 2)
        self.assertEqual(process.stderr_text,
                         "normgrad-bench: unknown command 'runn': did you mean 'run'?\n")

    def test_an_unknown_format(self):
        self.write("sweep.yaml", SWEEP)
        process = self.run_bench("run", "sweep.yaml", "--report", "out", "--format", "cvs")
        self.assertEqual(process.returncode, 2)
        self.assertIn("'cvs'", process.stderr_text)
        self.assertFalse((self.folder / "out").exists())


if __name__ == "__main__":
    unittest.main()
