"""Whatever libraries leave in the temporary directory is gone with the program."""

import os
import signal
import subprocess
import sys

import pytest

from tests.command_line import ROOT

PROGRAM = """
import os, pathlib, subprocess, sys, tempfile, time
from training import interruption
interruption.install("program")
tempfile.mkstemp()
subprocess.run([sys.executable, "-c", "import tempfile; tempfile.mkstemp()"], check=True)
if os.fork() == 0:
    interruption.end_with("", 0)
os.wait()
print(len(list(pathlib.Path(tempfile.gettempdir()).iterdir())), flush=True)
{end}
"""
ENDS = {
    "success": ("", 0),
    "an error": ("interruption.end_with('program: wrong', 1)", 1),
    "a signal": ("time.sleep(60)", 143),
}


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_left(end, tmp_path):
    code, status = ENDS[end]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(end=code)],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout.readline() == b"2\n"
    if status == 143:
        process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == status
    assert not list(tmp_path.iterdir())
