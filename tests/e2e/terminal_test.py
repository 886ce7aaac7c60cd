# SPDX-License-Identifier: Apache-2.0
"""What a user sees on a terminal while a run goes on."""

import os
import pty
import threading
import unittest

from bench import FAULTY, SWEEP, BenchTest

ERASE = "\r\x1b[K"


class TerminalTest(BenchTest):
    def start_on_terminal(self, *arguments, **environment):
        """A run whose standard error is a terminal; self.seen grows with what is shown there."""
        self.write("sweep.yaml", SWEEP)
        terminal, other_end = pty.openpty()
        process = self.start("run", "sweep.yaml", "--report", "out", *arguments,
                             popen={"stderr": other_end}, **environment)
        os.close(other_end)
        self.seen = ""

        def read():
            try:
                while text := os.read(terminal, 4096):
                    self.seen += text.decode()
            except OSError:
                pass  # how a terminal says that nobody writes to it any more
            os.close(terminal)

        self.reader = threading.Thread(target=read)
        self.reader.start()
        self.addCleanup(self.reader.join)
        return process

    def test_the_line_shows_the_check_that_takes_long(self):
        # Everything before it takes a few milliseconds, and it never ends.
        process = self.start_on_terminal("--check", "memory", "--device", FAULTY,
                                         NORMGRAD_FAULT="hang")
        self.wait_until(lambda: "[0/2] memory rms_norm_grad/" in self.seen, "the check is shown")
        process.kill()

    def test_nothing_is_left_of_the_line(self):
        process = self.start_on_terminal()
        process.communicate(timeout=120)
        self.reader.join()
        self.assertEqual(process.returncode, 0)
        self.assertTrue(self.seen.endswith(ERASE), self.seen)

    def test_a_log_has_no_line_that_is_rewritten(self):
        process = self.start_on_terminal("--verbose")
        process.communicate(timeout=120)
        self.reader.join()
        self.assertNotIn(ERASE, self.seen)
        self.assertIn("accuracy", self.seen)


if __name__ == "__main__":
    unittest.main()
