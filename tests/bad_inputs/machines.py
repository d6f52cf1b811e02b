"""Other machines that are not there, or something else."""

import json
import socket

from tests.bad_inputs.forks import Conditions
from tests.bad_inputs.stock import TRAIN, images
from tests.bad_inputs.trial import Trial

WORKERS = (*TRAIN, "--strategy=multi_worker")
HERE = "127.0.0.1:23451"


def _config(workers: object, kind: object = "worker", index: object = 0) -> str:
    return json.dumps({"cluster": {"worker": workers}, "task": {"type": kind, "index": index}})


TF_CONFIGS = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[]",
    "null": "null",
    "no cluster": json.dumps({"task": {"type": "worker", "index": 0}}),
    "a cluster of text": json.dumps({"cluster": HERE, "task": {"type": "worker", "index": 0}}),
    "no task": json.dumps({"cluster": {"worker": [HERE]}}),
    "no workers": _config([]),
    "workers a text": _config(HERE),
    "workers a number": _config(3),
    **{f"index {index!r}": _config([HERE], index=index) for index in (1, -1, "x", None, 1e30, 0.5)},
    **{
        f"type {kind!r}": _config([HERE], kind)
        for kind in ("ps", "evaluator", "", None, "workers", [])
    },
    **{
        f"address {address!r}": _config([address])
        for address in ("127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", ":", "", 3, None, ":-1")
    },
    "one address twice": _config([HERE, HERE]),
    "one address twice, written differently": _config([HERE, "localhost:23451"]),
}
# They listen as long as this process and its forks do, and say nothing.
_listeners: list[socket.socket] = []


def _silent() -> str:
    """The address of something that takes connections and never says a word."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=50)
    _listeners.append(listener)
    return f"127.0.0.1:{listener.getsockname()[1]}"


def trials() -> list[Trial]:
    """What cannot work is told, at once or within a minute; SIGTERM ends what waits."""
    found = [
        Trial(
            f"TF_CONFIG with {name}",
            "train",
            WORKERS,
            says="TF_CONFIG",
            prepare=images,
            absent=("run",),
            conditions=Conditions(environment={"TF_CONFIG": text}, seconds=40),
            quick=True,
        )
        for name, text in TF_CONFIGS.items()
    ]
    silent = _silent()
    addresses = {
        "a closed port": ("--data_service=grpc://127.0.0.1:1", "data_service"),
        "no such host": ("--data_service=grpc://nowhere.invalid:5000", "data_service"),
        "a silent listener": (f"--data_service=grpc://{silent}", "data_service"),
        "a TPU that is not there": ("--tpu=nowhere", "TPU"),
        "a TPU at a closed port": ("--tpu=grpc://127.0.0.1:1", "TPU"),
        "a TPU at a silent listener": (f"--tpu=grpc://{silent}", "TPU"),
    }
    found += [
        Trial(
            name,
            "train",
            (*TRAIN, flag),
            says=says,
            prepare=images,
            absent=("run",),
            conditions=Conditions(seconds=75),
        )
        for name, (flag, says) in addresses.items()
    ]
    found += [
        Trial(
            f"SIGTERM while {name}",
            "train",
            (*TRAIN, *flags),
            prepare=images,
            conditions=Conditions(
                environment={"TF_CONFIG": config}, seconds=40, terminated_after=4
            ),
        )
        for name, flags, config in (
            (
                "another machine does not begin",
                ("--strategy=multi_worker",),
                _config(["127.0.0.1:23461", "127.0.0.1:1"]),
            ),
            (
                "another machine says nothing",
                ("--strategy=multi_worker",),
                _config(["127.0.0.1:23462", silent]),
            ),
            ("a data service says nothing", (f"--data_service=grpc://{silent}",), ""),
            ("a TPU says nothing", (f"--tpu=grpc://{silent}",), ""),
        )
    ]
    return found
