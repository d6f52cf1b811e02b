"""`eval.py` on two and three machines, which are processes here, against one."""

import functools
import json
import pathlib
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.command_line import ENVIRONMENT, ROOT
from tests.pretext import two_workers

SIZE = 8
CLASSES = ("red", "green", "blue")
LAYERS = {"colour": 3, "wide": 2100}
PROBES = {
    "lbfgs": ("--probe=lbfgs",),
    "few": ("--probe=lbfgs", "--train_fraction=0.4", "--l2=1e-3"),
    "knn": ("--probe=knn", "--neighbours=5"),
    "sgd": ("--probe=sgd", "--epochs=2", "--train_batch_size=12", "--learning_rate=1e-5"),
    "mlp": ("--probe=mlp", "--epochs=2", "--train_batch_size=12", "--learning_rate=1e-5"),
}
# By how many workers: a process can take part in one set only, and each takes seconds to start.
MEASURED = {1: tuple(PROBES), 2: tuple(PROBES), 3: ("lbfgs", "knn", "mlp")}
COUNTS = (2, pytest.param(3, marks=pytest.mark.long))
CASES = [
    pytest.param(count, name, marks=[pytest.mark.long] if count == 3 else [])
    for count in (2, 3)
    for name in MEASURED[count]
]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> pathlib.Path:
    """A folder of images of three similar colours, one of them broken, and a network."""
    root = tmp_path_factory.mktemp("workers")
    random = np.random.default_rng(0)
    for split, count in {"train": 25, "test": 9}.items():
        for label, name in enumerate(CLASSES):
            (root / "images" / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 200, (SIZE, SIZE, 3))
                pixels[..., label] += random.integers(0, 40)
                path = root / "images" / split / name / f"{number}.png"
                Image.fromarray(pixels.astype(np.uint8)).save(path)
    (root / "images" / "test" / "blue" / "8.png").write_bytes(b"not a picture")

    module = tf.Module()
    projection = tf.constant(random.standard_normal((SIZE * SIZE * 3, LAYERS["wide"])), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    def representation(images):
        pixels = tf.reshape(images, [-1, SIZE * SIZE * 3])
        return {"colour": tf.reduce_mean(images, [1, 2]), "wide": tf.matmul(pixels, projection)}

    module.representation = representation
    tf.saved_model.save(
        module, str(root / "saved_model"), signatures={"representation": representation}
    )
    return root


def start(root: pathlib.Path, count: int, *dying: int) -> list[subprocess.Popen]:
    """Starts all evaluations by `count` workers, of which some kill themselves."""
    lines = [
        [
            f"--saved_model={root / 'saved_model'}",
            f"--data_dir={root / 'images'}",
            f"--workdir={root / str(count) / name}",
            f"--representations_dir={root / 'representations'}",
            f"--layers={','.join(LAYERS)}",
            f"--resize_size={SIZE}",
            f"--crop_size={SIZE}",
            "--train_split=trainval",
            "--val_split=test",
            "--batch_size=4",
            *PROBES[name],
        ]
        for name in MEASURED[count]
    ]
    (root / f"lines{count}.json").write_text(json.dumps(lines))
    environments = two_workers.configurations(count) if count > 1 else [{}]
    return [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.evaluate.several_workers"),
                *(str(root / f"optima{index}-{count}.json"), str(root / f"lines{count}.json")),
                *(["dies"] if index in dying else []),
            ],
            env=ENVIRONMENT | environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index, environment in enumerate(environments)
    ]


def finish(processes: list[subprocess.Popen]) -> list[str]:
    """What the workers print."""
    ends = [process.communicate(timeout=300) for process in processes]
    for process, (_, error) in zip(processes, ends, strict=True):
        assert process.returncode == 0, error[-3000:]
    return [output for output, _ in ends]


@pytest.fixture(scope="module")
def lost(root) -> tuple[list[str], dict]:
    """How two workers end when the second one dies in its extraction, and what that one leaves."""
    ends = [process.communicate(timeout=300)[1] for process in start(root, 2, 1)]
    (header,) = root.glob("representations/val/part-1-of-2/header.json")
    return ends, json.loads(header.read_text())


@pytest.fixture(scope="module")
def printed(root, lost) -> Callable[[int], list[str]]:
    """All workers' output, by their number; two start again what was interrupted."""

    @functools.cache
    def printed_by(count: int) -> list[str]:
        return finish(start(root, count))

    printed_by(1)
    return printed_by


def results(root: pathlib.Path, count: int, name: str) -> dict:
    return json.loads((root / str(count) / name / "results.json").read_text())


def test_the_loss_of_a_worker_ends_the_others_with_a_line(lost) -> None:
    ends, header = lost
    assert ends[0].splitlines()[-1].startswith("eval.py: another worker is gone"), ends[0][-2000:]
    assert header["records"] == 8, "in the middle"


@pytest.mark.parametrize("count", COUNTS)
def test_the_parts_are_bit_for_bit_the_whole(count, root, printed) -> None:
    printed(count)
    for split in ("train", "val"):
        whole = root / "representations" / split
        names = [path.name for path in whole.iterdir() if path.suffix in (".float32", ".int64")]
        assert len(names) == 4
        parts = [whole / f"part-{index}-of-{count}" for index in range(count)]
        for name in names:
            contents = [(part / name).read_bytes() for part in parts]
            assert all(contents), "each has some"
            assert b"".join(contents) == (whole / name).read_bytes(), name


@pytest.mark.parametrize("count", COUNTS)
def test_all_workers_have_the_optimum_of_one(count, root, printed) -> None:
    printed(count)

    def optima(index: int, of: int) -> list:
        return json.loads((root / f"optima{index}-{of}.json").read_text())

    (first, *others) = (optima(index, count) for index in range(count))
    assert all(other == first for other in others), "bit for bit"
    # Those of the first evaluation come first. What SciPy stops at is absolute below 1.
    for (objective, _), (expected, _) in zip(first, optima(0, 1), strict=False):
        assert objective == pytest.approx(expected, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(("count", "name"), CASES)
def test_results_are_those_of_one(count, name, root, printed) -> None:
    printed(count)
    made, expected = results(root, count, name), results(root, 1, name)
    layers, expected_layers = made.pop("layers"), expected.pop("layers")
    assert made == expected
    for layer, row in layers.items():
        one = expected_layers[layer]
        for key in ("top1", "top5"):
            assert row[key] == pytest.approx(one[key], abs=0 if name == "knn" else 0.002), key
        for key in ("loss", "train_loss", "effective_rank", "first_ten_variance"):
            if key in one:
                assert row[key] == pytest.approx(one[key], rel=1e-3), (layer, key)
        assert row.get("l2") == one.get("l2")
    if name in ("lbfgs", "knn"):
        assert 0.34 < expected_layers["colour"]["top1"] < 1, "there is something to tell apart"


@pytest.mark.parametrize("count", COUNTS)
def test_the_first_alone_prints(count, printed) -> None:
    first, *others = printed(count)
    assert f"of {count} workers; " in first
    assert first.count("results.json") == len(MEASURED[count])
    # Before the first is there, each says whom it waits for.
    assert all(line.endswith(" to begin") for output in others for line in output.splitlines())
