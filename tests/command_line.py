"""Runs the programs as a user does, in processes of their own."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
ENVIRONMENT = {
    **os.environ,
    "CUDA_VISIBLE_DEVICES": "-1",
    "PYTHONPATH": str(ROOT),
}

# Several command lines in one process, because importing TensorFlow takes longer than they do.
SEVERAL = """
import contextlib, io, sys
from training import quiet
from absl import flags
absl_flags = set(flags.FLAGS)
import {program} as program
from tests import graphs
from training import command_line
graphs.leave_unoptimised()
names = set(flags.FLAGS) - absl_flags
for arguments in {arguments!r}:
    flags.FLAGS.unparse_flags()
    for name in names:
        flags.FLAGS[name].unparse()
    output = io.StringIO()
    try:
        with contextlib.redirect_stderr(output), contextlib.redirect_stdout(output):
            program.main(command_line.parse(["program", *arguments]))
        print("OK")
    except (Exception, SystemExit) as error:
        print(type(error).__name__ + ": " + str(error).replace(chr(10), "|"))
"""


def run(
    program: str, *arguments: str, check: bool = True, cwd: pathlib.Path = ROOT
) -> subprocess.CompletedProcess:
    """Runs `train.py`, or a module such as `data.prepare`, to its end.

    Fails the test if it fails, unless told not to.
    """
    where = [str(ROOT / program)] if program.endswith(".py") else ["-m", program]
    result = subprocess.run(
        [sys.executable, *where, *arguments],
        env=ENVIRONMENT,
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    if check:
        assert result.returncode == 0, result.stderr
    return result


def start(program: str, *arguments: str) -> subprocess.Popen:
    """Starts a program and does not wait for it."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / program), *arguments],
        env=ENVIRONMENT,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def errors(program: str, command_lines: list[list[str]]) -> list[str]:
    """The error that each command line ends with, as `Type: message`, or `OK`."""
    source = SEVERAL.format(program=program.removesuffix(".py"), arguments=command_lines)
    result = subprocess.run(
        [sys.executable, "-c", source], env=ENVIRONMENT, cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()
