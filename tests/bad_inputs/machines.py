"""Other machines that are not there, or something else."""

import json

from tests.bad_inputs.inputs import TRAIN, images
from tests.bad_inputs.trial import Trial

WORKERS = (*TRAIN, "--strategy=multi_worker")
TF_CONFIGS = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[]",
    "null": "null",
    "no cluster": json.dumps({"task": {"type": "worker", "index": 0}}),
    "no task": json.dumps({"cluster": {"worker": ["127.0.0.1:23451"]}}),
    "no workers": json.dumps({"cluster": {"worker": []}, "task": {"type": "worker", "index": 0}}),
    "workers a text": json.dumps(
        {"cluster": {"worker": "127.0.0.1:23451"}, "task": {"type": "worker", "index": 0}}
    ),
    **{
        f"index {index!r}": json.dumps(
            {"cluster": {"worker": ["127.0.0.1:23451"]}, "task": {"type": "worker", "index": index}}
        )
        for index in (1, -1, "x", None, 1e30)
    },
    **{
        f"type {kind!r}": json.dumps(
            {"cluster": {"worker": ["127.0.0.1:23451"]}, "task": {"type": kind, "index": 0}}
        )
        for kind in ("ps", "evaluator", "", None, "workers")
    },
    **{
        f"address {address!r}": json.dumps(
            {"cluster": {"worker": [address]}, "task": {"type": "worker", "index": 0}}
        )
        for address in ("127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", ":", "", 3, None)
    },
    "one address twice": json.dumps(
        {
            "cluster": {"worker": ["127.0.0.1:23452", "127.0.0.1:23452"]},
            "task": {"type": "worker", "index": 0},
        }
    ),
}


def trials() -> list[Trial]:
    """A TF_CONFIG that cannot work is told at once."""
    found = [
        Trial(
            f"TF_CONFIG with {name}",
            "train",
            WORKERS,
            says="TF_CONFIG",
            prepare=images,
            environment={"TF_CONFIG": text},
            seconds=30,
        )
        for name, text in TF_CONFIGS.items()
    ]
    found += [
        Trial(f"{flag}", "train", (*TRAIN, flag), prepare=images, seconds=60)
        for flag in (
            "--data_service=grpc://127.0.0.1:1",
            "--data_service=grpc://nowhere.invalid:5000",
            "--tpu=nowhere",
            "--strategy=tpu",
        )
    ]
    return found
