# SPDX-License-Identifier: Apache-2.0
"""The checks in scripts/ must be able to fail: every kind of violation, planted one at a time."""

import contextlib
import io
import json
import runpy
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
LICENCE = "// SPDX-License-Identifier: Apache-2.0\n"

# The smallest tree that keeps the rules: header -> text.
CLEAN = {
    "src/base/dtype.h": LICENCE,
    "src/ops/operator.h": LICENCE + '#include <yaml.h>\n#include "base/dtype.h"\n',
    "src/ops/operator.cc": LICENCE + '#include "table.inc"\n',
    "src/run/runner.h": LICENCE + '#include "checks/check.h"\n#include <benchmark/benchmark.h>\n',
    "src/checks/check.h": LICENCE + '#include "golden/oracle.h"\n',
    "src/device/device.cc": LICENCE + "#include <dlfcn.h>\n#include <acl/acl.h>\n",
    "src/main.cc": LICENCE + '#include "run/runner.h"\n#include "version.h"\n',
    "src/version.h.in": LICENCE,
    "golden/oracle.h": LICENCE + '#include "ops/operator.h"\n',
    "kernels/api/kernel.h": LICENCE + '#include "ops/operator.h"\n#include <acl/acl.h>\n',
    "kernels/cpu/kernels.cc": LICENCE + '#include "kernels/api/kernel.h"\n',
    "kernels/include/acl/acl.h": LICENCE,
}


def run(script: str, files: dict[str, str]) -> tuple[int, str]:
    """What main() of `script` returns and prints on a tree that holds `files`."""
    main = runpy.run_path(str(SCRIPTS / script))["main"]
    output = io.StringIO()
    with tempfile.TemporaryDirectory() as top, contextlib.redirect_stdout(output):
        for name, text in files.items():
            path = Path(top, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        status = main(Path(top).resolve())
    return status, output.getvalue()


class Floors(unittest.TestCase):
    def expect_complaint(self, file: str, line: str, complaint: str) -> None:
        status, output = run("check_floors.py", CLEAN | {file: LICENCE + line + "\n"})
        self.assertEqual(status, 1)
        self.assertEqual(output.splitlines(), [f"{file}: {complaint}"])

    def test_a_tree_that_keeps_the_rules_passes(self):
        self.assertEqual(run("check_floors.py", CLEAN), (0, ""))

    def test_an_include_from_a_higher_floor_is_caught(self):
        self.expect_complaint("src/base/bad.h", '#include "ops/operator.h"',
                              "includes src/ops/operator.h: src/base may only include src/base")

    def test_an_include_from_the_same_floor_is_caught(self):
        self.expect_complaint("src/report/bad.cc", "#include <device/device.cc>",
                              "includes src/device/device.cc: src/report may only include "
                              "src/report, src/ops, src/base")

    def test_an_include_by_relative_path_is_caught(self):
        self.expect_complaint("src/ops/bad.cc", '  #  include "../run/runner.h"',
                              "includes src/run/runner.h: src/ops may only include "
                              "src/ops, src/abi, src/base")

    def test_main_must_not_include_kernels(self):
        self.expect_complaint("src/options.cc", '#include "kernels/api/kernel.h"',
                              "includes kernels/api/kernel.h: src may only include src, src/run, "
                              "src/checks, src/device, src/sweep, src/accuracy, src/report, "
                              "src/abi, golden, src/ops, src/base")

    def test_the_oracle_must_not_include_kernels(self):
        self.expect_complaint("golden/bad.cc", '#include "kernels/api/kernel.h"',
                              "includes kernels/api/kernel.h: golden may only include "
                              "golden, src/ops, src/base")

    def test_kernels_must_not_include_the_oracle(self):
        self.expect_complaint("kernels/cpu/bad.cc", '#include "golden/oracle.h"',
                              "includes golden/oracle.h: kernels may only include "
                              "kernels, src/abi, src/ops, src/base, kernels/include")

    def test_the_vendors_headers_are_for_device_and_abi_only(self):
        self.expect_complaint("src/ops/bad.cc", "#include <acl/acl.h>",
                              "includes kernels/include/acl/acl.h: src/ops may only include "
                              "src/ops, src/abi, src/base")

    def test_a_library_outside_its_owners_folder_is_caught(self):
        for header, owner in {"yaml-cpp/yaml.h": "src/sweep",
                              "nlohmann/json.hpp": "src/report", "dlfcn.h": "src/device",
                              "benchmark/benchmark.h": "src/run", "hwy/highway.h": "kernels",
                              "CLI/CLI.hpp": "src", "spdlog/spdlog.h": "src"}.items():
            with self.subTest(header):
                self.expect_complaint("src/ops/bad.cc", f"#include <{header}>",
                                      f"<{header}> belongs to {owner}")

    def test_a_test_framework_outside_the_tests_is_caught(self):
        self.expect_complaint("golden/bad.cc", "#include <gtest/gtest.h>",
                              "<gtest/gtest.h> belongs to the tests")

    def test_a_file_that_does_not_exist_is_caught(self):
        self.expect_complaint("src/ops/bad.cc", '#include "ops/gone.h"',
                              '"ops/gone.h" is no file of this project')

    def test_a_new_folder_needs_a_floor(self):
        self.expect_complaint("src/attic/bad.cc", "",
                              "its folder has no floor: add one to check_floors.py")

    def test_an_empty_tree_is_not_a_pass(self):
        self.assertEqual(run("check_floors.py", {})[0], 1)


class Licenses(unittest.TestCase):
    def test_a_tree_with_the_line_everywhere_passes(self):
        files = CLEAN | {"CMakeLists.txt": "# SPDX-License-Identifier: Apache-2.0\n",
                         "scripts/run.sh": "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n"}
        self.assertEqual(run("check_licenses.py", files), (0, ""))

    def test_a_file_without_the_line_is_caught(self):
        for file, text in {"src/bad.h": "#pragma once\n" + LICENCE,
                           "scripts/bad.py": "#!/usr/bin/env python3\n",
                           "cases/bad.yaml": "operator: x\n", "cases/bad.csv": "product,data\n",
                           "kernels/bad.map": "{ };\n", "src/bad.h.in": "#pragma once\n",
                           "cmake/bad.cmake": "", "CMakeLists.txt": "project(x)\n",
                           ".ci/run": "#!/usr/bin/env bash\n"}.items():
            with self.subTest(file):
                status, output = run("check_licenses.py", CLEAN | {file: text})
                self.assertEqual(status, 1)
                self.assertEqual(output, f"{file}: does not start with "
                                         "'SPDX-License-Identifier: Apache-2.0'\n")

    def test_an_empty_tree_is_not_a_pass(self):
        self.assertEqual(run("check_licenses.py", {})[0], 1)


class Reports(unittest.TestCase):
    def check(self, csv_text: str = "case,outcome\r\na,passed\r\n", **changes) -> tuple[int, str]:
        report = {"results": [{"case_id": "a", "outcome": "passed",
                               "checks": [{"check": "accuracy", "outcome": "passed"}]}],
                  "totals": {"planned_cases": 1, "planned_checks": 1}, "finished": True} | changes
        status, output = run("check_report.py", {"report.json": json.dumps(report),
                                                 "report.csv": csv_text, "report.md": "# Report\n"})
        return status, output.partition(": ")[2]

    def test_a_whole_report_passes(self):
        self.assertEqual(self.check(), (0, ""))

    def test_a_planned_case_without_an_answer_is_caught(self):
        self.assertEqual(self.check(totals={"planned_cases": 2, "planned_checks": 1}),
                         (1, "2 cases planned, 1 in report.json, 1 in report.csv\n"))

    def test_a_planned_check_without_an_answer_is_caught(self):
        self.assertEqual(self.check(totals={"planned_cases": 1, "planned_checks": 3}),
                         (1, "3 checks planned, 1 in report.json\n"))

    def test_a_report_in_which_nothing_passed_is_caught(self):
        self.assertEqual(
            self.check("case,outcome\r\na,skipped\r\n",
                       results=[{"case_id": "a", "outcome": "skipped",
                                 "checks": [{"check": "accuracy", "outcome": "skipped"}]}]),
            (1, "no check passed\n"))

    def test_an_unfinished_run_is_caught(self):
        self.assertEqual(self.check(finished=False), (1, "the run was not finished\n"))

    def test_an_empty_report_is_caught(self):
        status, output = self.check("case,outcome\r\n", results=[],
                                    totals={"planned_cases": 0, "planned_checks": 0})
        self.assertEqual((status, output), (1, "no case was answered\n"))

    def test_formats_that_differ_are_caught(self):
        self.assertEqual(self.check("case,outcome\r\na,failed\r\n"),
                         (1, "report.csv and report.json differ in 1 cases, first a\n"))

    def test_a_missing_file_is_caught(self):
        status, output = run("check_report.py", {"report.json": "{}"})
        self.assertEqual(status, 1)
        self.assertIn("report.csv", output)


class Shells(unittest.TestCase):
    def expect_complaint(self, file: str, line: str, complaint: str) -> None:
        status, output = run("check_shells.py", CLEAN | {file: line + "\n"})
        self.assertEqual((status, output),
                         (1, f"{file}:1: {complaint}: text must never reach a shell\n"))

    def test_a_tree_that_starts_none_passes(self):
        self.assertEqual(run("check_shells.py", CLEAN | {
            "src/a.cc": "// system() would be wrong\n::posix_spawn(&child, path);\n"}), (0, ""))

    def test_a_shell_in_the_tool_is_caught(self):
        self.expect_complaint("src/a.cc", "  std::system(line.c_str());", "system(")
        self.expect_complaint("kernels/a.cc", "popen (line, mode);", "popen (")
        self.expect_complaint("src/run/a.cc", "::execvp(argv[0], argv);", "execvp(")
        self.expect_complaint("src/run/a.cc", 'Start("/bin/sh");', "/bin/sh")

    def test_a_shell_in_a_script_is_caught(self):
        self.expect_complaint("scripts/a.py", "run(line, shell" + "=True)", "shell" + "=True")
        self.expect_complaint("scripts/a.sh", 'eval "$1"', "eval")
        self.expect_complaint(".ci/run", 'bash -c "$1"', "bash -c")

    def test_a_folder_without_files_is_caught(self):
        status, output = run("check_shells.py", {})
        self.assertEqual(status, 1)
        self.assertIn("is this the project's top folder?", output)


class Lint(unittest.TestCase):
    def test_arguments_it_does_not_know_are_refused(self):
        for arguments in (["--fxi"], ["--fix", "src"], [""]):
            with self.subTest(arguments):
                process = subprocess.run(["bash", SCRIPTS / "lint.sh", *arguments], text=True,
                                         capture_output=True, timeout=60)
                self.assertEqual(process.returncode, 2)
                self.assertEqual(process.stderr, f"scripts/lint.sh: unexpected '{' '.join(arguments)}'"
                                                 ": expected --fix or nothing\n")


if __name__ == "__main__":
    unittest.main()
