"""Wrong input is refused in a line: those trials that end before anything is computed."""

import subprocess
import sys

from tests import command_line


def test_is_refused_before_anything_is_computed():
    # In a process of its own: the trials are forks of one in which TensorFlow has done nothing.
    result = subprocess.run(
        [sys.executable, "-m", "tests.bad_inputs", "--quick"],
        cwd=command_line.ROOT,
        env=command_line.ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
