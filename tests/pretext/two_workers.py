"""Two machines on one: processes of `tests.pretext.small_run` that talk over loopback."""

import json
import pathlib
import socket
import subprocess
import sys

from tests.command_line import ENVIRONMENT, ROOT


def configurations(count: int = 2) -> list[dict[str, str]]:
    """The environments of two or more workers, for ports that are free now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    cluster = {"worker": [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]}
    for one in sockets:
        one.close()
    return [
        {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})}
        for index in range(count)
    ]


def start(folder: str, output: pathlib.Path, *cases: str) -> list[subprocess.Popen]:
    """Starts both workers on some cases; their error streams go to OUTPUT/worker0.log and 1."""
    output.mkdir(exist_ok=True)
    processes = []
    for index, configuration in enumerate(configurations()):
        with open(output / f"worker{index}.log", "wb") as log:
            processes.append(
                subprocess.Popen(
                    [
                        *(sys.executable, "-m", "tests.pretext.small_run"),
                        *(folder, str(output), "multi_worker", "1", *cases),
                    ],
                    env=ENVIRONMENT | configuration,
                    cwd=ROOT,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                )
            )
    return processes
