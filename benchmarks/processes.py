"""A measurement in a process of its own, so that it has the devices and the memory to itself."""

import json
import os
import subprocess
import sys


def start(
    module: str, environment: dict[str, str] | None = None, **options: object
) -> subprocess.Popen:
    """`python -m module` with its options, in a process of its own."""
    command = [sys.executable, "-m", module]
    command += [f"--{name}={value}" for name, value in options.items()]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, **(environment or {})}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def result_of(process: subprocess.Popen) -> dict:
    """The JSON that it printed last; ends the benchmark with its error if it failed."""
    output, error = process.communicate()
    if process.returncode:
        sys.exit(error)
    return json.loads(output.splitlines()[-1])
