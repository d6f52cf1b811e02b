"""Flags of eval.py, the data that it probes with, and what it finds from an earlier start."""

import json
import pathlib

from tests.bad_inputs.damage import cut, directory, fifo, flip, then, write
from tests.bad_inputs.stock import EVAL, evaluated, images, network
from tests.bad_inputs.trial import Prepare, Trial

REPRESENTATIONS = "probe/representations/train"
# Damage to what an evaluation left: measured again, or told.
DAMAGED: dict[str, Prepare] = {
    **{
        f"partial results {content!r}": write("probe/results.partial.json", content)
        for content in ("", '{"source', "[]", "null", "3", '{"source": 1, "layers": []}')
    },
    "partial results binary": write("probe/results.partial.json", b"\xff\xfe"),
    "partial results directory": directory("probe/results.partial.json"),
    "partial results fifo": fifo("probe/results.partial.json"),
    "results cut": cut("probe/results.json"),
    "results directory": directory("probe/results.json"),
    "header cut": cut(f"{REPRESENTATIONS}/header.json"),
    "header null": write(f"{REPRESENTATIONS}/header.json", "null"),
    "header list": write(f"{REPRESENTATIONS}/header.json", "[]"),
    "header fifo": fifo(f"{REPRESENTATIONS}/header.json"),
    "features cut": cut(f"{REPRESENTATIONS}/pre_logits.float32"),
    "features flipped": flip(f"{REPRESENTATIONS}/pre_logits.float32"),
    "features not numbers": write(f"{REPRESENTATIONS}/pre_logits.float32", b"\xff" * 80000),
    "labels flipped": flip(f"{REPRESENTATIONS}/labels.int64"),
    "labels cut": cut(f"{REPRESENTATIONS}/labels.int64"),
    "positions flipped": flip(f"{REPRESENTATIONS}/positions.int64"),
    "features fifo": fifo(f"{REPRESENTATIONS}/pre_logits.float32"),
    "lock fifo": fifo("probe/lock"),
    "flags binary": write("probe/flags.cfg", b"\xff\xfe"),
}
RESULTS = {
    "dataset": "folder",
    "val_split": "test",
    "probe": "knn",
    "layers": {"pre_logits": {"features": 9, "top1": 0.5, "top5": 1.0}},
}


def _compared(content: object) -> Prepare:
    def prepare(root: pathlib.Path) -> None:
        for name, text in (("one", json.dumps(RESULTS)), ("two", content)):
            text = text if isinstance(text, str | bytes) else json.dumps(text)
            write(f"{name}/results.json", text)(root)

    return prepare


COMPARED = {
    "cut": '{"dataset"',
    "empty": "",
    "null": None,
    "a list": [],
    "a number": 3,
    "without a probe": {key: RESULTS[key] for key in RESULTS if key != "probe"},
    "without layers": {**RESULTS, "layers": {}},
    "layers a list": {**RESULTS, "layers": []},
    "a layer null": {**RESULTS, "layers": {"pre_logits": None}},
    "top1 null": {**RESULTS, "layers": {"pre_logits": {"features": 9, "top1": None, "top5": 1}}},
    "top1 text": {**RESULTS, "layers": {"pre_logits": {"features": 9, "top1": "x", "top5": 1}}},
    "binary": b"\xff\xfe",
}


def _unseen(root: pathlib.Path) -> None:
    network(root)
    for number, path in enumerate(sorted((root / "images").glob("*/*.jpg"))):
        folder = root / "images" / ("test/c" if number % 4 == 0 else "train/" + path.parent.name)
        folder.mkdir(parents=True, exist_ok=True)
        path.rename(folder / path.name)
    for name in ("a", "b"):
        (root / "images" / name).rmdir()


def trials() -> list[Trial]:
    """Flags out of range, data that makes no sense, and what an earlier start left."""
    found = [
        Trial(
            f"evaluated, then {name}",
            "eval",
            EVAL,
            refused=None,
            prepare=then(evaluated, make),
        )
        for name, make in DAMAGED.items()
    ]
    found += [
        Trial(
            f"compared with results {name}",
            "eval",
            ("--compare", "one", "two", "--workdir=both"),
            refused=None,
            says="two",
            prepare=_compared(content),
        )
        for name, content in COMPARED.items()
    ]
    found += [
        Trial(
            "eval with overlapping splits",
            "eval",
            (*EVAL, "--train_split=all"),
            refused=False,
            says="(?i)overlap|also|among",
            prepare=network,
        ),
        Trial(
            "eval with classes that were never trained",
            "eval",
            (*EVAL, "--train_split=train"),
            refused=False,
            says="class",
            prepare=_unseen,
        ),
        Trial(
            "eval of one class",
            "eval",
            EVAL,
            prepare=then(network, lambda root: _one_class(root)),
        ),
        Trial(
            "eval of images without labels",
            "eval",
            EVAL,
            prepare=then(network, lambda root: images(root, classes=(".",))),
        ),
    ]
    return found


def _one_class(root: pathlib.Path) -> None:
    for path in (root / "images" / "b").iterdir():
        path.rename(root / "images" / "a" / path.name)
    (root / "images" / "b").rmdir()
