# SPDX-License-Identifier: Apache-2.0
"""Whatever the user gets wrong: one clear line, exit code 2, and no half-written report."""

import os
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
        self.assertRegex(process.stderr_text, r"^normgrad-bench: no case is left: .*'nothing\*'.*\n$")
        self.assertFalse((self.folder / "out").exists())

    def test_an_option_that_makes_a_check_vacuous(self):
        self.write("sweep.yaml", SWEEP)
        self.refused("--repeats 1: one launch has nothing to differ from: at least 2",
                     "sweep.yaml", "--repeats", "1")

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
